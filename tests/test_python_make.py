"""Arrays made by the package: the same as the workflow's, and what is said where that fails."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import boldmill
import numpy as np
import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("synth") / "nsd"
    run("synthnsd", "--sessions", 1, "--runs", 2, "--dims", "12,13,11", "--seed", 3, "--quiet", root)
    return root


@pytest.fixture(scope="module")
def cache(root, tmp_path_factory):
    """Holds the packed session."""
    cache = tmp_path_factory.mktemp("made")
    boldmill.make_arrays(root, 1, "nsdgeneral", cache, show=False)
    return cache


def by_programs(run, root, folder, roi, **labels):
    """The same arrays through a pipe of programs."""
    ppdata = root / "nsddata_timeseries/ppdata/subj01/func1pt8mm"
    scans = [ppdata / f"timeseries/timeseries_session01_run{k:02d}.nii.gz" for k in (1, 2)]
    design = str(ppdata / "design/design_session{session}_run{run}.tsv")
    label = [f"--{name}={value}" for name, value in labels.items()]
    out = folder / "piped.fmri.npy"
    read = ("nifti2h5", "--subject", 1, f"--design={design}", "--", *scans, "-")
    clean = [
        ("detrend", "--order=1", "-", "-"),
        ("zscore", "-", "-"),
        ("hrfshift", f"--design={design}", *label, "-", "-"),
    ]
    run.pipe(read, ("applymask", *roi, "-", "-"), *clean, ("concat", "-", out))
    return np.load(out), np.load(folder / "piped.meta.npy")


def test_the_same_as_by_hand(run, root, cache, tmp_path):
    arrays = boldmill.make_arrays(root, 1, "nsdgeneral", cache)
    roi = root / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    fmri, meta = by_programs(run, root, tmp_path, [f"--roi={roi}"], offset=4.6, history=4)
    assert arrays.name == f"{cache}/subj01/nsdgeneral" and np.array_equal(arrays.fmri, fmri)
    assert np.array_equal(arrays.meta, meta)
    arrays.verify()


def test_settings_and_names(run, root, cache, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    entry = {"file": "prf-visualrois", "labels": ["V1v", "V1d"]}
    config = {"labels": {"offset": 0, "history": 2}, "arrays": {"dtype": "float16"}}
    arrays = boldmill.make_arrays(root, "01", entry, os.path.relpath(cache), name="V1", config=config, cores=1)
    roi = root / "nsddata/ppdata/subj01/func1pt8mm/roi/prf-visualrois.nii.gz"
    fmri, meta = by_programs(run, root, tmp_path, [f"--roi={roi}", "--labels=1-2"], offset=0, history=2)
    assert arrays.name == f"{cache}/subj01/V1" and arrays.dtype == np.float16
    said = capfd.readouterr().err
    assert "boldmill: making subj01/V1.fmri.npy\nboldmill: 1 of 1 ROI arrays; " in said
    rows, voxels = arrays.fmri.shape
    assert f"V1.json: 1 session, 2 runs, 452 volumes, {rows} rows x {voxels} voxels" in said
    assert np.array_equal(arrays.fmri, fmri.astype("f2")) and np.array_equal(arrays.meta, meta)
    mask = np.zeros(arrays.grid, bool)
    mask.reshape(-1)[arrays.voxels[::2]] = True
    np.save("half.npy", mask)
    half = boldmill.make_arrays(root, 1, "half.npy", cache, config={"labels": {"offset": 0, "history": 2}})
    assert half.name.endswith("/half") and np.array_equal(half.fmri, fmri[:, ::2])


def test_nothing_is_made_twice(root, cache, capfd):
    before = {path: path.stat().st_mtime_ns for path in (cache / "subj01").iterdir()}
    boldmill.make_arrays(root, 1, "nsdgeneral", cache)
    assert before == {path: path.stat().st_mtime_ns for path in (cache / "subj01").iterdir()}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("roi", "how", "kind", "says"),
    [
        ("nothing", {}, boldmill.WorkflowError, "nothing.nii.gz"),
        ("nothing.nii.gz", {}, boldmill.MissingError, "no such ROI"),
        ({"file": "streams"}, {}, boldmill.UsageError, "name="),
        ("nsdgeneral", {"config": {"clean": {"order": 99}}}, boldmill.WorkflowError, "99"),
        ("nsdgeneral", {"config": {"sessions": [1, 7]}}, boldmill.WorkflowError, "session07"),
        ("nsdgeneral", {"config": {"cleaning": {}}}, boldmill.WorkflowError, "cleaning"),
    ],
)
def test_what_cannot_be_made(root, cache, roi, how, kind, says):
    with pytest.raises(kind, match=says) as caught:
        boldmill.make_arrays(root, 1, roi, cache, **how)
    assert len(str(caught.value).splitlines()) <= 25 and "Traceback" not in str(caught.value)


def test_the_words_of_a_program_that_fails(root, cache, tmp_path):
    (tmp_path / "text.nii").write_text("no volume" * 60)
    with pytest.raises(boldmill.WorkflowError) as caught:
        boldmill.make_arrays(root, 1, tmp_path / "text.nii", cache)
    first, *rest = str(caught.value).splitlines()
    assert "text.fmri.npy: could not be made" in first and isinstance(caught.value, RuntimeError)
    assert len(rest) == 1 and rest[0].startswith("applymask: ") and "text.nii: not NIfTI" in rest[0]


def test_no_dataset(tmp_path):
    with pytest.raises(boldmill.MissingError, match="no such folder"):
        boldmill.make_arrays(tmp_path / "none", 1, "nsdgeneral", tmp_path / "cache")


def test_without_snakemake(root, tmp_path, monkeypatch):
    find = boldmill.make.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "snakemake" else find(name))
    with pytest.raises(boldmill.MissingError, match="pip install"):
        boldmill.make_arrays(root, 1, "nsdgeneral", tmp_path)


def test_without_programs(root, tmp_path, monkeypatch):
    monkeypatch.setattr(boldmill.installed, "HERE", tmp_path / "python/boldmill")
    shutil.copy(ROOT / "Snakefile", tmp_path)
    with pytest.raises(boldmill.MissingError, match="programs"):
        boldmill.make_arrays(root, 1, "nsdgeneral", tmp_path / "cache")


WAIT = """
import sys, boldmill.make as make
with make.alone(make.Path(sys.argv[1])):
    print("alone", flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time(tmp_path):
    """The second waits until the first has ended, however that ends."""
    start = [sys.executable, "-c", WAIT, str(tmp_path / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(start, **pipes) as first:
        assert first.stdout.readline() == "alone\n"
        with subprocess.Popen(start, **pipes) as second:
            assert "another process" in second.stderr.readline()
            assert select.select([second.stdout], [], [], 1) == ([], [], [])
            first.kill()
            assert second.stdout.readline() == "alone\n"
            second.communicate("")
        first.communicate()


INTERRUPTED = """
import sys, boldmill
boldmill.make_arrays(sys.argv[1], 1, "nsdgeneral", sys.argv[2])
"""


def test_an_interrupt_ends_everything(run, tmp_path):
    """No program goes on behind the caller's back, and nothing half done stays; the next call makes all."""
    root, cache = tmp_path / "nsd", tmp_path / "cache"
    run("synthnsd", "--sessions", 1, "--runs", 2, "--dims", "50,50,40", "--quiet", root)
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, root, cache], stderr=subprocess.PIPE, text=True
    ) as child:
        while "making" not in (line := child.stderr.readline()):
            assert line
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
        assert child.wait(60) != 0 and "KeyboardInterrupt" in said
    ours = [p for p in Path("/proc").iterdir() if p.name.isdigit() and str(cache) in command_line(p)]
    assert not ours
    assert not [path for path in (cache / "subj01").glob("*") if path.name not in ("session_01.h5",)]
    boldmill.make_arrays(root, 1, "nsdgeneral", cache, show=False).verify()


def command_line(process):
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_the_settings_are_kept_for_a_call_by_hand(root, cache):
    config = json.loads((cache / "config/subj01-V1.json").read_text())
    assert config["root"] == str(root) and config["rois"] == {
        "V1": {"file": "prf-visualrois", "labels": ["V1v", "V1d"]}
    }
    assert "rois" not in json.loads((cache / "config/subj01-nsdgeneral.json").read_text())
    arrays = boldmill.make_arrays(root, 1, "general", cache)
    assert arrays.name.endswith("subj01/general") and np.array_equal(
        arrays.fmri, np.load(cache / "subj01/nsdgeneral.fmri.npy")
    )
