"""Programs on a shared file system: slow, without locks, with times in whole seconds and a clock of its own.

tests/sharedfs/slowfs.c is that file system. What the programs write there must be what they write elsewhere."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from conftest import BIN, PATIENCE, ROOT, bold, last_line, write_nifti

sys.path[:0] = [str(ROOT / "tests/faults"), str(ROOT / "tests/sharedfs")]
import campaign  # noqa: E402
import mounts  # noqa: E402

LACKING = mounts.lacking()
pytestmark = pytest.mark.skipif(LACKING is not None, reason=f"no slow file system here: {LACKING}")
NFS = {"delay": 1, "whole": 2, "skew": 7, "cache": 3}


@pytest.fixture(scope="module")
def cases(run, tmp_path_factory):
    """The calls of the fault campaign, every program among them; what they write on a local disk; the inputs."""
    folder = tmp_path_factory.mktemp("cases")
    calls = campaign.cases(folder, run.path)
    calls = [
        case for case in calls if case.name != "python writes"
    ]  # copies arrays to a local disk, with a lock there
    for case in calls:
        out = tmp_path_factory.mktemp("out")
        done = call(case, out)
        assert done.returncode == 0, done.stderr
        case.outputs = contents(out)
    return calls, folder


def call(case, out, **how):
    program = sys.executable if case.command[0] == "python" else str(BIN / case.command[0])
    command = [program, *(word.replace("{out}", str(out)) for word in case.command[1:])]
    env = {key: value.replace("{out}", str(out)) for key, value in case.env.items()}
    env = os.environ | env | how.pop("env", {})
    for name in case.folders:
        (out / name).mkdir()
    return subprocess.run(command, capture_output=True, text=True, timeout=120 * PATIENCE, env=env, **how)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("skew", [7, -7])
def test_every_program_on_a_slow_file_system(cases, tmp_path, skew):
    """Inputs and outputs lie there: the same bytes, no lock is asked for, nothing is left."""
    calls, folder = cases
    backing = tmp_path / "backing"
    shutil.copytree(folder, backing)
    with mounts.mounted(backing, folder, **NFS | {"skew": skew}) as counts:
        for k, case in enumerate(calls):
            out = folder / f"out{k}"
            out.mkdir()
            done = call(case, out)
            assert done.returncode == 0, done.stderr
            assert contents(out) == case.outputs, case.name
            shutil.rmtree(out)
    assert counts["lock"] == 0 and counts["fsync"] > 0 and counts["rename"] > 0
    assert set(contents(backing)) == set(contents(folder))


def test_a_handle_that_has_gone_stale(cases, tmp_path):
    """ESTALE at any one opening: the right bytes, or an error and nothing."""
    calls, folder = cases
    backing = tmp_path / "backing"
    shutil.copytree(folder, backing)
    right = refused = 0
    for stale in range(1, 12, 2):
        for case in [case for case in calls if case.name.startswith(("nifti2h5 a.h5", "concat a.fmri", "applymask"))]:
            out = folder / "out"
            with mounts.mounted(backing, folder, cache=0, stale=stale):
                out.mkdir()
                done = call(case, out)
                left = contents(out)
                shutil.rmtree(out)
            if done.returncode == 0:
                right += 1
                assert left == case.outputs
            else:
                refused += 1
                assert last_line(done.stderr).startswith(case.command[0]) and not left, done.stderr
    assert right > 0, (right, refused)


def test_locks_are_really_refused(run, tmp_path):
    """The file system says no to whoever asks: HDF5 as it comes does, we do not, h5py can be told not to."""
    write_nifti(tmp_path / "run_bold.nii.gz", bold())
    with mounts.mounted(tmp_path / "backing", tmp_path / "far", cache=1) as counts:
        path = tmp_path / "far/a.h5"
        run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", path)
        run("boldinfo", "--verify", path)
        with pytest.raises(OSError, match="unable to lock file, errno = 37, error message = 'No locks available'"):
            h5py.File(path, locking=True)
        with h5py.File(path, locking=False) as f:
            assert f["fmri"].shape[0] == 24
    assert counts["lock"] > 0


def test_clients_remember_names(tmp_path):
    """That the file system of these tests does as NFS: what was not there a moment ago is not looked for again."""
    backing, here, there = tmp_path / "backing", tmp_path / "here", tmp_path / "there"
    with mounts.mounted(backing, here, cache=2), mounts.mounted(backing, there, cache=2):
        for _ in range(20):  # until the machine is quick enough
            name, begun = f"x{time.monotonic()}", time.monotonic()
            missing = not (there / name).exists()
            (here / name).write_text("1")
            seen = (there / name).exists()
            if time.monotonic() - begun < 1.5:
                break
        assert missing and not seen
        time.sleep(2.2)
        assert (there / name).read_text() == "1"


def test_another_client_sees_what_is_finished(run, tmp_path):
    """Two machines mount the same folder. What one has written the other reads, once it believes its server again."""
    write_nifti(tmp_path / "run_bold.nii.gz", bold())
    backing, here, there = tmp_path / "backing", tmp_path / "here", tmp_path / "there"
    with mounts.mounted(backing, here, cache=2), mounts.mounted(backing, there, cache=2):
        for seed in (0, 1):  # a new file, and one that is replaced
            write_nifti(tmp_path / "run_bold.nii.gz", bold(seed=seed))
            before = (there / "a.h5").exists()  # a name, or its absence, is remembered for 2 seconds
            run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", here / "a.h5")
            assert before == (seed > 0)
            done = run.any("boldinfo", "--verify", there / "a.h5")
            if done.status == 0:
                assert "verified" in done.text
            time.sleep(2.2)
            run("boldinfo", "--verify", there / "a.h5")
            assert (there / "a.h5").read_bytes() == (here / "a.h5").read_bytes()


def test_a_file_that_is_replaced_while_it_is_read(run, tmp_path):
    """The reader keeps the old one, by the hidden name that such file systems give it; nothing is left of it."""
    write_nifti(tmp_path / "run_bold.nii.gz", bold())
    with mounts.mounted(tmp_path / "backing", tmp_path / "far", cache=1):
        path = tmp_path / "far/a.h5"
        run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", path)
        old = path.read_bytes()
        with open(path, "rb") as reader:
            write_nifti(tmp_path / "run_bold.nii.gz", bold(seed=5))
            run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", path)
            assert reader.read() == old != path.read_bytes()
            assert len(list(path.parent.iterdir())) == 2  # a.h5 and the hidden one
        time.sleep(0.5)
        assert [p.name for p in path.parent.iterdir()] == ["a.h5"]
