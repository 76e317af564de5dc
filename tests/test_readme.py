"""The README's demo and its commands, on the data that `make demo` makes."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import BIN, ROOT
from flow import ENV

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

README = (ROOT / "README.md").read_text()
SETTINGS = re.search(r"^DEMO_ARGS := (.*)$", (ROOT / "make/demo.mk").read_text(), re.M)[1].split()


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)[1]


def commands(text):
    """The indented blocks of code."""
    return re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M)


def bash(words, folder):
    path = f"{BIN}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", f"set -o pipefail; set -u\n{words}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**ENV, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(run, tmp_path_factory):
    """A clone, as links, after `make demo`."""
    clone = tmp_path_factory.mktemp("readme") / "clone"
    clone.mkdir()
    for name in ("Snakefile", "rules", "config", "config.yaml", "profiles", "envs", "examples"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "bin").symlink_to(BIN)
    run("synthnsd", "--quiet", *SETTINGS, clone / "data/demo")
    bash("snakemake -j2 cache/subj01/general.fmri.npy", clone)
    yield clone
    shutil.rmtree(clone)


def test_what_the_demo_shows(demo):
    said = bash("bin/boldinfo --verify cache/subj01/general.json", demo)
    said += bash("python examples/look.py cache/subj01/general data/demo", demo)
    (shown,) = re.findall(r"^```\n== what came out: [^\n]*\n(.*?)^```", section("Try it"), re.M | re.S)
    told = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    lines = [" ".join(line.split()) for line in shown.splitlines() if line.strip()]
    assert len(lines) == len(told) > 20
    for line, real in zip(lines, told, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, line.split("..."))), real), f"{line}\nis really\n{real}"


def test_single_programs(demo):
    blocks = commands(section("Single programs"))
    assert len(blocks) == 1 and blocks[0].count("#") >= 6
    bash(blocks[0], demo)
    assert np.load(demo / "v1.fmri.npy").shape[0] == 2700
    assert np.load(demo / "direct.fmri.npy").shape[0] == 2712  # without designs: all volumes
    kept = [int(n) for n in re.findall(r"x (\d+) voxels", bash("boldinfo v1.json v1.h5", demo))]
    assert 0 < kept[1] < kept[0]  # the strong ones of V1
    assert (demo / "v1.trials.train.npy").exists() and (demo / "psc.h5").exists()


def test_targets_by_name(demo):
    calls = [line for block in commands(section("Your copy of NSD")) for line in block.splitlines()]
    calls = [line.strip() for line in calls if "snakemake" in line and "root=/data" not in line]
    assert calls
    for call in calls:
        bash(call, demo)
    for name in ("lh.prf-visualrois.fmri.npy", "general.split.train.npy", "session_01.clean.h5"):
        assert (demo / "cache/subj01" / name).exists()
