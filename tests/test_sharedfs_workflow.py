"""The workflow on a shared file system (tests/sharedfs/slowfs.c): coarse times, a server with a clock of its own, and
jobs on other machines than Snakemake."""

import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from flow import Flow

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")
sys.path.insert(0, str(ROOT / "tests/sharedfs"))
import mounts  # noqa: E402

LACKING = mounts.lacking()
pytestmark = pytest.mark.skipif(LACKING is not None, reason=f"no slow file system here: {LACKING}")
TARGETS = ["cache/subj01/general.fmri.npy", "cache/subj01/general.shuffle.npy"]


def a_dataset(run, folder):
    run("synthnsd", "--runs", "2", "--volumes", "40", "--dims", "12,13,11", "--quiet", folder / "nsd")
    return Flow(folder, {"root": str(folder / "nsd")})


@pytest.fixture
def expected(run, tmp_path_factory):
    flow = a_dataset(run, tmp_path_factory.mktemp("local"))
    flow(*TARGETS)
    return arrays(flow)


def arrays(flow):
    return {path.name: path.read_bytes() for path in flow.folder.glob("cache/subj01/*.npy")}


@pytest.mark.parametrize(("whole", "skew"), [(2, -6)])
def test_coarse_times_and_another_clock(run, expected, tmp_path, whole, skew):
    """Everything lies there: dataset, cache and Snakemake's notes. The same arrays; nothing is made twice; a change
    that is later by the file system's own measure is seen."""
    far = tmp_path / "far"
    with mounts.mounted(tmp_path / "backing", far, whole=whole, skew=skew, cache=1) as counts:
        flow = a_dataset(run, far)
        flow(*TARGETS)
        assert arrays(flow) == expected
        assert flow.plan(*TARGETS) == []
        time.sleep(whole + 1.1)
        design = next(far.glob("nsd/**/design_session01_run01.tsv"))
        design.write_text("".join(reversed(design.read_text().splitlines(keepends=True))))  # as many rows: no session
        assert {rule for rule, _ in flow(*TARGETS).jobs} == {"arrays", "shuffle"}
        assert flow.plan(*TARGETS) == [] and arrays(flow) != expected
        assert not list(far.rglob("cache/subj01/.*"))
    assert counts["lock"] == 0


SUBMIT = """#!/bin/sh
# Runs a job on the other machine: one that sees the folder through a client of its own.
setsid nsenter --mount=/proc/{pid}/ns/mnt sh -c "cd '{folder}' && sh '$1'" > /dev/null 2>&1 < /dev/null &
echo 1
"""


def other_machine(backing, at, folder):
    """A process in whose mounts `at` is the same folder, through a file system of its own."""
    inner = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests/sharedfs')!r}); import mounts; from pathlib import Path\n"
        f"with mounts.mounted(Path({str(backing)!r}), Path({str(at)!r}), cache=3, whole=1):\n"
        "    print('mounted', flush=True); sys.stdin.read()\n"
    )
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", inner]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
    line = child.stdout.readline()
    return child if line == "mounted\n" else None


def test_jobs_on_another_machine(run, expected, tmp_path):
    """Snakemake here, jobs on a machine that has the folder mounted too; both remember names for 3 seconds."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic", reason="the cluster-generic plugin is missing")
    if os.geteuid():
        pytest.skip("only root may have mounts of its own")
    backing, far = tmp_path / "backing", tmp_path / "far"
    backing.mkdir(), far.mkdir()
    other = other_machine(backing, far, tmp_path)
    if other is None:
        pytest.skip("no mounts of one's own here")
    try:
        with mounts.mounted(backing, far, cache=3, whole=1):
            submit = tmp_path / "submit.sh"
            submit.write_text(SUBMIT.format(pid=inner_process(other.pid), folder=far))
            submit.chmod(0o755)
            flow = a_dataset(run, far)
            how = [
                "--executor",
                "cluster-generic",
                "--cluster-generic-submit-cmd",
                str(submit),
                "--latency-wait",
                "20",
            ]
            flow(*TARGETS, options=[*how, "--cores", "2", "--seconds-between-status-checks", "1"])
            assert arrays(flow) == expected
            assert flow.plan(*TARGETS) == []
    finally:
        other.stdin.close()
        other.wait(30)


def inner_process(pid):
    """unshare runs the command in its place: the process has the mounts itself."""
    assert os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    return pid
