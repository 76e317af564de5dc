"""nifti2h5 --reader: runs that another program brings."""

import resource
import signal
import time

import pytest
from conftest import PATIENCE
from oracle import read_stream


@pytest.fixture
def session(nsd):
    return sorted(nsd.rglob("timeseries_session01_run0*.nii.gz"))


@pytest.fixture
def mask(nsd):
    return next(nsd.rglob("roi/nsdgeneral.nii.gz"))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("memory", [1, 384])
def test_a_reader_brings_the_same(run, session, mask, tmp_path, threads, memory):
    how = ["--mask", mask, "--threads", threads, "--memory", memory]
    run("nifti2h5", *how, *session, tmp_path / "a.npys")
    run("nifti2h5", *how, "--reader", "cat", *session, tmp_path / "b.npys")
    assert (tmp_path / "a.npys").read_bytes() == (tmp_path / "b.npys").read_bytes()


def test_the_first_run_is_at_rest(run, nsd, mask, tmp_path):
    """With a mask or without one, from files or brought."""
    runs = sorted(nsd.rglob("timeseries_session21_run*.nii.gz"))
    design = nsd / "nsddata_timeseries/ppdata/subj01/func1pt8mm/design/design_session{session}_run{run}.tsv"
    how = ["--skip-rest", "--design", design]
    whole = run("nifti2h5", *how, *runs, tmp_path / "whole.npys")
    assert "run01.nii.gz: the design shows no stimulus" in whole.err
    run("nifti2h5", *how, "--mask", mask, *runs, tmp_path / "a.npys")
    run("nifti2h5", *how, "--mask", mask, "--reader", "cat", *runs, tmp_path / "b.npys")
    assert (tmp_path / "a.npys").read_bytes() == (tmp_path / "b.npys").read_bytes()
    run("applymask", "--roi", mask, tmp_path / "whole.npys", tmp_path / "cut.npys")
    for name in ("cut.npys", "b.npys"):
        assert len(read_stream((tmp_path / name).read_bytes())) == 12


BAD = {
    "fails at its end": ('cat "$0"; exit 3', "could not bring it (exit status 3)"),
    "is killed": ('cat "$0"; kill -9 $$', "was ended by signal 9"),
    "stops early": ('head -c 9000 "$0"', "end early"),
    "brings nothing": ("true", "too short (0 bytes)"),
    "fails in the middle": ('case $0 in *run05*) head -c 9000 "$0"; exit 1;; *) cat "$0";; esac', "exit status 1"),
    "brings too much": ('cat "$0"; echo and some more', "followed by something else"),
    "brings another grid": ('case $0 in *run05*) cat ${0%/*}/../../../../../*.none;; *) cat "$0";; esac', "run05"),
}


@pytest.mark.parametrize("why", BAD)
def test_a_reader_that(run, session, mask, tmp_path, why):
    script, says = BAD[why]
    words = [option for word in ("sh", "-c", script) for option in ("--reader", word)]
    run.fails("nifti2h5", "--mask", mask, *words, *session, tmp_path / "x.h5", says=says)
    assert not (tmp_path / "x.h5").exists()


def test_calls_of_a_reader_that_make_no_sense(run, session, mask, tmp_path):
    run.fails("nifti2h5", "--reader", "cat", *session, tmp_path / "x.h5", status=2, says="--mask")
    how = ["--mask", mask, "--reader"]
    run.fails("nifti2h5", *how, "no-such-program", *session, tmp_path / "x.h5", says="cannot be started")
    single = [mask, mask]
    run.fails("nifti2h5", *how, "cat", *single, tmp_path / "x.h5", says="has a single volume")


def test_a_reader_ends_with_nifti2h5(run, session, mask, tmp_path):
    """One that hangs is ended when another run fails."""
    script = f'case $0 in *run01*) cat "$0"; exit 1;; *) echo $$ >> {tmp_path}/pids; exec sleep 300;; esac'
    words = [option for word in ("sh", "-c", script) for option in ("--reader", word)]
    begun = time.monotonic()
    run.fails("nifti2h5", "--threads", 3, "--mask", mask, *words, *session, tmp_path / "x.h5", says="run01")
    assert time.monotonic() - begun < 30 * PATIENCE


def test_one_run_and_one_volume(run, session, mask, tmp_path):
    """A single name may be that of a single volume, as a file may."""
    for path in (session[0], mask):
        how = ["--mask", mask, "--tr", 1.5, path]
        run("nifti2h5", *how, tmp_path / "a.npys")
        run("nifti2h5", "--reader", "cat", *how, tmp_path / "b.npys")
        assert (tmp_path / "a.npys").read_bytes() == (tmp_path / "b.npys").read_bytes()


def test_how_a_reader_ended_is_known_whoever_started_us(run, session, mask, tmp_path):
    """A parent that ignores SIGCHLD passes that on, and the system would forget how our children ended."""
    words = [option for word in ("sh", "-c", 'cat "$0"; exit 3') for option in ("--reader", word)]
    args = ["--mask", mask, *words, session[0], tmp_path / "x.h5"]
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), "restore_signals": False}
    run.fails("nifti2h5", *args, **ignored, says="could not bring it (exit status 3)")
    assert not (tmp_path / "x.h5").exists()


def test_no_pipe_for_a_reader(run, session, mask, tmp_path):
    """So few files may be open that there is no room for its two ends."""
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))}
    args = ["--mask", mask, "--reader", "cat", session[0], tmp_path / "x.h5"]
    run.fails("nifti2h5", *args, **few, says=[session[0], "no pipe can be made for it", "too many open files"])
    assert not (tmp_path / "x.h5").exists()
