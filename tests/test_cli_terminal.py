"""What programs say and do on a terminal, with signals that are ignored, and with streams of no runs."""

import os
import pty
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import PATIENCE, bold, write_nifti
from oracle import make_run, read_stream, write_stream

RUN = make_run(np.arange(60, dtype="f4").reshape(12, 5) ** 1.5)


class Terminal:
    """Both ends of a terminal; what programs write there."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.ours)

    def text(self):
        os.close(self.theirs)
        said = b""
        try:
            while part := os.read(self.ours, 4096):
                said += part
        except OSError:  # nobody has it open any more
            pass
        return said.decode().replace("\r\n", "\n")


def on_terminal(run, name, *args, stdin=b""):
    """(status, what standard error, a terminal, shows)"""
    with Terminal() as terminal:
        command = [run.path(name), *map(str, args)]
        done = subprocess.run(command, input=stdin, stderr=terminal.theirs, stdout=subprocess.PIPE, check=False)
        return done.returncode, terminal.text()


@pytest.mark.parametrize("name", ["detrend", "concat", "applymask", "nifti2h5", "denoise"])
def test_arrays_of_bytes_are_no_text_for_a_terminal(run, tmp_path, name):
    args = {"applymask": ["--roi", "roi.npy"], "nifti2h5": ["--mask", "roi.npy"]}.get(name, [])
    with Terminal() as terminal:
        says = ["standard output is a terminal", "name an output file"]
        run.fails(name, *args, "in.npys", "-", stdout=terminal.theirs, status=2, says=says, cwd=tmp_path)
        assert terminal.text() == ""


def test_progress_on_a_terminal(run, tmp_path):
    """Without being asked for; not with --quiet; the line ends when all is done."""
    (tmp_path / "in.npys").write_bytes(write_stream([RUN]))
    status, shown = on_terminal(run, "detrend", tmp_path / "in.npys", tmp_path / "out.npys")
    assert status == 0 and re.fullmatch(r"\r\x1b\[Kdetrend: runs 1, \d+ s\n", shown)
    assert on_terminal(run, "detrend", "-q", tmp_path / "in.npys", tmp_path / "out.npys") == (0, "")


def test_progress_of_a_known_amount(run, tmp_path):
    paths = [write_nifti(tmp_path / f"run{k}.nii", bold(seed=k)) for k in (1, 2, 3)]
    status, shown = on_terminal(run, "nifti2h5", "-j1", *paths, tmp_path / "out.npys")
    assert status == 0 and shown.endswith("\n") and shown.count("\n") == 1
    assert re.search(r"\r\x1b\[Knifti2h5: read +\d+ %, \d+ s left", shown), shown


@pytest.mark.parametrize("name", ["detrend", "zscore"])
def test_a_message_takes_the_place_of_progress(run, tmp_path, name):
    """The second run is cut short: the line of progress is cleared before the error is told."""
    blob = write_stream([RUN, make_run(RUN.data, run=2)])
    status, shown = on_terminal(run, name, "-", tmp_path / "out.h5", stdin=blob[: len(blob) * 3 // 4])
    assert status == 1 and os.listdir(tmp_path) == []
    progress, message = shown.split("\n")[:2]
    assert re.fullmatch(rf"\r\x1b\[K{name}: runs 1, \d+ s", progress)
    assert message.startswith(f"{name}: standard input: ")


def test_notes_take_the_place_of_progress(run, tmp_path):
    """A voxel that wakes at the end of the second run: reading again is told in a line of its own."""
    data = bold()
    data[0, 0, 0] = 0
    paths = [write_nifti(tmp_path / "run1.nii", data)]
    data[0, 0, 0, -1] = 7
    paths.append(write_nifti(tmp_path / "run2.nii", data))
    status, shown = on_terminal(run, "nifti2h5", "-j1", *paths, tmp_path / "out.npys")
    assert status == 0 and "\r\x1b[Knifti2h5: voxels come and go between volumes;" in shown, shown
    assert on_terminal(run, "nifti2h5", "--quiet", *paths, tmp_path / "quiet.npys") == (0, "")
    assert (tmp_path / "out.npys").read_bytes() == (tmp_path / "quiet.npys").read_bytes()


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGINT])
def test_signals_that_are_ignored_stay_so(run, tmp_path, sent):
    """As nohup starts programs, and shells their background jobs."""
    blob, out = write_stream([RUN, make_run(RUN.data, run=2)]), tmp_path / "out.npys"
    child = subprocess.Popen(
        [run.path("detrend"), "-", str(out)],
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(sent, signal.SIG_IGN),
    )
    child.stdin.write(blob[: len(blob) // 2])
    child.stdin.flush()
    end = time.monotonic() + 20 * PATIENCE
    while not os.listdir(tmp_path) and time.monotonic() < end:
        time.sleep(0.01)
    child.send_signal(sent)
    child.communicate(blob[len(blob) // 2 :], timeout=20 * PATIENCE)
    assert child.returncode == 0 and len(read_stream(out.read_bytes())) == 2


NO_RUNS = {
    "detrend": [],
    "zscore": [],
    "denoise": ["--confounds", "run-{run}.tsv"],
    "hrfshift": ["--design", "run-{run}.tsv"],
    "applymask": ["--roi", "none.npy"],
    "concat": [],
}


@pytest.mark.parametrize("name", NO_RUNS)
def test_a_stream_of_no_runs(run, tmp_path, name):
    """Passes as it is; there is no series file of it."""
    blob = write_stream([])
    assert read_stream(run(name, *NO_RUNS[name], "-", "-", stdin=blob, cwd=tmp_path).out) == []
    run.fails(name, *NO_RUNS[name], "-", "out.h5", stdin=blob, cwd=tmp_path, says="out.h5: there is no run to write")
    assert os.listdir(tmp_path) == []


def test_files_for_runs_that_do_not_come(run, tmp_path):
    """One file was named for a run, but there is none."""
    (tmp_path / "d.tsv").write_text("1\n0\n")
    for name, option in (("hrfshift", "--design"), ("denoise", "--confounds"), ("denoise", "--sample-mask")):
        says = f"{option} was given 1 times for 0 runs"
        run.fails(name, option, tmp_path / "d.tsv", "-", "-", stdin=write_stream([]), status=2, says=says)
