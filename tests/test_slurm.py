"""The workflow through a real Slurm that is started for it (slurmcluster.py), with the project's own profiles."""
# ruff: noqa: F401, F811 - imported fixtures

import csv
import os
import signal
import sys

import pytest
import slurmcluster
from clusterflow import GENERAL, MINUTES, demo, local, misbehaving, results
from slurmflow import SlurmFlow

pytest.importorskip("snakemake_executor_plugin_slurm", reason="Snakemake's plugin for Slurm is not installed")

ARRAYS = ["--slurm-array-jobs", "pack"]


@pytest.fixture(scope="module")
def cluster():
    try:
        made = slurmcluster.Cluster()
    except slurmcluster.Unavailable as why:
        pytest.skip(str(why))
    with made:
        yield made


@pytest.fixture(scope="module")
def killed(cluster, demo, tmp_path_factory):
    """Session 1 needs more memory than it asked for, session 2 more time, session 3 is killed by its owner, session 4
    is sent back to the queue. This goes on while other tests run, as the least time that Slurm knows is a minute."""
    folder = tmp_path_factory.mktemp("killed")
    eater = f"{sys.executable} -c 'import time; eaten = bytearray(b\"x\") * 1_100_000_000; time.sleep(60)'"
    once = "once sleep 500"
    programs = misbehaving(folder, {1: eater, 2: once, 3: once, 4: once})
    flow = SlurmFlow(folder, {"root": str(demo)}, cluster=cluster, bin=programs)
    child = flow.start(GENERAL, options=MINUTES)
    cluster.call(
        "scancel",
        "--signal=KILL",
        "--full",
        flow.wait(lambda: flow.running(3, "once_session"), "session 3 is not at work"),
    )
    cluster.call(
        "scontrol", "requeue", flow.wait(lambda: flow.running(4, "once_session"), "session 4 is not at work")
    )
    yield flow, child
    flow.stop(child)


def test_the_demo_subject(cluster, demo, local, killed, tmp_path):
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster)
    flow(GENERAL, options=ARRAYS)
    assert results(flow) == results(local)
    jobs = cluster.jobs(name=flow.name())
    assert [(job["JobID"].partition("_")[2], job["State"]) for job in jobs] == [
        (task, "COMPLETED") for task in ("1", "2", "3", "4", "")
    ]
    table = list(csv.DictReader(next(flow.path("logs/slurm").glob("efficiency_report_*.csv")).open()))
    assert any(row["RuleName"].startswith("rule_arrays") and float(row["MaxRSS_MB"]) > 0 for row in table)
    assert flow.queue() == [] and flow.temporaries() == []


def test_cancelled_and_interrupted_workflows_leave_nothing_and_go_on(cluster, demo, local, tmp_path):
    programs = misbehaving(tmp_path, {2: 'hang "$@"', 3: 'hang "$@"'})
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=programs)
    for how, others in (("scancel", 2), ("interrupt", 0)):
        for mark in tmp_path.glob("hanging_*"):
            mark.unlink()
        flow.path("hang").touch()
        child = flow.start(GENERAL, options=["--retries", "0"])
        for session in (2, 3):
            flow.wait(lambda k=session: flow.running(k, "hanging"), f"session {session} is not at work")
        flow.wait(lambda n=others: flow.said().count("Finished jobid") == n, "sessions 1 and 4 are not made")
        assert len(flow.temporaries()) == 2
        if how == "scancel":
            cluster.call("scancel", "--name", flow.name())
        else:
            os.killpg(child.pid, signal.SIGINT)
        assert flow.ended(child).status != 0, flow.said()
        flow.wait(lambda: not flow.queue(), "jobs are left")
        assert flow.temporaries() == [] and flow.programs_at_work() == []
    flow.path("hang").unlink()
    assert flow(GENERAL).jobs == [
        ("arrays", "general.fmri.npy"),
        ("pack", "session_02.h5"),
        ("pack", "session_03.h5"),
    ]
    assert results(flow) == results(local)


def test_killed_jobs_are_tried_again_with_more(killed, local):
    flow, child = killed
    done = flow.ended(child)
    assert done.status == 0, done.text
    assert results(flow) == results(local)
    assert flow.attempts() == {
        "01": [("FAILED", 1.0, 20), ("COMPLETED", 2.0, 40)],
        "02": [("TIMEOUT", 1.0, 1), ("COMPLETED", 2.0, 16)],
        "03": [("CANCELLED", 1.0, 20), ("COMPLETED", 2.0, 40)],
        "04": [("REQUEUED", 1.0, 20), ("COMPLETED", 1.0, 20)],
        "general": [("COMPLETED", 1.2, 10)],
    }
