"""Large objects in pieces, several at a time, from a bucket behind a proxy that breaks things on purpose."""
# ruff: noqa: F401, F811 - imported fixtures

import gzip
import os
import random
import signal
import threading
import time

import pytest
from conftest import PATIENCE

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")

from fetching import DATA, NAME, bucket, no_credentials, parts, s3, server, small_pieces, take, wait_out
from s3server import call, cut, flip, slow, stall, status

from fetch import transfer
from fetch.bucket import Trouble


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
    wait_out(s3, bucket, take, tmp_path, fault)


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
