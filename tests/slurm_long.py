"""What takes longer on a real Slurm: `make slurm-check`."""
# ruff: noqa: F401, F811 - imported fixtures

import os
import shlex

import pytest
import slurmcluster
from clusterflow import GENERAL, MINUTES, demo, local, misbehaving, results
from conftest import ROOT
from flow import Flow
from slurmflow import SlurmFlow
from test_slurm import ARRAYS, cluster

PACKED = [("pack", f"session_{session:02d}.h5") for session in (1, 2, 3, 4)]


def test_a_job_that_truly_needs_the_time(cluster, demo, local, tmp_path):
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=misbehaving(tmp_path, {2: "sleep 70"}))
    flow(GENERAL, options=MINUTES)
    assert flow.attempts()["02"] == [("TIMEOUT", 1.0, 1), ("COMPLETED", 2.0, 16)]
    assert results(flow) == results(local)


def test_a_node_that_fails(cluster, demo, local, tmp_path):
    """Slurm itself starts its jobs again, two minutes later."""
    programs = misbehaving(tmp_path, {2: "once sleep 150", 3: "once sleep 150"})
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=programs)
    child = flow.start(GENERAL)
    job = flow.wait(lambda: flow.running(2), "session 2 is not at work")
    node = cluster.call("squeue", "-h", "-j", job, "-o", "%N").strip()
    cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    flow.wait(lambda: "NODE_FAIL" in str(flow.attempts()), "no job has failed")
    # The node may have come back by itself (ReturnToService), which makes this an error.
    cluster.says("scontrol", "update", f"nodename={node}", "state=resume")
    done = flow.ended(child, 500)
    assert done.status == 0, done.text
    assert [state for state, _, _ in flow.attempts()["02"]] == ["NODE_FAIL", "COMPLETED"]
    assert results(flow) == results(local) and flow.temporaries() == []


@pytest.mark.parametrize("more", [[], ["--set-resources", "pack:mem_mb=2000*attempt", "pack:runtime=33"]])
def test_sbatch_through_the_generic_profile(cluster, demo, local, tmp_path, more):
    programs = misbehaving(tmp_path, {2: "once sleep 500"})
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, profile="generic", bin=programs)
    before = len(cluster.jobs(name="pack,arrays"))
    child = flow.start(GENERAL, options=more)
    flow.wait(flow.path("at_work_02").exists, "session 2 is not at work")
    flow.wait(lambda: cluster.queue("%j").count("pack") == 1, "session 2 is not alone")
    cluster.call("scancel", "--name", "pack")
    done = flow.ended(child)
    assert done.status == 0, done.text
    assert results(flow) == results(local)
    states = [job["State"].split()[0] for job in cluster.jobs(name="pack,arrays")[before:]]
    assert states.count("CANCELLED") == 1 and states.count("COMPLETED") == 5


def test_a_cluster_without_accounting(demo, local, tmp_path):
    with slurmcluster.Cluster(accounting=False) as plain:
        flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=plain)
        done = flow(GENERAL, options=ARRAYS)
        assert done.jobs == [("arrays", "general.fmri.npy"), *PACKED]
        assert results(flow) == results(local) and not list(flow.path("logs/slurm").glob("efficiency*"))


def test_more_sessions_than_an_array_holds(cluster, run, tmp_path):
    small = ["--sessions", "1-30", "--runs", "1", "--dims", "8,8,8", "--volumes", "20"]
    run("synthnsd", "--quiet", *small, tmp_path / "nsd")
    config = {"root": str(tmp_path / "nsd"), "targets": ["packed"], "pack": {"volumes": 20}}
    flow = SlurmFlow(tmp_path, config, cluster=cluster)
    done = flow.ended(flow.start(options=[*ARRAYS, "-j1000"]), 900)
    assert done.status == 0 and len(done.jobs) == 30, done.text
    assert len(list(flow.path("cache/subj01").glob("session_??.h5"))) == 30
    assert sorted(int(job["JobID"].partition("_")[2]) for job in cluster.jobs(name=flow.name())) == list(range(1, 31))


def test_eight_subjects_from_a_bucket(cluster, run, tmp_path):
    """What docs/cluster.md begins with, with small subjects: a fetch and a call make the arrays of all eight."""
    pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")
    from s3server import serving

    small = ["--subjects", "1-8", "--sessions", "1-2", "--runs", "2", "--dims", "12,13,11", "--volumes", "40"]
    run("synthnsd", "--quiet", *small, tmp_path / "nsd")
    (tmp_path / "here").mkdir()
    here = Flow(tmp_path / "here", {"root": str(tmp_path / "nsd")})
    here()
    with serving() as s3:
        s3.new_bucket("eight")
        s3.tree(tmp_path / "nsd")
        remote = {"url": "s3://eight", "endpoint": s3.endpoint, "anonymous": True}
        flow = SlurmFlow(tmp_path, {"root": str(tmp_path / "got"), "remote": remote}, cluster=cluster)
        flow("fetch")
    done = flow(options=["-j1000"])
    assert [rule for rule, _ in done.jobs] == ["arrays"] * 8 + ["pack"] * 16
    jobs = cluster.jobs(name=flow.name())
    assert len(jobs) == 24 and {job["State"] for job in jobs} == {"COMPLETED"}
    made = sorted(path.relative_to(tmp_path) for path in flow.path("cache").rglob("subj0?/*.npy"))
    assert len(made) == 16 and all(flow.bytes(name) == here.bytes(name) for name in made)


def test_account_partition_and_more_memory(cluster, demo, tmp_path):
    """The profile with the lines that docs/cluster.md tells to put there."""
    cluster.call("sacctmgr", "-i", "-Q", "add", "account", "lab", "cluster=mill")
    cluster.call("sacctmgr", "-i", "-Q", "add", "user", cluster.words["user"], "account=lab")
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    for line in ("default-resources:", "  slurm_account:", "  slurm_partition:", "  slurm_extra:"):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    text = text.replace('slurm_account: "..."', 'slurm_account: "lab"').replace(
        'partition: "..."', 'partition: "main"'
    )
    text = text.replace("'--constraint=lustre'", "'--nice=10'")
    text += 'set-resources:\n  pack: {mem_mb: "2048 * 2 ** (attempt - 1)", runtime: "60 * attempt"}\n'
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text(text)
    programs = misbehaving(tmp_path, {1: f"echo $TMPDIR > {tmp_path}/scratch"})
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, profile=str(tmp_path / "profile"), bin=programs)
    flow("cache/subj01/session_01.h5", options=["--default-resources", f"tmpdir='{tmp_path}'", "slurm_account=lab"])
    flow("cache/subj01/session_02.h5")
    columns = "Account,Partition,ReqMem,TimelimitRaw"
    assert [list(job.values()) for job in cluster.jobs(columns=columns)][-2:] == [["lab", "main", "2G", "60"]] * 2
    assert (tmp_path / "scratch").read_text().strip() == str(tmp_path)


def test_the_whole_workflow_in_one_job(cluster, demo, local, tmp_path):
    """No profile: one job, and Snakemake in it."""
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster)
    words = Flow(tmp_path, flow.config).command(GENERAL)
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\nexec " + shlex.join(words) + "\n")
    cluster.call("sbatch", "--wait", "--cpus-per-task=8", "--mem=8G", "--time=30", "-D", tmp_path, script)
    assert results(flow) == results(local)


def test_snakemake_itself_in_a_job(cluster, demo, local, tmp_path):
    """Where a login node ends what takes long. Told to end before its time is over, it cancels its jobs; the same
    call goes on."""
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster, bin=misbehaving(tmp_path, {2: 'hang "$@"'}))
    script = shlex.join(["exec", *flow.command(GENERAL)])
    env = f"--export=ALL,PYTHONPATH={flow.env['PYTHONPATH']}"
    how = ["--parsable", "--mem=1G", "--time=30", "-D", tmp_path, "-o", tmp_path / "said", env, "--wrap", script]
    flow.path("hang").touch()
    caller = cluster.call("sbatch", *how).strip()
    flow.wait(lambda: flow.running(2, "hanging"), "session 2 is not at work")
    cluster.call("scancel", "--signal=INT", "--batch", caller)  # as sbatch's --signal=B:INT@120 does
    flow.wait(lambda: not cluster.queue(), "jobs are left")
    assert flow.temporaries() == [] and flow.programs_at_work() == []
    flow.path("hang").unlink()
    cluster.call("sbatch", "--wait", *how)
    assert results(flow) == results(local)
    assert {job["State"] for job in cluster.jobs(name=flow.name())} == {"COMPLETED"}


def test_this_machine_is_left_as_it_was():
    """Stopped clusters leave no process, no folder."""
    made = slurmcluster.Cluster().start()
    made.call("sbatch", "-D", made.folder, "--wrap", "sleep 1000")
    made.stop()
    assert made.strays() == [] and not made.folder.exists()
    assert not [path for path in os.listdir("/tmp") if path == made.folder.name]
