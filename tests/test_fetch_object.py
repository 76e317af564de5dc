"""One object from a bucket behind a proxy that breaks things on purpose: to a file, and to a pipe."""
# ruff: noqa: F401, F811 - imported fixtures

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from conftest import PATIENCE, ROOT

pytest.importorskip("boto3", reason="boto3 is not installed; make .venv/ready installs it")
pytest.importorskip("moto", reason="moto is not installed; make .venv/ready installs it")

from fetching import (
    DATA,
    DEFAULTS,
    FAULTS,
    NAME,
    bucket,
    in_pieces,
    no_credentials,
    parts,
    remote,
    s3,
    server,
    small_pieces,
    take,
    wait_out,
)
from s3server import also, call, chunked, cut, flip, headers, replace, stall, status

from fetch import transfer
from fetch.bucket import Bucket, Object, Trouble


def test_a_file_is_what_the_object_is(take, in_pieces, tmp_path):
    assert take() == ("md5", len(DATA))
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA and not parts(tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_waited_for(s3, bucket, take, tmp_path, fault):
    wait_out(s3, bucket, take, tmp_path, fault)


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


def test_etags_that_a_proxy_made_weak(s3, take, in_pieces, tmp_path):
    s3.weak = True
    s3.faults(NAME, cut(100_000))
    assert take()[0] == "md5"
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


def test_a_server_that_calls_the_same_object_another(s3, take):
    s3.faults(NAME, *[status(412, "PreconditionFailed")] * 3)
    with pytest.raises(Trouble, match="is another by now, and names the same ETag"):
        take()


def test_an_answer_without_a_length(s3, take, in_pieces, tmp_path):
    s3.faults(NAME, *[chunked] * 13)
    assert take() == ("md5", len(DATA))
    s3.faults(NAME, also(chunked, replace(DATA[:70_000])), also(chunked, replace(DATA[:80_000])))
    (tmp_path / "b.nii.gz").unlink()
    assert take()[0] == "md5"
    assert (tmp_path / "b.nii.gz").read_bytes() == DATA


@pytest.mark.parametrize("sent", [(), (chunked,)])
def test_a_proxy_that_packs_what_it_passes_on(s3, take, tmp_path, sent):
    packed = also(replace(gzip.compress(DATA)), headers(Content_Encoding="gzip"), *sent)
    s3.faults(NAME, *[packed] * 4)
    with pytest.raises(Trouble, match=r"bytes where \d+ are due, packed anew \(gzip\) by a proxy"):
        take()
    assert not (tmp_path / "b.nii.gz").exists()
    s3.faults(NAME, headers(Content_Encoding="gzip"))  # it is only called so, as some programs upload it
    assert take() == ("md5", len(DATA))


# Answers that mean: not here, not so

MOVED = {"Location": "https://login.example.org/x?secret=1"}
REGION = {"x-amz-bucket-region": "eu-west-1"}
ANSWERS = {
    "moved": (301, MOVED, "sends us on to login.example.org; where that is right, give remote: endpoint"),
    "found elsewhere": (302, MOVED, "sends us on to login.example.org"),
    "moved for now": (307, MOVED, "sends us on to login.example.org"),
    "moved for good": (308, MOVED, "sends us on to login.example.org"),
    "moved, who knows where": (301, {}, "sends us on to another address"),
    "another region": (301, REGION, "is in eu-west-1; set remote: {region: eu-west-1}"),
    "another region, signed for ours": (400, REGION, "is in eu-west-1; set remote: {region: eu-west-1}"),
    "no name": (401, {}, "access is denied"),
    "something else": (418, {}, "the server says 418; correct the section remote"),
}


@pytest.mark.parametrize("which", ANSWERS)
@pytest.mark.parametrize("ask", ["head", "listed"])
def test_answers_that_say_what_to_do(which, ask):
    """In one line, after a few requests, and without what only the server should know."""
    number, given, words = ANSWERS[which]
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(number)
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    quick = {"anonymous": True, "pause": 0.01, "retries": 1, "timeout": 5, "parallel": 1}
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    bucket = Bucket({**DEFAULTS, **quick, "url": "s3://bucket", "endpoint": endpoint})
    try:
        with pytest.raises(Trouble) as told:
            getattr(bucket, ask)("a/")
    finally:
        server.shutdown()
        server.server_close()
    assert words in str(told.value) and "secret" not in str(told.value) and len(asked) <= 3


def test_bandwidth(bucket, tmp_path):
    meter, begun = transfer.Meter(2 * len(DATA)), time.monotonic()
    transfer.to_file(bucket, NAME, bucket.head(NAME), str(tmp_path / "b.nii.gz"), meter)
    assert 0.35 < time.monotonic() - begun < 60 * PATIENCE


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
