"""Series files and tile streams: what other readers see, round trips in any order, and streams that are not whole."""

import io
import json
import time
import zlib

import h5py
import numpy as np
import pytest
from conftest import bold, write_nifti
from oracle import make_run, read_stream, rows_of_design, write_stream

TYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")


def some_run(rows=20, cols=37, dtype="<i2", history=3, seed=0, **head):
    rng = np.random.default_rng(seed + rows)
    data = (
        rng.normal(0, 30, (rows, cols)).astype(dtype) if dtype != "|u1" else rng.integers(0, 99, (rows, cols), "u1")
    )
    column = [(k % 3 == 0) * int(rng.integers(1, 9)) for k in range(rows)]
    head.setdefault("run", seed + 1)
    meta = rows_of_design(column, tr=1.5, history=history, run=head["run"]) if history else None
    return make_run(data.astype(dtype), meta=meta, **head)


def different_runs(**how):
    """Three runs, no two of the same length."""
    return [some_run(rows, seed=k, label=f"run {k}", **how) for k, rows in enumerate((20, 33, 5))]


def same(got, wanted, tile_cols=False):
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted, strict=True):
        ignored = {"steps"} | (set() if tile_cols else {"tile_cols"})
        assert {k: v for k, v in g.head.items() if k not in ignored} == {
            k: v for k, v in w.head.items() if k not in ignored
        }
        assert np.array_equal(g.voxels, w.voxels)
        assert g.data.dtype == w.data.dtype and g.data.tobytes() == w.data.tobytes()
        assert (g.meta is None) == (w.meta is None)
        assert g.meta is None or g.meta.tobytes() == w.meta.tobytes()
        assert w.counts.items() <= g.counts.items()


def through_h5(run, tmp_path, runs, *args):
    run("concat", *args, "-", tmp_path / "x.h5", stdin=write_stream(runs))
    return tmp_path / "x.h5"


# What h5py sees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_h5py_sees_one_matrix(run, tmp_path, dtype):
    runs = different_runs(dtype=dtype)
    with h5py.File(through_h5(run, tmp_path, runs)) as f:
        assert np.array_equal(f["fmri"][...], np.vstack([r.data for r in runs]))
        assert f["fmri"].dtype == np.dtype(dtype)
        assert np.array_equal(f["fmri"][25:54:7, 3:30:5], np.vstack([r.data for r in runs])[25:54:7, 3:30:5])
        assert np.array_equal(f["metadata"][...], np.concatenate([r.meta for r in runs]))
        assert f["metadata"].dtype == runs[0].meta.dtype
        assert np.array_equal(f["voxels"][...], runs[0].voxels)
        table = f["run_table"][...]
        assert table["first_row"].tolist() == [0, 20, 53] and table["rows"].tolist() == [20, 33, 5]
        assert table["run"].tolist() == [1, 2, 3] and table["session"].tolist() == [1, 1, 1]
        assert table["label"].tolist() == [b"run 0", b"run 1", b"run 2"]
        for k, r in enumerate(runs):
            assert np.array_equal(f[f"runs/{k + 1:04d}/fmri"][...], r.data)
        assert f.attrs["dims"].tolist() == [7, 6, 5] and f.attrs["tr"] == 1.5
        assert np.array_equal(f.attrs["affine"][:3], runs[0].head["affine"])
        assert f.attrs["schema"] == 1 or int(f.attrs["schema"]) == 1


def test_links_stay_in_the_file(run, tmp_path):
    """The file may be renamed and moved: its virtual dataset must not look for a file of the old name."""
    runs = different_runs()
    path = through_h5(run, tmp_path, runs)
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "y.h5")
    with h5py.File(moved) as f:
        assert np.array_equal(f["fmri"][...], np.vstack([r.data for r in runs]))
        assert {v.file_name for v in f["fmri"].virtual_sources()} == {"."}
    same(read_stream(run("concat", moved, "-").out), runs)


def test_a_series_without_rows_has_no_metadata(run, tmp_path):
    runs = different_runs(history=0)
    path = through_h5(run, tmp_path, runs)
    with h5py.File(path) as f:
        assert "metadata" not in f or f["metadata"].shape == (0,)
    same(read_stream(run("concat", path, "-").out), runs)


# Round trips --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("tile_cols", [1, 16, 37, 1024])
def test_stream_to_file_to_stream(run, tmp_path, dtype, tile_cols):
    runs = different_runs(dtype=dtype, tile_cols=tile_cols, slope=0.25, inter=-3.5, tr=0.75)
    same(read_stream(run("concat", through_h5(run, tmp_path, runs), "-").out), runs)


@pytest.mark.parametrize("chain", [["-"], ["h5"], ["npys"], ["h5", "npys", "-", "h5"], ["-", "h5", "h5", "npys"]])
def test_any_chain_gives_the_same_bits(run, tmp_path, chain):
    runs = different_runs()
    blob = write_stream(runs)
    for k, kind in enumerate(chain):
        if kind == "-":
            blob = run("concat", "-", "-", stdin=blob).out
        else:
            path = tmp_path / f"{k}.{kind}"
            run("concat", "-", path, stdin=blob)
            blob = run("concat", path, "-").out
    same(read_stream(blob), runs)


@pytest.mark.parametrize(
    "stages",
    [
        [("detrend",)],
        [("zscore",)],
        [("hrfshift", "--design", "{folder}/d{run:d}.tsv")],
        [("applymask", "--roi", "{folder}/roi.npy")],
        [("detrend", "--order", "2"), ("zscore", "--dtype", "float16"), ("applymask", "--roi", "{folder}/roi.npy")],
    ],
)
def test_programs_do_the_same_with_files_and_pipes(run, tmp_path, stages):
    """Stream to stream, file to file and mixed: the same runs, whatever lies between the stages."""
    runs = different_runs(history=0)
    np.save(tmp_path / "roi.npy", np.arange(210) % 3 == 1)
    for k, r in enumerate(runs):
        (tmp_path / f"d{k + 1}.tsv").write_text("".join(f"{t % 4}\n" for t in range(r.head["rows"])))
    stages = [[part.replace("{folder}", str(tmp_path)) for part in stage] for stage in stages]
    blob = write_stream(runs)
    piped = read_stream(run.pipe(*[(*stage, "-", "-") for stage in stages], stdin=blob))
    assert piped[0].data.any()
    for kinds in (("h5", "h5"), ("npys", "h5"), ("h5", "npys")):
        source = tmp_path / f"in.{kinds[0]}"
        run("concat", "-", source, stdin=blob)
        for k, stage in enumerate(stages):
            target = tmp_path / f"out{k}.{kinds[1]}"
            run(*stage, source, target)
            source = target
        same(read_stream(run("concat", source, "-").out), piped)


def test_header_values_survive(run, tmp_path):
    label = 'a "quoted" \\ name, ünïcödé, ' + "long " * 60
    affine = [[0.1, 1 / 3, -2e-3, -6.123456789], [1e-7, 2.0, 0, -5], [0, 0, 2.0, 4.000000001]]
    how = {"label": label.strip(), "affine": affine, "tr": 4 / 3, "subject": 8, "session": 40, "run": 14}
    how |= {"slope": 0.1, "inter": -1 / 3, "absent": "unknown", "categories": ["a", "b c", "é"]}
    steps = [{"program": "scanner", "version": "1", "settings": {"x": 1.5}}]
    made = some_run(**how, steps=steps)
    made.counts.update({"nifti2h5.dropped_volumes": 2**53 - 1, "x.y": 0})
    (got,) = read_stream(run("concat", through_h5(run, tmp_path, [made]), "-").out)
    same([got], [made])
    assert got.head["steps"][0] == steps[0]


def test_numpy_reads_what_the_programs_write(run, tmp_path):
    """Array by array, and every header padded to 64 bytes."""
    path = write_nifti(tmp_path / "timeseries_session01_run01.nii.gz", bold())
    blob, at = run("nifti2h5", path, "-").out, 0
    with (tmp_path / "x.npys").open("wb") as f:
        f.write(blob)
    with (tmp_path / "x.npys").open("rb") as f:
        while at < len(blob):
            assert np.lib.format.read_magic(f) == (1, 0)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(f)
            assert (f.tell() - at) % 64 == 0 and not fortran
            f.seek(int(np.prod(shape)) * dtype.itemsize, 1)
            at = f.tell()
    assert at == len(blob)


# Determinism --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["h5", "npys"])
@pytest.mark.parametrize("name", ["nifti2h5", "detrend", "zscore", "applymask", "concat"])
def test_threads_do_not_change_bytes(run, tmp_path, name, kind):
    """Same inputs, same settings, same bytes: with one thread or many, now or later."""
    np.save(tmp_path / "roi.npy", np.arange(210) % 3 == 1)
    paths = []
    for k in (1, 2, 3):
        data = bold(seed=k, volumes=20 + k)
        paths.append(write_nifti(tmp_path / f"timeseries_session01_run{k:02d}.nii.gz", data))
    if name != "nifti2h5":
        (tmp_path / "in.npys").write_bytes(write_stream(different_runs(tile_cols=4, dtype="<f4")))
        paths = [tmp_path / "in.npys"]
    extra = ["--roi", tmp_path / "roi.npy"] if name == "applymask" else []
    out = tmp_path / f"out.{kind}"
    results = set()
    for threads in (1, 2, 5, 1):
        run(name, *extra, "--threads", threads, *paths, out)
        results.add(out.read_bytes())
        out.unlink()
    assert len(results) == 1


def test_names_of_outputs_and_the_clock_do_not_change_bytes(run, tmp_path):
    (tmp_path / "in.npys").write_bytes(write_stream(different_runs()))
    blobs = []
    for name in ("a.h5", "bb.h5", "c.hdf5"):
        run("concat", tmp_path / "in.npys", tmp_path / name)
        blobs.append((tmp_path / name).read_bytes())
        time.sleep(1.1)  # HDF5 can store times to the second
    assert len(set(blobs)) == 1


# Streams and files that are not whole -------------------------------------------------------------------------------


def every_reader(folder, rows):
    """The programs that read a series, each with what else it needs."""
    np.save(folder / "roi.npy", np.arange(210) % 3 == 1)
    for k, n in enumerate(rows):
        (folder / f"d{k + 1}.tsv").write_text("0\n1\n" * (n // 2) + "0\n" * (n % 2))
    return {
        "detrend": [],
        "zscore": [],
        "hrfshift": ["--design", folder / "d{run:d}.tsv"],
        "applymask": ["--roi", folder / "roi.npy"],
        "concat": [],
        "boldinfo": None,
    }


def short_runs():
    return [some_run(rows, 9, seed=k, label=f"r{k}", tile_cols=4) for k, rows in enumerate((4, 5))]


def sections(blob):
    """Where each array of a stream begins, and its data: the offsets where a cut is most likely to pass unseen."""
    f, at = io.BytesIO(blob), []
    while f.tell() < len(blob):
        at.append(f.tell())
        np.lib.format.read_magic(f)
        shape, _, dtype = np.lib.format.read_array_header_1_0(f)
        at.append(f.tell())
        f.seek(int(np.prod(shape)) * dtype.itemsize, 1)
    return at


@pytest.mark.parametrize("name", ["detrend", "zscore", "hrfshift", "applymask", "concat", "boldinfo"])
def test_a_stream_cut_anywhere_is_refused(run, tmp_path, name):
    """At each boundary, one byte to either side, and at odd places between: never a success, never a file."""
    blob = write_stream(short_runs())
    args = every_reader(tmp_path, (4, 5))[name]
    edges = {e + d for e in sections(blob) for d in (-1, 0, 1)} | set(range(40, len(blob), 531))
    edges |= set(range(len(blob) - 3, len(blob)))
    out = tmp_path / "out.h5"
    for end in sorted(e for e in edges if 0 <= e < len(blob)):
        command = [*args, "-", out] if args is not None else ["--verify", "-"]
        done = run.any(name, *command, stdin=blob[:end])
        assert done.status == 1 and done.err.startswith(f"{name}: standard input: "), (end, done)
        assert not out.exists(), end
    run(name, *([*args, "-", out] if args is not None else ["--verify", "-"]), stdin=blob)


@pytest.mark.parametrize("name", ["concat", "boldinfo"])
def test_a_stream_with_a_flipped_bit_is_refused(run, tmp_path, name):
    blob = write_stream(short_runs())
    out = tmp_path / "out.h5"
    rng = np.random.default_rng(3)
    for bit in map(int, rng.integers(0, len(blob) * 8, 60)):
        bad = bytearray(blob)
        bad[bit // 8] ^= 1 << bit % 8
        done = run.any(name, *(["-", out] if name == "concat" else ["--verify", "-"]), stdin=bad)
        assert done.status == 1 and not out.exists(), (bit, done)


def test_a_stream_with_something_behind_its_end_is_refused(run, tmp_path):
    blob = write_stream(short_runs())
    run.fails("concat", "-", tmp_path / "out.h5", stdin=blob + b"x", says="standard input")
    run.fails("concat", "-", tmp_path / "out.h5", stdin=blob + blob, says="standard input")
    assert not (tmp_path / "out.h5").exists()


LIES = {
    "rows": {"rows": 2**40},
    "cols": {"cols": 2**40},
    "tile": {"tile_cols": 0},
    "tile-huge": {"tile_cols": 2**31},
    "history": {"history": 2**31},
    "dtype": {"dtype": "|O"},
    "big": {"dtype": ">i2"},
    "slope": {"slope": "1"},
    "dims": {"dims": [7, 6, -5]},
    "dims-two": {"dims": [7, 6]},
    "dims-wrap": {"dims": [2**31, 2**31, 2**31]},
    "affine": {"affine": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
    "tr": {"tr": 0},
    "schema": {"schema": 2},
    "label": {"label": 5},
    "session": {"session": -1},
    "session-huge": {"session": 2**40},
    "negative": {"rows": -4},
    "real": {"rows": 4.5},
}


@pytest.mark.parametrize("what", LIES)
def test_headers_that_lie(run, tmp_path, what):
    made = short_runs()[0]
    blob = write_stream([made], heads=[made.head | LIES[what]])
    run.fails("concat", "-", tmp_path / "out.h5", stdin=blob, says="standard input")
    assert not (tmp_path / "out.h5").exists()


def test_a_stream_that_is_shorter_than_its_header_says(run, tmp_path):
    """64 MiB of samples are claimed; of a file it is known at once that they are not there."""
    made = make_run(np.ones((4, 2), "<i2"), tile_cols=2)
    (tmp_path / "x.npys").write_bytes(write_stream([made], heads=[made.head | {"rows": 2**24}]))
    run.fails("concat", tmp_path / "x.npys", tmp_path / "out.h5", says="too short for the samples")


@pytest.mark.parametrize("voxels", ["descending", "twice", "negative", "beyond"])
def test_voxels_that_cannot_be(run, tmp_path, voxels):
    made = short_runs()[0]
    changed = {"descending": made.voxels[::-1], "twice": np.repeat(made.voxels[:5], 2)[:9]}
    changed |= {"negative": made.voxels - 4, "beyond": made.voxels + 201}
    made.voxels = np.ascontiguousarray(changed[voxels])
    run.fails("concat", "-", tmp_path / "out.h5", stdin=write_stream([made]), says="standard input")


@pytest.mark.parametrize("store", ["deflate", "plain"])
def test_a_series_file_cut_short_or_damaged_is_refused(run, tmp_path, store):
    path = through_h5(run, tmp_path, different_runs(), "--store", store)
    blob = path.read_bytes()
    bad = tmp_path / "bad.h5"
    for end in (8, 512, len(blob) // 2, len(blob) - 33):
        bad.write_bytes(blob[:end])
        run.fails("concat", bad, tmp_path / "out.h5", says="bad.h5")
    for end in (len(blob) - 32, len(blob) - 1):  # all is there, but for the seal
        bad.write_bytes(blob[:end])
        run.fails("boldinfo", "--verify", bad, says="bad.h5: has no checksum at its end")
    with h5py.File(path) as f:
        place = f["runs/0002/fmri"].id.get_chunk_info(0)
    for at in (place.byte_offset + 3, place.byte_offset + place.size // 2, place.byte_offset + place.size - 1):
        changed = bytearray(blob)
        changed[at] ^= 0x10
        bad.write_bytes(changed)
        run.fails("concat", bad, tmp_path / "out.h5", says="bad.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", ["detrend", "zscore", "denoise", "applymask", "concat"])
def test_an_output_in_the_place_of_an_input_is_refused(run, tmp_path, name):
    path = through_h5(run, tmp_path, different_runs())
    blob, link = path.read_bytes(), tmp_path / "link.h5"
    link.symlink_to(path.name)
    mask = tmp_path / "mask.npy"
    np.save(mask, np.ones(different_runs()[0].head["dims"], bool))
    options = ["--roi", mask] if name == "applymask" else []
    for output in (path, link):
        run.fails(name, *options, path, output, says=f"{output.name}: is an input, too; choose another", status=2)
    assert path.read_bytes() == blob and link.is_symlink()


def test_flipped_bits_in_a_series_file_never_change_what_is_read(run, tmp_path):
    """Anywhere in the file: either an error, or exactly what was written."""
    runs = different_runs()
    path = through_h5(run, tmp_path, runs)
    blob, bad = path.read_bytes(), tmp_path / "bad.h5"
    rng = np.random.default_rng(11)
    refused = 0
    for bit in map(int, rng.integers(0, len(blob) * 8, 80)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        bad.write_bytes(changed)
        done = run.any("concat", bad, "-", timeout=20)
        assert done.status in (0, 1), (bit, done.status, done.err)
        refused += done.status
        if done.status == 0:
            same(read_stream(done.out), runs)
    assert refused > 20


@pytest.mark.parametrize("what", ["external", "soft", "virtual", "other"])
def test_series_files_that_reach_out_of_themselves(run, tmp_path, what):
    """A series file from a stranger must not make us read another file."""
    runs = different_runs()
    path = through_h5(run, tmp_path, runs)
    secret = tmp_path / "secret.h5"
    secret.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as f:
        data = f["runs/0002/fmri"][...]
        del f["runs/0002/fmri"]
        if what == "external":
            f["runs/0002/fmri"] = h5py.ExternalLink(str(secret), "/runs/0002/fmri")
        elif what == "soft":
            f["runs/0002/fmri"] = h5py.SoftLink("/runs/0001/fmri")
        elif what == "virtual":
            layout = h5py.VirtualLayout(shape=data.shape, dtype=data.dtype)
            layout[...] = h5py.VirtualSource(str(secret), "runs/0002/fmri", shape=data.shape)
            f["runs/0002"].create_virtual_dataset("fmri", layout)
        else:
            raw = [(str(secret), 0, data.nbytes)]
            f.create_dataset("runs/0002/fmri", shape=data.shape, dtype=data.dtype, external=raw)
    run.fails("concat", path, tmp_path / "out.h5", says="x.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_tile_too_small_for_what_its_header_says(run, tmp_path):
    """64 MiB of samples are claimed where a chunk of 12 bytes is stored, checksum and all."""
    path = through_h5(run, tmp_path, [make_run(np.ones((4, 2), "<i2"), tile_cols=2)])
    rows, packed = 2**24, zlib.compress(bytes(9))
    with h5py.File(path, "r+") as f:
        group = f["runs/0001"]
        head = json.loads(group["header"][()].tobytes()) | {"rows": rows}
        for name in ("header", "fmri", "tile_crc32"):
            del group[name]
        group.create_dataset(
            "header", data=np.frombuffer(json.dumps(head).encode(), "u1"), chunks=True, fletcher32=True
        )
        how = {"chunks": (rows, 2), "shuffle": True, "compression": "gzip"}
        group.create_dataset("fmri", shape=(rows, 2), dtype="<i2", **how).id.write_direct_chunk((0, 0), packed)
        group.create_dataset("tile_crc32", data=np.array([zlib.crc32(packed)], "<u4"), chunks=True, fletcher32=True)
    run.fails("concat", path, tmp_path / "out.h5", says="too few bytes for its samples")


def test_hdf5_of_another_kind(run, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["fmri"] = np.zeros((5, 5), "f4")
    run.fails("concat", tmp_path / "other.h5", tmp_path / "out.h5", says="other.h5")


def test_runs_of_one_file_share_their_voxels(run, tmp_path):
    """A series file is one matrix: a run of other voxels is an error that names both; a stream may carry it."""
    runs = [some_run(label="one"), some_run(label="two", seed=1, voxels=np.arange(40, 77))]
    run.fails("detrend", "-", tmp_path / "out.h5", stdin=write_stream(runs), says="two")
    assert not (tmp_path / "out.h5").exists()
    got = read_stream(run("detrend", "-", "-", stdin=write_stream(runs)).out)
    assert got[1].voxels[0] == 40
