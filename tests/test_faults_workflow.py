"""The workflow where clocks jump, its notes are lost, or names are odd. tests/faults/kills.py kills it."""

import os
import shutil

import pytest
from flow import Flow

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

GENERAL = "cache/subj01/general.fmri.npy"


@pytest.fixture
def flow(run, tmp_path):
    """A workflow on two runs, and what it made."""
    run("synthnsd", "--runs", "2", "--volumes", "40", "--dims", "12,13,11", "--quiet", tmp_path / "nsd")
    return Flow(tmp_path, {"root": str(tmp_path / "nsd")})


def a_run(flow):
    return next((flow.folder / "nsd").rglob("timeseries_session01_run01.nii.gz"))


def test_a_clock_that_jumps(flow):
    """An input from the future is refused, with its name, and nothing is kept; one from long ago is fine."""
    os.utime(a_run(flow), (4e9, 4e9))
    flow.fails(GENERAL, says=["clock", a_run(flow).name])
    assert not list(flow.folder.glob("cache/subj01/*"))
    os.utime(a_run(flow), (1e8, 1e8))
    flow(GENERAL)
    made = flow.bytes(GENERAL)
    for when in (1e8, 4e9):  # outputs of a clock that was wrong
        os.utime(flow.path("cache/subj01/session_01.h5"), (when, when))
        flow.any(GENERAL)
        assert flow.bytes(GENERAL) == made


def test_lost_notes_of_snakemake(flow):
    """What stands at its final name is complete, so the workflow goes on without its notes."""
    flow(GENERAL)
    made = flow.bytes(GENERAL)
    shutil.rmtree(flow.path(".snakemake"))
    assert flow.plan(GENERAL) == []
    shutil.rmtree(flow.path(".snakemake"))
    flow.path("cache/subj01/general.meta.npy").unlink()
    assert flow(GENERAL, "cache/subj01/general.meta.npy").jobs == [("arrays", "general.fmri.npy")]
    assert flow.bytes(GENERAL) == made


def test_verify_names_what_is_damaged(flow):
    odd = "it's; $(touch hacked)"
    targets = [GENERAL, "cache/subj01/general.shuffle.npy"]
    flow(*targets)
    shutil.copytree(flow.path("cache/subj01"), flow.path(f"cache/{odd}"))
    assert "6 files are complete, all checksums good" in flow("verify").text
    assert flow.plan(*targets) == []
    for name in ("general.fmri.npy", "general.meta.npy", "general.shuffle.npy", "session_01.h5", "general.json"):
        path = flow.path(f"cache/{odd}/{name}")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    text = flow.fails("verify").text
    for name in ("general.json", "general.shuffle.json", "session_01.h5"):
        assert f"boldinfo: cache/{odd}/{name}: " in text or f"cache/{odd}/{name.replace('json', 'npy')}" in text
    assert "boldinfo: cache/subj01" not in text and not list(flow.folder.rglob("hacked"))


def test_odd_names_in_the_configuration(flow):
    """Names of ROIs land inside the cache or nowhere, and no shell reads them."""
    odd = ("$(touch hacked)", "a;touch hacked", "-n", "it's", 'a"b c', "..", "`touch hacked`")
    flow(rois=dict.fromkeys(odd, "nsdgeneral"))
    assert all(flow.path(f"cache/subj01/{name}.fmri.npy").exists() for name in odd)
    wrong = [{"rois": {name: "nsdgeneral"}} for name in ("../../out", "/tmp/out")]
    for config in (*wrong, {"layout": {"folder": "../{subject}"}}, {"cache": "-n"}, {"cache": "a{b}"}):
        flow.fails(options=["-n"], **config)
    top = {path.name for path in flow.folder.iterdir()}
    assert top == {"cache", "nsd", ".snakemake"} and not list(flow.folder.rglob("hacked"))
