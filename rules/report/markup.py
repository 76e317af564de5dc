"""Pieces of HTML and SVG for the report."""

import html

import numpy as np

CHART = 960, 110, 34  # width, height, place for the numbers at the left


def text(value):
    return html.escape(str(value))


def tag(name, content="", **attributes):
    """An element; kind=... is its class, content is markup already."""
    words = {("class" if key == "kind" else key.replace("_", "-")): value for key, value in attributes.items()}
    given = "".join(f' {key}="{text(value)}"' for key, value in words.items() if value is not None)
    return f"<{name}{given}>{content}</{name}>"


def table(heads, rows, texts=(0,)):
    """texts: the columns that are words, not numbers."""

    def cells(name, items):
        return "".join(tag(name, item, kind="text" if i in texts else None) for i, item in enumerate(items))

    body = "".join(tag("tr", cells("td", each)) for each in rows)
    whole = tag("thead", tag("tr", cells("th", heads))) + tag("tbody", body)
    return tag("div", tag("table", whole), kind="wide")


def image(made, alt, kind=None):
    """made: (URI, width, height) as pictures.png gives it."""
    uri, width, height = made
    given = f' class="{kind}"' if kind else ""
    return f'<img loading="lazy"{given} width="{width}" height="{height}" alt="{text(alt)}" src="{uri}">'


def row(name, picture, note="", kind=""):
    return tag("div", tag("span", name) + picture + tag("small", note), kind=f"row {kind}".strip())


def scale(name, high, unit=""):
    """A legend: the colours from 0 to `high`."""
    ends = tag("span", "0") + tag("span", f"{high:,.0f}")
    return tag("span", kind=f"scale {name}") + tag("span", ends, kind="ends") + unit


# Charts over all runs


def axis_end(high):
    """The end of an axis, and a step: 1, 2 or 5 times a power of ten."""
    if not np.isfinite(high) or high <= 0:
        return 1.0, 1.0
    power = 10.0 ** np.floor(np.log10(high / 3))
    step = next(factor * power for factor in (1, 2, 5, 10) if high / (factor * power) <= 4)
    return step * np.ceil(high / step), step


def lines_of(end, step):
    """Horizontal lines with their numbers."""
    width, height, left = CHART
    for tick in np.arange(0, end + step / 2, step):
        y = f"{height - tick / end * height:.1f}"
        yield tag("line", x1=left, x2=width, y1=y, y2=y)
        yield tag("text", f"{tick:g}", x=left - 6, y=f"{float(y) + 4:.1f}", text_anchor="end")


def dots(values, end, x, place):
    """A dot for each run of a session, a bar at their median."""
    height = CHART[1]
    known = np.flatnonzero(np.isfinite(values))
    for k in known:
        at = x + place * (0.15 + 0.7 * (k + 0.5) / len(values))
        yield tag("circle", cx=f"{at:.1f}", cy=f"{height - values[k] / end * height:.1f}", r=2.2)
    if known.size:
        y = height - np.median(values[known]) / end * height
        yield tag("path", d=f"M{x + place * 0.1:.1f} {y:.1f}H{x + place * 0.9:.1f}")


def chart(title, unit, sessions, values, kind):
    """One value a run, sessions from left to right. sessions: their numbers, values: an array for each."""
    width, height, left = CHART
    every = np.concatenate(values)
    end, step = axis_end(every[np.isfinite(every)].max(initial=0))
    place, label_each = (width - left) / len(sessions), max(1, -(-len(sessions) // 24))
    parts = list(lines_of(end, step))
    for i, (session, each) in enumerate(zip(sessions, values, strict=True)):
        parts += dots(each, end, left + i * place, place)
        if i % label_each == 0:
            x = f"{left + (i + 0.5) * place:.1f}"
            parts.append(tag("text", session, x=x, y=height + 15, text_anchor="middle"))
    drawing = tag(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {width} {height + 20}",
        role="img",
        aria_label=f"{title} of every run, by session",
    )
    return tag("div", tag("div", title + tag("small", unit)) + drawing, kind=f"chart {kind}")
