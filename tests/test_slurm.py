"""The workflow through a real Slurm that is started for it (slurmcluster.py), with the project's own profiles."""

import csv
import os
import shutil
import signal
from pathlib import Path

import pytest
import slurmcluster
from conftest import BIN, ROOT
from flow import Flow
from slurmflow import DEMO, GENERAL, SlurmFlow, misbehaving

pytest.importorskip("snakemake_executor_plugin_slurm", reason="Snakemake's plugin for Slurm is not installed")

MEMORY, RUNTIME = 768, 10  # what rule pack asks for where scans are small


@pytest.fixture(scope="module")
def cluster():
    try:
        made = slurmcluster.Cluster().start()
    except slurmcluster.Unavailable as why:
        pytest.skip(str(why))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def demo(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "nsd"
    run("synthnsd", "--quiet", *DEMO, root)
    return root


@pytest.fixture(scope="module")
def local(demo, tmp_path_factory):
    """The same made without a cluster."""
    flow = Flow(tmp_path_factory.mktemp("local"), {"root": str(demo)})
    flow(GENERAL, "cache/subj01/general.shuffle.npy")
    return flow


def results(flow):
    found = [path for path in flow.path("cache/subj01").iterdir() if path.suffix in (".h5", ".npy", ".json")]
    return {path.name: path.read_bytes() for path in found}


def test_the_demo_subject(cluster, demo, local, tmp_path):
    flow = SlurmFlow(tmp_path, {"root": str(demo)}, cluster=cluster)
    done = flow(GENERAL, "cache/subj01/general.shuffle.npy")
    print(done.text)
    assert results(flow) == results(local)
    print(cluster.jobs(columns="JobID,JobIDRaw,State,ReqMem,TimelimitRaw,Comment"))
    assert cluster.queue() == []
