"""From a bucket to arrays: by a download, and by streams that leave no run on the disk."""

import json
import os
import subprocess
import sys
import threading
import time
from itertools import count

import makebids
import numpy as np
import pytest
from conftest import ROOT
from flow import Flow

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")
pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

from s3server import cut, flip, serving, status

from operate import words

NUMBERS = count()
SERIES = "nsddata_timeseries/ppdata/subj01/func1pt8mm/timeseries"
ARRAYS = ("general.fmri.npy", "general.meta.npy")
SUBJECT = "cache/subj01"


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    """Sessions 1 (12 runs) and 21 (14 runs, two of them at rest)."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    size = ["--dims", "9,10,8", "--volumes", "80"]
    run("synthnsd", "--subjects", "1", "--sessions", "1,21", *size, "--seed", "5", "--decoys", "--quiet", root)
    return root


@pytest.fixture(scope="module")
def local(root, tmp_path_factory):
    """The arrays by the way without a bucket."""
    flow = Flow(tmp_path_factory.mktemp("local"), {"root": str(root), "sessions": [1, 21], "route": "direct"})
    flow()
    return flow


@pytest.fixture
def s3(server, root):
    server.new_bucket(f"stream-{next(NUMBERS)}")
    server.tree(root, "below/")
    return server


def remote(s3, **more):
    return {"url": f"s3://{s3.bucket}/below", "endpoint": s3.endpoint, "anonymous": True, "pause": 0.01, **more}


@pytest.fixture
def flow(s3, tmp_path):
    settings = {"root": str(tmp_path / "got"), "sessions": [1, 21], "route": "direct", "remote": remote(s3)}
    return Flow(tmp_path, settings)


def fetched(flow, **settings):
    """The same as flow("fetch"), without Snakemake in front."""
    flow.config["remote"] |= settings
    command = [sys.executable, str(ROOT / "rules"), "fetch", "--settings", "-", "--quiet"]
    done = subprocess.run(command, input=json.dumps(flow.config), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def same_arrays(one, other):
    return all(one.bytes(f"{SUBJECT}/{name}") == other.bytes(f"{SUBJECT}/{name}") for name in ARRAYS)


def test_three_commands(flow, local, s3):
    """Settings, `snakemake fetch`, `snakemake`. Before the fetch, the workflow says what to do."""
    flow.fails(says=["nothing was fetched", "make fetch"])
    flow("fetch")
    rest = [name for name in s3.read() if "session21_run01" in name or "session21_run14" in name]
    assert sorted(name.rsplit("/")[-1][:6] for name in rest) == ["design", "design"]
    s3.log.clear()
    flow()
    assert not s3.log, "the workflow asks no bucket"
    assert same_arrays(flow, local)
    # what was fetched does without the bucket
    assert flow.plan(remote={"url": None}) == []
    flow.fails(says=["settings have changed"], options=["-n"], clean={"confounds": {"columns": "1-6"}})
    missing = next(flow.path("got").rglob("timeseries_session01_run05.nii.gz"))
    missing.unlink()
    flow.fails(says=[missing.name, "in the bucket and not here", "make fetch"], options=["-n", "-F"])
    size = missing_size(s3, missing)
    assert f"  to download  {words.size(size)}: 1 runs that are not here yet" in flow("estimate").text
    flow("fetch")
    assert missing.exists()


def missing_size(s3, path):
    (found,) = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix=f"below/{SERIES}/{path.name}")["Contents"]
    return found["Size"]


def test_an_estimate_before_the_runs_are_here(flow, s3, root, local):
    """All that it needs are the small files and the sizes in the listing."""
    flow.config["rois"] = {"general": "nsdgeneral", "V1": {"file": "prf-visualrois", "labels": ["V1v"]}}
    fetched(flow, stream=True)
    s3.log.clear()
    used = sizes(local)
    text = told(flow("estimate"))
    assert f"  from the bucket  {words.size(2 * sum(used))}: all runs, once for each ROI; none is stored" in text
    rows, voxels = np.load(local.path(f"{SUBJECT}/general.fmri.npy")).shape
    assert f"{rows:,} time points" in text and f", {rows:,} x {voxels:,} voxels" in text
    assert f"network: {words.size(2 * sum(used))} from s3://" in text and "packed sessions" not in text
    text = told(flow("estimate", route="packed", remote={**flow.config["remote"], "stream": False, "bandwidth": 1}))
    assert f"  to download  {words.size(sum(used))}: {len(used)} runs that are not here yet" in text
    assert " at 1 MB/s" in text and "free in " in text and "packed sessions" in text
    assert not s3.log, "nothing is asked of the bucket"
    plain = {"store": "plain"}
    flow.fails(
        "estimate", route="packed", pack=plain, remote={**flow.config["remote"], "stream": False}, says="not here"
    )


def told(done):
    return "".join(done.text.partition("subject 01:")[1:]).partition("[")[0]


def sizes(local):
    """Of the runs that the arrays are made of."""
    return [os.path.getsize(run["steps"][0]["inputs"][0]["path"]) for run in described(local)["runs"]]


def described(flow):
    return json.loads(flow.path(f"{SUBJECT}/general.json").read_text())


class Watch(threading.Thread):
    """The largest sizes of all files below some folders, as they come and go."""

    def __init__(self, *folders):
        super().__init__(daemon=True)
        self.folders, self.seen, self.end = folders, {}, False

    def run(self):
        while not self.end:
            for folder in self.folders:
                for where, _, names in os.walk(folder):
                    for name in names:
                        try:
                            size = os.stat(os.path.join(where, name)).st_size
                        except OSError:
                            continue
                        path = os.path.join(where, name)
                        self.seen[path] = max(size, self.seen.get(path, 0))
            time.sleep(0.05)


def test_streams_give_the_same_arrays_and_store_no_run(flow, local, s3, root, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setitem(__import__("flow").ENV, "TMPDIR", str(tmp_path / "tmp"))
    fetched(flow, stream=True)
    assert not [name for name in s3.read() if "timeseries_session" in name]
    s3.log.clear()
    watch = Watch(tmp_path / "got", tmp_path / "cache", tmp_path / "tmp")
    watch.start()
    done = flow()
    watch.end = True
    watch.join()
    assert same_arrays(flow, local)
    names = list(s3.read())
    assert len(names) == 24 and all("timeseries_session" in name for name in names)
    assert all(len(s3.gets(name)) == 1 for name in names), "each once"
    runs = [path.stat().st_size for path in root.rglob("timeseries_session*")]
    arrays = flow.path(f"{SUBJECT}/general.fmri.npy").stat().st_size
    assert not [path for path in watch.seen if "timeseries_session" in path]
    others = {path: size for path, size in watch.seen.items() if "general" not in path}
    assert max(others.values()) < min(runs) and sum(watch.seen.values()) < sum(runs) + 3 * arrays

    streamed = sum(sizes(local))
    noted = flow.path("cache/log/subj01/general.log.streamed").read_text().split()
    assert sorted(map(int, noted)) == sorted(sizes(local)), "what the lines of progress count"
    assert json.loads(flow.path("cache/summary.json").read_text())["streamed"] == streamed
    assert f"boldmill: {words.size(streamed)} read from the bucket, " in done.text
    said, known = described(flow), described(local)
    assert [run["label"] for run in said["runs"]] == [run["label"] for run in known["runs"]]
    first, other = said["runs"][0]["steps"][0], known["runs"][0]["steps"][0]
    here, there = first["inputs"][0], other["inputs"][0]
    assert here.pop("path") == f"s3://{s3.bucket}/below/{os.path.relpath(there.pop('path'), root)}"
    assert here == there
    assert flow.plan() == [], "all is done"
    flow("report")
    text = flow.path(f"{SUBJECT}/report.html").read_text()
    assert "Nothing was measured" in text and "general.fmri.npy" in text and ">Pictures<" not in text
    assert ">Provenance<" in text and ">2–13<" in text.replace(" ", "")


def test_another_object_makes_the_arrays_anew(flow, s3, root):
    flow.config |= {"sessions": 1, "runs": "1-2"}
    fetched(flow, stream=True)
    flow()
    name = next(root.rglob("timeseries_session01_run02.nii.gz"))
    other = next(root.rglob("timeseries_session01_run03.nii.gz"))
    s3.put(f"below/{name.relative_to(root)}", other.read_bytes())
    flow.fails(says="is another object by now; run fetch again", options=["-F"])
    assert not flow.path(f"{SUBJECT}/general.fmri.npy").exists()
    fetched(flow)
    flow()
    first, second = np.split(np.load(flow.path(f"{SUBJECT}/general.fmri.npy")), 2)
    assert first.shape == second.shape


def test_damage_on_the_way_leaves_no_arrays(flow, s3):
    flow.config |= {"sessions": 1, "runs": "1-4"}
    fetched(flow, stream=True)
    for fault in (flip(-1), status(403, "AccessDenied")):
        s3.faults("run03.nii.gz", fault)
        flow.fails(says=["session01_run03.nii.gz", "could not bring it"])
        assert not list(flow.path(SUBJECT).glob("*.npy"))
    s3.faults("run03.nii.gz", cut(2000), status(503), cut(1))
    flow()


def test_settings_that_do_not_go_with_streams(flow):
    flow.config |= {"sessions": 1, "runs": "1-2"}
    fetched(flow, stream=True)
    flow.fails(says="set route: direct", options=["-n"], route="packed")
    rois = {"general": {"file": "nsdgeneral", "absent": "drop"}}
    flow.fails(says="absent must be zero where runs are streamed", options=["-n"], rois=rois)


def test_streams_of_bids_with_masks(server, tmp_path):
    """fMRIPrep's masks: nifti2h5 reads the brain, applymask cuts."""
    raw = tmp_path / "bids"
    makebids.fmriprep(raw)
    server.new_bucket(f"stream-{next(NUMBERS)}")
    server.tree(raw, "below/")
    layout = {"preset": "fmriprep"}
    here = Flow(tmp_path / "here", {"root": str(raw), "route": "direct", "layout": layout})
    there = Flow(tmp_path / "there", {**here.config, "root": str(tmp_path / "got"), "remote": remote(server)})
    for flow in (here, there):
        flow.folder.mkdir()
    here()
    fetched(there, stream=True)
    there()
    for flow in (here, there):
        flow("report")
    names = [path.relative_to(here.folder) for path in here.path("cache").rglob("*.npy")]
    assert any("carpet" in name.name for name in names) and all(
        here.bytes(name) == there.bytes(name) for name in names
    )
