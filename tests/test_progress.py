"""What the workflow says of itself: progress, the summary, estimates before the work."""

import gzip
import json
import re
import shutil
import time
import zlib

import numpy as np
import pytest
from conftest import PATIENCE
from flow import Flow

from operate import costs, progress, summary, words

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

GENERAL = "cache/subj01/general.fmri.npy"


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


def test_lines_of_a_call(reported):
    beforehand, *lines = [line for line in reported.first.text.splitlines() if line.startswith("boldmill: ")]
    assert re.fullmatch(
        r"boldmill: to make: 2 sessions, 1 ROI arrays; about [\d.]+ [kM]B for the sessions, [\d.]+ [MGT]B are free;"
        r" \d+ s of one core, \d+ s with \d+ cores where the disk keeps up",
        beforehand,
    )
    assert re.match(r"boldmill: 1 of 2 sessions, 0 of 1 ROI arrays; \d+ s, about \d+ s to go", lines[0])
    assert any(re.match(r"boldmill: 2 of 2 sessions, 1 of 1 ROI arrays; \d+ s$", line) for line in lines)
    assert reported.first.jobs == [
        ("arrays", "general.fmri.npy"),
        ("pack", "session_01.h5"),
        ("pack", "session_02.h5"),
    ]
    assert " steps (" not in reported.first.text and "resources:" not in reported.first.text
    logs = sorted((reported.folder / ".snakemake/log").glob("*.log"))
    assert "3 of 3 steps (" in logs[0].read_text() and "resources:" in logs[0].read_text()


def test_jobs_that_are_handed_in(two_sessions, tmp_path):
    """Another executor, every word shown: the lines are the same, and jobs themselves say none."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    hand_in = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "bash"]
    hand_in += ["--latency-wait", "20"]
    done = Flow(tmp_path, {"root": str(two_sessions)})("cache/subj01/session_01.h5", options=[*hand_in, "-p"])
    assert "Finished jobid" in done.text and "1 of 1 steps" in done.text
    assert len(re.findall("^boldmill: 1 of 1 sessions", done.text, re.MULTILINE)) == 1
    assert "session_01.h5: 1 session, 3 runs" in done.text


def test_a_failed_call_says_how_far_it_came(two_sessions, tmp_path):
    flow = Flow(tmp_path, {"root": str(two_sessions)})
    spoilt = tmp_path / "root"
    shutil.copytree(two_sessions, spoilt)
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


def test_errors_of_the_user_are_told_without_the_way_to_them(two_sessions, tmp_path):
    missing = "data/{}.tsv: this design is missing; add the file"
    assert progress.plain(ASKING) == f"Error: {missing.format('a')}\n{missing.format('b')}"
    assert progress.plain(READING) == "Error: config: clena: there is no such key; did you mean clean?"
    for text in OTHERS:  # what may be our mistake keeps every word
        assert progress.plain(text) == text
    flow = Flow(tmp_path, {"root": str(two_sessions)})
    short, long = (
        flow.fails("cache/subj07/x.fmri.npy", options=["-n", *words]).text for words in ([], ["--verbose"])
    )
    assert "Error: " in short and "no run of subject 07 is there" in short
    assert "Traceback" not in short and "InputFunctionException" in long and "Traceback" in long


# The summary --------------------------------------------------------------------------------------------------------


def test_summary(reported, run):
    info = summary_of(reported.first.text)
    assert info["sessions"] == "2 sessions" and info["runs"] == "6 runs"
    fmri = np.load(reported.path(GENERAL))
    text = f"{fmri.shape[0]:,} rows x {fmri.shape[1]:,} voxels"
    assert f"cache/subj01/general.json: 2 sessions, 6 runs, 1,356 volumes, {text}" in reported.first.text
    told = json.loads(run("boldinfo", "--json", reported.path("cache/subj01/general.json")).text)
    constant = max(r["counts"]["zscore.constant_voxels"] for r in told["runs"])
    assert f"boldmill:   {constant} constant voxels a run at most" in reported.first.text
    assert "boldmill:   6 volumes dropped at the end of runs (in 6 runs)" in reported.first.text


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


def test_summary_as_json(reported):
    info = json.loads(reported.summary)
    assert info["crc32"] == f"{zlib.crc32(reported.summary[: reported.summary.rindex(',')].encode()):08x}"
    arrays, one, two = info["files"]
    assert arrays["kind"] == "arrays" and one["file"].endswith("session_01.h5") and two["sessions"] == [2]
    assert one["bytes"] == reported.path("cache/subj01/session_01.h5").stat().st_size
    sizes = [reported.path(f"cache/subj01/general.{end}").stat().st_size for end in ("fmri.npy", "meta.npy", "json")]
    assert arrays["bytes"] == sum(sizes) and info["bytes"] == sum(sizes) + one["bytes"] + two["bytes"]
    assert [arrays["rows"], arrays["voxels"]] == list(np.load(reported.path(GENERAL)).shape)
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


def test_nothing_is_said_where_nothing_is_done(reported):
    again = reported(GENERAL)
    assert "boldmill:" not in again.text and "Nothing to be done" in again.text


# Estimates ----------------------------------------------------------------------------------------------------------


def estimated(text, what):
    number, unit = re.search(rf"  {what}  ([\d.]+) (kB|MB|GB)", text).groups()
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def test_estimate(reported):
    done = reported("estimate")
    sizes = [path.stat().st_size for path in sorted((reported.folder / "cache/subj01").glob("session_??.h5"))]
    assert estimated(done.text, "packed sessions") == pytest.approx(sum(sizes), rel=0.15)
    stored = sum(reported.path(f"cache/subj01/general.{end}").stat().st_size for end in ("fmri.npy", "meta.npy"))
    assert estimated(done.text, "general") == pytest.approx(stored, rel=0.02)
    assert "subject 01: 2 sessions, 6 runs, 1,350 time points" in done.text and "does not fit" not in done.text


def test_estimate_of_plain_sessions():
    runs = [{"gz": True, "rows": 225, "volumes": 226}] * 3
    assert costs.packed_bytes({"store": "plain"}, runs, (1000, 2)) == 3 * 225 * 1000 * 2


def test_estimate_of_runs_that_are_not_gzipped(two_sessions, tmp_path):
    copy = tmp_path / "root"
    shutil.copytree(two_sessions, copy)
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
