"""Which files and designs nifti2h5 takes for a run, what it doubts, and pipes that it must read twice."""

import os
import subprocess
import threading

import numpy as np
import pytest
from conftest import bold, write_nifti
from oracle import read_stream

# Which files, which designs -----------------------------------------------------------------------------------------


def test_volumes_of_several_runs_are_told_apart_by_their_names(run, tmp_path):
    """A list of 3-D files: a run ends where subject, session or run change."""
    names = ["ses-1_run-1", "ses-1_run-1", "ses-1_run-2", "ses-2_run-2", "ses-2_run-2"]
    paths = [tmp_path / f"sub-1_{name}_vol{k}.nii" for k, name in enumerate(names)]
    paths.append(tmp_path / "sub-3_ses-2_run-2_vol9.nii")
    for k, path in enumerate(paths):
        write_nifti(path, np.full((3, 4, 5), k + 1, np.int16))
    got = read_stream(run("nifti2h5", "--tr", 2, *paths, "-").out)
    told = [(r.head["subject"], r.head["session"], r.head["run"], r.head["rows"]) for r in got]
    assert told == [(1, 1, 1, 2), (1, 1, 2, 1), (1, 2, 2, 2), (3, 2, 2, 1)]
    assert [r.data[:, 0].tolist() for r in got] == [[1, 2], [3], [4, 5], [6]]


@pytest.mark.parametrize(
    ("designs", "status", "says"),
    [
        (["a.tsv"], 2, "1 designs for 3 runs; give one a run, or a pattern"),
        (["a.tsv", "a.tsv"], 2, "2 designs for 3 runs"),
        (["none.tsv"] * 3, 1, "none.tsv: cannot open"),
        (["a.tsv", "a.tsv", "bad.tsv"], 1, "bad.tsv"),
        (["rest.tsv"] * 3, 1, "all runs are rest runs; nothing to write"),
        (["x_{nothing}.tsv"], 2, "unknown placeholder"),
    ],
)
def test_designs_that_cannot_be(run, session, tmp_path, designs, status, says):
    for name, text in (("a", "1\n0\n"), ("bad", "1\nx\n"), ("rest", "0\n0\n")):
        (tmp_path / f"{name}.tsv").write_text(text)
    given = [word for name in designs for word in ("--design", tmp_path / name)]
    args = [*given, "--skip-rest", *(path for path, _ in session), tmp_path / "out.h5"]
    run.fails("nifti2h5", *args, status=status, says=says)
    assert not (tmp_path / "out.h5").exists()


def test_one_design_for_one_run(run, session, tmp_path):
    (tmp_path / "d.tsv").write_text("1\n" * 9)
    (got,) = read_stream(run("nifti2h5", "--design", tmp_path / "d.tsv", session[0][0], "-").out)
    assert got.head["rows"] == 9


def test_events_keep_all_volumes(run, session, tmp_path):
    """They have no length, and no run of them is at rest."""
    (tmp_path / "events.tsv").write_text("onset\tduration\ttrial_type\n0\t1\tcat\n")
    args = ["--skip-rest", "--design", tmp_path / "events.tsv", session[0][0], "-"]
    (got,) = read_stream(run("nifti2h5", *args).out)
    assert got.head["rows"] == session[0][1].shape[-1]


def test_volumes_of_a_run_that_do_not_fit(run, tmp_path):
    """The first of two runs has volumes of different grids."""
    shapes = {"run-1_vol1": (3, 4, 5), "run-1_vol2": (3, 4, 6), "run-2_vol1": (3, 4, 5)}
    paths = [write_nifti(tmp_path / f"{name}.nii", np.ones(shape, "i2")) for name, shape in shapes.items()]
    run.fails("nifti2h5", "--tr", 2, *paths, tmp_path / "out.h5", says=["run-1_vol2.nii", "3x4x6", "3x4x5"])
    assert not (tmp_path / "out.h5").exists()


def test_every_kind_of_doubt_is_told_once(run, tmp_path):
    """Of runs without a unit of time: one line, however many there are."""
    paths = [
        write_nifti(tmp_path / f"run{k}.nii", bold(), header=lambda h: h.set_xyzt_units("mm")) for k in range(1, 5)
    ]
    done = run("nifti2h5", *paths[:1], tmp_path / "a.npys")
    wanted = f"nifti2h5: warning: {paths[0]}: xyzt_units names no time unit; seconds assumed; give --tr to be sure"
    assert done.err.splitlines() == [wanted]
    done = run("nifti2h5", *paths, tmp_path / "b.npys")
    assert done.err.splitlines() == [wanted.replace("run1.nii:", "run1.nii and 3 more:")]
    assert run("nifti2h5", "--tr", 1.5, *paths, tmp_path / "c.npys").err == ""
    assert run("nifti2h5", "--quiet", *paths, tmp_path / "d.npys").err == ""


def test_runs_that_are_zero_throughout(run, tmp_path):
    paths = [write_nifti(tmp_path / f"run{k}.nii", np.zeros((3, 4, 5, 6), np.int16)) for k in (1, 2)]
    run.fails("nifti2h5", *paths, tmp_path / "out.h5", says=[paths[0].name, "all samples of all runs are zero"])
    assert not (tmp_path / "out.h5").exists()


def test_a_first_volume_that_is_zero(run, tmp_path):
    """The first look finds nothing at all; the second one finds what comes later."""
    data = bold()
    data[..., 0] = 0
    path = write_nifti(tmp_path / "run1.nii", data)
    done = run("nifti2h5", path, tmp_path / "out.npys")
    assert "reading all runs once more" in done.err
    (got,) = read_stream((tmp_path / "out.npys").read_bytes())
    assert np.array_equal(got.voxels, np.flatnonzero(data.any(-1)))
    assert np.array_equal(got.data, data[data.any(-1)].T)


# Pipes that must be read twice --------------------------------------------------------------------------------------


def test_a_copy_of_a_pipe_that_cannot_be_made(run, session, tmp_path, monkeypatch):
    blob = session[0][0].read_bytes()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    says = [str(tmp_path / "none/boldmill-"), "cannot be created; set TMPDIR"]
    run.fails("nifti2h5", "-", tmp_path / "out.h5", stdin=blob, says=says)
    monkeypatch.setenv("TMPDIR", "")
    run("nifti2h5", "-", tmp_path / "out.h5", stdin=blob)


def test_standard_input_that_is_a_folder(run, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    command = [run.path("nifti2h5"), "-", str(tmp_path / "out.h5")]
    done = subprocess.run(command, stdin=folder, capture_output=True, text=True, check=False)
    os.close(folder)
    assert done.returncode == 1 and done.stderr.startswith("nifti2h5: -: cannot be read: Is a directory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("piped", ["-", "pipe"])
@pytest.mark.parametrize(
    ("size", "says"), [(0, "too short (0 bytes)"), (900, "gzip data end early"), (None, "s grid is")]
)
def test_errors_name_the_pipe_and_not_its_copy(run, tmp_path, piped, size, says):
    os.mkfifo(tmp_path / "pipe")
    path = write_nifti(tmp_path / "run1.nii.gz", bold(seed=1))
    blob = write_nifti(tmp_path / "x.nii.gz", bold((5, 5, 5))).read_bytes()[:size]
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(blob))
    if piped == "pipe":
        feeder.start()
    name = {"-": "standard input", "pipe": "pipe"}[piped]
    args = [path, piped, "out.h5"] if size is None else [piped, "out.h5"]
    run.fails("nifti2h5", *args, cwd=tmp_path, stdin=blob, says=[f"nifti2h5: {name}: ", says])
    if piped == "pipe":
        feeder.join()


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_file_that_is_not_there(run, session, tmp_path, missing):
    paths = [path for path, _ in session]
    paths[missing].unlink()
    run.fails("nifti2h5", *paths, tmp_path / "out.h5", says=[paths[missing], "cannot open"])
    assert not (tmp_path / "out.h5").exists()
