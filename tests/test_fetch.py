"""The download: from a bucket behind a proxy that breaks things on purpose."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import count

import makebids
import pytest
from conftest import PATIENCE, ROOT, last_line

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")

from s3server import KEYS, also, call, cut, flip, headers, replace, serving, slow, stall, status

from fetch import download, pieces, program, transfer
from fetch.bucket import Bucket, Object, Trouble

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


# One object


def test_a_file_is_what_the_object_is(take, in_pieces, tmp_path):
    assert take() == ("md5", len(DATA))
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA and not parts(tmp_path)


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


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_waited_for(s3, bucket, take, tmp_path, fault):
    bucket.settings["timeout"] = 0.5
    s3.faults(NAME, *FAULTS[fault])
    take()
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA and not parts(tmp_path)
    assert not s3.plans[NAME], "not all faults were met"


def test_a_cut_connection_is_gone_on_with(s3, take):
    """Each request asks for what is missing, no more; nothing is transferred twice."""
    s3.faults(NAME, cut(1_000_000), cut(1_000_000))
    assert take() == ("md5", len(DATA))
    starts = [request.start for request in s3.gets(NAME)]
    assert starts[0] == 0 and len(starts) == 3 and starts == sorted(set(starts))
    assert sum(request.sent for request in s3.gets(NAME)) < len(DATA) + 3 * transfer.STEP


@pytest.mark.parametrize("fault", [status(503), cut(0), replace(b""), status(500, "InternalError")])
def test_patience_ends(s3, take, tmp_path, fault):
    s3.faults(NAME, *[fault] * 50)
    with pytest.raises(Trouble, match=f"s3://{s3.bucket}/{NAME}: .*attempts; .*again"):
        take()
    assert len(s3.gets(NAME)) == 4
    assert not (tmp_path / "b.nii.gz").exists()


def test_wrong_bytes_are_fetched_again(s3, take, tmp_path):
    s3.faults(NAME, flip(1000), flip(-1))
    assert take() == ("md5", 3 * len(DATA))
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_bytes_that_stay_wrong_get_no_name(s3, take, in_pieces, tmp_path):
    s3.faults(NAME, *[flip(-1)] * (39 if in_pieces else 3))
    with pytest.raises(Trouble, match="its MD5 is .*3 times over"):
        take()
    assert in_pieces or len(s3.gets(NAME)) == 3
    assert not (tmp_path / "b.nii.gz").exists() and not parts(tmp_path)


def test_damage_in_the_bucket_itself_is_found_by_its_gzip_trailer(s3, take, in_pieces, tmp_path):
    s3.put("cut.nii.gz", DATA[:-4])
    with pytest.raises(Trouble, match="gzip data end early, in the bucket itself"):
        take("cut.nii.gz")
    assert len(s3.gets("cut.nii.gz")) == (13 if in_pieces else 1)
    s3.put("page.nii.gz", b"<html>please log in</html>")
    with pytest.raises(Trouble, match="holds no gzip data"):
        take("page.nii.gz")
    assert not (tmp_path / "b.nii.gz").exists() and not parts(tmp_path)


def test_an_object_that_changes_between_two_ranges(s3, take, tmp_path):
    """The first part is of the old object and thrown away."""
    new = gzip.compress(random.Random(4).randbytes(len(DATA)), 1, mtime=0)
    s3.faults(NAME, cut(1_000_000), call(lambda: s3.put(NAME, new)))
    take()
    assert (tmp_path / "b.nii.gz").read_bytes() == new and not parts(tmp_path)
    assert [request.status for request in s3.gets(NAME)] == [200, 412, 200]


def test_a_server_that_does_not_look_at_if_match(s3, bucket, take, tmp_path):
    """The ETag of the answer tells."""
    s3.faults(NAME, cut(1_000_000), headers(ETag='"0123456789abcdef0123456789abcdef"'))
    take()
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA
    assert [request.start > 0 for request in s3.gets(NAME)] == [False, True, False]


def test_an_object_that_never_stays_the_same(s3, take, in_pieces):
    number = count()
    change = call(lambda: s3.put(NAME, gzip.compress(b"%d" % next(number))))
    s3.faults(NAME, *[change] * 99)
    with pytest.raises(Trouble, match="again and again"):
        take()


def test_a_server_that_knows_no_ranges(s3, take, tmp_path):
    s3.faults(NAME, cut(1_000_000))
    s3.ignore_ranges = True
    with pytest.raises(Trouble, match="the server sent everything for bytes from"):
        take()
    assert not (tmp_path / "b.nii.gz").exists()


def test_a_part_of_an_earlier_call_is_gone_on_with(s3, bucket, take, tmp_path):
    path, wanted = tmp_path / "b.nii.gz", bucket.head(NAME)
    part = tmp_path / os.path.basename(transfer.part_name(str(path), wanted))
    part.write_bytes(DATA[:1_234_567])
    (tmp_path / ".b.nii.gz.0123456789abcdef.part").write_bytes(b"of another object")
    (tmp_path / ".c.nii.gz.0123456789abcdef.part").write_bytes(b"of another file")
    assert take() == ("md5", len(DATA) - 1_234_567)
    assert [request.range for request in s3.gets(NAME)] == ["bytes=1234567-"]
    assert path.read_bytes() == DATA and parts(tmp_path) == [".c.nii.gz.0123456789abcdef.part"]


@pytest.mark.parametrize("begun", [DATA[:-1] + b"?", DATA + b"more", b"\0" * 1000, DATA])
def test_a_part_that_is_wrong_or_whole(bucket, take, in_pieces, tmp_path, begun):
    path = tmp_path / "b.nii.gz"
    (tmp_path / os.path.basename(transfer.part_name(str(path), bucket.head(NAME)))).write_bytes(begun)
    take()
    assert path.read_bytes() == DATA and not parts(tmp_path)


def test_an_empty_object(s3, take, in_pieces, tmp_path):
    s3.put("empty", b"")
    assert take("empty", tmp_path / "empty") == ("md5", 0)
    assert (tmp_path / "empty").read_bytes() == b""


def test_an_object_that_was_uploaded_in_parts(s3, take, in_pieces, tmp_path):
    data = random.Random(5).randbytes(12 << 20)
    s3.put_parts("big.hdf5", data, 5 << 20)
    assert take("big.hdf5", tmp_path / "big.hdf5") == ("parts", 12 << 20)
    (tmp_path / "big.hdf5").unlink()
    s3.faults("big.hdf5", flip(1000))
    s3.part_sizes["big.hdf5"] = [5 << 20, 5 << 20, 2 << 20]  # which moto does not tell, and S3 does
    assert take("big.hdf5", tmp_path / "big.hdf5") == ("parts", 24 << 20)
    assert (tmp_path / "big.hdf5").read_bytes() == data
    s3.part_sizes["big.hdf5"] = [6 << 20, 5 << 20, 1 << 20]  # unlike: the ETag cannot be worked out
    s3.put_parts("odd.hdf5", data, 6 << 20)
    assert take("odd.hdf5", tmp_path / "odd.hdf5") == ("size", 12 << 20)


def test_bandwidth(bucket, tmp_path):
    meter, begun = transfer.Meter(2 * len(DATA)), time.monotonic()
    transfer.to_file(bucket, NAME, bucket.head(NAME), str(tmp_path / "b.nii.gz"), meter)
    assert 0.35 < time.monotonic() - begun < 60 * PATIENCE


# In pieces


def test_pieces_come_at_once_as_parallel_allows(s3, bucket, take, small_pieces, tmp_path):
    """Two files of 13 pieces, 4 transfers."""
    at_once, most, lock = set(), [], threading.Lock()

    def open_(*args):
        with lock:
            at_once.add((args[0], args[2]))
            most.append(len(at_once))
        time.sleep(0.05)
        try:
            return plain(*args)
        finally:
            with lock:
                at_once.discard((args[0], args[2]))

    plain, bucket.open = bucket.open, open_
    s3.put("other", DATA)
    threads = [
        threading.Thread(target=take, args=(name, tmp_path / name)) for name in (os.path.basename(NAME), "other")
    ]
    s3.put(os.path.basename(NAME), DATA)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 4 and len(most) == 26
    assert (tmp_path / "other").read_bytes() == (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_each_byte_comes_once(s3, take, small_pieces):
    s3.faults(NAME, cut(100_000), status(503), cut(200_000))
    assert take() == ("md5", len(DATA))
    assert sum(request.sent for request in s3.gets(NAME) if request.status == 206) < len(DATA) + 3 * transfer.STEP
    assert {request.status for request in s3.gets(NAME)} == {206, 503}


def test_pieces_that_are_there_are_not_asked_for_again(s3, bucket, take, small_pieces, tmp_path):
    """One piece fails for good; the others that had begun are finished and kept."""
    s3.faults(NAME, *[slow(0.2)] * 5, *[status(403, "AccessDenied")] * 50)
    with pytest.raises(Trouble, match="access is denied"):
        take()
    (part,) = parts(tmp_path)
    wanted = bucket.head(NAME)
    kept = transfer.have(str(tmp_path / "b.nii.gz"), wanted)
    assert 4 << 18 <= kept <= 8 << 18 and (tmp_path / part).stat().st_size == len(DATA) + 13
    s3.plans.clear()
    s3.log.clear()
    assert take() == ("md5", len(DATA) - kept)
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA and not parts(tmp_path)
    assert len(s3.gets(NAME)) == 13 - (kept >> 18)


def test_a_killed_process_leaves_whole_pieces(s3, bucket, take, small_pieces, tmp_path):
    s3.faults(NAME, *[slow(0.1)] * 6, *[stall(60)] * 9)
    bucket.settings["timeout"] = 60
    if not (child := os.fork()):
        take()
    until = time.monotonic() + 30 * PATIENCE
    wanted = bucket.head(NAME)
    while transfer.have(str(tmp_path / "b.nii.gz"), wanted) < 6 << 18:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    s3.plans.clear()
    assert take() == ("md5", len(DATA) - (6 << 18))
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_pieces_behind_what_one_stream_has_begun(s3, bucket, take, small_pieces, tmp_path):
    path = tmp_path / "b.nii.gz"
    part = tmp_path / os.path.basename(transfer.part_name(str(path), bucket.head(NAME)))
    part.write_bytes(DATA[: (5 << 18) + 1000])
    assert take() == ("md5", len(DATA) - (5 << 18))
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("behind", [b"\1" * 12, b"\1" * 14, b"\2" * 13, b"\0" * 13])
def test_marks_of_other_pieces(bucket, take, small_pieces, tmp_path, behind):
    """Nothing of it counts."""
    path = tmp_path / "b.nii.gz"
    part = tmp_path / os.path.basename(transfer.part_name(str(path), bucket.head(NAME)))
    part.write_bytes(b"x" * len(DATA) + behind)
    assert take() == ("md5", len(DATA))
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("fault", ["503 thrice", "cut", "stalled", "too long"])
def test_what_passes_is_waited_for_piece_by_piece(s3, bucket, take, small_pieces, tmp_path, fault):
    test_what_passes_is_waited_for(s3, bucket, take, tmp_path, fault)


def test_wrong_bytes_in_one_piece(s3, take, small_pieces, tmp_path):
    s3.faults(NAME, flip(1000))
    assert take() == ("md5", 2 * len(DATA))
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_an_object_that_changes_between_two_pieces(s3, take, small_pieces, tmp_path):
    new = gzip.compress(random.Random(4).randbytes(len(DATA)), 1, mtime=0)
    s3.faults(NAME, *[slow(0.1)] * 5, call(lambda: s3.put(NAME, new)))
    take()
    assert (tmp_path / "b.nii.gz").read_bytes() == new and not parts(tmp_path)
    assert 412 in {request.status for request in s3.gets(NAME)}


def test_a_large_file_of_a_server_that_knows_no_ranges(s3, take, small_pieces, tmp_path):
    """It comes as one stream."""
    s3.ignore_ranges = True
    assert take()[0] == "md5"
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_a_server_that_forgets_about_ranges(s3, bucket, take, small_pieces, tmp_path):
    """What is there stays."""

    def forget():
        s3.ignore_ranges = True

    s3.faults(NAME, *[slow(0.1)] * 6, call(forget))
    with pytest.raises(Trouble, match="sent everything for bytes from .*goes on there"):
        take()
    assert transfer.have(str(tmp_path / "b.nii.gz"), bucket.head(NAME)) >= 4 << 18
    s3.ignore_ranges = False
    take()
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


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


def expected(sessions=((1, range(1, 13)), (21, range(2, 14))), designs=((1, 12), (21, 14))):
    names = {RUN.format(session, run) for session, runs in sessions for run in runs}
    names |= {DESIGN.format(session, run) for session, most in designs for run in range(1, most + 1)}
    return names | {"nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"}


def test_exactly_what_is_needed(dataset, nsd, tmp_path, call_fetch):
    """Runs without those at rest, all designs (they tell rest), the ROI. No decoys, no motion, no stimuli."""
    call_fetch(dataset)
    got = tree_files(tmp_path / "got")
    assert set(got) == expected()
    assert all(data == (nsd / name).read_bytes() for name, data in got.items())
    assert dataset.read() == {f"some/where/{name}" for name in got}
    assert len(dataset.gets("gz")) + len(dataset.gets("tsv")) == len(got), "each once"


CHOICES = {
    "one session": ({"sessions": 1}, expected([(1, range(1, 13))], [(1, 12)])),
    "some runs": ({"sessions": 21, "runs": "1-3"}, expected([(21, (2, 3))], [(21, 3)])),  # run 1 is at rest
    "motion for the report": (
        {"sessions": 1, "runs": 2, "remote": {"extras": ["motion"]}},
        expected([(1, [2])], [])
        | {DESIGN.format(1, 2)}
        | {f"{SERIES}/motion/motion_session01_run{run:02d}.tsv" for run in range(1, 13)},
    ),
    "motion": (
        {"sessions": 1, "runs": 2, "clean": {"confounds": {"columns": "1-6"}}},
        expected([(1, [2])], []) | {DESIGN.format(1, 2), f"{SERIES}/motion/motion_session01_run02.tsv"},
    ),
    "labels by name": (
        {"sessions": 1, "runs": 2, "rois": {"V1": {"file": "prf-visualrois", "labels": ["V1v"], "hemi": "lh"}}},
        {
            RUN.format(1, 2),
            DESIGN.format(1, 2),
            "nsddata/ppdata/subj01/func1pt8mm/roi/lh.prf-visualrois.nii.gz",
            "nsddata/freesurfer/subj01/label/prf-visualrois.mgz.ctab",
        },
    ),
    "no arrays": ({"sessions": 1, "runs": 2, "targets": ["packed"]}, {RUN.format(1, 2), DESIGN.format(1, 2)}),
    "stimuli": (
        {"sessions": 1, "runs": 2, "remote": {"extras": ["images", "experiment"]}},
        expected([(1, [2])], [])
        | {
            DESIGN.format(1, 2),
            "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
            "nsddata/experiments/nsd/nsd_expdesign.mat",
            "nsddata/experiments/nsd/nsd_stim_info_merged.csv",
        },
    ),
    "patterns": (
        {
            "sessions": 1,
            "runs": 2,
            "targets": ["packed"],
            "remote": {"extras": ["nsddata/ppdata/subj{subject}/{space}/valid_session{session}.nii.gz"]},
        },
        {RUN.format(1, 2), DESIGN.format(1, 2), "nsddata/ppdata/subj01/func1pt8mm/valid_session01.nii.gz"},
    ),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_choices(dataset, nsd, tmp_path, call_fetch, choice):
    """A dry run says what a real one then does: the same files, the same sum."""
    settings, names = CHOICES[choice]
    dry = call_fetch(dataset, "--dry-run", **settings)
    lines = [line.split() for line in dry.out.splitlines()]
    assert {url.split("/where/")[1] for *_, url in lines} == names
    assert not (tmp_path / "got").exists()
    total = sum(int(size) for size, *_ in lines)
    assert f"to be fetched: {len(names)} files, {total} bytes" in dry.err
    said = call_fetch(dataset, **settings).err
    assert f"{total} bytes were transferred" in said
    assert tree_files(tmp_path / "got").keys() == names
    assert total == sum((nsd / name).stat().st_size for name in names)


SMALL = {"sessions": 1, "runs": "1-3"}


def test_a_second_call_transfers_nothing(dataset, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "got").rglob("*.gz")}
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    assert dataset.read() == set()
    dry = call_fetch(dataset, "--dry-run", **SMALL)
    assert "to be fetched: 0 files, 0 bytes" in dry.err and dataset.read() == set()
    assert before == {path: path.stat().st_mtime_ns for path in before} and len(before) == 4


def test_what_is_new_in_the_bucket_is_fetched(dataset, nsd, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    new = gzip.compress(b"another", mtime=0)
    dataset.put(f"some/where/{RUN.format(1, 2)}", new)
    call_fetch(dataset, **SMALL)
    assert dataset.read() == {f"some/where/{RUN.format(1, 2)}"}
    assert (tmp_path / "got" / RUN.format(1, 2)).read_bytes() == new
    dataset.put(f"some/where/{RUN.format(1, 2)}", (nsd / RUN.format(1, 2)).read_bytes())


def test_verify_reads_all_of_it(dataset, tmp_path, call_fetch):
    call_fetch(dataset, **SMALL)
    assert "7 files" in call_fetch(dataset, "--verify", **SMALL).err
    path = tmp_path / "got" / RUN.format(1, 2)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    call_fetch(dataset, **SMALL)  # size and record are right: not seen
    call_fetch(dataset, "--verify", fails=f"{path.name}: its MD5 is", **SMALL)
    path.unlink()
    call_fetch(dataset, "--verify", fails=f"{path.name}: is not there", **SMALL)
    call_fetch(dataset, **SMALL)
    call_fetch(dataset, "--verify", **SMALL)


def test_verify_knows_what_no_etag_tells(dataset, tmp_path, call_fetch):
    """The MD5 of what was fetched is in the record."""
    dataset.put_parts("some/where/odd.bin", random.Random(6).randbytes(7 << 20), 6 << 20)
    how = {**extras("odd.bin"), "sessions": 1, "runs": 1, "targets": ["packed"]}
    call_fetch(dataset, **how)
    call_fetch(dataset, "--verify", **how)
    path = tmp_path / "got/odd.bin"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    call_fetch(dataset, "--verify", fails="odd.bin: its MD5 was", **how)


def test_files_that_were_there_before(dataset, nsd, tmp_path, call_fetch):
    """One that is the bucket's is taken as it is; one that is not is nobody's to overwrite, until told so."""
    mine, other = tmp_path / "got" / RUN.format(1, 1), tmp_path / "got" / RUN.format(1, 2)
    mine.parent.mkdir(parents=True)
    mine.write_bytes((nsd / RUN.format(1, 1)).read_bytes())
    call_fetch(dataset, **SMALL)
    assert f"some/where/{RUN.format(1, 1)}" not in dataset.read() and len(dataset.read()) == 6
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err

    journal = tmp_path / "got/.fetch/done.jsonl"
    journal.unlink()
    for wrong in (b"my own", bytes(len((nsd / RUN.format(1, 2)).read_bytes()))):
        other.write_bytes(wrong)
        call_fetch(dataset, fails=f"{other.name}: was there before and is not what the bucket has", **SMALL)
        assert other.read_bytes() == wrong
    call_fetch(dataset, "--replace", **SMALL)
    assert other.read_bytes() == (nsd / RUN.format(1, 2)).read_bytes()


def test_a_record_that_was_cut_off(dataset, tmp_path, call_fetch):
    """A crash in the middle of a line costs a comparison, and nothing else."""
    call_fetch(dataset, **SMALL)
    journal = tmp_path / "got/.fetch/done.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines)[:-20])
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    assert "0 bytes were transferred" in call_fetch(dataset, **SMALL).err
    whole = [line for line in journal.read_text().splitlines() if line.endswith("}")]
    assert {json.loads(line)["path"] for line in whole} == tree_files(tmp_path / "got").keys()


def test_faults_on_the_way_do_not_show(dataset, nsd, tmp_path, call_fetch):
    """All at once, and in the listing too."""
    dataset.faults("run01.nii.gz", cut(1000), status(503), flip(5000))
    dataset.faults("run02.nii.gz", status(500, "InternalError"), cut(0))
    dataset.faults("run03.tsv", flip(0), cut(10))
    dataset.faults("nsdgeneral.nii.gz", also(slow(0.2), cut(50)))
    call_fetch(dataset, **SMALL)
    assert not any(dataset.plans.values())
    got = tree_files(tmp_path / "got")
    assert len(got) == 7 and all(data == (nsd / name).read_bytes() for name, data in got.items())


def test_one_failure_does_not_stop_the_others(dataset, tmp_path, call_fetch):
    dataset.faults("run02.nii.gz", *[status(403, "AccessDenied")] * 9)
    said = call_fetch(dataset, fails="run02.nii.gz: access is denied", **SMALL)
    assert "5 of 4" not in said.err
    assert len(tree_files(tmp_path / "got")) == 6
    dataset.plans.clear()
    call_fetch(dataset, **SMALL)
    assert dataset.read() == {f"some/where/{RUN.format(1, 2)}"}


def test_bids(server, tmp_path, call_fetch):
    """Sidecars, events and dataset_description.json come along; what other tasks need does not."""
    root = makebids.raw(tmp_path / "bids", subjects=("01", "02"), sessions=("a", "b"))
    makebids.raw(tmp_path / "other", task="rest")
    for path in (tmp_path / "other").rglob("*_task-rest_*"):
        target = root / path.relative_to(tmp_path / "other")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    makebids.write(root / "participants.tsv", "participant_id\n")
    makebids.write(root / "derivatives/rois/V1.nii.gz", "")
    (root / "derivatives/rois/V1.nii.gz").write_bytes(gzip.compress(b"roi"))
    server.new_bucket(f"bids-{next(NUMBERS)}")
    server.tree(root, "ds000114/")
    layout = {"preset": "bids", "entities": {"task": "look"}}
    how = {"prefix": "ds000114", "layout": layout, "sessions": "a", "subjects": 2, "rois": {"V1": "V1"}}
    call_fetch(server, **how)
    got = tree_files(tmp_path / "got")
    names = {"dataset_description.json", "task-look_bold.json", "derivatives/rois/V1.nii.gz"}
    for run, kind in ((1, "bold.nii.gz"), (2, "bold.nii.gz"), (1, "events.tsv"), (2, "events.tsv")):
        names.add(f"sub-02/ses-a/func/sub-02_ses-a_task-look_run-{run}_{kind}")
    assert got.keys() == names and server.read() == {f"ds000114/{name}" for name in names}
    assert all(data == (root / name).read_bytes() for name, data in got.items())


# What is refused


REFUSED = {
    "no such bucket": ({"url": "s3://no-such-bucket-here"}, "there is no such bucket; correct remote: url"),
    "no such folder": ({}, "no run is there; correct root or layout"),
    "no credentials": ({"anonymous": False}, "no credentials were found; set remote: .anonymous"),
    "no such profile": ({"anonymous": False, "profile": "nobody"}, "profile .*nobody.* correct profile"),
    "nobody there": ({"endpoint": "http://127.0.0.1:9", "retries": 1}, "the connection fails .*2 attempts"),
    "no url": ({"endpoint": "nonsense"}, "Invalid endpoint: nonsense; correct profile, region or endpoint"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused(dataset, tmp_path, call_fetch, why):
    settings, words = REFUSED[why]
    call_fetch(dataset, fails=words, remote=settings, prefix="some/where" if settings else "else/where")
    assert not tree_files(tmp_path / "got") if (tmp_path / "got").exists() else True


def test_tls(dataset, call_fetch, tmp_path):
    """A certificate that nobody vouches for."""
    import ssl
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    pem = tmp_path / "own.pem"
    done = subprocess.run([*made, "-keyout", str(pem), "-out", f"{pem}.crt"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pem}.crt", pem)
    https = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    https.handle_error = lambda *args: None
    https.socket = context.wrap_socket(https.socket, server_side=True)
    threading.Thread(target=https.serve_forever, daemon=True).start()
    endpoint = f"https://127.0.0.1:{https.server_address[1]}"
    call_fetch(dataset, fails="certificate cannot be trusted .*; set AWS_CA_BUNDLE", remote={"endpoint": endpoint})
    https.shutdown()


def test_a_private_bucket(server, tmp_path, call_fetch, monkeypatch):
    """Nothing without credentials, everything with them."""
    server.new_bucket(f"private-{next(NUMBERS)}")
    server.tree(makebids.raw(tmp_path / "bids"))
    server.client.put_bucket_acl(Bucket=server.bucket, ACL="private")
    for page in server.client.list_objects_v2(Bucket=server.bucket)["Contents"]:
        server.client.put_object_acl(Bucket=server.bucket, Key=page["Key"], ACL="private")
    how = {"prefix": "", "layout": {"preset": "bids"}, "sessions": "all", "targets": ["packed"]}
    call_fetch(server, fails="access is denied .*; without credentials", **how)
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    call_fetch(server, remote={"anonymous": False}, **how)
    assert len(tree_files(tmp_path / "got")) == 6


def test_a_disk_that_is_too_small(dataset, tmp_path, call_fetch, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("", (), {"free": 1000})())
    call_fetch(dataset, fails="are to be fetched and 1 kB are free; make room", **SMALL)
    assert not [name for name in tree_files(tmp_path / "got") if name.endswith(".gz")]


def test_two_at_a_time(dataset, tmp_path, call_fetch):
    (tmp_path / "got").mkdir()
    lock = download.alone(str(tmp_path / "got"))
    call_fetch(dataset, fails="another fetch is at work there", **SMALL)
    os.close(lock)
    call_fetch(dataset, **SMALL)


def test_extras_that_are_not_there(dataset, call_fetch):
    call_fetch(dataset, fails="stimuli is no path, and layout: extras has images, experiment", **extras("stimuli"))
    call_fetch(dataset, fails="is not in the bucket; correct remote: extras", **extras("nsddata/x/{subject}.txt"))


def extras(*names):
    return {**SMALL, "remote": {"extras": list(names)}}


# The program


@pytest.fixture
def command(dataset, tmp_path):
    config = {"root": str(tmp_path / "got"), **SMALL, "remote": remote(dataset, "some/where")}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    return [sys.executable, str(ROOT / "rules"), "fetch"]


def test_the_program(dataset, command, tmp_path):
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert len(tree_files(tmp_path / "got")) == 7
    assert last_line(done.stderr).startswith("fetch: 7 files (")
    for options, code, words in (
        (["--config", "subjects=7"], 1, "no run of subject 7"),
        (["--config", "subjects"], 1, "is not KEY=VALUE"),
        (["--config", "remote={what: 1}"], 1, "what"),
        (["--configfile", "nothing.yaml"], 1, "nothing.yaml: cannot be read"),
        (["--stdout", "s3://a/b"], 2, "--stdout needs --settings"),
        (["--what"], 2, "usage"),
    ):
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code and words in done.stderr, (options, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_download_is_gone_on_with(dataset, nsd, command, tmp_path, how):
    dataset.put(f"some/where/{RUN.format(1, 2)}", DATA)
    dataset.faults("run02.nii.gz", stall(120))
    command += ["--config", "remote={timeout: 100}"]
    with (tmp_path / "said").open("wb") as said:
        child = subprocess.Popen(command, cwd=tmp_path, stderr=said)
    until = time.monotonic() + 30 * PATIENCE
    while sum(path.stat().st_size for path in (tmp_path / "got").rglob("*run02.nii.gz*.part")) < len(DATA) // 3:
        assert time.monotonic() < until, (tmp_path / "said").read_text()
        time.sleep(0.05)
    child.send_signal(how)
    begun = time.monotonic()
    status = child.wait(30 * PATIENCE)
    assert time.monotonic() - begun < 15 * PATIENCE
    assert status == (-9 if how == signal.SIGKILL else 128 + how)
    left = parts(tmp_path / "got")
    assert any(name.startswith(".timeseries_session01_run02.nii.gz.") for name in left)
    dataset.plans.clear()
    dataset.log.clear()
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert not parts(tmp_path / "got")
    assert [request.start > 0 for request in dataset.gets("run02.nii.gz")] == [True]
    got = tree_files(tmp_path / "got")
    assert len(got) == 7 and got.pop(RUN.format(1, 2)) == DATA
    assert all(data == (nsd / name).read_bytes() for name, data in got.items())
    dataset.put(f"some/where/{RUN.format(1, 2)}", (nsd / RUN.format(1, 2)).read_bytes())


# To a pipe


@pytest.fixture
def piped(s3):
    """fetch --stdout of an object: (status, bytes, messages)."""

    def piped(name=NAME, stdout=subprocess.PIPE):
        settings = json.dumps({**DEFAULTS, **remote(s3)})
        words = ["--stdout", f"s3://{s3.bucket}/{name}", "--settings", settings]
        command = [sys.executable, str(ROOT / "rules"), "fetch", *words]
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    return piped


def test_stdout(s3, piped):
    assert piped()[:2] == (0, DATA)
    s3.faults(NAME, cut(100_000), status(503), cut(2_000_000))
    assert piped()[:2] == (0, DATA)
    s3.put("small", b"x")
    assert piped("small")[:2] == (0, b"x")


@pytest.mark.parametrize("fault", [flip(100), flip(-1)])
def test_what_comes_damaged_stays_without_its_end(s3, piped, fault):
    """Whoever reads the pipe sees gzip that ends early, even if nobody looks at our status."""
    s3.faults(NAME, fault)
    code, data, said = piped()
    assert code == 1 and "its MD5 is" in said
    assert len(data) <= len(DATA) - transfer.HELD
    s3.put("small.gz", PACKED := gzip.compress(b"small", mtime=0))
    s3.faults("small.gz", flip(len(PACKED) - 1))
    assert piped("small.gz")[:2] == (1, b"")


def test_stdout_of_what_is_not_there(piped):
    code, data, said = piped("nothing")
    assert code == 1 and data == b"" and "is not in the bucket" in said


def test_stdout_ends_with_its_reader(s3, bucket):
    """Also while it waits for the network."""
    s3.faults(NAME, stall(30))
    settings = json.dumps({**DEFAULTS, **remote(s3, timeout=60)})
    words = ["--stdout", f"s3://{s3.bucket}/{NAME}", "--settings", settings]
    child = subprocess.Popen([sys.executable, str(ROOT / "rules"), "fetch", *words], stdout=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    assert child.wait(5 * PATIENCE) in (141, 1, -signal.SIGPIPE)


def test_an_object_has_a_size_and_an_etag(bucket):
    assert bucket.head(NAME) == Object(len(DATA), bucket.listed("a/")[1]["b.nii.gz"].etag)
