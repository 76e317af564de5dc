"""What the workflow says of itself: progress, the summary, estimates before the work, and the report."""

import base64
import gzip
import html
import io
import json
import re
import shutil
import subprocess
import time
import zlib
from html.parser import HTMLParser

import nibabel as nib
import numpy as np
import pytest
import yaml
from conftest import PATIENCE, ROOT
from flow import ENV, Flow

from configuration.complaints import complaints
from operate import costs, progress, summary, words
from report import motion, pictures, tables

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

GENERAL = "cache/subj01/general.fmri.npy"
PAGE = "cache/subj01/report.html"
SECTIONS = ["Overview", "All runs", "Missing runs", "Table of sessions", "Pictures", "Arrays", "Counts", "Settings"]
SECTIONS += ["Provenance", "Definitions"]


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    """Subject 1, session 1 with runs 1 to 3, session 2 with run 2 taken away, decoys."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    run("synthnsd", "--sessions", "1-2", "--runs", 3, "--dims", "14,15,12", "--seed", 5, "--decoys", "--quiet", root)
    return root


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The workflow's whole course: arrays, then the report."""
    flow = Flow(tmp_path_factory.mktemp("flow"), {"root": str(root)})
    flow.first = flow(GENERAL)
    flow.listed = sorted(path.name for path in flow.path("cache").iterdir())
    flow.summary = flow.path("cache/summary.json").read_text()
    flow.second = flow("report")
    return flow


# Progress -----------------------------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_time_to_go():
    """Jobs of 10 units at 2 units a second, two at once: 4 jobs take 10 s."""
    clock = Clock()
    watched = progress.Progress({k: progress.Job("pack", 10) for k in range(4)}, clock)
    watched.start([0, 1])
    assert watched.left() is None and watched.line() == "boldmill: 0 of 4 sessions; 0 s"
    clock.now += 5
    watched.end(0)
    watched.start([2])
    assert watched.left() == pytest.approx((0.5 + 10 + 10) / 2 / 2, rel=0.1)
    watched.end(1)
    watched.start([3])
    clock.now += 2
    assert watched.left() == pytest.approx(3) and "2 of 4 sessions; 7 s, about 3 s to go" in watched.line()
    clock.now += 3
    assert watched.end(2) and watched.end(3) and not watched.end(99)
    assert watched.line() == "boldmill: 4 of 4 sessions; 10 s"


def test_the_largest_job_sets_the_end():
    clock = Clock()
    jobs = {1: progress.Job("pack", 1), 2: progress.Job("pack", 1), 3: progress.Job("arrays", 100)}
    watched = progress.Progress(jobs, clock)
    watched.start([1, 2])
    clock.now += 1
    watched.end(1)
    watched.end(2)
    assert watched.left() == pytest.approx(100)
    assert watched.counts() == [("sessions", 2, 2), ("ROI arrays", 0, 1)]


def test_what_has_come_from_a_bucket(tmp_path):
    """Of three jobs one has ended, one is under way with two runs, one waits."""
    watched = progress.Progress({k: progress.Job("arrays", 1) for k in range(3)}, Clock())
    watched.start([0, 1])
    watched.end(0)
    for k, noted in enumerate(("4000\n", "1000\n2000\n30", "9000\n")):
        (tmp_path / f"{k}").write_text(noted)
    said = []
    streams = progress.Streams(watched, {k: (5000, tmp_path / f"{k}") for k in range(3)}, said.append, every=0.01)
    assert streams.line() == "boldmill: 1 of 3 ROI arrays; 0 s, 8 kB of 15 kB read from the bucket"
    streams.start()
    while not said:
        time.sleep(0.01)
    for k in (1, 2):
        watched.end(k)
    streams.join(5 * PATIENCE)
    assert not streams.is_alive() and set(said) == {said[0]} and "8 kB of 15 kB" in said[0]


@pytest.mark.parametrize(("seconds", "expected"), [(3, "3 s"), (89, "89 s"), (600, "10 min"), (12240, "3.4 h")])
def test_durations(seconds, expected):
    assert words.duration(seconds) == expected


def test_lines_of_a_call(made):
    beforehand, *lines = [line for line in made.first.text.splitlines() if line.startswith("boldmill: ")]
    assert re.fullmatch(
        r"boldmill: to make: 2 sessions, 1 ROI arrays; about [\d.]+ [kM]B for the sessions, [\d.]+ [MGT]B are free;"
        r" \d+ s of one core, \d+ s with \d+ cores where the disk keeps up",
        beforehand,
    )
    assert re.match(r"boldmill: 1 of 2 sessions, 0 of 1 ROI arrays; \d+ s, about \d+ s to go", lines[0])
    assert any(re.match(r"boldmill: 2 of 2 sessions, 1 of 1 ROI arrays; \d+ s$", line) for line in lines)
    assert made.first.jobs == [("arrays", "general.fmri.npy"), ("pack", "session_01.h5"), ("pack", "session_02.h5")]
    assert " steps (" not in made.first.text and "resources:" not in made.first.text
    logs = sorted((made.folder / ".snakemake/log").glob("*.log"))
    assert "3 of 3 steps (" in logs[0].read_text() and "resources:" in logs[0].read_text()


def test_jobs_that_are_handed_in(root, tmp_path):
    """Another executor, every word shown: the lines are the same, and jobs themselves say none."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    hand_in = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "bash"]
    hand_in += ["--latency-wait", "20"]
    done = Flow(tmp_path, {"root": str(root)})("cache/subj01/session_01.h5", options=[*hand_in, "-p"])
    assert "Finished jobid" in done.text and "1 of 1 steps" in done.text
    assert len(re.findall("^boldmill: 1 of 1 sessions", done.text, re.MULTILINE)) == 1
    assert "session_01.h5: 1 session, 3 runs" in done.text


def test_a_failed_call_says_how_far_it_came(root, tmp_path):
    flow = Flow(tmp_path, {"root": str(root)})
    spoilt = tmp_path / "root"
    shutil.copytree(root, spoilt)
    run = next(spoilt.rglob("timeseries_session02_run03.nii.gz"))
    run.write_bytes(run.read_bytes()[:-50])
    done = flow.fails(GENERAL, root=str(spoilt), options=["-k"])
    last = [line for line in done.text.splitlines() if line.startswith("boldmill: ")][-2:]
    assert re.search(r"session_02.h5 failed: nifti2h5: \S+run03.nii.gz: .*truncated", last[0]), last
    assert re.fullmatch(
        r"boldmill: 1 of 2 sessions, 0 of 1 ROI arrays; \d+ s; the same call goes on from here", last[1]
    )
    assert max(map(len, done.text.splitlines())) < 700 and " [...] " in done.text
    assert not flow.path("cache/summary.json").exists()


LOG = """nifti2h5: warning: look at this
applymask: label "V1x" is not in the table; the names are V1v
applymask: try 'applymask --help'
detrend: standard input: is empty; its writer failed, see its message
"""


def test_the_cause_of_a_failure_is_told_in_a_line(tmp_path):
    log, nothing, long = tmp_path / "V1.log", tmp_path / "no.log", tmp_path / "long.log"
    log.write_text(LOG)
    nothing.write_text("nifti2h5: warning: look at this\n")
    long.write_text("concat: " + "x" * 1000 + "; do that\n")
    failed = {1: (["V1.npy"], [str(log)]), 2: (["a.h5", "b"], [str(nothing)]), 3: ([], [str(tmp_path / "gone")])}
    first, second, third = progress.failures(failed, "the disk is full")
    assert first == 'V1.npy failed: applymask: label "V1x" is not in the table; the names are V1v'
    assert second == f"a.h5 failed: it left no message in {nothing}; the disk is full"
    assert third == f"a job failed: it left no message in {tmp_path / 'gone'}; the disk is full"
    (killed,) = progress.failures({2: failed[2]}, None)
    assert killed.endswith("; was it killed, or is the disk full?")
    (cut,) = progress.failures({1: (["x"], [str(long)])}, None)
    assert len(cut) < 320 and cut.startswith("x failed: concat: xxx") and cut.endswith("x; do that")


ASKING = """InputFunctionException in rule arrays in file "/x/rules/arrays.smk", line 4:
Error:
  WorkflowError:
    data/a.tsv: this design is missing; add the file
    data/b.tsv: this design is missing; add the file
Wildcards:
  subject=01
Traceback:
  File "/x/rules/dataset.smk", line 41, in design_files (rule arrays, line 4, /x/rules/arrays.smk)"""
READING = """WorkflowError in file "/x/rules/common.smk", line 31:
config: clena: there is no such key; did you mean clean?
  File "/x/rules/common.smk", line 31, in <module>
  File "/x/rules/configuration/schema.py", line 20, in complete
"""
OTHERS = [
    ASKING.replace("  WorkflowError:", "  TypeError: 'int'"),
    "WorkflowError:\nAt least one job did not complete.",
]


def test_errors_of_the_user_are_told_without_the_way_to_them(root, tmp_path):
    missing = "data/{}.tsv: this design is missing; add the file"
    assert progress.plain(ASKING) == f"Error: {missing.format('a')}\n{missing.format('b')}"
    assert progress.plain(READING) == "Error: config: clena: there is no such key; did you mean clean?"
    for text in OTHERS:  # what may be our mistake keeps every word
        assert progress.plain(text) == text
    flow = Flow(tmp_path, {"root": str(root)})
    short, long = (
        flow.fails("cache/subj07/x.fmri.npy", options=["-n", *words]).text for words in ([], ["--verbose"])
    )
    assert "Error: " in short and "no run of subject 07 is there" in short
    assert "Traceback" not in short and "InputFunctionException" in long and "Traceback" in long


# The summary --------------------------------------------------------------------------------------------------------


def test_summary(made, run):
    info = summary_of(made.first.text)
    assert info["sessions"] == "2 sessions" and info["runs"] == "6 runs"
    fmri = np.load(made.path(GENERAL))
    text = f"{fmri.shape[0]:,} rows x {fmri.shape[1]:,} voxels"
    assert f"cache/subj01/general.json: 2 sessions, 6 runs, 1,356 volumes, {text}" in made.first.text
    told = json.loads(run("boldinfo", "--json", made.path("cache/subj01/general.json")).text)
    constant = max(r["counts"]["zscore.constant_voxels"] for r in told["runs"])
    assert f"boldmill:   {constant} constant voxels a run at most" in made.first.text
    assert "boldmill:   6 volumes dropped at the end of runs (in 6 runs)" in made.first.text


def test_one_is_not_many():
    one = {
        "file": "a.h5",
        "kind": "series",
        "sessions": [1],
        "runs": 1,
        "volumes": 5,
        "rows": 5,
        "voxels": 7,
        "bytes": 9,
    }
    one["warnings"] = [{"what": "volumes censored", "number": 1200, "runs": 1}]
    first, second, _ = summary.lines({"files": [one], "left_out": [], "streamed": 0, "bytes": 9, "seconds": 1})
    assert first.startswith("a.h5: 1 session, 1 run, 5 volumes") and second == "  1,200 volumes censored (in 1 run)"
    assert words.many(0, "run") == "0 runs" and words.many(1200, "run") == "1,200 runs"


def summary_of(text):
    found = re.search(
        r"session_\*\.h5: (?P<sessions>2 sessions), (?P<runs>6 runs), 1,356 volumes, 1,350 rows x", text
    )
    assert found, text
    return found.groupdict()


def test_summary_as_json(made):
    info = json.loads(made.summary)
    assert info["crc32"] == f"{zlib.crc32(made.summary[: made.summary.rindex(',')].encode()):08x}"
    arrays, one, two = info["files"]
    assert arrays["kind"] == "arrays" and one["file"].endswith("session_01.h5") and two["sessions"] == [2]
    assert one["bytes"] == made.path("cache/subj01/session_01.h5").stat().st_size
    sizes = [made.path(f"cache/subj01/general.{end}").stat().st_size for end in ("fmri.npy", "meta.npy", "json")]
    assert arrays["bytes"] == sum(sizes) and info["bytes"] == sum(sizes) + one["bytes"] + two["bytes"]
    assert [arrays["rows"], arrays["voxels"]] == list(np.load(made.path(GENERAL)).shape)
    assert arrays["volumes"] == 6 * 226 and arrays["runs"] == 6 and info["left_out"] == []
    assert info["streamed"] == 0


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999900, "1,000 kB"),
        (59.5e6, "59.5 MB"),
        (3.2e12, "3,200 GB"),
    ],
)
def test_sizes(n, expected):
    assert words.size(n) == expected


def test_nothing_is_said_where_nothing_is_done(made):
    again = made(GENERAL)
    assert "boldmill:" not in again.text and "Nothing to be done" in again.text


# Estimates ----------------------------------------------------------------------------------------------------------


def estimated(text, what):
    number, unit = re.search(rf"  {what}  ([\d.]+) (kB|MB|GB)", text).groups()
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def test_estimate(made):
    done = made("estimate")
    sizes = [path.stat().st_size for path in sorted((made.folder / "cache/subj01").glob("session_??.h5"))]
    assert estimated(done.text, "packed sessions") == pytest.approx(sum(sizes), rel=0.15)
    stored = sum(made.path(f"cache/subj01/general.{end}").stat().st_size for end in ("fmri.npy", "meta.npy"))
    assert estimated(done.text, "general") == pytest.approx(stored, rel=0.02)
    assert "subject 01: 2 sessions, 6 runs, 1,350 time points" in done.text and "does not fit" not in done.text


def test_estimate_of_plain_sessions():
    runs = [{"gz": True, "rows": 225, "volumes": 226}] * 3
    assert costs.packed_bytes({"store": "plain"}, runs, (1000, 2)) == 3 * 225 * 1000 * 2


def test_estimate_of_runs_that_are_not_gzipped(root, tmp_path):
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    for path in list(copy.rglob("timeseries_session*.nii.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    base = "nsddata_timeseries/ppdata/subj{subject}/{space}/timeseries/timeseries_session{session}_run{run}.nii"
    flow = Flow(tmp_path, {"root": str(copy), "layout": {"runs": base}})
    told = flow("estimate").text
    flow("cache/subj01/session_01.h5", "cache/subj01/session_02.h5")
    sizes = [path.stat().st_size for path in (tmp_path / "cache/subj01").glob("session_??.h5")]
    assert estimated(told, "packed sessions") == pytest.approx(sum(sizes), rel=0.15)


def test_a_disk_that_is_too_small(monkeypatch, tmp_path):
    class Job:
        rule = type("Rule", (), {"name": "pack"})
        input = type("Input", (list,), {})()

    run = tmp_path / "run.nii.gz"
    run.write_bytes(bytes(1000000))
    Job.input.runs = [run]
    wanted = costs.made_of(None, Job())
    assert costs.too_much(wanted, str(tmp_path / "cache")) is None
    monkeypatch.setattr(costs, "free_at", lambda folder: 500000)
    assert "about 780 kB will be written, and 500 kB are free" in costs.too_much(wanted, str(tmp_path))
    on_cluster = costs.beforehand([("sessions", 40)], 3.7e10, 460, None, str(tmp_path))
    assert on_cluster == "to make: 40 sessions; about 37 GB for the sessions, 500 kB are free; 8 min of one core"
    every = [{"sessions": {1: 4e5}, "arrays": {"a": 2e5}, "seconds": 3}]
    assert "this does not fit" in list(costs.together(every, 2, str(tmp_path)))[-1]


# The report ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Headings, pictures, tables and everything that names a resource."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.images, self.links, self.cells, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.open.append(tag)
        if tag == "img":
            self.images.append(given)
        self.links += [given[key] for key in ("src", "href", "data", "action") if key in given]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h2",):
            self.headings.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data


@pytest.fixture(scope="module")
def page(made):
    return Page(made.path(PAGE).read_text())


def pixels(image):
    import matplotlib.image

    data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    return matplotlib.image.imread(io.BytesIO(data), format="png")[..., :3]


def test_page(page, made):
    text = made.path(PAGE).read_text()
    assert page.headings == SECTIONS and text.count("<h3>Session ") == 2
    assert all(link.startswith(("#", "data:")) for link in page.links) and "<script" not in text
    assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?https?:", text)
    for image in page.images:
        assert image["alt"] and image["loading"] == "lazy"
        assert pixels(image).shape[:2] == (int(image["height"]), int(image["width"]))
    assert [image["alt"].split(" of ")[0] for image in page.images[:3]] == [
        "Axial slices",
        "Axial slices",
        "Carpet plot",
    ]
    assert len(page.images) == 6 and made.second.text.count("rule quality:") == 2


def test_mean_slices_are_those_of_the_scans(page, root):
    """The picture, decoded, beside slices that nibabel and numpy cut from the scans."""
    files = sorted(root.rglob("timeseries_session01_run*.nii.gz"))
    images = [nib.as_closest_canonical(nib.load(path)) for path in files]
    data = np.stack([np.asarray(image.dataobj)[..., :225] for image in images]).astype(float)
    inside, mean = data.any((0, 4)), data.mean((0, 4))
    x, y, z = (np.flatnonzero(inside.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    heights = np.unique(np.linspace(z[0], z[-1], pictures.SLICES + 2).round().astype(int)[1:-1])
    shown = pixels(page.images[0])
    assert np.ptp(shown, axis=-1).max() < 1e-3  # grey
    width = x[-1] - x[0] + 1
    for k, height in enumerate(heights):
        part = shown[:, k * (width + 2) :][:, :width, 0]
        slab = np.s_[x[0] : x[-1] + 1, y[0] : y[-1] + 1, height]
        expected, brain = np.flipud(mean[slab].T), np.flipud(inside[slab].T)
        assert np.all(part[~brain] == 1) and np.all(part[brain] < 1)
        order = np.argsort(expected[brain])
        assert np.all(np.diff(part[brain][order]) > -1e-6)  # the brighter the scan, the brighter the picture


def test_table_of_sessions(page, root, run, made):
    at = next(i for i, row in enumerate(page.cells) if row and row[0] == "Session")
    heads, *rows = page.cells[at : at + 3]
    table = [dict(zip(heads, row, strict=True)) for row in rows]
    for session, row in enumerate(table, 1):
        moved = []
        for k in (1, 2, 3):
            path = next(root.rglob(f"motion_session{session:02d}_run{k:02d}.tsv"))
            moves = np.loadtxt(path)[:225]
            change = np.abs(moves[1:] - moves[:-1])
            moved.append((change[:, :3].sum(1) + 50 * change[:, 3:6].sum(1)).mean())
        assert float(row["Displacement, mm"]) == pytest.approx(np.mean(moved), abs=6e-4)
        assert row["Runs"] == "1–3" and row["Time points"] == "675" and row["Volumes dropped"] == "3"
        snr = [float(each["tsnr"]) for each in quality(made, session)["runs"]]
        assert float(row["Median tSNR"]) == pytest.approx(np.median(snr), abs=0.051)
        size = made.path(f"cache/subj01/session_{session:02d}.h5").stat().st_size
        assert row["Packed"] == words.size(size)


def quality(flow, session):
    return json.loads(flow.path(f"cache/quality/subj01/session_{session:02d}.json").read_text())


def test_what_the_report_costs_those_who_do_not_ask(made):
    assert made.listed == ["benchmark", "log", "subj01", "summary.json"]


def test_the_direct_route_packs_nothing_and_shows_the_same(made, root, tmp_path):
    flow = Flow(tmp_path, {"root": str(root), "route": "direct"})
    done = flow(PAGE)
    assert [rule for rule, _ in done.jobs] == ["quality", "quality", "subject_report"]
    assert not list(tmp_path.rglob("*.h5"))
    for end in ("maps.npy", "carpet.npy"):
        name = f"cache/quality/subj01/session_02.{end}"
        assert flow.bytes(name) == made.bytes(name)
    direct, packed = Page(flow.path(PAGE).read_text()), Page(made.path(PAGE).read_text())
    assert [image["src"] for image in direct.images] == [image["src"] for image in packed.images]


def test_the_same_again(made, root, tmp_path):
    flow = Flow(tmp_path, {"root": str(root), "threads": {"pack": 1, "arrays": 1}})
    flow(GENERAL)
    flow(PAGE)
    assert flow.bytes(PAGE) == made.bytes(PAGE)


def test_arrays_and_report_in_one_call(root, tmp_path):
    """The page has the arrays that the call makes, whatever of them it was asked for; it makes no others."""
    flow = Flow(tmp_path, {"root": str(root), "rois": {"general": "nsdgeneral", "V1": "lh.streams"}})
    flow("cache/subj01/general.shuffle.npy", "report")
    rows = [row[0] for row in Page(flow.path(PAGE).read_text()).cells if row and ".fmri.npy" in row[0]]
    assert rows == ["general.fmri.npy"] or rows == ["cache/subj01/general.fmri.npy"]
    assert not flow.path("cache/subj01/V1.json").exists() and flow.plan("report") == []
    flow("all", "report")
    assert flow.path(PAGE).read_text().count(".fmri.npy</code>") == 2


def test_a_missing_page_is_made_while_arrays_are_made_again(root, tmp_path):
    flow = Flow(tmp_path, {"root": str(root)})
    flow(GENERAL, PAGE)
    flow.path(PAGE).unlink()
    done = flow("all", "report", clean={"order": 2})
    assert ("arrays", "general.fmri.npy") in done.jobs and flow.path(PAGE).exists()


def test_missing_runs_are_in_the_report(root, tmp_path):
    holes = tmp_path / "root"
    shutil.copytree(root, holes)
    gone = next(holes.rglob("timeseries_session02_run02.nii.gz"))
    gone.unlink()
    flow = Flow(tmp_path, {"root": str(holes), "allow_missing": True})
    done = flow(GENERAL)
    assert f"boldmill: left out: {gone}" in done.text
    flow("report")
    page = Page(flow.path(PAGE).read_text())
    row = next(row for row in page.cells if row and row[0] == "2")
    assert row[1] == "1, 3"
    assert any(gone.name in cell for cells in page.cells for cell in cells)


def test_damage_is_named(made, tmp_path):
    folder = tmp_path / "flow"
    shutil.copytree(made.folder, folder, symlinks=True)
    flow = Flow(folder, made.config)
    path = flow.path("cache/quality/subj01/session_01.json")
    path.write_text(path.read_text().replace('"tr":', '"tR":', 1))
    done = flow.fails("report", options=["-f", "--rerun-triggers", "mtime"], says="")
    assert "session_01.json: is damaged" in done.text


@pytest.mark.parametrize("which", ["maps", "carpet"])
def test_damaged_arrays_are_named(made, tmp_path, which):
    names = [f"session_01.{end}" for end in ("json", "maps.npy", "carpet.npy")]
    for name in names:
        shutil.copy(made.path(f"cache/quality/subj01/{name}"), tmp_path)
    assert pictures.Quality(str(tmp_path / names[0])).maps.shape[0] == 3
    path = tmp_path / f"session_01.{which}.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(ValueError, match=f"{which}.npy: is not what .*session_01.json says; remove both"):
        pictures.Quality(str(tmp_path / names[0]))


def test_shown_sessions_are_the_chosen(root, tmp_path):
    flow = Flow(tmp_path, {"root": str(root), "sessions": "2", "report": {"order": 0, "voxels": 7}})
    flow("report")
    text = flow.path(PAGE).read_text()
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["Session 2"] and "polynomial of order 0" in text
    assert np.load(flow.path("cache/quality/subj01/session_02.carpet.npy")).shape == (675, 7)


# Motion -------------------------------------------------------------------------------------------------------------


def test_displacement():
    moves = np.array([[0, 0, 0, 0, 0, 0], [1, -2, 0.5, 0.01, 0, 0], [1, -2, 0.5, 0.01, -0.02, 0.1]], float)
    assert np.allclose(motion.displacement(moves), [np.nan, 3.5 + 0.5, 1 + 5], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "expected", "source"),
    [
        ("0 0 0 0 0 0\n1 0 0 0 0 0\n", [np.nan, 1], "columns 1 to 3"),
        ("0 0 0 0 0 0 9\n0 2 0 0 0 0.1 3\n", [np.nan, 7], "columns 1 to 3"),
        ("a\tframewise_displacement\n1\tn/a\n2\t0.25\n", [np.nan, 0.25], "framewise_displacement"),
        (
            "rot_x\trot_y\trot_z\ttrans_x\ttrans_y\ttrans_z\n0\t0\t0\t0\t0\t0\n0.1\t0\t0\t0\t1\t0\n",
            [np.nan, 6],
            "trans_",
        ),
        ("csf\tglobal\n1\t2\n3\t4\n", None, "no columns of motion"),
        ("1 2\n3 4\n", None, "no columns of motion"),
    ],
)
def test_tables_of_motion(tmp_path, text, expected, source):
    path = tmp_path / "table.tsv"
    path.write_text(text)
    found, told = motion.read(str(path))
    assert source in told
    assert found is None if expected is None else np.allclose(found, expected, equal_nan=True)


def test_what_comes_from_files_is_text():
    """A description may have been made by somebody who means harm; the page is opened in a browser."""
    odd = "<script>alert(1)</script>"
    run = {
        "session": 1,
        "run": 1,
        "counts": {odd: 1},
        "steps": [{"program": odd, "version": odd, "settings": {odd: 1}}],
    }
    fmri = {"file": odd, "dtype": odd, "shape": [3, 4]}
    info = {"kind": "arrays", "fmri": fmri, "meta": None, "sessions": [1], "runs": [run], "bytes": 5, "file": odd}
    parts = [tables.arrays([info]), tables.counts([], [info]), tables.provenance([], [info])]
    parts.append(tables.missing({"left_out": [odd]}))
    assert all("&lt;script&gt;" in part and "<script" not in part for part in parts)


def test_a_table_of_motion_that_inflates_without_end(tmp_path, monkeypatch):
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(gzip.compress(b"1 2 3 4 5 6\n" * 100))
    assert motion.read(str(path))[0].shape == (100,)
    monkeypatch.setattr(motion, "MOST", 1199)
    with pytest.raises(ValueError, match=r"table\.tsv\.gz: is larger than 64 MB"):
        motion.read(str(path))


def test_motion_of_rows_that_are_left():
    moved = np.arange(6.0)
    assert motion.of_rows(moved, {"rows": 3}).tolist() == [0, 1, 2]
    found = motion.of_rows(moved, {"rows": 3, "times": [1, 4, 9]})
    assert found[:2].tolist() == [1, 4] and np.isnan(found[2])


# A real browser -----------------------------------------------------------------------------------------------------

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


def test_in_a_browser(made, browser, tmp_path):
    """A copy with a question at its end, and a policy that forbids everything from outside."""
    copy = tmp_path / "report.html"
    text = made.path(PAGE).read_text()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    copy.write_text(text.replace("<head>", f"<head>{policy}", 1).replace("</body>", f"{ASK}</body>", 1))
    told, console = asked(browser, copy, tmp_path)
    assert not console
    assert told["headings"] == SECTIONS and told["outside"] == [] and told["links"]
    assert len(told["images"]) == 6 and all(w > 50 and h > 10 and shown > 400 for w, h, shown in told["images"])
    assert len(told["strips"]) == 6 and min(told["strips"]) > 400
    assert told["wide"] <= told["window"] == 1366


def test_the_browser_would_see_what_is_wrong(made, browser, tmp_path):
    """That the questions above can fail."""
    copy = tmp_path / "report.html"
    text = made.path(PAGE).read_text()
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    bad = (
        '<img src="http://127.0.0.1:9/x.png"><img src="data:image/png;base64,AAAA"><div style="width:3000px">x</div>'
    )
    copy.write_text(text.replace("<head>", f"<head>{policy}", 1).replace("</body>", f"{bad}{ASK}</body>", 1))
    told, console = asked(browser, copy, tmp_path)
    assert console and told["wide"] > 2000 and [0, 0] in [size[:2] for size in told["images"]]


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
        for name in palette.keys() - {"page", "tint", "line"}:
            for ground in ("page", "tint"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, palette)


def test_headings_pictures_and_settings_of_the_page(made):
    text = made.path(PAGE).read_text()
    levels = [int(level) for level in re.findall("<h([1-6])", text)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert max(b - a for a, b in zip(levels, levels[1:], strict=False)) == 1
    assert all(re.search(r' alt="[^"]{10,}"', image) for image in re.findall("<img[^>]*>", text))
    settings = yaml.safe_load(html.unescape(re.search(r'id="settings">.*?<pre>(.*?)</pre>', text, re.DOTALL)[1]))
    assert settings["layout"]["preset"] == "nsd" and settings["clean"]["order"] == 1
    assert not complaints(settings, yaml.safe_load((ROOT / "config/schema.yaml").read_text()))


def test_a_picture_of_the_page(made, browser, tmp_path):
    import matplotlib.image

    shot = tmp_path / "shot.png"
    browse(browser, made.path(PAGE), tmp_path, f"--screenshot={shot}", "--hide-scrollbars")
    drawn = matplotlib.image.imread(shot)
    assert drawn.shape[:2] == (900, 1366) and len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 20
    assert np.mean(drawn[..., :3].min(-1) > 0.9) > 0.5  # light
    browse(browser, made.path(PAGE), tmp_path, f"--screenshot={shot}", "--blink-settings=preferredColorScheme=0")
    assert np.mean(matplotlib.image.imread(shot)[..., :3].max(-1) < 0.3) > 0.5  # dark
