"""boldinfo: what a file is, as text and as JSON, and whether it is whole."""

import gzip
import json
import os
import re
import subprocess

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
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


def test_a_description_is_no_table_when_its_first_byte_is_damaged(run, artifacts):
    path = artifacts / "s.json"
    blob = bytearray(path.read_bytes())
    blob[0] ^= 1
    path.write_bytes(blob)
    run.fails("boldinfo", "--verify", path, says="s.json: is not JSON")


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


def told(run, *args, **how):
    return json.loads(run("boldinfo", "--json", *args, **how).text)


# ROIs ---------------------------------------------------------------------------------------------------------------

NAMES = {1: "V1v", 2: "V1d", 3: "left hippocampus", 9: "not there"}


@pytest.fixture
def labelled(tmp_path):
    volume = np.random.default_rng(3).integers(-1, 5, (7, 6, 5)).astype(np.int16)
    write_nifti(tmp_path / "sub-01_space-T1w_dseg.nii.gz", volume)
    np.save(tmp_path / "rois.npy", volume)
    rows = "".join(f"{k}\t{name}\n" for k, name in NAMES.items())
    (tmp_path / "sub-01_space-T1w_dseg.tsv").write_text("index\tname\n" + rows)
    (tmp_path / "names.txt").write_text(rows)
    (tmp_path / "lut.ctab").write_text("0 Unknown 0 0 0 0\n 4  hV4  1 2 3 0\n")
    return volume


def expected_labels(volume, names):
    return [
        {"value": v, "voxels": int((volume == v).sum())} | ({"name": names[v]} if v in names else {})
        for v in sorted({*np.unique(volume).tolist(), *names})
    ]


@pytest.mark.parametrize("name", ["sub-01_space-T1w_dseg.nii.gz", "rois.npy"])
@pytest.mark.parametrize("table", [None, "names.txt", "lut.ctab"])
def test_rois_with_names_and_voxels(run, labelled, tmp_path, name, table):
    """Those of the volume and of the table, in order; the dseg.tsv beside the volume is found."""
    path = tmp_path / name
    info = told(run, path, *(["--table", tmp_path / table] if table else []))
    names = {None: NAMES if name.endswith("gz") else {}, "names.txt": NAMES, "lut.ctab": {0: "Unknown", 4: "hV4"}}[
        table
    ]
    assert info["labels"] == expected_labels(labelled, names)
    assert info["positive_voxels"] == (labelled > 0).sum()
    beside = str(path).replace(".nii.gz", ".tsv")
    assert info.get("table") == (str(tmp_path / table) if table else beside if names else None)
    text = run("boldinfo", path, *(["--table", tmp_path / table] if table else [])).text
    for label in info["labels"]:
        shown = (
            rf"^ +{label['value']} +{label['voxels']}  {label['name']}$"
            if "name" in label
            else (
                rf"^ +{label['value']} +{label['voxels']}$" if names else rf" {label['value']}: {label['voxels']}\b"
            )
        )
        assert re.search(shown, text, re.MULTILINE), (shown, text)


def test_a_bad_table_beside_a_volume_is_told(run, labelled, tmp_path):
    """The volume is described all the same; a table that was asked for is an error."""
    bad = tmp_path / "sub-01_space-T1w_dseg.tsv"
    bad.write_text("index\tname\n1\tV1\n1\tV2\n")
    info = told(run, tmp_path / "sub-01_space-T1w_dseg.nii.gz")
    assert "twice" in info["table_doubt"] and info["labels"] == expected_labels(labelled, {})
    assert "twice" in run("boldinfo", tmp_path / "sub-01_space-T1w_dseg.nii.gz").text
    run.fails("boldinfo", "--table", bad, tmp_path / "rois.npy", says=[bad.name, "twice"])
    run.fails("boldinfo", "--table", tmp_path / "none.tsv", tmp_path / "rois.npy", says="none.tsv")


@pytest.mark.parametrize("kind", ["half", "many", "index", "once", "huge", "inf", "nan"])
def test_what_is_no_label_volume(run, tmp_path, kind):
    volume = np.arange(3000.0).reshape(30, 10, 10) % 4
    volume += {"half": 0.5, "huge": 2.0**62, "index": 0}.get(kind, 0)
    if kind in ("many", "index"):
        volume = np.arange(3000).reshape(30, 10, 10) % (1001 if kind == "many" else 3000)
    if kind == "once":
        volume = np.arange(30).reshape(5, 3, 2) // 2 * 2 + (np.arange(30).reshape(5, 3, 2) < 4)
        volume[0, 0] = [50, 51]
    if kind in ("nan", "inf"):
        volume[3, 4, 5] = np.nan if kind == "nan" else np.inf
    write_nifti(tmp_path / "v.nii", volume)
    info = told(run, tmp_path / "v.nii")
    if kind == "nan":  # is no label and no reason against labels
        assert [label["voxels"] for label in info["labels"]] == [(volume == k).sum() for k in range(4)]
    else:
        assert info["labels"] is None


def test_control_characters_stay_off_the_terminal(run, tmp_path):
    (tmp_path / "names.txt").write_bytes(b"1\tV\x1b[31m1\n")
    np.save(tmp_path / "m.npy", np.ones((2, 2, 2), np.uint8))
    text = run("boldinfo", "--table", tmp_path / "names.txt", tmp_path / "m.npy").text
    assert "V?[31m1" in text and "\x1b" not in text


# Values -------------------------------------------------------------------------------------------------------------


def check_values(values, matrix):
    """matrix: rows x voxels, as numpy has it."""
    finite = matrix[np.isfinite(matrix)]
    same = (matrix == matrix[0]).all(0)
    bad = ~np.isfinite(matrix)
    assert values["samples"] == matrix.size and values["nonfinite_samples"] == bad.sum()
    assert values["nonfinite_voxels"] == bad.any(0).sum()
    assert values["zero_voxels"] == (matrix == 0).all(0).sum()
    if len(matrix) > 1:
        assert values["constant_voxels"] == (same & ~bad.any(0) & (matrix[0] != 0)).sum()
    else:
        assert "constant_voxels" not in values
    if finite.size:
        assert (values["min"], values["max"]) == (finite.min(), finite.max())
        assert abs(values["mean"] - finite.mean()) <= 1e-13 * np.abs(finite).max()
    else:
        assert values["min"] is values["max"] is values["mean"] is None


def odd_matrix(rows, dtype, seed):
    """Voxels of every sort: constant, 0, NaN once, infinite throughout (integers: the first two)."""
    data = np.random.default_rng(seed).integers(-90, 90, (rows, 37)).astype(dtype)
    data[:, 3], data[:, 4], data[:, 36], data[1:, 7] = 5, 0, 0, 0
    if data.dtype.kind == "f":
        data += 0.25
        data[:, 4], data[rows // 2, 9], data[:, 11] = 0, np.nan, -np.inf
    return data


@pytest.mark.parametrize("dtype", ["<i2", "|u1", "<f4", "<f2", "<f8"])
@pytest.mark.parametrize("kind", ["stream", "series"])
def test_values_of_runs(run, tmp_path, dtype, kind):
    runs = [make_run(odd_matrix(5 + k, dtype, k), slope=0.5 + k, inter=2.0 * k, run=k + 1) for k in range(3)]
    blob = write_stream(runs)
    path, how = "-", {"stdin": blob}
    if kind == "series":
        path, how = tmp_path / "s.h5", {}
        run("concat", "-", path, stdin=blob)
    info = told(run, "--values", path, **how)
    for entry, made in zip(info["runs"], runs, strict=True):
        check_values(entry["values"], made.values)
    assert "values" not in told(run, path, **how)["runs"][0]
    text = run("boldinfo", "--values", path, **how).text
    assert f"{info['runs'][1]['values']['min']:g} to {info['runs'][1]['values']['max']:g}, mean" in text


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_values_of_arrays(run, tmp_path, dtype):
    runs = [make_run(odd_matrix(5 + k, "<f4", k), run=k + 1) for k in range(3)]
    run("concat", "--dtype", dtype, "-", tmp_path / "a.fmri.npy", stdin=write_stream(runs))
    matrix = np.load(tmp_path / "a.fmri.npy").astype(float)
    for entry in told(run, "--values", tmp_path / "a.json")["runs"]:
        check_values(entry["values"], matrix[entry["first_row"] : entry["first_row"] + entry["rows"]])
    check_values(told(run, "--values", tmp_path / "a.fmri.npy")["values"], matrix)
    (tmp_path / "a.fmri.npy").write_bytes((tmp_path / "a.fmri.npy").read_bytes()[:-4])
    run.fails("boldinfo", "--values", tmp_path / "a.json", says=["a.fmri.npy", "damaged"])
    np.save(tmp_path / "a.fmri.npy", matrix[:-1].astype(dtype))
    run.fails("boldinfo", "--values", tmp_path / "a.json", says=["a.fmri.npy", "rows"])


@pytest.mark.parametrize("dtype", ["i2", "f4", "u1", "f8"])
@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("scaled", [True, False])
def test_values_of_nifti_runs(run, tmp_path, dtype, endian, scaled):
    data = odd_matrix(6, dtype, 1)[:, :30].T.reshape(5, 3, 2, 6)
    scaling = {"slope": 0.25, "inter": -3.0} if scaled else {}
    path = write_nifti(tmp_path / "r.nii.gz", data, endian=endian, **scaling)
    matrix = nib.load(path).get_fdata().reshape(-1, 6).T
    check_values(told(run, "--values", path)["values"], matrix)
    assert "values" not in told(run, path)
    volume = write_nifti(tmp_path / "v.nii", data[..., 2], endian=endian, **scaling)
    check_values(told(run, volume)["values"], matrix[2:3])


@pytest.mark.parametrize("form", ["c", "fortran", "big", "bool", "flat", "cube", "empty", "f4cube"])
def test_values_of_npy(run, tmp_path, form):
    data = odd_matrix(6, "f4", 2)
    forms = {"fortran": np.asfortranarray(data), "big": data.astype(">f4"), "bool": data > 0, "flat": data[0]}
    forms |= {"cube": odd_matrix(6, "i2", 2).reshape(6, 37, 1), "empty": data[:0]}
    forms |= {"f4cube": data.reshape(6, 37, 1)}
    array = forms.get(form, data)
    np.save(tmp_path / "a.npy", array)
    if form in ("fortran", "big"):
        run.fails(
            "boldinfo", "--values", tmp_path / "a.npy", says=["a.npy", "order" if form == "fortran" else "endian"]
        )
        assert told(run, tmp_path / "a.npy")["shape"] == [6, 37]
        return
    info = told(run, "--values", "--verify", tmp_path / "a.npy")
    assert info["shape"] == list(array.shape)
    if form != "empty":
        check_values(info["values"], array.astype(float).reshape(len(array) if array.ndim == 2 else 1, -1))
    assert ("labels" in info) == (form == "cube")


def test_damage_is_found_by_values_too(run, artifacts):
    """What is read is checked."""
    for name in ("s.h5", "s.npys", "s.nii.gz"):
        blob = bytearray((artifacts / name).read_bytes())
        places = tile_bytes(artifacts / name) if name == "s.h5" else range(len(blob))
        blob[places[len(places) // 2]] ^= 4
        (artifacts / name).write_bytes(blob)
        run.fails("boldinfo", "--values", artifacts / name, says=name)


def test_the_end_of_a_nifti_file(run, tmp_path):
    """Bytes behind one volume are counted as behind many; a run whose values are read is read to its last trailer."""
    for volumes in (1, 3):
        path = write_nifti(
            tmp_path / f"{volumes}.nii", bold(volumes=volumes)[..., 0 if volumes == 1 else slice(None)]
        )
        with open(path, "ab") as f:
            f.write(b"12345")
        assert told(run, "--verify", path)["trailing_bytes"] == 5
        assert "5 bytes after" in run("boldinfo", "--verify", path).text
    with open(path, "ab") as f:
        f.write(bytes(7 * 6 * 5 * 2))
    run("boldinfo", path)
    run.fails("boldinfo", "--values", path, says=["3.nii", "bytes follow"])
    path = write_nifti(tmp_path / "r.nii.gz", bold(volumes=3))
    blob = bytearray(path.read_bytes())
    blob[-6] ^= 1
    path.write_bytes(blob)
    run("boldinfo", path)
    run.fails("boldinfo", "--values", path, says="r.nii.gz")


# Other kinds --------------------------------------------------------------------------------------------------------


def test_what_the_header_says(run, tmp_path, shared):
    """Codes, extensions and scaling of the files of other writers, as nibabel has them."""
    for path in sorted((shared / "conformance").glob("*.nii*")):
        done = run.any("boldinfo", "--json", path)
        if done.status:
            assert path.name in ("complex32.nii", "rgb24.nii"), path
            continue
        info, head = json.loads(done.text), nib.load(path).header
        assert (info["sform_code"], info["qform_code"]) == (head["sform_code"], head["qform_code"])
        assert [e["code"] for e in info["extensions"]] == [e.get_code() for e in head.extensions]
        assert info["extension_count"] == len(head.extensions)
        if info["affine_from"] != "pixdim":  # where nibabel does not go by the standard
            assert np.allclose(info["affine"], nib.load(path).affine[:3], atol=1e-5)
        assert info["stored"] == info["dtype"] == head.get_data_dtype().name
        assert info["bytes"] == path.stat().st_size and info["gzip"] == (path.suffix == ".gz")


@pytest.mark.parametrize(
    ("name", "entities", "suffix"),
    [
        (
            "sub-01_ses-pre_task-rest_run-2_bold.nii.gz",
            {"sub": "01", "ses": "pre", "task": "rest", "run": "2"},
            "bold",
        ),
        ("tpl-MNI_res-02_atlas-A_dseg.nii", {"tpl": "MNI", "res": "02", "atlas": "A"}, "dseg"),
        ("desc-aseg_dseg.nii", {"desc": "aseg"}, "dseg"),
        ("timeseries_session01_run02.nii.gz", None, None),
        ("sub-01_a-b-c_bold.nii", None, None),
        ("sub-01.nii", None, None),
        ("x-1_bold.nii", None, None),
        ("sub-01_task-x_.nii", None, None),
    ],
)
def test_bids_names(run, tmp_path, name, entities, suffix):
    info = told(run, write_nifti(tmp_path / name, bold(volumes=3)))
    assert (info.get("entities"), info.get("suffix")) == (entities, suffix)
    if entities:
        assert all(f"{k} {v}" in run("boldinfo", tmp_path / name).text for k, v in entities.items())
    numbers = {
        "sub-01_ses-pre_task-rest_run-2_bold.nii.gz": (1, 0, 2),
        "timeseries_session01_run02.nii.gz": (0, 1, 2),
    }
    if name in numbers:
        assert (info["subject"], info["session"], info["run"]) == numbers[name]


def test_a_design(run, tmp_path):
    column = [0, 5, 0, 0, 5, 73, 0, 1]
    (tmp_path / "design.tsv").write_text("".join(f"{v}\n" for v in column))
    info = told(run, tmp_path / "design.tsv")
    assert (info["kind"], info["rows"], info["trials"], info["stimuli"]) == ("design", 8, 4, 3)
    text = run("boldinfo", tmp_path / "design.tsv").text
    assert "8 rows, 4 trials of 3 stimuli" in text


def random_table(path, rng, header):
    """Numbers with n/a, as fMRIPrep and NSD write them."""
    frame = pd.DataFrame(rng.normal(0, 1, (9, 4)), columns=["csf", "trans_x", "std_dvars", "motion_outlier00"])
    frame.iloc[0, 2] = np.nan
    if header:
        frame.to_csv(path, sep="\t", index=False, na_rep="n/a")
    else:
        frame = frame.drop(columns="std_dvars")
        frame.to_csv(path, sep=" ", index=False, header=False)
    return frame


@pytest.mark.parametrize("name", ["desc-confounds_timeseries.tsv", "motion.tsv", "desc-confounds_timeseries.tsv.gz"])
def test_confounds(run, tmp_path, name):
    header = name.startswith("desc")
    frame = random_table(tmp_path / name.removesuffix(".gz"), np.random.default_rng(0), header)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name.removesuffix(".gz")).read_bytes()))
    info = told(run, tmp_path / name)
    assert (info["kind"], info["rows"], info["gzip"]) == ("confounds", 9, name.endswith("gz"))
    for k, (column, entry) in enumerate(zip(frame, info["columns"], strict=True)):
        assert entry["name"] == (column if header else str(k + 1))
        assert entry["missing"] == frame[column].isna().sum()
        wanted = [frame[column].min(), frame[column].max(), frame[column].mean()]
        assert np.allclose([entry["min"], entry["max"], entry["mean"]], wanted, rtol=1e-12, atol=0)


def test_events(run, tmp_path):
    rows = [(0, 2, "face"), (3.5, 1, "house"), (12, "n/a", "n/a"), (8, 5, "face")]
    (tmp_path / "e.tsv").write_text(
        "onset\tduration\ttrial_type\n" + "".join(f"{a}\t{b}\t{c}\r\n" for a, b, c in rows)
    )
    info = told(run, tmp_path / "e.tsv")
    assert (info["kind"], info["rows"], info["end"]) == ("events", 4, 13)
    assert info["columns"][2]["levels"] == [{"value": "face", "rows": 2}, {"value": "house", "rows": 1}]
    assert [c["missing"] for c in info["columns"]] == [0, 1, 1]
    text = run("boldinfo", tmp_path / "e.tsv").text
    assert "4, the last ends at 13 s" in text and "face: 2" in text and "1 n/a" in text


def test_metadata_rows_are_told_run_by_run(run, artifacts):
    info = told(run, artifacts / "s.meta.npy")
    rows = np.load(artifacts / "s.meta.npy")
    assert (info["kind"], info["rows"], info["history"]) == ("rows", 45, rows["stimulus_history"].shape[1])
    assert [(r["session"], r["run"], r["subject"], r["first_row"], r["rows"]) for r in info["runs"]] == [
        (6, 1, 2, 0, 20),
        (6, 2, 2, 20, 25),
    ]
    assert [r["trials"] for r in info["runs"]] == [rows["trial"][:20].max() + 1, rows["trial"][20:].max() + 1]
    assert info["stimuli"] == np.unique(rows["stimulus_history"][rows["stimulus_history"] >= 0]).size


def test_sidecars(run, tmp_path):
    content = {"RepetitionTime": 1.5, "TaskName": "rest", "SliceTiming": [0, 1, 2], "B0": {"a": 1}, "x": True}
    (tmp_path / "sub-01_task-rest_bold.json").write_text(json.dumps(content))
    info = told(run, tmp_path / "sub-01_task-rest_bold.json")
    assert info["kind"] == "sidecar" and info["entities"] == {"sub": "01", "task": "rest"}
    assert info["fields"] == content | {"SliceTiming": {"items": 3}, "B0": {"items": 1}}
    assert "RepetitionTime: 1.5" in run("boldinfo", tmp_path / "sub-01_task-rest_bold.json").text


def test_provenance_names_what_was_read(run, labelled, tmp_path):
    """Masks, tables and conditions, as the user gave them and as a command would need them."""
    write_nifti(tmp_path / "run.nii.gz", bold())
    args = ["--mask", "sub-01_space-T1w_dseg.nii.gz = V1v,2", "--where", "rois.npy > 0"]
    run("nifti2h5", *args, "run.nii.gz", "s.h5", cwd=tmp_path)
    text = run("boldinfo", "s.h5", cwd=tmp_path).text
    assert "--mask 'sub-01_space-T1w_dseg.nii.gz = V1v,2' --where 'rois.npy > 0'" in text
    for name in ("run.nii.gz", "sub-01_space-T1w_dseg.nii.gz", "sub-01_space-T1w_dseg.tsv", "rois.npy"):
        assert re.search(rf"read {name} \(\d+ bytes, CRC-32 [0-9a-f]{{8}}\)", text), name


EVERY = ["s.npys", "s.json", "s.nii.gz", "s.fmri.npy", "s.meta.npy", "design.tsv", "names.ctab", "mask.npy"]


@pytest.mark.parametrize("name", EVERY)
def test_every_kind_from_a_pipe(run, artifacts, name):
    (artifacts / "design.tsv").write_text("0\n3\n0\n")
    (artifacts / "names.ctab").write_text("1 V1 0 0 0 0\n")
    np.save(artifacts / "mask.npy", np.ones((2, 3, 4), bool))
    there, piped = told(run, artifacts / name), told(run, "-", stdin=(artifacts / name).read_bytes())
    for info in (there, piped):
        for key in ("file", "bytes", "subject", "session", "run"):
            info.pop(key, None)
    assert there == piped


def test_hdf5_that_is_no_plain_file(run, artifacts):
    blob = (artifacts / "s.h5").read_bytes()
    os.mkfifo(artifacts / "fifo")
    (artifacts / "s.h5.gz").write_bytes(gzip.compress(blob))
    for program, output in (("boldinfo", []), ("detrend", ["-"])):
        run.fails(program, "-", *output, stdin=blob, says=["standard input", "pipe"])
        run.fails(program, artifacts / "s.h5.gz", *output, says=["s.h5.gz", "gunzip"])
        with subprocess.Popen(["cp", artifacts / "s.h5", artifacts / "fifo"], stderr=subprocess.DEVNULL):
            run.fails(program, artifacts / "fifo", *output, says=["fifo", "pipe"])


def test_words_that_are_no_text(run, tmp_path):
    """Only the start is looked at to tell a table; what follows is listed all the same."""
    (tmp_path / "t.tsv").write_bytes(b"where\tn\n" + b"cafe\t1\n" * 100 + b"caf\xe9\t2\n" * 3)
    levels = told(run, tmp_path / "t.tsv")["columns"][0]["levels"]
    assert levels == [{"value": "cafe", "rows": 100}, {"value": "caf?", "rows": 3}]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.md", "# A title\n\nSome words here.\n", "no table"),
        ("word", "word", "no table"),
        ("ragged.tsv", "a\tb\n1\t2\n3\n", "line 3 has 1 fields, the first line 2"),
        ("wide.tsv", "1 2\n3 4 5\n", "line 2 has 3 fields"),
        ("names.ctab", "1 V1 0 0 0 0\n2 V1 0 0 0 0\n", "twice"),
        ("latin.txt", b"caf\xe9 1\n", "none of the kinds"),
        ("matlab.mat", b"MATLAB 5.0 MAT-file\0\1\2", "none of the kinds"),
        ("columns.tsv", "1 " * 4097 + "\n", "more than 4096 columns"),
        ("later.tsv", b"1 2\n" * 200 + b"\0\n", "NUL"),
        ("any.json", '{"a": 1}', "neither"),
        ("arrays.json", '{"boldmill": "arrays", "runs": []}', "checksum"),
        ("sealed.json", sealed({"boldmill": "arrays", "runs": []}), "lacks"),
        ("wrong.nii", b"\0" * 400, "sizeof_hdr"),
        ("cut.meta.npy", None, "rows"),
    ],
)
def test_files_that_are_refused(run, artifacts, name, content, says):
    path = artifacts / name
    if content is None:
        path.write_bytes((artifacts / "s.meta.npy").read_bytes()[:-7])
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run.fails("boldinfo", path, says=[name, says])
