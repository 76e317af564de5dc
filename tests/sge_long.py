"""The workflow through a real Grid Engine that is started for it (sgecluster.py): `make sge-check`."""
# ruff: noqa: F401, F811 - imported fixtures

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
import sgecluster
from clusterflow import GENERAL, MINUTES, ClusterFlow, demo, local, misbehaving, results
from conftest import ROOT

pytest.importorskip("snakemake_executor_plugin_cluster_generic", reason="Snakemake's plugin is not installed")
STATUS = ROOT / "profiles/generic/status"


@pytest.fixture(scope="module")
def cluster():
    try:
        made = sgecluster.Cluster()
    except sgecluster.Unavailable as why:
        pytest.skip(str(why))
    with made:
        yield made


@dataclass
class SgeFlow(ClusterFlow):
    profile: str = "sge"

    def numbers(self):
        """Those of this flow's jobs."""
        return re.findall(r"Submitted job \d+ with external jobid '(\d+)'", self.said())

    def queue(self):
        return [job for job in self.cluster.queue() if job[0] in self.numbers()]

    def running(self, session, mark="at_work"):
        """The number of the job that packs the session, once its program is at work."""
        if not self.path(f"{mark}_{session:02d}").exists():
            return None
        number = self.path(f"at_work_{session:02d}").read_text().strip()
        return number if [number, "pack", "r"] in self.queue() else None

    def attempts(self):
        """Of each output's jobs, in order: whether they succeeded, their megabytes and their seconds."""
        found, known = {}, self.accounted()
        for number in self.numbers():
            job = known[number]
            output = re.search(
                r"^    output: [^,\n]*/([\w.]+)", self.path(f"logs/jobs/{number}.log").read_text(), re.M
            )
            asked = {name: int(value) for name, value in re.findall(r"(h_rt|h_vmem)=(\d+)", job["category"])}
            ended = job["failed"].split()[0] == "0" and job["exit_status"] == "0"
            memory = asked["h_vmem"] * int(job["slots"])
            found.setdefault(output.group(1), []).append((ended, memory, asked["h_rt"]))
        return found

    def accounted(self):
        """Accounting, once it knows all jobs."""
        return self.wait(
            lambda: (known := self.cluster.jobs()).keys() >= set(self.numbers()) and known, "accounting lacks jobs"
        )


def test_the_demo_subject(cluster, demo, local, tmp_path):
    flow = SgeFlow(tmp_path, {"root": str(demo)}, cluster=cluster)
    flow(GENERAL)
    assert results(flow) == results(local)
    assert {name: len(jobs) for name, jobs in flow.attempts().items()} == {
        **{f"session_{session:02d}.h5": 1 for session in (1, 2, 3, 4)},
        "general.fmri.npy": 1,
    }
    assert flow.queue() == [] and flow.temporaries() == []


def test_cancelled_and_interrupted_workflows_leave_nothing_and_go_on(cluster, demo, local, tmp_path):
    programs = misbehaving(tmp_path, {2: 'hang "$@"', 3: 'hang "$@"'})
    flow = SgeFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=programs)
    for how, others in (("qdel", 2), ("interrupt", 0)):
        for mark in tmp_path.glob("hanging_*"):
            mark.unlink()
        flow.path("hang").touch()
        child = flow.start(GENERAL, options=["--retries", "0"])
        jobs = [flow.wait(lambda k=k: flow.running(k, "hanging"), f"session {k} is not at work") for k in (2, 3)]
        flow.wait(lambda n=others: flow.said().count("Finished jobid") == n, "sessions 1 and 4 are not made")
        assert len(flow.temporaries()) == 2
        if how == "qdel":
            cluster.call("qdel", *jobs)
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


def test_killed_jobs_are_tried_again_with_more(cluster, demo, local, tmp_path):
    """Session 1 needs more memory than it asked for, session 2 more time, session 3 is deleted by its owner,
    session 4 is sent back to the queue by Grid Engine itself."""
    eater = f"{sys.executable} -c 'import time; eaten = bytearray(b\"x\") * 1_300_000_000; time.sleep(60)'"
    programs = misbehaving(
        tmp_path, {1: f"{eater} & {eater} & wait", 2: "once sleep 500", 3: "once sleep 500", 4: "once sleep 500"}
    )
    flow = SgeFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=programs)
    child = flow.start(GENERAL, options=MINUTES)
    cluster.call("qdel", flow.wait(lambda: flow.running(3, "once_session"), "session 3 is not at work"))
    cluster.call("qmod", "-rj", flow.wait(lambda: flow.running(4, "once_session"), "session 4 is not at work"))
    done = flow.ended(child)
    assert done.status == 0, done.text
    assert results(flow) == results(local) and flow.temporaries() == []
    assert flow.attempts() == {
        **{f"session_{k:02d}.h5": [(False, 2048, 1200), (True, 4096, 2400)] for k in (1, 3)},
        "session_02.h5": [(False, 2048, 60), (True, 4096, 960)],
        "session_04.h5": [(True, 2048, 1200)],
        "general.fmri.npy": [(True, 2560, 600)],
    }


WAIT = "while [ ! -e go ]; do sleep 0.2; done"


def asked(cluster, job, folder):
    return subprocess.check_output([STATUS, "sge", job], env=cluster.env, cwd=folder, text=True).strip()


def handed_in(cluster, folder, *words, log="logs/jobs/$JOB_ID.log"):
    """The number of a job that runs these words in the script of profiles/generic."""
    (folder / "logs/jobs").mkdir(parents=True, exist_ok=True)
    text = (ROOT / "profiles/generic/jobscript.sh").read_text()
    (folder / "job").write_text(text.format(properties="", exec_job=" ".join(words)))
    how = ["-terse", "-V", "-wd", folder, "-S", "/bin/sh", "-j", "y", "-o", log, "-notify", "-r", "y"]
    return cluster.call("qsub", *how, "-pe", "smp", "1", "-l", "h_rt=600", folder / "job").strip()


def test_what_became_of_jobs(cluster, tmp_path):
    """Also where accounting cannot be read, and where the qmaster is away for a time."""
    good, bad = handed_in(cluster, tmp_path, WAIT), handed_in(cluster, tmp_path, WAIT, "; exit 3")
    killed = handed_in(cluster, tmp_path, "sleep 500")
    stuck = handed_in(cluster, tmp_path, "true", log="/nowhere/at all")
    assert [asked(cluster, job, tmp_path) for job in (good, bad, killed)] == ["running"] * 3
    (tmp_path / "go").touch()
    cluster.until(lambda: "Eqw" in str(cluster.queue()), "no job in error")
    assert asked(cluster, stuck, tmp_path) == "failed" and stuck not in [job[0] for job in cluster.queue()]
    cluster.until(lambda: [job[0] for job in cluster.queue()] == [killed], "jobs do not end")
    cluster.call("qdel", killed)
    cluster.until(lambda: not cluster.queue(), "a job is not deleted")
    cluster.until(lambda: cluster.jobs().keys() >= {good, bad, killed}, "accounting lacks jobs")
    assert [asked(cluster, job, tmp_path) for job in (good, bad, killed)] == ["success", "failed", "failed"]
    notes = {path.name: path.read_text() for path in (tmp_path / "logs/jobs").glob("*.exit")}
    assert notes == {f"{good}.exit": "0\n", f"{bad}.exit": "3\n", f"{killed}.exit": "140\n"}
    for path in (tmp_path / "logs/jobs").glob("*.exit"):
        path.unlink()
    assert [asked(cluster, job, tmp_path) for job in (good, bad, killed)] == ["success", "failed", "failed"]
    assert asked(cluster, "777", tmp_path) == "running"  # it may come yet
    (tmp_path / "logs/jobs/777.missed").write_text("1000\n")
    assert asked(cluster, "777", tmp_path) == "failed"


def test_a_qmaster_that_is_away(cluster, tmp_path):
    job = handed_in(cluster, tmp_path, WAIT)
    cluster.until(lambda: "r" in [state for _, _, state in cluster.queue()], "the job does not run")
    cluster.end("sge_qmaster")
    assert cluster.says("qstat") is None and asked(cluster, job, tmp_path) == "running"
    (tmp_path / "go").touch()
    cluster.until((tmp_path / f"logs/jobs/{job}.exit").exists, "the job does not go on")
    assert asked(cluster, job, tmp_path) == "success"
    (tmp_path / f"logs/jobs/{job}.exit").unlink()
    assert asked(cluster, job, tmp_path) == "running"
    cluster.master()
    cluster.until(lambda: asked(cluster, job, tmp_path) == "success", "the job does not end")
