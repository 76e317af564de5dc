"""`rules tidy` removes what killed programs left, and nothing else."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, bold, write_nifti

DAY = 86400
ENDED = 2**22 + 17  # above the largest process number


def tidy(folder, *options, status=0):
    command = [sys.executable, str(ROOT / "rules"), "tidy", *options, *([str(folder)] if folder else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def put(path, age=2 * DAY):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    when = time.time() - age
    os.utime(path, (when, when))
    return path


OURS = [
    f".session_01.h5.{ENDED}-0123456789abcdef.tmp",
    f".a b'\"$(touch hacked)\n.h5.{ENDED}-0123456789abcdef.tmp",
    f".-rf.{ENDED}-0123456789abcdef.tmp",
    f"..{ENDED}-1.{ENDED}-0123456789abcdef.tmp",
    ".run.nii.gz.0123456789abcdef.part",
    ".run\n.0123456789abcdef.part",
]
NOT_OURS = [
    "session_01.h5",
    f"session_01.h5.{ENDED}-0123456789abcdef.tmp",  # not hidden
    f".session_01.h5.{ENDED}-0123456789abcdef.tmp.h5",
    f".session_01.h5.{ENDED}-.tmp",
    f".session_01.h5.{ENDED}-0.tmp",
    f".session_01.h5.0{ENDED}-0123456789abcdef.tmp",
    f".session_01.h5.-{ENDED}-0123456789abcdef.tmp",
    f".{ENDED}-0123456789abcdef.tmp",
    f"..{ENDED}-0123456789abcdef.tmp",
    ".tmp",
    ".part",
    "run.nii.gz.part",
    ".run.nii.gz.part",
    "run.nii.gz.0123456789abcdef.part",
    ".run.nii.gz.0123456789ABCDEF.part",
    ".run.nii.gz.0123456789abcdef0.part",
    "..0123456789abcdef.part",
    ".nfs000000000000001",
    ".fuse_hidden0000000100000001",
    ".other.nii.gz.0123456789abcdef.part/inner",
    ".snakemake/.notes.h5.4194321-0123456789abcdef.tmp",
    ".a.0123456789abcdef.part\n",
    ".a.h5.4194321-0123456789abcdef.tmp\n",
    ".a.h5.٤-0123456789abcdef.tmp",
]


def everything(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())


def test_only_what_is_ours(tmp_path):
    cache = tmp_path / "cache"
    for name in NOT_OURS:
        put(cache / "subj01" / name)
    kept = everything(cache)
    for name in OURS:
        put(cache / "subj01" / name)
    said = tidy(cache, "--dry-run")
    assert f"{len(OURS)} files would be removed ({4 * len(OURS)} bytes), 0 kept, 0 errors" in said
    assert len(everything(cache)) == len(kept) + len(OURS)
    assert f"{len(OURS)} files removed" in tidy(cache)
    assert everything(cache) == kept and not list(tmp_path.rglob("hacked"))
    assert "\n0 files removed" in "\n" + tidy(cache)


def test_links_pipes_and_folders_stay(tmp_path):
    cache, precious = tmp_path / "cache", put(tmp_path / "precious")
    name = ".a.h5.{}-0123456789abcdef.tmp".format
    put(tmp_path / "elsewhere" / name(ENDED))
    put(cache / "x")
    (cache / name(ENDED)).symlink_to(precious)
    os.mkfifo(cache / name(ENDED + 1))
    (cache / name(ENDED + 2)).mkdir()
    (cache / "door").symlink_to(tmp_path / "elsewhere")
    before = everything(tmp_path)
    said = tidy(cache, "--age", "0s")
    assert said.count("it is no plain file") == 2 and "0 files removed" in said
    assert everything(tmp_path) == before and (cache / name(ENDED + 2)).is_dir()


def test_young_files_and_those_of_a_clock_ahead_stay(tmp_path):
    for k, age in enumerate((0, 3600, DAY - 60, -60, -10 * DAY)):
        put(tmp_path / f".a.h5.{ENDED}-{k:016x}.tmp", age)
    put(tmp_path / ".b.0123456789abcdef.part", 0)
    assert "0 files removed" in tidy(tmp_path)
    assert "2 files would be removed" in tidy(tmp_path, "--age", "1h", "--dry-run")
    assert "5 files removed" in tidy(tmp_path, "--gone")  # whose process is gone; parts name none
    assert everything(tmp_path) == [".b.0123456789abcdef.part"]


def test_what_is_in_use_stays(tmp_path):
    """Open in a process, or with the number of one of our programs that runs."""
    name = put(tmp_path / f".a.h5.{ENDED}-0123456789abcdef.tmp")
    with open(name, "ab"):
        assert "a process has it open" in tidy(tmp_path) and name.exists()
    alive = put(tmp_path / f".a.h5.{os.getpid()}-0123456789abcdef.tmp")  # a number that some other program has by now
    assert "2 files removed" in tidy(tmp_path)
    assert not alive.exists()


@pytest.fixture
def stopped(run, tmp_path):
    """A program that stands still while it writes, and its temporary."""
    write_nifti(tmp_path / "run_bold.nii.gz", bold())
    stream = run("nifti2h5", "--quiet", tmp_path / "run_bold.nii.gz", "-").out
    child = subprocess.Popen([run.path("detrend"), "-", str(tmp_path / "out.h5")], stdin=subprocess.PIPE)
    child.stdin.write(stream[: len(stream) // 2])
    child.stdin.flush()
    for _ in range(500):
        if found := list(tmp_path.glob(".out.h5.*.tmp")):
            break
        time.sleep(0.01)
    yield child, found
    child.kill()
    child.wait()


def test_a_program_that_is_killed(stopped, tmp_path):
    child, found = stopped
    assert len(found) == 1 and found[0].name.startswith(f".out.h5.{child.pid}-")
    os.utime(found[0], (1e9, 1e9))
    assert f"process {child.pid} is at work" in tidy(tmp_path, "--gone", "--age", "0s")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert found[0].exists() and "1 files removed" in tidy(tmp_path, "--gone")


def test_other_users_and_folders_that_cannot_be_read(tmp_path):
    if os.geteuid():
        pytest.skip("only root may give files away")
    name = put(tmp_path / f".a.h5.{ENDED}-0123456789abcdef.tmp")
    os.chown(name, 4711, 4711)
    assert "it is another user's" in tidy(tmp_path) and name.exists()
    done = subprocess.run([sys.executable, ROOT / "rules", "tidy", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1 and "no such folder" in done.stderr


def test_the_configured_cache(tmp_path):
    """Without a folder: `cache` of the config.yaml in the working folder."""
    for text, cache in (("cache: my cache\n", "my cache"), ("root: data\n", "cache"), (None, "cache")):
        if text:
            (tmp_path / "config.yaml").write_text(text)
        else:
            (tmp_path / "config.yaml").unlink()
        name = put(tmp_path / cache / f"subj01/.a.h5.{ENDED}-0123456789abcdef.tmp")
        done = subprocess.run(
            [sys.executable, ROOT / "rules", "tidy"], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert "1 files removed" in done.stdout and not name.exists()


@pytest.mark.parametrize("age", ["1", "h", "-1h", "1.5h", "1w", ""])
def test_ages_that_are_none(tmp_path, age):
    assert "not a time" in tidy(tmp_path, f"--age={age}", status=2)


@pytest.mark.parametrize(
    ("tail", "code", "said"),
    [
        ("| true", 141, ""),
        ("> /dev/full", 1, "tidy: standard output: No space left on device\n"),
        (">&-", 1, "tidy: standard output: Bad file descriptor\n"),
        ("<&- 2>&-", 0, ""),
    ],
)
def test_standard_streams_that_are_full_or_closed(tmp_path, tail, code, said):
    whole = ["bash", "-c", f'set -o pipefail; "$@" {tail}', "bash", sys.executable, str(ROOT / "rules"), "tidy"]
    done = subprocess.run([*whole, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
