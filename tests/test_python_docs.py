"""docs/python.md: the examples run as they stand, and every name in it is there."""

import os
import re

import boldmill
import numpy as np
import pytest
from conftest import ROOT

PAGE = (ROOT / "docs/python.md").read_text()
SECTIONS = ["Quick start", "Arrays", "Time points", "Windows", "Pictures", "The Loader", "torch's DataLoader"]


def section(name):
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def test_examples_of_the_page(run, nsd, tmp_path, monkeypatch):
    """One after the other, in a folder with data/demo; without warnings and with what their comments say."""
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.chdir(tmp_path)
    os.mkdir("data")
    os.symlink(nsd, "data/demo")
    os.symlink(nsd / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", "nsd_stimuli.hdf5")
    config = {"sessions": [1, 21]}  # there is a gap between them
    boldmill.make_arrays("data/demo", 1, "general", config=config)
    made = boldmill.make_arrays
    monkeypatch.setattr(boldmill, "make_arrays", lambda *args, **how: made(*args, **how, config=config))
    arrays = boldmill.Arrays("cache/subj01/general")
    mask = np.zeros(arrays.grid, bool)
    mask.reshape(-1)[arrays.voxels[:9]] = True
    split = ["--unit", "presentation", "--window", 6, "--split", "train=0.8,test=0.2", "--by", "run"]
    run("shuffleidx", *split, "cache/subj01/general.meta.npy", "cache/subj01/general.split.npy")
    names = {"mask": mask, "np": np}
    for name in SECTIONS:
        for code in re.findall(r"```python\n(.*?)```", section(name), re.S):
            exec("import boldmill.iterable\n" + code, names)
    assert names["batch"].shape[1] == names["points"].voxels == 9  # the last of the columns that were chosen


def test_names_on_the_page():
    names = set(re.findall(r"\bboldmill\.([a-zA-Z_]+)", PAGE)) - {"nsd", "iterable", "make"}
    assert len(names) > 10 and all(hasattr(boldmill, name) for name in names), names
    for name in boldmill.__all__:
        assert name in PAGE, f"{name} is not in docs/python.md"


def test_links_of_the_page():
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, heading = target.partition("#")
        assert target.startswith("http") or not path or (ROOT / "docs" / path).exists(), target
        assert path or heading in headings, target
