"""What the download judges bytes and names by: gzip trailers, ETags, patterns in a bucket's listing."""

import glob
import gzip
import hashlib
import os
import random
import time
import zlib
from itertools import count, cycle
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT

from dataset.files import Disk, Either, Tree
from dataset.patterns import Pattern
from fetch import together, transfer
from fetch.bucket import Bucket, Object, Trouble
from fetch.checks import Damaged, Digest, Gzip
from operate import tidy

TEXT = random.Random(1).randbytes(5000) + b"boldmill" * 3000
PACKED, EMPTY = gzip.compress(TEXT, mtime=0), gzip.compress(b"", mtime=0)


def through(check, data, step):
    for at in range(0, len(data), step):
        check.feed(data[at : at + step])
    return check.finish()


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("data", [PACKED, PACKED * 3, PACKED + bytes(700), EMPTY, b"plain", b""])
def test_gzip_that_is_right(data, step):
    name = "a.nii.gz" if data[:1] == b"\x1f" else "a.nii"
    through(Gzip(name), data, step)


@pytest.mark.parametrize("step", [7, 1 << 20])
def test_every_cut_of_gzip_is_found(step):
    """A file of two members; a cut between them leaves a good file."""
    data, first = PACKED + gzip.compress(b"more", mtime=0), len(PACKED)
    for end in [*range(1, 30), *range(first - 30, len(data))]:
        if end == first:
            through(Gzip("a.gz"), data[:end], step)
        else:
            with pytest.raises(Damaged):
                through(Gzip("a.gz"), data[:end], step)


@pytest.mark.parametrize(
    "data",
    [b"x" + PACKED, PACKED + b"x", PACKED + bytes(9) + b"x", PACKED + b"\x1f", b"", b"<html>", bytes(100)],
)
def test_what_is_named_gz_and_is_not(data):
    with pytest.raises(Damaged):
        through(Gzip("a.nii.gz"), data, 4096)


def test_flipped_bits_of_gzip_are_found_where_gzip_finds_them():
    rng = random.Random(2)
    for _ in range(300):
        data = bytearray(PACKED)
        data[rng.randrange(10, len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises((OSError, EOFError, zlib.error)):
            gzip.decompress(bytes(data))  # the witness
        with pytest.raises(Damaged):
            through(Gzip("a.gz"), bytes(data), 4096)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_md5(step):
    etag = hashlib.md5(TEXT).hexdigest()
    assert through(Digest(len(TEXT), etag), TEXT, step) == "md5"
    for wrong in (TEXT[:-1], TEXT + b"x", TEXT[:-1] + b"x", TEXT[1:] + TEXT[:1]):
        with pytest.raises(Damaged):
            through(Digest(len(TEXT), etag), wrong, step)


def test_md5_in_capitals():
    """As some servers have it: it is compared, too."""
    etag = hashlib.md5(TEXT).hexdigest().upper()
    assert through(Digest(len(TEXT), etag), TEXT, 1 << 20) == "md5"
    with pytest.raises(Damaged, match="its MD5 is"):
        through(Digest(len(TEXT), etag), TEXT[:-1] + b"x", 1 << 20)
    assert through(Digest(len(TEXT), parts_etag(TEXT, 1000).upper(), 1000), TEXT, 1 << 20) == "parts"


def parts_etag(data, size):
    hashes = [hashlib.md5(data[at : at + size]).digest() for at in range(0, len(data), size)]
    return f"{hashlib.md5(b''.join(hashes)).hexdigest()}-{len(hashes)}"


@pytest.mark.parametrize("size", [1000, len(TEXT) // 2, len(TEXT), len(TEXT) + 1])
@pytest.mark.parametrize("step", [333, 1 << 20])
def test_etag_of_an_upload_in_parts(size, step):
    etag = parts_etag(TEXT, size)
    assert through(Digest(len(TEXT), etag, size), TEXT, step) == "parts"
    with pytest.raises(Damaged, match="its parts"):
        through(Digest(len(TEXT), etag, size), TEXT[:-1] + b"x", step)
    # an unusual part size: nothing is known, unless there is one part alone
    assert through(Digest(len(TEXT), etag), TEXT, step) == ("parts" if size >= len(TEXT) else "size")
    assert through(Digest(len(TEXT), "opaque"), TEXT, step) == "size"


def test_usual_part_sizes_are_tried():
    data = bytes(17 << 20)
    assert through(Digest(len(data), parts_etag(data, 8 << 20)), data, 1 << 20) == "parts"
    assert through(Digest(len(data), parts_etag(data, 5 << 20)), data, 1 << 20) == "parts"


# Names


def tree_of(root):
    """The folder as a bucket would list it."""

    def listed(folder):
        entries = list(os.scandir(folder)) if os.path.isdir(folder) else []
        return [e.name for e in entries if e.is_dir()], {e.name: None for e in entries if e.is_file()}

    return Tree(str(root), listed)


def preset_patterns():
    for path in sorted((ROOT / "config/presets").glob("*.yaml")):
        for value in yaml.safe_load(path.read_text()).get("layout", {}).values():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and "{" in text and "/" in text:
                    yield text


def test_patterns_find_the_same_in_a_listing_and_on_the_disk(nsd, tmp_path):
    import makebids

    makebids.raw(tmp_path / "odd [root]*", subjects=("01", "02"), sessions=("a", "b"))
    makebids.raw(tmp_path / "plain")
    found = 0
    for root in (nsd, tmp_path / "odd [root]*", tmp_path / "plain"):
        for text in preset_patterns():
            pattern = Pattern.parse(text).under(str(root))
            on_disk = pattern.find()
            assert pattern.find(tree_of(root)) == on_disk
            assert pattern.find(Either(tree_of(root), Disk())) == on_disk
            found += len(on_disk)
    assert found > 100


def test_hidden_files_are_nobodys(tmp_path):
    for name in ("V1.nii", ".V2.nii", ".part/V3.nii", "roi/V4.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    for text in ("{roi}.nii", "{task}/{roi}.nii"):
        found = Pattern.parse(text).under(str(tmp_path)).find(tree_of(tmp_path))
        assert [file.labels["roi"] for file in found] == ["V1" if text == "{roi}.nii" else "V4"]


def test_a_listing_is_asked_for_no_more_than_the_way(nsd):
    asked = []
    tree = tree_of(nsd)
    inner, tree.listed = tree.listed, lambda folder: asked.append(folder) or inner(folder)
    text = "nsddata/ppdata/subj{subject}/func1pt8mm/roi/{roi}.nii.gz"
    assert Pattern.parse(text).fill(subject="01").under(str(nsd)).find(tree)
    way = ["", "nsddata", "nsddata/ppdata", "nsddata/ppdata/subj01", "nsddata/ppdata/subj01/func1pt8mm"]
    assert asked == [os.path.join(nsd, *part.split("/"), "") for part in [*way, f"{way[-1]}/roi"]]


ENTRY = {"Key": "a", "Size": 1, "ETag": '"x"'}
LISTS = [
    ({}, "not whole"),
    ({"IsTruncated": True}, "not whole"),
    ({"IsTruncated": True, "NextContinuationToken": "again"}, "has no end"),
    *(({"IsTruncated": False, "Contents": [ENTRY | odd]}, "not whole") for odd in ({"Size": -1}, {"Size": -(2**70)})),
    *(
        ({"IsTruncated": False, "Contents": [{k: v for k, v in ENTRY.items() if k != key}]}, "not whole")
        for key in ENTRY
    ),
    *(({"IsTruncated": False, "Contents": [ENTRY | {"Key": key}]}, "was not asked for") for key in ("a/b", "/a")),
    ({"IsTruncated": False, "CommonPrefixes": [{"Prefix": "a/b/"}]}, "was not asked for"),
]


@pytest.mark.parametrize("answer, says", LISTS)
def test_lists_that_are_none(answer, says):
    """Of a server that is broken or means harm: neither an empty folder nor a request without end."""
    settings = {"url": "s3://bucket", "pause": 0, "retries": 2, "parallel": 1}
    bucket = Bucket(settings)
    bucket.made = SimpleNamespace(list_objects_v2=lambda **asked: answer)
    with pytest.raises(Trouble, match=says):
        bucket.listed("")
    bucket.made = SimpleNamespace(list_objects_v2=lambda **asked: {"IsTruncated": False, "Contents": [ENTRY]})
    assert bucket.listed("") == ([], {"a": Object(1, "x")})


def bucket_of(**answers):
    """A bucket whose client answers so."""
    bucket = Bucket({"url": "s3://bucket", "pause": 0, "retries": 2, "parallel": 1})
    bucket.made = SimpleNamespace(**answers)
    return bucket


def test_a_list_that_goes_round():
    """Tokens A, B, A, B, ..."""
    tokens, asked = cycle("AB"), count()

    def answer(**how):
        assert next(asked) < 9
        return {"IsTruncated": True, "NextContinuationToken": next(tokens)}

    with pytest.raises(Trouble, match="has no end"):
        bucket_of(list_objects_v2=answer).listed("")


def test_an_answer_that_the_client_cannot_read():
    def answer(**how):
        return {"ContentLength": int("many")}

    with pytest.raises(Trouble, match="the server's answer cannot be read .*many.*; run it again later"):
        bucket_of(head_object=answer).head("a")


@pytest.mark.parametrize("answer", [{}, {"ETag": "x"}, {"ContentLength": 5}, {"ContentLength": int, "ETag": "x"}])
def test_sizes_of_parts_that_are_not_told(answer):
    """Then usual ones are tried."""

    def head(**how):
        return {key: value("many") if value is int else value for key, value in answer.items()}

    assert bucket_of(head_object=head).part_size("a", Object(10, "0" * 32 + "-2")) is None


def test_names_that_are_none_of_a_file():
    """Folders and files below s3://bucket/a/ whose names a disk cannot have, or that lead elsewhere."""
    keys = ("", ".", "..", "A", "a", "caf\xe9", "cafe\u0301", "a\nb", "a\0b", "-rf", "*")
    found = {"Contents": [ENTRY | {"Key": f"a/{key}"} for key in keys]}
    found |= {"CommonPrefixes": [{"Prefix": f"a/{key}/"} for key in keys], "IsTruncated": False}
    folders, files = bucket_of(list_objects_v2=lambda **how: found).listed("a/")
    assert folders == list(files) == [key for key in keys if key not in ("", ".", "..", "a\0b")]


def test_a_long_list_takes_as_long_as_it_is():
    """Four times as many pages take about four times as long, not sixteen."""

    def seconds(pages):
        def answer(ContinuationToken=0, **how):
            keys = range(ContinuationToken * 1000, (ContinuationToken + 1) * 1000)
            more = {"NextContinuationToken": ContinuationToken + 1} if ContinuationToken + 1 < pages else {}
            return {"IsTruncated": bool(more), "Contents": [ENTRY | {"Key": str(key)} for key in keys], **more}

        begun = time.thread_time()
        assert len(bucket_of(list_objects_v2=answer).listed("")[1]) == pages * 1000
        return time.thread_time() - begun

    short = min(seconds(100) for _ in range(3))
    assert seconds(400) < 8 * short


@pytest.mark.parametrize("etag", ['"x"', "x", 'W/"x"'])
def test_quotes_of_an_etag(etag):
    assert bucket_of(head_object=lambda **how: {"ContentLength": 5, "ETag": etag}).head("a") == Object(5, "x")


def test_an_object_without_a_length():
    bucket = Bucket({"url": "s3://bucket", "pause": 0, "retries": 2, "parallel": 1})
    for answer in ({}, {"ContentLength": 5}, {"ETag": "x"}, {"ContentLength": -5, "ETag": "x"}):
        bucket.made = SimpleNamespace(head_object=lambda answer=answer, **asked: answer)
        with pytest.raises(Trouble, match="length and ETag"):
            bucket.head("a")


def test_what_a_bucket_says_does_not_reach_the_terminal_as_it_is(capsys):
    """A name that would clear the screen, and one that would write a line of ours."""
    bucket = Bucket({"url": "s3://bucket", "parallel": 1})
    assert bucket.url("a\x1b[2J\nfetch: all is well\x9b") == "s3://bucket/a\\x1b[2J\\nfetch: all is well\\x9b"
    assert bucket.url("gr\xfc\xdfe") == "s3://bucket/gr\xfc\xdfe"
    together.say("two\nlines\x1b[2J\r")
    assert capsys.readouterr().err == "fetch: two\nlines\\x1b[2J\\r\n"


def test_partial_files_of_others_stay(tmp_path):
    """Of a name that begins like ours, and of one so long that a longer one could not be made."""
    wanted, names = Object(5, "x"), ("a", "a.b", "c" * 255, "c" * 254)
    parts = {name: Path(transfer.part_name(str(tmp_path / name), wanted)) for name in names}
    for part in parts.values():
        part.write_text("part")
    other = Path(transfer.part_name(str(tmp_path / "a"), Object(6, "x")))
    other.write_text("of another object")
    for name in ("a", "c" * 255):
        transfer.drop_other_parts(str(tmp_path / name), str(parts[name]))
    assert {path.name for path in tmp_path.iterdir()} == {part.name for part in parts.values()}
    assert len(set(parts.values())) == len(names) and all(tidy.PART.fullmatch(part.name) for part in parts.values())


def test_names_outside_of_the_root(nsd, tmp_path):
    tree = tree_of(nsd)
    inside = glob.glob(f"{nsd}/nsddata/experiments/nsd/*.mat")
    assert len(inside) == 1 and tree.exists(inside[0])
    for path in (str(tmp_path / "x"), f"{nsd}/../{nsd.name}/x", "relative/x"):
        assert not tree.exists(path) and tree.glob(path) == []
    (tmp_path / "x").write_text("")
    both = Either(tree, Disk())
    assert both.exists(str(tmp_path / "x")) and both.local(str(tmp_path / "x")) == str(tmp_path / "x")


def test_the_page_knows_all_settings():
    page = (ROOT / "docs/download.md").read_text()
    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text())
    for key in schema["properties"]["remote"]["properties"]:
        assert f"`{key}`" in page or f"`{key}:" in page, key
