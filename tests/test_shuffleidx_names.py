"""Names that shuffleidx meets: of outputs, of what lies beside them, of pipes and devices."""

import json

import numpy as np
import pytest
from oracle import rows_of_design


@pytest.fixture
def rows(tmp_path):
    np.save(tmp_path / "x.meta.npy", rows_of_design([3, 0, 0, 5, 0] * 8, tr=4 / 3))
    return tmp_path / "x.meta.npy"


@pytest.mark.parametrize("output", ["npy", ".npy", "x.np"])
def test_short_output_names(run, tmp_path, output):
    run.fails("shuffleidx", 10, output, status=2, says=f"{output}: the output's name must end in .npy", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_without_a_folder(run, tmp_path):
    """The description names the file as it is called, whatever folder it was written from."""
    run("shuffleidx", 10, "out.npy", cwd=tmp_path)
    run("shuffleidx", 10, tmp_path / "sub.npy")
    for name in ("out", "sub"):
        (part,) = json.loads((tmp_path / f"{name}.json").read_text())["parts"]
        assert part["files"][0]["file"] == f"{name}.npy"
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "sub.npy").read_bytes()


def test_metadata_from_a_pipe(run, tmp_path, rows):
    run("shuffleidx", "-", tmp_path / "piped.npy", stdin=rows.read_bytes())
    run("shuffleidx", rows, tmp_path / "file.npy")
    assert (tmp_path / "piped.npy").read_bytes() == (tmp_path / "file.npy").read_bytes()


def test_a_device_as_output(run, tmp_path, rows):
    """It is no file that could be the input; the description tells what went there."""
    run("shuffleidx", rows, tmp_path / "file.npy")
    (tmp_path / "void.npy").symlink_to("/dev/null")
    run("shuffleidx", rows, tmp_path / "void.npy")
    told = [json.loads((tmp_path / f"{name}.json").read_text())["parts"][0]["files"][0] for name in ("file", "void")]
    assert told[0]["crc32"] == told[1]["crc32"] and (tmp_path / "void.npy").is_char_device()


@pytest.mark.parametrize("text", ["[1]", "no JSON", '{"boldmill": 3}'])
def test_a_json_of_another_kind_is_not_replaced(run, tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    run.fails("shuffleidx", 10, tmp_path / "x.npy", status=2, says="x.json: exists and is not ours to replace")
    assert (tmp_path / "x.json").read_text() == text and not (tmp_path / "x.npy").exists()


def test_a_folder_in_the_description_s_place(run, tmp_path):
    (tmp_path / "x.json").mkdir()
    run.fails("shuffleidx", 10, tmp_path / "x.npy", says="x.json")
    assert list((tmp_path / "x.json").iterdir()) == []
