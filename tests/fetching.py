"""Objects behind a proxy that breaks things on purpose, and what a test of the download needs beside them."""

import gzip
import json
import os
import random
from itertools import count

import pytest
from s3server import cut, replace, serving, slow, stall, status

from fetch import pieces, program, transfer
from fetch.bucket import Bucket, Trouble

NUMBERS = count()
SERIES = "nsddata_timeseries/ppdata/subj01/func1pt8mm"
RUN = f"{SERIES}/timeseries/timeseries_session{{:02d}}_run{{:02d}}.nii.gz"
DESIGN = f"{SERIES}/design/design_session{{:02d}}_run{{:02d}}.tsv"
DATA = gzip.compress(random.Random(3).randbytes(3 << 20), 1, mtime=0)
NAME = "a/b.nii.gz"


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """None but those that a test gives, and no question to a cloud's own service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def s3(server):
    """A bucket with one object."""
    server.new_bucket(f"bucket-{next(NUMBERS)}")
    server.put(NAME, DATA)
    return server


def remote(s3, prefix="", **more):
    quick = {"anonymous": True, "pause": 0.01, "retries": 3, "timeout": 5, "parallel": 4}
    return {"url": f"s3://{s3.bucket}/{prefix}", "endpoint": s3.endpoint, **quick, **more}


DEFAULTS = {"region": None, "profile": None, "bandwidth": None}


@pytest.fixture
def bucket(s3):
    return Bucket({**DEFAULTS, **remote(s3)})


@pytest.fixture
def take(bucket, tmp_path):
    """One object to a file, as the download does it; a meter of what came."""

    def take(name=NAME, path=tmp_path / "b.nii.gz"):
        meter = transfer.Meter()
        found, _, how = transfer.to_file(bucket, name, bucket.head(name), str(path), meter)
        assert found.size == path.stat().st_size
        return how, meter.bytes

    return take


@pytest.fixture
def small_pieces(monkeypatch):
    """Of 256 KiB; the object has 13."""
    monkeypatch.setattr(pieces, "SIZE", 1 << 18)
    monkeypatch.setattr(pieces, "LARGE", 1 << 20)


@pytest.fixture(params=["one stream", "pieces"])
def in_pieces(request):
    """A test that holds for both ways to write a file; whether it is in pieces."""
    if request.param == "pieces":
        request.getfixturevalue("small_pieces")
    return request.param == "pieces"


def parts(folder):
    return [path.name for path in folder.rglob("*.part")]


FAULTS = {
    "503": [status(503)],
    "503 thrice": [status(503)] * 3,
    "500": [status(500, "InternalError")],
    "429": [status(429, "TooManyRequests")],
    "cut": [cut(100_000)],
    "cut at once": [cut(0)],
    "cut many times": [cut(200_000)] * 8,
    "stalled": [stall(4)],
    "slow": [slow(1)],
    "short and honest about it": [replace(DATA[:-5])],
    "too long": [replace(DATA + b"x")],
    "cut, then 503": [cut(700_000), status(503)],
}


def wait_out(s3, bucket, take, folder, fault):
    """A fault that passes does not show."""
    bucket.settings["timeout"] = 0.5
    s3.faults(NAME, *FAULTS[fault])
    take()
    assert (folder / "b.nii.gz").read_bytes() == DATA and not parts(folder)
    assert not s3.plans[NAME], "not all faults were met"


# A whole configuration


@pytest.fixture(scope="module")
def nsd(run, tmp_path_factory):
    """A synthetic NSD tree that is smaller still than that of other tests: one bucket of it does for all."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    size = ["--dims", "7,8,6", "--volumes", "60"]
    run("synthnsd", "--subjects", "1", "--sessions", "1,21", *size, "--seed", "7", "--decoys", "--quiet", root)
    return root


@pytest.fixture(scope="module")
def uploaded(server, nsd):
    server.new_bucket("nsd-data")
    server.tree(nsd, "some/where/")


@pytest.fixture
def dataset(server, uploaded):
    """The synthetic NSD tree in a bucket, below a prefix. What a test changes there it puts back."""
    server.use("nsd-data")
    return server


@pytest.fixture
def call_fetch(tmp_path, capsys):
    """fetch(server, options, settings): what it said and printed."""

    def run(s3, *options, prefix="some/where", fails=None, **settings):
        given = {"root": str(tmp_path / "got"), "sessions": [1, 21], **settings}
        given["remote"] = remote(s3, prefix, **settings.get("remote", {}))
        path = tmp_path / "config.json"
        path.write_text(json.dumps(given))
        capsys.readouterr()
        s3.log.clear()
        if fails is None:
            assert program.work(program.parse(["--configfile", str(path), *options])) == 0
        else:
            with pytest.raises(Trouble, match=fails):
                program.work(program.parse(["--configfile", str(path), *options]))
        return capsys.readouterr()

    return run


def tree_files(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".fetch" not in path.parts
    }
