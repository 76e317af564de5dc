"""The report in a real browser: nothing from outside, nothing too wide, colours that can be read."""

import json
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
from conftest import PATIENCE, ROOT
from flow import ENV

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

PAGE = "cache/subj01/report.html"
SECTIONS = ["Overview", "All runs", "Missing runs", "Table of sessions", "Pictures", "Arrays", "Counts", "Settings"]
SECTIONS += ["Provenance", "Definitions"]


ASK = """<script>addEventListener("load", async () => {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  await Promise.all(images.map((image) => image.decode().catch(() => 0)));
  const told = {
    headings: [...document.querySelectorAll("h2")].map((h) => h.textContent),
    images: images.map((i) => [i.naturalWidth, i.naturalHeight, i.getBoundingClientRect().width]),
    strips: [...document.querySelectorAll(".row svg")].map((s) => s.getBoundingClientRect().width),
    wide: document.documentElement.scrollWidth, window: innerWidth,
    outside: performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:")),
    links: [...document.querySelectorAll("a[href^='#']")].every((a) => document.querySelector(a.hash)),
  };
  document.body.innerHTML = "<pre id=told></pre>";
  document.getElementById("told").textContent = "TOLD" + JSON.stringify(told) + "END";
});</script>"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("chromium is not there; make deps-browser installs it")
    return found


def browse(browser, path, folder, *options):
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--window-size=1366,900",
    ]
    command += [f"--user-data-dir={folder}/profile", "--virtual-time-budget=20000", *options, path.as_uri()]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 * PATIENCE, check=False, env=ENV)
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console, time.monotonic() - start


def asked(browser, page, folder):
    """(what ASK tells, console). On a busy machine Chromium may end before the page's pictures are there."""
    for k in range(5):
        dom, console, _ = browse(browser, page, folder / str(k), "--dump-dom")
        if told := re.search(r"TOLD(\{.*\})END", dom):
            return json.loads(told[1].replace("&amp;", "&")), console
    raise AssertionError(f"no answer: {dom[-500:]}")


def test_in_a_browser(reported, browser, tmp_path):
    """A copy with a question at its end, and a policy that forbids everything from outside."""
    copy = tmp_path / "report.html"
    text = reported.path(PAGE).read_text()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    copy.write_text(text.replace("<head>", f"<head>{policy}", 1).replace("</body>", f"{ASK}</body>", 1))
    told, console = asked(browser, copy, tmp_path)
    assert not console
    assert told["headings"] == SECTIONS and told["outside"] == [] and told["links"]
    assert len(told["images"]) == 6 and all(w > 50 and h > 10 and shown > 400 for w, h, shown in told["images"])
    assert len(told["strips"]) == 6 and min(told["strips"]) > 400
    assert told["wide"] <= told["window"] == 1366


def test_the_browser_would_see_what_is_wrong(reported, browser, tmp_path):
    """That the questions above can fail."""
    copy = tmp_path / "report.html"
    text = reported.path(PAGE).read_text()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    bad = (
        '<img src="http://127.0.0.1:9/x.png"><img src="data:image/png;base64,AAAA"><div style="width:3000px">x</div>'
    )
    copy.write_text(text.replace("<head>", f"<head>{policy}", 1).replace("</body>", f"{bad}{ASK}</body>", 1))
    told, console = asked(browser, copy, tmp_path)
    assert console and told["wide"] > 2000 and [0, 0] in [size[:2] for size in told["images"]]


IN_A_FRAME = """<!DOCTYPE html><body><iframe style="width: WIDTHpx; height: 844px; border: 0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, all = (which) => [...page.querySelectorAll(which)];
  const box = (found) => found.getBoundingClientRect(), style = frame.contentWindow.getComputedStyle;
  const told = {
    wide: page.documentElement.scrollWidth,
    nav: box(page.querySelector("nav")).height,
    margin: Math.min(...all("section").map((s) => parseFloat(style(s).scrollMarginTop))),
    dots: Math.min(...all(".chart circle").map((c) => box(c).width)),
    columns: all("#table-of-sessions th").filter((h) => box(h).right <= frame.clientWidth).length,
    cut: all(".wide").filter((w) => w.scrollWidth > w.clientWidth).length,
    rows: Math.max(...all("#arrays td").map((c) => box(c).height)),
  };
  document.body.textContent = "TOLD" + JSON.stringify(told) + "END";
};
frame.srcdoc = PAGE;
</script>"""


def framed(browser, text, width, folder):
    """What a window of this width shows; Chromium's own are 500 wide at least."""
    folder.mkdir(exist_ok=True)
    copy = folder / "frame.html"
    copy.write_text(IN_A_FRAME.replace("PAGE", json.dumps(text)).replace("WIDTH", str(width)))
    return asked(browser, copy, folder)[0]


def test_on_a_phone(reported, browser, tmp_path):
    """Nothing is too wide, a link's heading is not under the line of links, dots can be seen, tables begin with more
    than their names."""
    told = framed(browser, reported.path(PAGE).read_text(), 390, tmp_path)
    assert told["wide"] <= 390 and told["nav"] <= told["margin"]
    assert told["dots"] >= 3 and told["columns"] >= 4 and told["rows"] < 120


def test_on_paper(reported, browser, tmp_path):
    """Nobody can scroll there: tables are whole."""
    text = reported.path(PAGE).read_text()
    assert framed(browser, text, 700, tmp_path / "screen")["cut"] >= 1
    told = framed(browser, text.replace("@media print", "@media all"), 700, tmp_path / "paper")
    assert told["cut"] == 0 and told["nav"] == 0 and told["wide"] <= 700


def contrast(one, other):
    """Of two colours, as WCAG defines it."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.05 + 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    return max(light(one), light(other)) / min(light(one), light(other))


def test_colours_can_be_read_by_day_and_by_night():
    palettes = re.findall(r":root \{[^}]*--page[^}]*\}", (ROOT / "rules/report/style.css").read_text())
    palettes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", palette)) for palette in palettes]
    assert len(palettes) == 2 and palettes[0].keys() == palettes[1].keys()
    for palette in palettes:
        for name in palette.keys() - {"page", "tint", "line", "shade"}:
            for ground in ("page", "tint"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, palette)


def test_a_picture_of_the_page(reported, browser, tmp_path):
    import matplotlib.image

    shot = tmp_path / "shot.png"
    browse(browser, reported.path(PAGE), tmp_path, f"--screenshot={shot}", "--hide-scrollbars")
    drawn = matplotlib.image.imread(shot)
    assert drawn.shape[:2] == (900, 1366) and len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 20
    assert np.mean(drawn[..., :3].min(-1) > 0.9) > 0.5  # light
    browse(browser, reported.path(PAGE), tmp_path, f"--screenshot={shot}", "--blink-settings=preferredColorScheme=0")
    assert np.mean(matplotlib.image.imread(shot)[..., :3].max(-1) < 0.3) > 0.5  # dark
