"""The report of a subject: one HTML page that holds all it shows. Snakemake's script of rule subject_report.

What was measured comes from boldqc's files, what was counted from boldinfo, motion from the tables beside the runs.
Nothing in the page depends on time, host or order of work: same inputs, same bytes.
"""

import json
import os

import numpy as np
import yaml

from operate import summary, whole
from report import motion, pictures
from report.markup import chart, image, row, scale, table, tag, text


def figure(value, digits=1):
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def list_of(numbers):
    """1–12"""
    parts = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts) or "none"


def mean(values):
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def median(values):
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan


class Session:
    """What is known of a session: its measured runs, their motion, runs that are not used."""

    def __init__(self, quality, facts):
        self.quality, self.runs, self.facts = quality, quality.runs, facts
        self.number = quality.session
        self.axis = pictures.Axis([run["rows"] for run in self.runs])
        self.signal, self.dvars = quality.courses("signal"), quality.courses("dvars")
        read = [motion.read(path) if path else (None, "no table of motion") for path in facts["motion"]]
        self.sources = sorted({source for _, source in read})
        self.moved = [
            np.full(run["rows"], np.nan) if moved is None else motion.of_rows(moved, run)
            for (moved, _), run in zip(read, self.runs, strict=True)
        ]
        self.has_motion = any(np.isfinite(moved).any() for moved in self.moved)
        self.rows = sum(run["rows"] for run in self.runs)
        levels = [run["mean"] or np.nan for run in self.runs]
        self.swing = [100 * course / level - 100 for course, level in zip(self.signal, levels, strict=True)]
        self.jumps = [100 * course / level for course, level in zip(self.dvars, levels, strict=True)]
        self.tsnr = np.array([run["tsnr"] for run in self.runs], float)
        self.jump = np.array([mean(course) for course in self.jumps])
        self.shift = np.array([mean(course) for course in self.moved])

    def count(self, name):
        return [run["counts"].get(name, 0) for run in self.runs]


# Pictures of a session


def limits_of(sessions):
    """(low, high) of the axes, common to all sessions: what all but two time points in a thousand stay within."""

    def ends(name):
        values = np.concatenate([course for session in sessions for course in getattr(session, name)])
        values = values[np.isfinite(values)]
        return np.percentile(values, (0.2, 99.8)).tolist() if values.size else [0.0, 1.0]

    swing = max(map(abs, ends("swing")))
    jump = ends("jumps")
    return (-swing, swing), (min(jump[0], 0.9 * jump[1]), jump[1]), (0.0, ends("moved")[1])


def strips(session, limits):
    """Global signal, DVARS and displacement over time."""
    axis, (swing, jump, moved) = session.axis, limits
    drawn = pictures.strip(axis, session.swing, *swing, pictures.mean)
    yield row("Global signal", drawn, f"±{swing[1]:.2g} % of the run’s mean")
    drawn = pictures.strip(axis, session.jumps, *jump, pictures.peak)
    yield row("DVARS", drawn, f"{jump[0]:.3g} to {jump[1]:.3g} %", "dvars")
    if session.has_motion:
        drawn = pictures.strip(axis, session.moved, *moved, pictures.peak)
        yield row("Displacement", drawn, f"0 to {moved[1]:.2g} mm", "fd")


def session_section(session, highs, limits):
    quality, name = session.quality, f"session {session.number}"
    numbers = list_of([run["run"] for run in session.runs])
    level = image(pictures.slices(quality.volume(0), highs[0], "grey"), f"Axial slices of the mean of {name}")
    tsnr = image(pictures.slices(quality.volume(2), highs[1], "viridis"), f"Axial slices of the tSNR of {name}")
    carpet = image(pictures.carpet(quality, session.axis), f"Carpet plot of {name}: voxels over time", "carpet")
    about = f"{summary.many(len(session.runs), 'run')} ({numbers}), {summary.many(session.rows, 'time point')}"
    parts = [
        tag("h3", f"Session {session.number}"),
        tag("p", f"{about}, median tSNR {figure(median(session.tsnr))}"),
        row("Mean", level, scale("grey", highs[0], 0)),
        row("tSNR", tsnr, scale("viridis", highs[1], 0)),
        row("Carpet", carpet, f"{quality.carpet.shape[1]} voxels, detrended"),
        *strips(session, limits),
    ]
    return tag("article", "".join(parts), kind="session", id=f"session-{session.number}")


def scales(sessions):
    """Ends of the colour scales of means and tSNR, common to all sessions."""
    return [max(float(np.median([pictures.top(s.quality.maps[i]) for s in sessions])), 1e-6) for i in (0, 2)]


def pictures_of(sessions):
    highs, limits = scales(sessions), limits_of(sessions)
    return "".join(session_section(session, highs, limits) for session in sessions)


def charts(sessions):
    numbers = [s.number for s in sessions]
    drawn = [
        chart("Median tSNR", "of a run’s voxels", numbers, [s.tsnr for s in sessions], "tsnr"),
        chart("Mean DVARS", "% of the mean signal", numbers, [s.jump for s in sessions], "dvars"),
    ]
    if any(s.has_motion for s in sessions):
        drawn.append(chart("Mean displacement", "framewise, mm", numbers, [s.shift for s in sessions], "fd"))
    return tag("div", "".join(drawn), kind="charts")


# Tables


def flagged(n):
    return tag("span", summary.number(n), kind="warn") if n else "0"


COLUMNS = {
    "Session": lambda s, packed: tag("a", s.number, href=f"#session-{s.number}"),
    "Runs": lambda s, packed: list_of([run["run"] for run in s.runs]),
    "Not used": lambda s, packed: list_of(s.facts["others"]),
    "Time points": lambda s, packed: summary.number(s.rows),
    "Volumes dropped": lambda s, packed: summary.number(sum(s.count("nifti2h5.dropped_volumes"))),
    "Median tSNR": lambda s, packed: figure(median(s.tsnr)),
    "DVARS, %": lambda s, packed: figure(mean(s.jump), 2),
    "Displacement, mm": lambda s, packed: figure(mean(s.shift), 3),
    "Constant voxels": lambda s, packed: flagged(max(s.count("boldqc.constant_voxels"))),
    "Not finite": lambda s, packed: flagged(sum(s.count("boldqc.nonfinite_samples"))),
    "Packed": lambda s, packed: summary.size(packed[s.number]) if s.number in packed else "–",
}


def session_table(sessions, made):
    packed = {info["runs"][0]["session"]: info["bytes"] for info in made if info["kind"] == "series"}
    note = "Not used: runs at rest, and runs that the configuration leaves out. Constant voxels: the most in a run."
    rows = [[cell(s, packed) for cell in COLUMNS.values()] for s in sessions]
    return tag("p", note, kind="note") + table(COLUMNS, rows, (0, 1, 2))


def missing(facts):
    if not facts["left_out"]:
        return tag("p", "Nothing that the configuration asks for is missing.", kind="good")
    return table(["What is missing"], [[tag("span", text(each), kind="warn")] for each in facts["left_out"]])


def array_row(info):
    found = [f"{summary.number(each['number'])} {each['what']}" for each in summary.warnings(info["runs"])]
    return [
        tag("code", text(info["fmri"]["file"])),
        len(info["sessions"]),
        *(summary.number(n) for n in info["fmri"]["shape"]),
        text(info["fmri"]["dtype"]),
        summary.size(summary.bytes_of(info)),
        "<br>".join(tag("span", text(words), kind="warn") for words in found),
    ]


def arrays(made):
    rows = [array_row(info) for info in made if info["kind"] == "arrays"]
    heads = ["Array", "Sessions", "Time points", "Voxels", "Type", "Size", "Counted"]
    return table(heads, rows, (0, 6)) if rows else tag("p", "No arrays are there yet.")


def every_run(sessions, made):
    return [run for runs in [s.runs for s in sessions] + [info["runs"] for info in made] for run in runs]


def counts(sessions, made):
    """Each count over the runs that have it; a run that is in several files counts once."""
    total = {}
    for run in every_run(sessions, made):
        for name, n in run["counts"].items():
            total.setdefault(name, {})[run["session"], run["run"]] = n
    words = {name: what for what, names in summary.WARNINGS.items() for name in names}
    rows = [
        [
            tag("code", text(name)),
            words.get(name, ""),
            summary.number(sum(each)),
            summary.number(max(each)),
            sum(map(bool, each)),
            len(each),
        ]
        for name, each in ((name, list(found.values())) for name, found in sorted(total.items()))
    ]
    return table(["Count", "Is", "Sum over runs", "Most in a run", "Runs that have any", "Of runs"], rows, (0, 1))


OF_RUNS = ("design", "confounds", "sample-mask", "session", "run")  # settings that name a file or number for each run


def provenance(sessions, made):
    """Every different step of a program; files and their checksums are in the artifacts themselves."""
    found = {}
    for run in every_run(sessions, made):
        for step in run["steps"]:
            kept = {key: value for key, value in step["settings"].items() if key not in OF_RUNS}
            found[f"{step['program']} {step['version']} {json.dumps(kept)}"] = True
    return tag("pre", text("\n".join(found)))


# The page

DEFINITIONS = {
    "tSNR": "A voxel’s mean over a run, divided by its standard deviation after a polynomial of order {order} has"
    " been taken out (divisor: time points). Pictures show the mean over the session’s runs, tables the median over"
    " voxels that vary.",
    "Global signal": "Mean over all voxels at each time point, as a deviation from the run’s mean.",
    "DVARS": "Root of the mean square, over voxels, of the change from one time point to the next, before any"
    " cleaning (Power et al. 2012, NeuroImage 59:2142), in percent of the run’s mean signal.",
    "Framewise displacement": "Sum of the absolute changes of three translations and three rotations from one"
    " volume to the next, rotations as arcs on a sphere of 50 mm (Power et al. 2012). From the tables beside the"
    " runs: {sources}.",
    "Carpet plot": "Voxels from top to bottom, time from left to right (Power 2017, NeuroImage 154:150): {voxels}"
    " voxels spread evenly over the brain, detrended and standardised within each run, ordered by how they follow"
    " their mean (Aquino et al. 2020, NeuroImage 212:116614).",
}


def definitions(sessions):
    step = next(step for step in sessions[0].runs[0]["steps"] if step["program"] == "boldqc")
    sources = "; ".join(sorted({source for session in sessions for source in session.sources}))
    known = {"order": step["settings"]["order"], "voxels": sessions[0].quality.carpet.shape[1], "sources": sources}
    return tag("dl", "".join(tag("dt", k) + tag("dd", text(v.format(**known))) for k, v in DEFINITIONS.items()))


def tiles(sessions):
    tsnr, shift = (np.concatenate([getattr(s, name) for s in sessions]) for name in ("tsnr", "shift"))
    found = [
        (len(sessions), "session" + "s" * (len(sessions) != 1)),
        (sum(len(s.runs) for s in sessions), "runs"),
        (summary.number(sum(s.rows for s in sessions)), "time points"),
        (summary.number(max(s.quality.maps.shape[1] for s in sessions)), "voxels in the brain"),
        (figure(median(tsnr)), "median tSNR"),
        (f"{figure(mean(shift), 2)} mm" if np.isfinite(shift).any() else "–", "mean displacement"),
        (f"{sessions[0].runs[0]['tr']:.4g} s", "from volume to volume"),
    ]
    return tag("ul", "".join(tag("li", tag("b", value) + tag("span", name)) for value, name in found), kind="tiles")


NOTE = """Slices from bottom to top, the right of the brain on the right, one scale for all sessions. Time courses run
from left to right through all runs of a session, and share their axes with the other sessions; a line in them that
touches the edge goes further."""


def sections_of(sessions, facts, settings, made):
    return {
        "Overview": tiles(sessions),
        "All runs": charts(sessions),
        "Missing runs": missing(facts),
        "Table of sessions": session_table(sessions, made),
        "Pictures": tag("p", NOTE, kind="note") + pictures_of(sessions),
        "Arrays": arrays(made),
        "Counts": counts(sessions, made),
        "Settings": tag("pre", text(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=100))),
        "Provenance": provenance(sessions, made),
        "Definitions": definitions(sessions),
    }


def head(title):
    with open(
        os.path.join(os.path.dirname(os.path.abspath(pictures.__file__)), "style.css"), encoding="utf-8"
    ) as file:
        style = file.read()
    start = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    return tag("head", start + tag("title", title) + '<link rel="icon" href="data:,">' + tag("style", style))


def page(subject, sessions, facts, settings, made):
    parts = {
        name: (name.lower().replace(" ", "-"), body)
        for name, body in sections_of(sessions, facts, settings, made).items()
    }
    title = f"Subject {text(subject)}"
    about = f"The runs below {text(settings['root'])}, preset {text(settings['layout']['preset'])}. Made by boldmill."
    whole = tag("header", tag("h1", title) + tag("p", about))
    whole += tag("nav", "".join(tag("a", name, href=f"#{key}") for name, (key, _) in parts.items()))
    whole += "".join(tag("section", tag("h2", name) + body, id=key) for name, (key, body) in parts.items())
    body = tag("body", tag("main", whole))
    return f'<!DOCTYPE html>\n<html lang="en">{head(f"boldmill: {title}")}{body}</html>\n'


def main(job):
    facts = job.params.facts
    numbers = {each["session"]: each for each in facts["sessions"]}
    measured = [pictures.Quality(str(path)) for path in job.input.quality]
    sessions = [Session(quality, numbers[quality.session]) for quality in measured]
    there = [path for path in job.params.packed if os.path.exists(path)]
    made = summary.describe(job.params.boldinfo, [*map(str, job.input.made), *there])
    whole.write(str(job.output[0]), page(job.params.subject, sessions, facts, job.params.settings, made))


if "snakemake" in globals():
    main(globals()["snakemake"])
