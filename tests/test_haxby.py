"""The whole workflow on real scans with BIDS names and events: the Haxby runs, which are not part of the project.

Outside figures: after linear detrending and z-scoring a run, leave-one-run-out nearest-mean classification (by
correlation, of single volumes, eight categories) is right in 47.3, 45.4 and 36.6 % for labels 0, 2.5 and 5 s later.
"""

import json

import numpy as np
import pytest
from conftest import ROOT
from flow import Flow

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

NAME = "cache/haxby/sub-01/vt"
CATEGORIES = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]


@pytest.fixture(scope="module")
def haxby(run, shared, tmp_path_factory):
    data = shared / "haxby"
    if not data.is_dir():
        pytest.skip(f"{data} is missing: real data are not part of the project")
    flow = Flow(tmp_path_factory.mktemp("haxby"), {"root": str(data)}, ROOT / "config/haxby.yaml")
    flow(f"{NAME}.fmri.npy")
    return flow


def arrays(flow):
    return (np.load(flow.path(f"{NAME}.{what}.npy")) for what in ("fmri", "meta"))


def nearest_mean_accuracy(fmri, meta):
    """Percent of the labelled volumes that correlate best with the mean of their own category in the other runs."""
    shown = meta["stimulus"] >= 0
    patterns, labels, runs = fmri[shown].astype(float), meta["stimulus"][shown], meta["run"][shown]
    right = 0
    for run in np.unique(runs):
        train, test = runs != run, runs == run
        means = np.stack([patterns[train & (labels == label)].mean(axis=0) for label in np.unique(labels)])
        guesses = (standard(patterns[test]) @ standard(means).T).argmax(axis=1)
        right += (np.unique(labels)[guesses] == labels[test]).sum()
    return 100 * right / len(labels)


def standard(rows):
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_arrays(haxby):
    fmri, meta = arrays(haxby)
    about = json.loads(haxby.bytes(f"{NAME}.json"))
    assert fmri.shape == (12 * 121, 530) and len(meta) == len(fmri)
    assert about["tr"] == pytest.approx(2.5) and about["grid"]["dims"] == [40, 20, 1]
    assert about["categories"] == CATEGORIES
    assert (meta["session"] == 1).all() and (meta["run"] == np.repeat(np.arange(1, 13), 121)).all()
    assert np.allclose(fmri.reshape(12, 121, 530).mean(axis=1), 0, atol=1e-5)
    assert (meta["stimulus"] >= 0).sum() == 864
    assert np.unique(meta["stimulus"], return_counts=True)[1].tolist() == [588, *[108] * 8]


@pytest.mark.parametrize("offset, accuracy", [(0, 47.3), (2.5, 45.4), (5, 36.6)])
def test_images_can_be_told_from_the_arrays(haxby, offset, accuracy):
    jobs = haxby(f"{NAME}.fmri.npy", labels={"offset": offset}).jobs
    assert ("pack", "session_01.h5") not in jobs, "another delay reads no scans again"
    assert nearest_mean_accuracy(*arrays(haxby)) == pytest.approx(accuracy, abs=0.6)


def test_direct_route_gives_the_same_bytes(haxby, tmp_path):
    haxby(f"{NAME}.fmri.npy")
    direct = Flow(tmp_path, {**haxby.config, "route": "direct"}, haxby.configfile)
    direct("cache/haxby/sub-01/mask.fmri.npy")
    for what in ("fmri.npy", "meta.npy"):
        assert direct.bytes(f"cache/haxby/sub-01/mask.{what}") == haxby.bytes(f"{NAME}.{what}")
