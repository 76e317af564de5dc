"""Arrays as the package opens them: what they say of themselves, copies in other processes, and damage."""

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys

import boldmill
import numpy as np
import pytest
from boldmill.copies import copy_arrays
from boldmill.files import whole
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
