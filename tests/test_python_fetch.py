"""make_arrays with a bucket: what is missing is downloaded, or streamed, and then the arrays are made."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import count

import boldmill
import numpy as np
import pytest
from conftest import PATIENCE

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")
pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

from s3server import serving, stall, status

NUMBERS = count()


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def nsd(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("synth") / "nsd"
    run("synthnsd", "--sessions", 1, "--runs", 2, "--dims", "12,13,11", "--seed", 3, "--quiet", root)
    return root


@pytest.fixture(scope="module")
def local(nsd, tmp_path_factory):
    """The arrays by the way without a bucket."""
    return boldmill.make_arrays(nsd, 1, "lh.nsdgeneral", tmp_path_factory.mktemp("local"), show=False)


@pytest.fixture
def s3(server, nsd):
    server.new_bucket(f"python-{next(NUMBERS)}")
    server.tree(nsd)
    return server


def config(s3, **more):
    remote = {"url": f"s3://{s3.bucket}", "endpoint": s3.endpoint, "anonymous": True, "pause": 0.01, "retries": 2}
    return {"remote": remote | more}


def test_what_is_missing_is_downloaded(s3, nsd, local, tmp_path, capfd):
    """Files of this ROI and subject alone; not even the root is there before."""
    arrays = boldmill.make_arrays(tmp_path / "nsd", 1, "lh.nsdgeneral", tmp_path / "cache", config=config(s3))
    said = capfd.readouterr().err
    assert np.array_equal(arrays.fmri, local.fmri) and np.array_equal(arrays.meta, local.meta)
    assert "boldmill: fetched 3 of 3 files, " in said
    assert "boldmill: making subj01/lh.nsdgeneral.fmri.npy\n" in said and "fetch:" not in said
    names = {path.name for path in (tmp_path / "nsd").rglob("*.*") if path.is_file() and ".fetch" not in path.parts}
    assert {name[:10] for name in names} == {"timeseries", "design_ses", "lh.nsdgene"} and len(names) == 5

    s3.log.clear()
    boldmill.make_arrays(tmp_path / "nsd", 1, "lh.nsdgeneral", tmp_path / "cache", config=config(s3))
    assert not s3.log and capfd.readouterr().err == "", "what is made needs no bucket"
    boldmill.make_arrays(tmp_path / "nsd", 1, "general", tmp_path / "cache", config=config(s3))
    assert s3.read() == {"nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"}

    # made with these settings, but a run is gone and a design is newer
    s3.log.clear()
    next((tmp_path / "nsd").rglob("timeseries_session01_run02.nii.gz")).unlink()
    os.utime(next((tmp_path / "nsd").rglob("design_session01_run01.tsv")))
    again = boldmill.make_arrays(tmp_path / "nsd", 1, "general", tmp_path / "cache", config=config(s3))
    assert {name.rpartition("/")[2] for name in s3.read()} <= {"timeseries_session01_run02.nii.gz"}
    assert again.shape[0] == local.shape[0]


def test_runs_are_streamed(s3, nsd, local, tmp_path, capfd):
    settings = config(s3, stream=True)
    arrays = boldmill.make_arrays(tmp_path / "nsd", 1, "lh.nsdgeneral", tmp_path / "cache", config=settings)
    assert np.array_equal(arrays.fmri, local.fmri) and np.array_equal(arrays.meta, local.meta)
    assert not list((tmp_path / "nsd").rglob("timeseries_*")) and not list((tmp_path / "cache").rglob("*.h5"))
    assert " read from the bucket, " in capfd.readouterr().err


def test_what_cannot_be_fetched(s3, tmp_path, monkeypatch):
    def make(**more):
        boldmill.make_arrays(
            tmp_path / "nsd", 1, "general", tmp_path / "cache", config=config(s3, **more), show=False
        )

    with pytest.raises(boldmill.WorkflowError, match="there is no such bucket") as caught:
        make(url="s3://no-such-bucket")
    assert "general: its files could not be fetched" in str(caught.value) and "Traceback" not in str(caught.value)
    s3.faults("run02.nii.gz", *[status(403, "AccessDenied")] * 9)
    with pytest.raises(boldmill.WorkflowError, match="run02.nii.gz: access is denied"):
        make()
    s3.plans.clear()
    make()
    find = boldmill.make.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "boto3" else find(name))
    with pytest.raises(boldmill.MissingError, match="boto3: is not installed"):
        boldmill.make_arrays(tmp_path / "other", 1, "general", tmp_path / "other-cache", config=config(s3))


CALL = (
    "import boldmill, json, sys; boldmill.make_arrays(*json.loads(sys.argv[1])[:4], config=json.loads(sys.argv[2]))"
)


def test_an_interrupt_ends_the_download(s3, tmp_path):
    s3.faults("run02.nii.gz", stall(60))
    words = json.dumps([str(tmp_path / "nsd"), 1, "general", str(tmp_path / "cache")])
    child = subprocess.Popen([sys.executable, "-c", CALL, words, json.dumps(config(s3))], stderr=subprocess.PIPE)
    until = time.monotonic() + 60 * PATIENCE
    while not (s3.gets("run02.nii.gz") and list((tmp_path / "nsd").rglob("timeseries_session01_run01.nii.gz"))):
        assert time.monotonic() < until and child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=40 * PATIENCE)[1].decode()
    assert child.returncode and "KeyboardInterrupt" in said
    s3.plans.clear()
    s3.log.clear()
    boldmill.make_arrays(tmp_path / "nsd", 1, "general", tmp_path / "cache", config=config(s3), show=False)
    assert len(s3.gets("run02.nii.gz")) == 1 and not s3.gets("run01.nii.gz"), "it goes on"


def test_two_caches_of_one_root(s3, local, tmp_path):
    """The second one waits for the download of the first."""
    made = {}

    def make(k):
        where = tmp_path / "nsd", 1, "lh.nsdgeneral", tmp_path / f"cache{k}"
        made[k] = boldmill.make_arrays(*where, config=config(s3), show=False)

    threads = [threading.Thread(target=make, args=(k,)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(arrays.fmri, local.fmri) for arrays in made.values()) and len(made) == 2
    assert len(s3.gets("run02.nii.gz")) == 1
