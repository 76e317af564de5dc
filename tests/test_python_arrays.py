"""Arrays as the package opens them: what they say of themselves, copies in other processes, and damage."""

import json
import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys

import boldmill
import numpy as np
import pytest
from boldmill.copies import copy_arrays
from boldmill.files import whole
from conftest import ROOT
from oracle import sealed
from samples import RUNS, load, make_arrays, replace_values

ROWS = sum(rows for _, _, rows in RUNS)


@pytest.fixture
def stem(run, tmp_path):
    return make_arrays(run, tmp_path)


@pytest.mark.parametrize("ending", ["", ".fmri.npy", ".meta.npy", ".json"])
def test_what_they_are(stem, ending):
    fmri, meta, info = load(stem)
    arrays = boldmill.Arrays(stem + ending)
    assert isinstance(arrays.fmri, np.memmap) and np.array_equal(arrays.fmri, fmri) and arrays.fmri is arrays.fmri
    assert np.array_equal(arrays.meta, meta) and arrays.fields == meta.dtype.names
    assert arrays.info == info and len(arrays) == ROWS and arrays.shape == (ROWS, 37) and arrays.dtype == np.float32
    assert arrays.voxels.tolist() == info["voxels"] and arrays.grid == (7, 6, 5) and arrays.tr == 1.5
    assert arrays.affine.tolist() == [[2, 0, 0, -6], [0, 2, 0, -5], [0, 0, 2, -4], [0, 0, 0, 1]]
    assert [(r["session"], r["run"], r["rows"]) for r in arrays.runs] == list(RUNS) and len(arrays.sessions) == 2
    assert repr(arrays).endswith(f"{ROWS} time points x 37 voxels, float32")
    arrays.verify()
    with pytest.raises(ValueError):
        arrays.fmri[0, 0] = 1


def test_a_row_in_its_grid(stem):
    arrays = boldmill.Arrays(stem)
    volume = arrays.volume(arrays.fmri[3], fill=np.nan)
    assert volume.shape == (7, 6, 5) and np.array_equal(volume.reshape(-1)[3:40], arrays.fmri[3])
    assert np.isnan(volume).sum() == 210 - 37


def test_columns_of_a_mask(stem):
    arrays = boldmill.Arrays(stem)
    mask = np.zeros((7, 6, 5), bool)
    mask.reshape(-1)[[3, 20, 39]] = True
    assert arrays.columns(mask).tolist() == [0, 17, 36]
    assert arrays.columns(np.arange(37) % 9 == 4).tolist() == [4, 13, 22, 31]
    assert arrays.columns([5, 2, 5]).tolist() == [5, 2, 5] and arrays.columns(None).tolist() == list(range(37))
    mask.reshape(-1)[[2, 40]] = True
    with pytest.raises(boldmill.DataError, match="2 voxels"):
        arrays.columns(mask)
    for bad in (np.ones(38, bool), np.ones((7, 6), bool), [1.5], [[1]], "abc"):
        with pytest.raises(boldmill.UsageError):
            arrays.columns(bad)
    for bad in ([37], [-1]):
        with pytest.raises(boldmill.RangeError, match="column"):
            arrays.columns(bad)


# Other processes ----------------------------------------------------------------------------------------------------


def check_copy(arrays, total):
    """In a child: the same values, and exit status 0."""
    assert float(arrays.fmri.sum(dtype=float)) == total
    os._exit(0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("opened", [False, True])
def test_other_processes(stem, method, opened):
    arrays, total = boldmill.Arrays(stem), float(load(stem)[0].sum(dtype=float))
    if opened:
        _ = arrays.fmri, arrays.meta, arrays.file
    child = multiprocessing.get_context(method).Process(target=check_copy, args=(arrays, total))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_copies_are_small_and_know_their_content(stem):
    arrays = boldmill.Arrays(stem)
    _ = arrays.fmri, arrays.file
    blob = pickle.dumps(arrays)
    assert len(blob) < 500 and np.array_equal(pickle.loads(blob).fmri, arrays.fmri)
    replace_values(stem, 7)
    with pytest.raises(boldmill.DataError, match="other arrays"):
        pickle.loads(blob)


def test_a_relative_name_survives_a_change_of_folder(stem, monkeypatch, tmp_path):
    monkeypatch.chdir(os.path.dirname(stem))
    arrays = boldmill.Arrays("roi")
    monkeypatch.chdir("/")
    assert arrays.fmri.shape == (ROWS, 37)


def test_torch_is_not_imported():
    code = "import sys, boldmill; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_core(tmp_path):
    code = "import boldmill.core as c; c.library()"
    env = os.environ | {"BOLDMILL_CORE": str(tmp_path / "none.so")}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "MissingError" in done.stderr and "pip install ." in done.stderr


# Damage ------------------------------------------------------------------------------------------------------------


def change(path, **keys):
    with open(path) as f:
        info = json.load(f)
    with open(path, "wb") as f:
        f.write(sealed(info | keys))


def test_a_name_that_leads_to_no_arrays_is_told_with_what_to_do(stem, tmp_path):
    with pytest.raises(boldmill.MissingError, match=r"gone.json: is not there; .*`snakemake -j8 \S*/gone.fmri.npy`"):
        boldmill.Arrays(tmp_path / "gone")
    with pytest.raises(
        boldmill.MissingError, match=r": is a folder; give the name of arrays in it, such as \S+/general$"
    ):
        boldmill.Arrays(tmp_path)


def test_the_version():
    stated = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    assert boldmill.__version__ == stated
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = boldmill.nonsense


def test_files_that_are_not_there(stem, tmp_path):
    with pytest.raises(boldmill.MissingError, match="snakemake") as caught:
        boldmill.Arrays(tmp_path / "nothing")
    assert isinstance(caught.value, FileNotFoundError) and isinstance(caught.value, boldmill.Error)
    arrays = boldmill.Arrays(stem)
    os.remove(f"{stem}.fmri.npy")
    with pytest.raises(boldmill.MissingError, match=r"roi\.fmri\.npy.*make"):
        _ = arrays.fmri
    os.remove(f"{stem}.meta.npy")
    with pytest.raises(boldmill.MissingError, match=r"roi\.meta\.npy"):
        _ = arrays.meta


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "cannot be read"), ("[]", "does not describe"), ('{"boldmill": "shuffle"}', "does not describe")],
)
def test_descriptions_that_are_none(stem, text, says):
    with open(f"{stem}.json", "w") as f:
        f.write(text)
    with pytest.raises(boldmill.DataError, match=says):
        boldmill.Arrays(stem)


def test_a_description_that_is_not_whole(stem):
    with open(f"{stem}.json") as f:
        info = json.load(f)
    del info["voxels"]
    with open(f"{stem}.json", "wb") as f:
        f.write(sealed(info))
    with pytest.raises(boldmill.DataError, match="voxels is missing"):
        boldmill.Arrays(stem)


def test_a_description_of_which_a_byte_is_damaged(stem):
    """Anywhere: an error of ours, never another exception and never another description."""
    with open(f"{stem}.json", "rb") as f:
        text = f.read()
    for at in range(0, len(text) - 1, 7):
        with open(f"{stem}.json", "wb") as f:
            f.write(text[:at] + bytes([text[at] ^ 1 << at % 8]) + text[at + 1 :])
        with pytest.raises(boldmill.DataError, match=r"roi\.json"):
            boldmill.Arrays(stem)


def leave(*path):
    """A change of a description: this key goes."""
    return lambda info: inner(info, path).pop(path[-1])


def put(value, *path):
    return lambda info: inner(info, path).__setitem__(path[-1], value)


def inner(info, path):
    for key in path[:-1]:
        info = info[key]
    return info


CONTRADICTIONS = [
    *(put(value, "fmri") for value in ("x", None, [], 5)),
    *(leave("fmri", key) for key in ("shape", "dtype", "file", "crc32")),
    *(
        put(value, "fmri", "shape")
        for value in ([ROWS, 37, 1], [ROWS, 36], [ROWS - 1, 37], [float(ROWS), 37.0], "xy")
    ),
    *(put(value, "fmri", "dtype") for value in ("float64", "O", ["float32"])),
    *(put(value, "fmri", "file") for value in (5, None)),
    *(put(value, "meta") for value in ({}, 5)),
    put([ROWS - 1], "meta", "shape"),
    *(put(value, "grid") for value in ([], None, {})),
    *(put(value, "grid", "dims") for value in ([7, 6], [7, 6, -5], [1, 1, 1], ["7", 6, 5], [7.0, 6.0, 5.0])),
    *(put(value, "grid", "affine") for value in ([1, 2], None, [["x"] * 4] * 3)),
    *(put(value, "tr") for value in ("x", None, float("nan"), float("inf"))),
    *(put(value, "voxels") for value in ([1, 2], "abc", list(range(36, -1, -1)), [5] * 37, [2**70] * 37, {}, None)),
    *(
        put(value, "voxels")
        for value in ([k + 0.5 for k in range(37)], list(range(-1, 36)), list(range(10**6, 10**6 + 37)))
    ),
    *(
        put(value, key)
        for key in ("runs", "sessions")
        for value in ([], {}, 5, ["a"], [{}], [{"first_row": 0, "rows": 1}])
    ),
    *(put(value, "runs", 0, "first_row") for value in (1, -1, "0")),
    *(put(value, "runs", 0, "times") for value in ([0], 5)),
    *(put(value, "schema") for value in ("1", None, {})),
]


def test_descriptions_that_contradict_themselves(stem):
    """Sealed by whoever wrote them, so that only what they say can be wrong."""
    with open(f"{stem}.json") as f:
        text = f.read()
    for at, spoil in enumerate(CONTRADICTIONS):
        info = json.loads(text)
        spoil(info)
        with open(f"{stem}.json", "wb") as f:
            f.write(sealed(info))
        with pytest.raises(boldmill.DataError, match=r"roi\.json"):
            pytest.fail(f"change {at} is accepted: {boldmill.Arrays(stem)}")


@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_arrays_that_are_made_anew_between(run, stem, tmp_path, which):
    """Other values of the same shape, after the description was read and before the array is: no mix of both."""
    arrays, other = boldmill.Arrays(stem), boldmill.Arrays(stem)
    mapped, first = getattr(other, which), load(stem)[which == "meta"].copy()
    (tmp_path / "new").mkdir()
    new = make_arrays(run, tmp_path / "new")
    change(f"{new}.json", tr=2.5)
    for end in ("meta.npy", "json", "fmri.npy"):  # as concat does it
        os.replace(f"{new}.{end}", f"{stem}.{end}")
    assert np.array_equal(mapped, first)
    with pytest.raises(boldmill.DataError, match="another one than when it was read"):
        getattr(arrays, which)
    assert boldmill.Arrays(stem).fmri.shape == (ROWS, 37)


def test_copies_know_their_labels_too(stem):
    blob = pickle.dumps(boldmill.Arrays(stem))
    with open(f"{stem}.json") as f:
        meta = json.load(f)["meta"]
    change(f"{stem}.json", meta=meta | {"crc32": "00000000"})
    with pytest.raises(boldmill.DataError, match="other arrays"):
        pickle.loads(blob)


def test_a_newer_schema(stem):
    change(f"{stem}.json", schema=2)
    with pytest.raises(boldmill.DataError, match="newer"):
        boldmill.Arrays(stem)


@pytest.mark.parametrize("size", [0, 5, 64, 4095, 4096, -1, +1])
@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_files_of_another_length(stem, which, size):
    path = f"{stem}.{which}.npy"
    os.truncate(path, size if size > 1 else os.path.getsize(path) + size if size else 0)
    with pytest.raises(boldmill.DataError, match=f"{which}.npy"):
        getattr(boldmill.Arrays(stem), which)


@pytest.mark.parametrize(
    "values", [np.zeros((3, 37), "f4"), np.zeros((ROWS, 37), "f8"), np.zeros((37, ROWS), "f4").T]
)
def test_another_array_in_its_place(stem, values):
    np.save(f"{stem}.fmri.npy", values)
    with pytest.raises(boldmill.DataError, match="not what"):
        _ = boldmill.Arrays(stem).fmri


def test_no_pickles(stem):
    np.save(f"{stem}.fmri.npy", np.array([[{}] * 37] * ROWS, object), allow_pickle=True)
    with pytest.raises(boldmill.DataError):
        _ = boldmill.Arrays(stem).fmri


@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_every_flipped_bit_of_a_header_is_an_error_of_the_package(stem, which):
    path = f"{stem}.{which}.npy"
    with open(path, "rb") as f:
        data = f.read()
    for bit in range(8 * 128):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with open(path, "wb") as f:
            f.write(flipped)
        with pytest.raises(boldmill.DataError, match=f"{which}.npy"):
            boldmill.Arrays(stem).verify()


@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_verify_finds_a_changed_byte(stem, which):
    with open(f"{stem}.{which}.npy", "r+b") as f:
        f.seek(-3, os.SEEK_END)
        byte = f.read(1)
        f.seek(-3, os.SEEK_END)
        f.write(bytes([byte[0] ^ 1]))
    with pytest.raises(boldmill.DataError, match=f"{which}.npy"):
        boldmill.Arrays(stem).verify()


def test_a_file_name_leads_nowhere_else(stem, tmp_path):
    """The description names files of its own folder."""
    with open(f"{stem}.json") as f:
        info = json.load(f)
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copy(f"{stem}.fmri.npy", other / "secret.npy")
    for name in (str(other / "secret.npy"), "elsewhere/secret.npy", "../elsewhere/secret.npy"):
        change(f"{stem}.json", fmri=info["fmri"] | {"file": name})
        with pytest.raises(boldmill.MissingError, match="secret"):
            _ = boldmill.Arrays(stem).fmri


# Copies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_a_copy_of_damaged_arrays(stem, tmp_path, which):
    arrays, folder = boldmill.Arrays(stem), tmp_path / "a/b"
    copy_arrays(arrays, folder).verify()
    assert len(list(folder.iterdir())) == 4  # and the lock
    shutil.rmtree(folder)
    with open(f"{stem}.{which}.npy", "r+b") as f:
        f.seek(-3, os.SEEK_END)
        f.write(b"\x55")
    with pytest.raises(boldmill.DataError, match=f"roi.{which}.npy: its content is not what its description says"):
        copy_arrays(arrays, folder)
    assert not [path for path in folder.iterdir() if which in path.name or path.name.endswith((".json", ".tmp"))]


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x"
    with whole(path) as file:
        file.write(b"first")
    with pytest.raises(KeyError), whole(path) as file:
        file.write(b"second")
        raise KeyError
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["x"]
