"""boldinfo: what a file is, as text and as JSON, and whether it is whole."""

import json

import h5py
import numpy as np
import pytest
from conftest import bold, write_nifti
from oracle import make_run, rows_of_design, sealed, write_stream


@pytest.fixture
def artifacts(run, tmp_path):
    """One artifact of every kind, all of the same two runs."""
    made = []
    for k, rows in enumerate((20, 25)):
        column = [(t % 3 == 0) * (t + 1) for t in range(rows)]
        meta = rows_of_design(column, tr=1.5, session=6, run=k + 1, subject=2)
        data = np.random.default_rng(k).normal(0, 30, (rows, 37)).astype("<f4")
        how = {"session": 6, "run": k + 1, "subject": 2, "label": f"r{k}"}
        made.append(make_run(data, meta=meta, counts={"zscore.constant_voxels": 3 + k}, **how))
    (tmp_path / "s.npys").write_bytes(write_stream(made))
    run("concat", tmp_path / "s.npys", tmp_path / "s.h5")
    run("concat", tmp_path / "s.npys", tmp_path / "s.fmri.npy")
    write_nifti(tmp_path / "s.nii.gz", bold(), slope=0.5, inter=2)
    return tmp_path


KINDS = ["s.npys", "s.h5", "s.json", "s.nii.gz", "s.fmri.npy", "s.meta.npy"]


def leaves(value):
    """Every scalar and every list of scalars in a JSON value."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [value, *(leaf for item in value for leaf in leaves(item))]
    return [value]


@pytest.mark.parametrize("name", KINDS)
def test_text_names_the_file_and_its_size(run, artifacts, name):
    text = run("boldinfo", artifacts / name).text
    assert name in text
    wanted = {"s.nii.gz": ["7", "24", "int16", "0.5"], "s.meta.npy": ["45"], "s.fmri.npy": ["45", "37", "float32"]}
    for word in wanted.get(name, ["20", "25", "37", "float32", "7x6x5"]):
        assert word in text, word


@pytest.mark.parametrize("name", KINDS)
def test_json(run, artifacts, name):
    info = json.loads(run("boldinfo", "--json", artifacts / name).text)
    info = info[0] if isinstance(info, list) else info
    found = leaves(info)
    assert str(artifacts / name) in found or name in found
    if name == "s.nii.gz":
        assert [7, 6, 5] in found and {24, 0.5, 2, 1.5} <= {v for v in found if isinstance(v, int | float)}
    elif name in ("s.npys", "s.h5", "s.json"):
        runs = info["runs"]
        assert [(r["session"], r["run"], r["rows"], r["label"]) for r in runs] == [(6, 1, 20, "r0"), (6, 2, 25, "r1")]
        assert [r["counts"]["zscore.constant_voxels"] for r in runs] == [3, 4]
        assert [7, 6, 5] in found and 37 in found or 37 in map(len, filter(lambda v: isinstance(v, list), found))


def test_many_files_in_one_call(run, artifacts):
    paths = [artifacts / k for k in KINDS]
    info = json.loads(run("boldinfo", "--json", *paths).text)
    assert len(info) == len(KINDS)
    text = run("boldinfo", *paths).text
    assert all(k in text for k in KINDS)


def test_one_bad_file_among_good_ones_is_told_by_the_status(run, artifacts):
    (artifacts / "bad.npys").write_bytes((artifacts / "s.npys").read_bytes()[:-9])
    done = run.fails("boldinfo", "--verify", artifacts / "s.h5", artifacts / "bad.npys", artifacts / "s.npys")
    assert "bad.npys" in done.err


@pytest.mark.parametrize("name", KINDS)
def test_verify_passes_what_is_whole(run, artifacts, name):
    run("boldinfo", "--verify", artifacts / name)
    run("boldinfo", "--verify", "--json", artifacts / name)


def tile_bytes(path):
    with h5py.File(path) as f:
        place = f["runs/0002/fmri"].id.get_chunk_info(0)
    return range(place.byte_offset, place.byte_offset + place.size)


@pytest.mark.parametrize("name", ["s.npys", "s.h5", "s.json", "s.nii.gz"])
@pytest.mark.parametrize("where", [0.35, 0.6, 0.9])
def test_verify_finds_a_flipped_byte(run, artifacts, name, where):
    """In the data of the artifact; s.json vouches for the arrays beside it."""
    path = artifacts / {"s.json": "s.fmri.npy"}.get(name, name)
    blob = bytearray(path.read_bytes())
    places = tile_bytes(path) if name == "s.h5" else range(4096 if name == "s.json" else 0, len(blob))
    at = places[int(where * len(places))]
    blob[at] ^= 0x04
    path.write_bytes(blob)
    run.fails("boldinfo", "--verify", artifacts / name, says=path.name)


def test_verify_finds_changed_rows_and_missing_arrays(run, artifacts):
    meta = artifacts / "s.meta.npy"
    blob = bytearray(meta.read_bytes())
    blob[-5] ^= 1
    meta.write_bytes(blob)
    run.fails("boldinfo", "--verify", artifacts / "s.json", says="s.meta.npy")
    meta.unlink()
    run.fails("boldinfo", "--verify", artifacts / "s.json", says="s.meta.npy")


def test_a_json_that_points_elsewhere(run, artifacts):
    """NAME.json names files beside itself and no others."""
    path = artifacts / "s.json"
    info = json.loads(path.read_text())
    (artifacts / "sub").mkdir()
    info["fmri"]["file"] = "../s.fmri.npy"
    del info["crc32"]
    (artifacts / "sub" / "s.json").write_bytes(sealed(info))
    (artifacts / "sub" / "s.meta.npy").write_bytes((artifacts / "s.meta.npy").read_bytes())
    run.fails("boldinfo", "--verify", artifacts / "sub" / "s.json", says="s.json")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1, 2", b"\x93NUMPY\x01\x00", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08\x00"]
)
def test_files_of_no_kind(run, tmp_path, content):
    (tmp_path / "what.bin").write_bytes(content)
    run.fails("boldinfo", tmp_path / "what.bin", says="what.bin")


def test_from_a_pipe(run, artifacts):
    info = json.loads(run("boldinfo", "--json", "-", stdin=(artifacts / "s.npys").read_bytes()).text)
    info = info[0] if isinstance(info, list) else info
    assert [r["rows"] for r in info["runs"]] == [20, 25]
