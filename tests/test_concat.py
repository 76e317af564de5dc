"""concat: sessions joined in the order given, and arrays that numpy maps as they are."""

import hashlib
import json
import mmap
import os
import zlib

import h5py
import numpy as np
import pytest
from oracle import make_run, read_stream, rows_of_design, write_stream


def part(session, run=1, rows=20, dtype="<f4", cols=37, history=4, **head):
    """One run with metadata, its values told apart by session and run."""
    rng = np.random.default_rng(100 * session + run)
    data = (
        rng.normal(0, 1, (rows, cols)).astype(dtype)
        if dtype[1] == "f"
        else rng.integers(-99, 99, (rows, cols), dtype)
    )
    column = [(k % 3 == 0) * int(rng.integers(1, 9)) for k in range(rows)]
    meta = rows_of_design(column, tr=1.5, history=history, session=session, run=run) if history else None
    return make_run(data, meta=meta, session=session, run=run, label=f"s{session:02d}r{run:02d}", **head)


def saved(folder, *parts, name=None):
    path = folder / (name or f"{parts[0].head['label']}.npys")
    path.write_bytes(write_stream(parts))
    return path


def arrays(target):
    fmri = np.load(target, mmap_mode="r")
    stem = str(target).removesuffix(".fmri.npy")
    with open(f"{stem}.json") as f:
        return fmri, np.load(f"{stem}.meta.npy"), json.load(f)


PARTS = [(2, 1, 20), (2, 2, 26), (1, 2, 20), (3, 1, 13)]


@pytest.fixture
def parts(tmp_path):
    made = [part(*p) for p in PARTS]
    return made, [saved(tmp_path, p) for p in made]


def test_arrays(run, parts, tmp_path):
    made, paths = parts
    target = tmp_path / "roi.fmri.npy"
    run("concat", *paths, target)
    fmri, meta, info = arrays(target)
    assert np.array_equal(fmri, np.vstack([p.data for p in made])) and fmri.dtype == np.float32
    assert np.array_equal(meta, np.concatenate([p.meta for p in made])) and meta.dtype == made[0].meta.dtype
    assert fmri.flags.c_contiguous
    assert info["boldmill"] == "arrays" and info["schema"] == 1
    assert info["voxels"] == made[0].voxels.tolist()
    assert info["grid"]["dims"] == [7, 6, 5] and np.shape(info["grid"]["affine"]) in ((3, 4), (4, 4))
    assert info["tr"] == 1.5 and info["subject"] == 1
    firsts = np.cumsum([0] + [p[2] for p in PARTS])
    table = [(r["label"], r["session"], r["run"], r["first_row"], r["rows"]) for r in info["runs"]]
    assert table == [(f"s{s:02d}r{k:02d}", s, k, firsts[i], n) for i, (s, k, n) in enumerate(PARTS)]
    sessions = [(s["session"], s["first_row"], s["rows"]) for s in info["sessions"]]
    assert sessions == [(2, 0, 46), (1, 46, 20), (3, 66, 13)]


def test_arrays_file_by_file(run, parts, tmp_path):
    """The checksums are those of the files, shapes and types those of the arrays; data begin on a page boundary."""
    _, paths = parts
    target = tmp_path / "roi.fmri.npy"
    run("concat", *paths, target)
    fmri, meta, info = arrays(target)
    for key, array in (("fmri", fmri), ("meta", meta)):
        path = tmp_path / info[key]["file"]
        assert path.name == f"roi.{key}.npy"
        assert info[key]["shape"] == list(array.shape)
        crc = int(info[key]["crc32"], 16)
        blob = path.read_bytes()
        assert crc in (zlib.crc32(blob), zlib.crc32(array.tobytes()))
    assert info["meta"]["history"] == 4
    with open(target, "rb") as f:
        np.lib.format.read_magic(f)
        np.lib.format.read_array_header_1_0(f)
        assert f.tell() % mmap.PAGESIZE == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_stored_type(run, parts, tmp_path, dtype):
    made, paths = parts
    run("concat", "--dtype", dtype, *paths, tmp_path / "roi.fmri.npy")
    fmri, _, info = arrays(tmp_path / "roi.fmri.npy")
    assert np.array_equal(fmri, np.vstack([p.data for p in made]).astype(dtype))
    assert fmri.dtype == dtype and dtype in (info["fmri"]["dtype"], np.dtype(info["fmri"]["dtype"]).name)


def test_integers_become_values(run, tmp_path):
    """Arrays hold values: the scaling of packed runs is applied, rounded once."""
    made = [part(1, k, dtype="<i2", slope=0.1 * k, inter=-7.3) for k in (1, 2)]
    run("concat", *[saved(tmp_path, p) for p in made], tmp_path / "roi.fmri.npy")
    fmri = arrays(tmp_path / "roi.fmri.npy")[0]
    assert np.array_equal(fmri, np.vstack([p.values for p in made]).astype("f4"))


@pytest.mark.parametrize("tiles", [(1, 1, 1, 1), (5, 16, 37, 1024)])
def test_width_of_tiles(run, tmp_path, tiles):
    made = [part(*p, tile_cols=w) for p, w in zip(PARTS, tiles, strict=True)]
    run("concat", *[saved(tmp_path, p) for p in made], tmp_path / "roi.fmri.npy")
    assert np.array_equal(arrays(tmp_path / "roi.fmri.npy")[0], np.vstack([p.data for p in made]))


@pytest.mark.parametrize("kind", [".h5", ".npys", "-"])
def test_to_a_series(run, parts, tmp_path, kind):
    made, paths = parts
    target = "-" if kind == "-" else tmp_path / f"out{kind}"
    done = run("concat", *paths, target)
    blob = done.out if kind == "-" else run("concat", target, "-").out
    for got, wanted in zip(read_stream(blob), made, strict=True):
        assert np.array_equal(got.data, wanted.data) and np.array_equal(got.meta, wanted.meta)
        assert got.head["label"] == wanted.head["label"]


def test_mixed_inputs(run, parts, tmp_path):
    """A file, a series file and standard input, in the order given."""
    made, paths = parts
    run("concat", paths[1], paths[2], tmp_path / "two.h5")
    args = [paths[0], tmp_path / "two.h5", "-", tmp_path / "roi.fmri.npy"]
    run("concat", *args, stdin=paths[3].read_bytes())
    assert np.array_equal(arrays(tmp_path / "roi.fmri.npy")[0], np.vstack([p.data for p in made]))


def test_the_same_bytes_by_any_way(run, parts, tmp_path):
    """One call over all, or in two steps over a series file: the arrays are the same bytes."""
    _, paths = parts
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    run("concat", *paths, a / "roi.fmri.npy")
    run("concat", *paths, tmp_path / "all.h5")
    run("concat", tmp_path / "all.h5", b / "roi.fmri.npy")
    run("concat", *paths, a / "roi.fmri.npy")
    for name in ("roi.fmri.npy", "roi.meta.npy"):
        assert hashlib.sha256((a / name).read_bytes()).digest() == hashlib.sha256((b / name).read_bytes()).digest()


def test_without_metadata(run, tmp_path):
    """Arrays of runs without rows: either the rows are left out, or the error says how to attach them."""
    made = part(1, history=0)
    done = run.any("concat", saved(tmp_path, made), tmp_path / "roi.fmri.npy")
    if done.status == 0:
        assert np.array_equal(np.load(tmp_path / "roi.fmri.npy"), made.data)
        assert not (tmp_path / "roi.meta.npy").exists()
    else:
        assert done.status == 1 and "hrfshift" in done.err
        assert not (tmp_path / "roi.fmri.npy").exists()


# Sessions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["1,2,3", "1-3", "3,1-2"])
def test_sessions_that_must_be_there(run, parts, tmp_path, spec):
    _, paths = parts
    run("concat", "--sessions", spec, *paths, tmp_path / "roi.fmri.npy")
    assert [s["session"] for s in arrays(tmp_path / "roi.fmri.npy")[2]["sessions"]] == [2, 1, 3]
    run.fails("concat", "--sessions", spec, *paths[:3], tmp_path / "all.h5", says="session 3")
    assert not (tmp_path / "all.h5").exists()


def test_session_that_was_not_asked_for(run, parts, tmp_path):
    _, paths = parts
    run.fails("concat", "--sessions", "1-2", *paths, tmp_path / "roi.fmri.npy", says="session 3")
    assert not (tmp_path / "roi.fmri.npy").exists()


GAPS = {"session": ([(1, 1), (3, 1)], "session 2"), "run": ([(1, 1), (1, 2), (2, 1), (2, 3)], "run 2")}


@pytest.mark.parametrize("what", GAPS)
def test_gaps_are_errors_unless_allowed(run, tmp_path, what):
    numbers, missing = GAPS[what]
    made = [part(*n) for n in numbers]
    args = [*(saved(tmp_path, p) for p in made), tmp_path / "roi.fmri.npy"]
    run.fails("concat", *args, says=missing)
    assert not (tmp_path / "roi.fmri.npy").exists()
    run("concat", "--allow-gaps", *args)
    assert np.array_equal(np.load(tmp_path / "roi.fmri.npy"), np.vstack([p.data for p in made]))


@pytest.mark.parametrize("target", ["roi.fmri.npy", "all.h5"])
def test_the_same_run_twice(run, parts, tmp_path, target):
    _, paths = parts
    run.fails("concat", paths[0], paths[1], paths[0], tmp_path / target, says=["session 2", "run 1", "twice"])
    assert not (tmp_path / target).exists()


def test_a_session_that_is_broken_in_two(run, parts, tmp_path):
    """Session 2, then 1, then 2 again is no order of sessions."""
    _, paths = parts
    run.fails("concat", paths[0], paths[2], paths[1], tmp_path / "roi.fmri.npy", says="session 2")


# Parts that do not fit ----------------------------------------------------------------------------------------------


ODD = {
    "voxels": {"voxels": np.arange(4, 41)},
    "cols": {"cols": 36},
    "dims": {"dims": [7, 6, 6]},
    "affine": {"affine": [[2.0, 0, 0, -6], [0, 2.0, 0, -5], [0, 0, 2.5, -4]]},
    "tr": {"tr": 2.0},
    "subject": {"subject": 4},
    "history": {"history": 2},
    "no-rows": {"history": 0},
}


@pytest.mark.parametrize("what", ODD)
def test_parts_that_do_not_fit(run, parts, tmp_path, what):
    _, paths = parts
    odd = saved(tmp_path, part(4, **ODD[what]), name="odd.npys")
    run.fails("concat", *paths, odd, tmp_path / "roi.fmri.npy", says="s04r01")
    left = set(os.listdir(tmp_path)) - {p.name for p in paths}
    assert left == {"odd.npys"}


def test_damage_in_a_later_part_leaves_the_old_arrays(run, parts, tmp_path):
    _, paths = parts
    target = tmp_path / "roi.fmri.npy"
    run("concat", *paths, target)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("roi.*")}
    assert len(before) == 3
    paths[3].write_bytes(paths[3].read_bytes()[:-40])
    run.fails("concat", *paths, target, says=paths[3].name)
    assert {p.name: p.read_bytes() for p in tmp_path.glob("roi.*")} == before


@pytest.mark.parametrize("text", ['{"RepetitionTime": 1.5}', '{"boldmill": "quality"}', "", "[1, 2]"])
def test_a_json_that_is_not_ours_stays(run, parts, tmp_path, text):
    """Who writes arrays NAME.npy has not named NAME.json: it may be the sidecar of a scan."""
    _, paths = parts
    (tmp_path / "sub-01_bold.json").write_text(text)
    run.fails("concat", *paths, tmp_path / "sub-01_bold.npy", status=2, says=["sub-01_bold.json", "not ours"])
    assert (tmp_path / "sub-01_bold.json").read_text() == text and not (tmp_path / "sub-01_bold.npy").exists()


def test_h5py_reads_runs_of_different_lengths_as_one_matrix(run, parts, tmp_path):
    made, paths = parts
    run("concat", *paths, tmp_path / "all.h5")
    with h5py.File(tmp_path / "all.h5") as f:
        assert np.array_equal(f["fmri"][...], np.vstack([p.data for p in made]))
        assert np.array_equal(f["metadata"][...], np.concatenate([p.meta for p in made]))


def test_two_subjects(run, tmp_path):
    """In a stream each has its own sessions; files are kept apart."""
    made = [part(*which, history=0, subject=subject) for *which, subject in ((1, 1, 1), (2, 1, 1), (1, 1, 2))]
    blob = write_stream(made)
    got = read_stream(run("concat", "-", "-", stdin=blob).out)
    assert [(r.head["subject"], r.head["session"]) for r in got] == [(1, 1), (1, 2), (2, 1)]
    for name in ("x.h5", "x.fmri.npy"):
        run.fails("concat", "-", tmp_path / name, stdin=blob, says="keep subjects apart")
    back = write_stream([*made, part(1, 2, history=0, subject=1)])
    run.fails("concat", "-", "-", stdin=back, says="session 1 comes back after others")
    assert list(tmp_path.iterdir()) == []


def test_a_session_beyond_any_list(run, tmp_path):
    blob = write_stream([part(20000)])
    run.fails(
        "concat", "--sessions", "1-9999", "-", tmp_path / "x.npys", stdin=blob, says="session 20000 is not one of"
    )
    assert list(tmp_path.iterdir()) == []
