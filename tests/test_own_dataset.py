"""Every command of docs/own-dataset.md, in its order, on datasets as the page describes them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import makebids
import numpy as np
import pytest
from conftest import BIN, PATIENCE, ROOT, bold, write_nifti
from flow import ENV

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")
PAGE = ROOT / "docs/own-dataset.md"


def blocks():
    """(language, text) of the page's code in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def lab(root):
    for visit in (1, 2):
        for k in (1, 2):
            (root / f"anna/visit{visit}").mkdir(parents=True, exist_ok=True)
            (root / "anna/logs").mkdir(exist_ok=True)
            write_nifti(root / f"anna/visit{visit}/look_run{k}.nii.gz", bold(seed=10 * visit + k))
            design = "".join(f"{(t // 4) * (t % 4 == 0)}\n" for t in range(24))
            (root / f"anna/logs/visit{visit}_run{k}.txt").write_text(design)
    (root / "anna/rois").mkdir()
    makebids.write_mask(root / "anna/rois/V1.nii.gz")


@pytest.fixture
def place(tmp_path):
    """A clone (of links), and the datasets of the page."""
    data = tmp_path / "data"
    makebids.raw(data / "look", ("01", "02"))
    (data / "look/derivatives/rois").mkdir(parents=True)
    makebids.write_mask(data / "look/derivatives/rois/visual.nii.gz")
    makebids.fmriprep(data / "prepared")
    lab(data / "lab")
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("Snakefile", "rules", "config", "config.yaml", "profiles", "envs"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "bin").symlink_to(BIN)
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    return tmp_path


def test_every_command(place):
    done, shells = "", 0
    for language, text in blocks():
        text = text.replace("/data/", f"{place}/data/").replace("/scratch/", f"{place}/scratch/")
        if language == "yaml":
            name, _, content = text.partition("\n")
            assert re.fullmatch(r"# \w+\.yaml", name)
            (place / "clone" / name[2:]).write_text(content)
        else:
            assert language == "sh"
            text = re.sub(r"^make$", "true", text, flags=re.M)  # the programs are those that are tested
            env = ENV | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            said = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=place / "clone",
                env=env,
                capture_output=True,
                text=True,
                check=False,
                timeout=300 * PATIENCE,
            )
            assert said.returncode == 0, f"{text}\n{said.stdout}{said.stderr}"
            done, shells = done + said.stdout, shells + 1
    assert shells >= 8 and "verified" in done and "time points have a stimulus" in done
    scratch = place / "scratch"
    assert (scratch / "look/sub-02/visual.fmri.npy").exists() is False  # only one subject was asked for
    assert np.load(scratch / "prepared/sub-01/brain.fmri.npy").shape[0] == 2 * 23
    assert np.load(scratch / "lab/anna/V1.fmri.npy").shape[0] == 4 * 24
    assert (scratch / "lab/anna/V1.split.test.npy").exists()
