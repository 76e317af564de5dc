"""docs/formats.md is true: its code reads real files, and its tables list just what the programs write."""

import io
import json
import re
import subprocess
import sys
import types
import zlib

import h5py
import nibabel as nib
import numpy as np
import pytest
from conftest import PROGRAMS, ROOT, bold, write_nifti
from oracle import make_run, row_dtype, rows_of_design, write_stream

from operate import summary, whole

TEXT = (ROOT / "docs/formats.md").read_text()
SHUFFLE = (ROOT / "docs/shuffle.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
OPAQUE = (
    "counts",
    "settings",
    "steps",
    "step",
    "inputs",
    "values",
    "labels",
    "entities",
    "fields",
)  # have tables of their own


def table(title):
    """What the first column of the table called `title` lists in backticks."""
    found = re.search(rf"^\| {re.escape(title)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert found, f"no table {title!r} in docs/formats.md"
    keys = [key for line in found[1].splitlines() for key in re.findall(r"`([^`]+)`", line.split("|")[1])]
    assert len(set(keys)) == len(keys), f"a key twice in the table {title!r}"
    return set(keys)


def paths(value, prefix=""):
    """Every key of nested JSON, as `runs[].label`."""
    for key, item in value.items():
        yield prefix + key
        items = item if isinstance(item, list) else [item]
        for each in items:
            if isinstance(each, dict) and key not in OPAQUE:
                yield from paths(each, f"{prefix}{key}{'[]' if each is not item else ''}.")


def keys(*objects):
    return {path for each in objects for path in paths(each)}


@pytest.fixture(scope="module")
def code():
    """What the Python on the page defines."""
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/formats.md", "exec"), names)
    return types.SimpleNamespace(**names)


@pytest.fixture(scope="module")
def tree(nsd):
    series = nsd / "nsddata_timeseries/ppdata/subj01/func1pt8mm"
    return types.SimpleNamespace(
        runs=sorted((series / "timeseries").glob("timeseries_session01_run0[1-3].nii.gz")),
        design=series / "design/design_session{session}_run{run}.tsv",
        roi=nsd / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz",
        truth=nsd / "ground_truth",
    )


@pytest.fixture(scope="module")
def made(run, tree, tmp_path_factory):
    """Real outputs of every kind; streams as bytes."""
    folder = tmp_path_factory.mktemp("formats")
    raw = run("nifti2h5", "--design", tree.design, *tree.runs, "-").out
    run("nifti2h5", "--design", tree.design, *tree.runs, folder / "packed.h5")
    cleaned = [["applymask", "--roi", tree.roi, "-", "-"], ["detrend", "-", "-"], ["denoise", "-", "-"]]
    cleaned += [["zscore", "-", "-"]]
    labelled = run.pipe(*cleaned, ["hrfshift", "--design", tree.design, "-", "-"], stdin=raw)
    for name in ("labelled.h5", "roi.fmri.npy"):
        run("concat", "-", folder / name, stdin=labelled)
    run("concat", "-", folder / "bare.fmri.npy", stdin=raw)
    run("shuffleidx", "--split", "train=0.5,test=0.5", "--by", "run", folder / "roi.meta.npy", folder / "split.npy")
    odd = bold(dtype=np.float32)
    odd[3, 3, 2, 5] = np.nan
    odd = write_nifti(folder / "sub-02_run-01_bold.nii", odd, header=lambda h: h.set_xyzt_units("mm"))
    with open(odd, "ab") as f:
        f.write(b"behind")
    floats = run("nifti2h5", odd, "-").out
    gaps = write_stream([make_run(np.ones((4, 3), "<f4"), times=[1, 2, 5, 6])])
    run("boldqc", "-", folder / "gaps.quality.json", stdin=gaps)
    run("boldqc", folder / "packed.h5", folder / "quality.json")
    gaps = run("hrfshift", "--shift", "linear", "-", "-", stdin=gaps).out
    run("concat", "-", folder / "gaps.fmri.npy", stdin=gaps)
    return types.SimpleNamespace(folder=folder, raw=raw, labelled=labelled, odd=odd, floats=floats, gaps=gaps)


def headers(code, *streams):
    return [head for data in streams for head, *_ in code.read_checked(data)]


def footers(code, *streams):
    return [foot for data in streams for *_, foot in code.read_checked(data)]


def load_json(path):
    return json.loads(path.read_text())


# The code -----------------------------------------------------------------------------------------------------------


def test_the_reader_is_ten_lines():
    reader = next(block for block in BLOCKS if "def read_stream" in block)
    body = reader[reader.index("def read_stream") :].strip().splitlines()
    assert len(body) <= 11  # the ten, and what it is for


def test_stream_of_scanned_runs(code, made, tree):
    """Header, voxels and samples are those of the NIfTI files, as nibabel reads them."""
    runs = list(code.read_stream(io.BytesIO(made.raw)))
    brain = sum(np.abs(np.asarray(nib.load(path).dataobj)).sum(-1) for path in tree.runs) > 0
    for (head, voxels, meta, samples, foot), path in zip(runs, tree.runs, strict=True):
        image = nib.load(path)
        assert meta is None and head["dims"] == list(image.shape[:3])
        assert np.array_equal(voxels, np.flatnonzero(brain))
        assert np.array_equal(samples, np.asarray(image.dataobj)[brain].T[: head["rows"]])
        assert np.allclose(head["affine"], image.affine[:3]) and head["label"] == path.name.split(".")[0]
        assert foot["counts"]["nifti2h5.dropped_volumes"] == image.shape[3] - head["rows"]


def test_stream_of_another_writer(code):
    """A stream that numpy wrote, with scaling, metadata and a narrow last tile."""
    rng = np.random.default_rng(0)
    data = rng.integers(-99, 99, (20, 37)).astype("<i2")
    meta = rows_of_design([3, 0, 0, 5] * 5, tr=1.5)
    blob = write_stream([make_run(data, meta=meta, slope=0.5), make_run(data[:7, :5], tile_cols=5, run=2)])
    one, two = code.read_checked(blob)
    assert np.array_equal(one[3], data) and np.array_equal(one[2], meta) and one[0]["slope"] == 0.5
    assert np.array_equal(two[3], data[:7, :5]) and two[2] is None


def test_our_programs_read_what_the_page_allows(run, code):
    data = np.arange(60, dtype="<f4").reshape(12, 5)
    blob = write_stream([make_run(data, tile_cols=2, unknown_key=1)])
    (out,) = code.read_checked(run("concat", "-", "-", stdin=blob).out)
    assert np.array_equal(out[3], data)


@pytest.mark.parametrize("where", [100, -200, -20])
def test_the_checking_reader_sees_a_changed_byte(code, made, where):
    bad = bytearray(made.raw)
    bad[where] ^= 1
    with pytest.raises((AssertionError, ValueError, KeyError)):
        code.read_checked(bytes(bad))
    with pytest.raises((AssertionError, ValueError, EOFError)):
        code.read_checked(made.raw[:-300])


def test_reader_on_a_pipe(made):
    """As the page says: from standard input, which cannot seek."""
    code = BLOCKS[0] + (
        "import sys, types\n"
        "runs = read_stream(types.SimpleNamespace(read=sys.stdin.buffer.read))\n"
        "print([samples.shape for *_, samples, foot in runs])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=made.labelled, stdout=subprocess.PIPE, check=True)
    assert done.stdout.count(b"225") == 3


def test_series_file(code, made):
    for name, stream in (("packed.h5", made.raw), ("labelled.h5", made.labelled)):
        values, voxels, meta = code.read_series(made.folder / name)
        runs = code.read_checked(stream)
        assert np.array_equal(values, np.vstack([r[0]["slope"] * r[3].astype(float) + r[0]["inter"] for r in runs]))
        assert np.array_equal(voxels, runs[0][1])
        assert meta is None if runs[0][2] is None else np.array_equal(meta, np.concatenate([r[2] for r in runs]))


def test_arrays(code, made):
    fmri, meta, info = code.read_arrays(made.folder / "roi")
    runs = code.read_checked(made.labelled)
    assert np.array_equal(fmri, np.vstack([r[3] for r in runs]))
    assert np.array_equal(meta, np.concatenate([r[2] for r in runs]))
    volume = code.to_volume(fmri[7], info)
    assert volume.shape == tuple(info["grid"]["dims"]) and np.array_equal(volume.ravel()[info["voxels"]], fmri[7])
    for key in ("fmri", "meta"):
        whole = (made.folder / info[key]["file"]).read_bytes()
        assert info[key]["crc32"] == f"{zlib.crc32(whole):08x}"
    assert np.load(made.folder / "roi.fmri.npy", mmap_mode="r").offset == 4096


# The tables ---------------------------------------------------------------------------------------------------------


def test_keys_of_streams(code, made):
    streams = (made.raw, made.labelled, made.floats, made.gaps)
    assert keys(*headers(code, *streams)) == table("key of a run header")
    assert keys(*footers(code, *streams)) == table("key of a run footer")
    ends = [json.loads(np.load(io.BytesIO(s[s.rindex(b"\x93NUMPY") :])).tobytes()) for s in streams]
    assert keys(*ends) == table("key of the end record")


def test_counts(code, made):
    feet = footers(code, made.raw, made.labelled, made.floats, made.gaps)
    feet += load_json(made.folder / "quality.json")["runs"]
    assert {name for foot in feet for name in foot["counts"]} == table("count")


def test_steps(run, code, made):
    """Settings are the options of the help page, less those that do not change the result."""
    steps = [step for head in headers(code, made.labelled) for step in head["steps"]]
    steps += load_json(made.folder / "roi.json")["runs"][0]["steps"] + load_json(made.folder / "split.json")["steps"]
    steps += load_json(made.folder / "quality.json")["runs"][0]["steps"]
    assert keys(*steps) == table("key of a step")
    assert keys(*[each for step in steps for each in step["inputs"]]) == table("key of an input")
    for step in steps:
        page = run(step["program"], "--help-markdown").text
        assert set(step["settings"]) <= set(re.findall(r"^\| `--([a-z0-9-]+)", page, re.MULTILINE))
        assert not {"threads", "store"} & set(step["settings"])
    assert {step["program"] for step in steps} == set(PROGRAMS) - {"synthnsd", "boldinfo"}


def test_metadata_rows(made):
    rows = np.load(made.folder / "roi.meta.npy")
    assert list(rows.dtype.names) == re.findall(r"^\| `(\w+)` \| \w+", section("Metadata rows"), re.MULTILINE)
    assert rows.dtype == row_dtype(4) and rows.dtype.itemsize == 4 * 4 + 18
    assert str(rows.dtype.descr) in section("Metadata rows")


def section(title):
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_series_objects(made):
    found = {}
    with h5py.File(made.folder / "labelled.h5") as f:
        f.visititems(lambda name, item: found.update({re.sub(r"^runs/\d{4}", "runs/NNNN", name): item.name}))
        assert {f"/{name}" for name in found} == table("object in a series file")
        assert set(f.attrs) == table("attribute of a series file")
        assert set(f["run_table"].dtype.names) == table("field of /run_table")
        assert f.attrs["boldmill"] == b"series" and f["fmri"].is_virtual
        assert f["runs/0001/fmri"].chunks == (225, min(1024, f["voxels"].size))
        assert keys(json.loads(f["runs/0001/header"][...].tobytes())) == table("key of a run header") - {"times"}
        assert keys(json.loads(f["runs/0001/footer"][...].tobytes())) == table("key of a run footer")


def test_seal_of_a_series_file(code, made, tmp_path):
    assert code.is_sealed(made.folder / "packed.h5") and code.is_sealed(made.folder / "labelled.h5")
    (tmp_path / "cut.h5").write_bytes((made.folder / "packed.h5").read_bytes()[:-1])
    assert not code.is_sealed(tmp_path / "cut.h5")


def test_tile_checksums(made):
    with h5py.File(made.folder / "packed.h5") as f:
        for run in f["runs"].values():
            starts = range(0, run["fmri"].shape[1], run["fmri"].chunks[1])
            stored = [run["fmri"].id.read_direct_chunk((0, k))[1] for k in starts]
            assert [zlib.crc32(chunk) for chunk in stored] == run["tile_crc32"][...].tolist()


def test_keys_of_arrays(made):
    described = [load_json(made.folder / f"{name}.json") for name in ("roi", "bare", "gaps")]
    assert keys(*described) == table("key of NAME.json")
    assert described[1]["meta"] is None and not (made.folder / "bare.meta.npy").exists()


def test_quality_files(code, made):
    described = [load_json(made.folder / name) for name in ("quality.json", "gaps.quality.json")]
    assert keys(*described) == table("key of quality files")
    volumes, carpet, info = code.read_quality(made.folder / "quality")
    values, voxels, _ = code.read_series(made.folder / "packed.h5")
    assert np.array_equal(np.flatnonzero(np.isfinite(volumes[0])), voxels)
    means = np.mean([values[r["first_row"] :][: r["rows"]].mean(0) for r in info["runs"]], 0)
    assert np.allclose(volumes[0].ravel()[voxels], means) and carpet.shape == tuple(info["carpet"]["shape"])


def test_summary(run, made, tmp_path):
    path = summary_file(run, made, tmp_path)
    assert keys(load_json(path)) == table("key of summary.json")
    found = json.loads(run("boldinfo", "--verify", "--json", path).text)
    assert found["kind"] == "summary" and [file["kind"] for file in found["files"]] == ["series", "arrays"]


def test_keys_of_indices(made):
    for key in keys(load_json(made.folder / "split.json")):
        assert f"`{key.split('.')[-1]}`" in SHUFFLE, key


def summary_file(run, made, folder):
    """As the workflow writes it, of a session and an array."""
    files = [str(made.folder / name) for name in ("packed.h5", "roi.json", "roi.fmri.npy")]
    told = summary.summary(run.path("boldinfo"), files, 3.5, ["something"])
    whole.write(str(folder / "summary.json"), summary.sealed(told))
    return folder / "summary.json"


@pytest.fixture(scope="module")
def told(run, made, tree):
    """What boldinfo says of files of every kind."""
    folder = made.folder / "kinds"
    folder.mkdir()
    labels = np.arange(210).reshape(7, 6, 5) // 53
    for name in ("sub-01_dseg.nii.gz", "bad_dseg.nii"):
        write_nifti(folder / name, labels.astype(np.int16))
    image = nib.Nifti1Image(labels.astype(np.int16), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"hello"))
    nib.save(image, folder / "extended.nii")
    (folder / "sub-01_dseg.tsv").write_text("index\tname\n1\tV1\n9\tV9\n")
    (folder / "bad_dseg.tsv").write_text("index\tname\n1\n")
    write_nifti(folder / "old.hdr", labels.astype(np.int16))
    header = nib.AnalyzeHeader()
    header.set_data_dtype(np.int16)
    header.set_data_shape(labels.shape)
    (folder / "old.hdr").write_bytes(header.binaryblock)
    np.save(folder / "mask.npy", labels > 0)
    (folder / "events.tsv").write_text("onset\tduration\ttrial_type\n0\t1\ta\nn/a\tn/a\tb\n")
    (folder / "task-a_bold.json").write_text('{"RepetitionTime": 2, "SliceTiming": [0, 1]}')

    def one(path, *options, **how):
        return json.loads(run("boldinfo", "--json", *options, path, **how).text)

    rich = ["--verify", "--values"]
    h5 = made.folder / "packed.h5"
    return {
        "NIfTI": [one(p, *rich) for p in (tree.roi, tree.runs[0], made.odd, *sorted(folder.glob("*.nii*")))]
        + [one(folder / "old.hdr")],
        "npy": [
            one(made.folder / "roi.fmri.npy", *rich),
            one(folder / "mask.npy", "--table", folder / "sub-01_dseg.tsv"),
        ],
        "series and streams": [one(h5, *rich), one("-", stdin=made.labelled), one("-", *rich, stdin=made.gaps)],
        "rows": [one(made.folder / "roi.meta.npy", "--verify")],
        "tables": [one(str(tree.design).format(session="01", run="01")), one(folder / "events.tsv", "--verify")],
        "labels": [one(folder / "sub-01_dseg.tsv")],
        "sidecars": [one(folder / "task-a_bold.json")],
        "arrays": [one(made.folder / f"{name}.json", *rich) for name in ("roi", "gaps")],
        "indices": [one(made.folder / "split.json")],
        "quality": [one(made.folder / "quality.json", "--verify")],
        "summary": [one(summary_file(run, made, folder))],
        "truth": [one(tree.truth / "settings.json")],
    }


def test_keys_of_boldinfo(told):
    both = table("key of boldinfo, all kinds")
    optional = {"bytes", "entities", "suffix", "verified"}
    own = {kind: keys(*found) - both for kind, found in told.items()}
    assert all(both - optional <= set(each) for found in told.values() for each in found)
    assert {k for found in told.values() for each in found for k in each} >= both
    for kind in ("NIfTI", "series and streams", "rows", "tables", "labels", "sidecars"):
        assert own[kind] == table(f"key of boldinfo, {kind}") - both, kind
    assert own["npy"] == table("key of boldinfo, npy")
    assert own["arrays"] == (table("key of NAME.json") | {"runs[].values"}) - both
    assert own["truth"] == table("key of settings.json") - both


def test_kinds_of_boldinfo(told, run, made, tmp_path):
    (tmp_path / "motion.tsv").write_text("0.5 1\n2 3\n")
    (tmp_path / "people.tsv").write_text("id\tage\na\t3\n")
    more = [json.loads(run("boldinfo", "--json", tmp_path / n).text) for n in ("motion.tsv", "people.tsv")]
    assert {each["kind"] for found in told.values() for each in found} | {m["kind"] for m in more} == table("kind")


def inside(value, name):
    """All objects that stand under a key, anywhere."""
    if isinstance(value, list):
        return [each for item in value for each in inside(item, name)]
    if not isinstance(value, dict):
        return []
    here = value.get(name) or []
    found = here if isinstance(here, list) else [here]
    return [each for each in found if isinstance(each, dict)] + [e for v in value.values() for e in inside(v, name)]


def test_keys_within_boldinfo(told):
    everything = [each for found in told.values() for each in found]
    assert keys(*inside(everything, "values")) == table("key of values")
    assert keys(*inside(everything, "labels")) == table("key of labels")


def test_ground_truth(tree):
    files = {re.sub(r"subj\d\d", "subjAA", path.name) for path in tree.truth.iterdir()}
    assert files == table("file")
    assert keys(load_json(tree.truth / "settings.json")) == table("key of settings.json")


def test_links_lead_somewhere():
    anchors = {
        re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        page, _, anchor = target.partition("#")
        assert (ROOT / "docs" / page).exists() if page and page != "tools" else anchor in anchors or page, target
