"""On a real NFS: Linux's own server and clients, in a kernel that is started for it: `make nfs-check`.

Runs inside of that kernel (sharedfs/nfs.sh). $NFS_FOLDERS names the same folder through two clients of NFS 4.2 and
one of NFS 3."""
# ruff: noqa: F401, F811 - imported fixtures

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import bold, write_nifti
from flow import Flow
from test_sharedfs import call, cases, contents
from test_sharedfs_workflow import SUBMIT, TARGETS, a_dataset, arrays, expected

FOLDERS = [Path(name) for name in os.environ.get("NFS_FOLDERS", "").split()]
pytestmark = pytest.mark.skipif(not FOLDERS, reason="make nfs-check starts the kernel that these need")


@pytest.fixture
def clients():
    """The folder of a test, as each client has it."""
    name = f"test{time.monotonic_ns()}"
    (FOLDERS[0] / name).mkdir()
    yield [folder / name for folder in FOLDERS]
    shutil.rmtree(FOLDERS[0] / name)


def kind(path):
    return subprocess.check_output(["stat", "-f", "-c", "%T", path], text=True).strip()


@pytest.mark.parametrize("which", [0, 2])
def test_every_program(cases, clients, which):
    calls, folder = cases
    far = clients[which]
    assert kind(far) == "nfs"
    for k, case in enumerate(calls):
        out = far / f"out{k}"
        out.mkdir()
        done = call(case, out)
        assert done.returncode == 0, done.stderr
        assert contents(out) == case.outputs, case.name


def test_another_client_sees_what_is_finished(run, clients, tmp_path):
    """A new file, and one that is replaced. For a minute other clients may remember what was, and say so."""
    here, *others = clients
    for seed in (0, 1):
        write_nifti(tmp_path / "run_bold.nii.gz", bold(seed=seed))
        run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", here / "a.h5")
        new = run("boldinfo", "--verify", "--json", here / "a.h5").text.replace(str(here), "")
        for there in others:
            deadline = time.monotonic() + 150
            while True:
                done = run.any("boldinfo", "--verify", "--json", there / "a.h5")
                if done.status == 0 and done.text.replace(str(there), "") == new:
                    break
                assert time.monotonic() < deadline
                assert done.status == 0 or "Stale file handle" in done.err or "No such file" in done.err
                time.sleep(1)


def test_a_server_that_is_away_for_a_time(run, clients, tmp_path):
    write_nifti(tmp_path / "run_bold.nii.gz", bold((20, 20, 20), volumes=100))
    run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", tmp_path / "a.h5")
    subprocess.run(["rpc.nfsd", "0"], check=True)
    back = threading.Timer(3, subprocess.run, [["rpc.nfsd", "8"]])
    back.start()
    begun = time.monotonic()
    run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", clients[0] / "a.h5", timeout=200)
    back.join()
    assert time.monotonic() - begun > 3
    assert (clients[1] / "a.h5").read_bytes() == (tmp_path / "a.h5").read_bytes()


@pytest.mark.parametrize("which", [0, 2])
def test_the_workflow(run, expected, clients, which):
    """Dataset, cache and Snakemake's notes lie there."""
    flow = a_dataset(run, clients[which])
    flow(*TARGETS)
    assert arrays(flow) == expected
    assert flow.plan(*TARGETS) == []
    assert not [path for path in clients[which].rglob("*") if path.name.startswith((".nfs", ".session", ".general"))]


def test_jobs_on_another_machine(run, expected, clients, tmp_path):
    """Snakemake through one client, its jobs through another."""
    here, there, _ = clients
    swap = f"mount --bind {FOLDERS[1]} {FOLDERS[0]} && echo mounted && cat"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", swap]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mounted\n"
        submit = tmp_path / "submit.sh"
        submit.write_text(SUBMIT.format(pid=other.pid, folder=here))
        submit.chmod(0o755)
        flow = a_dataset(run, here)
        how = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit), "--latency-wait", "60"]
        flow(*TARGETS, options=[*how, "--cores", "2", "--seconds-between-status-checks", "1"])
        assert arrays(flow) == expected and flow.plan(*TARGETS) == []
        other.stdin.close()
