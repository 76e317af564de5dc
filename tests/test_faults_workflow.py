"""The workflow where clocks jump, its notes are lost, or names are odd. tests/faults/kills.py kills it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, ROOT, bold, write_nifti
from flow import Flow

sys.path[:0] = [str(ROOT / "tests/faults"), str(ROOT / "rules")]
import campaign  # noqa: E402

from operate import verify  # noqa: E402

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
    assert "13 files are complete, all checksums good" in flow("verify").text
    assert flow.plan(*targets) == []
    for name in ("general.fmri.npy", "general.meta.npy", "general.shuffle.npy", "session_01.h5", "general.json"):
        path = flow.path(f"cache/{odd}/{name}")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    text = flow.fails("verify").text
    for name in ("general.json", "general.shuffle.json", "session_01.h5"):
        assert f"boldinfo: cache/{odd}/{name}: " in text or f"cache/{odd}/{name.replace('json', 'npy')}" in text
    assert "boldinfo: cache/subj01" not in text and not list(flow.folder.rglob("hacked"))


def verified(cache):
    """(status, what was said, {file: word of the list})"""
    command = [sys.executable, ROOT / "rules", "verify", cache, "--boldinfo", BIN / "boldinfo", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, {line[14:]: line[:14].strip() for line in done.stdout.splitlines()}


PARTNERS = {
    "general.json": {"general.fmri.npy": "no description", "general.meta.npy": "no description"},
    "general.shuffle.json": {"general.shuffle.npy": "no description"},
    "general.meta.npy": {"general.json": "is not there, though"},
    "general.fmri.npy": {"general.json": "is not there, though"},
    "general.shuffle.npy": {"general.shuffle.json": "is not there, though"},
}


def test_verify_knows_every_file(flow, tmp_path):
    """A partner that is missing or stale is an error that says what to do; what has no checksum is named."""
    flow(GENERAL, "cache/subj01/general.shuffle.npy")
    made = flow.path("cache/subj01")
    names = {"session_01.h5", *PARTNERS}
    assert verified(flow.path("cache"))[::2] == (
        0,
        {"summary.json": "good"} | {f"subj01/{name}": "good" for name in names},
    )
    for lost, found in PARTNERS.items():
        cache = tmp_path / f"without {lost}"
        shutil.copytree(made, cache)
        (cache / lost).unlink()
        status, said, lists = verified(cache)
        assert status == 1 and {name for name in lists if lists[name] == "BAD"} >= found.keys()
        for words in found.values():
            assert any(words in line and "make it again" in line for line in said.splitlines()), said
        assert lists["session_01.h5"] == "good"
    cache = tmp_path / "more"
    shutil.copytree(made, cache)
    shutil.copy(cache / "general.fmri.npy", cache / "other.fmri.npy")
    assert verified(cache)[0] == 1 and "other.fmri.npy: no description" in verified(cache)[1]
    (cache / "other.fmri.npy").unlink()
    (cache / ".general.fmri.npy.17-0123456789abcdef.tmp").write_bytes(b"half")
    (cache / "notes.txt").write_text("a note")
    (cache / "mine.json").write_text('{"rois": {}}')
    np.save(cache / "mask.npy", np.ones((2, 2, 2), bool))
    (cache / "log").mkdir()
    (cache / "log/x.log").write_text("said")
    status, said, lists = verified(cache)
    unknown = {"notes.txt", "mine.json", "mask.npy"}
    assert status == 0 and {name for name in lists if lists[name] == "unverifiable"} == unknown
    assert all(f"more/{name}: cannot be verified" in said for name in unknown)
    assert "6 files are complete, all checksums good; 3 cannot be verified; 1 left over" in said
    (cache / "session_01.h5").write_bytes(b"")
    assert verified(cache)[0] == 1 and "session_01.h5: is empty" in verified(cache)[1]


def test_verify_passes_over_nothing(run, tmp_path):
    """Folders that are links or cannot be read, links to nothing, names that are no lines; the arrays of boldqc."""
    scan, cache, other = write_nifti(tmp_path / "run.nii.gz", bold()), tmp_path / "cache", tmp_path / "other"
    for folder in (cache / "subj01", cache / "quality", other):
        folder.mkdir(parents=True)
    run("nifti2h5", scan, cache / "subj01/a\nBAD b.h5")
    run("boldqc", cache / "subj01/a\nBAD b.h5", cache / "quality/session_01.json")
    (cache / "subj01/round").symlink_to("..")
    quality = {f"quality/session_01{end}": "good" for end in (".json", ".maps.npy", ".carpet.npy")}
    status, said, lists = verified(cache)
    assert (status, lists) == (0, quality | {"subj01/a\\nBAD b.h5": "good"}), said
    data = bytearray((cache / "subj01/a\nBAD b.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (other / "session_01.h5").write_bytes(data)
    (cache / "subj02").symlink_to(other)
    (cache / "subj01/session_09.h5").symlink_to("nowhere")
    os.mkfifo(cache / "subj01/session_08.h5")
    status, said, lists = verified(cache)
    assert status == 1 and "session_09.h5: is a link to nothing" in said and "subj02/session_01.h5" in said
    assert lists["subj02/session_01.h5"] == lists["subj01/session_09.h5"] == "BAD"
    assert lists["subj01/session_08.h5"] == "unverifiable"
    (cache / "quality/session_01.json").unlink()
    assert verified(cache)[2]["quality/session_01.maps.npy"] == "BAD"


def test_verify_names_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "subj01").mkdir()
    look = os.scandir

    def without_permission(path):
        if str(path).endswith("subj01"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", without_permission)
    found, wrong = verify.files(tmp_path)
    assert found == [] and list(map(str, wrong)) == ["subj01"] and "denied" in wrong[Path("subj01")]


def test_a_file_that_an_older_one_replaces(flow):
    """As mv, rsync -a and cp -p do. Snakemake goes by times alone; we do not."""
    flow(GENERAL)
    assert flow.plan(GENERAL) == []
    design = next((flow.folder / "nsd").rglob("design_session01_run01.tsv"))
    put_older(str(design).replace("run01", "run02"), design)
    assert flow.plan(GENERAL) == [("arrays", "general.fmri.npy")]
    put_older(str(a_run(flow)).replace("run01", "run02"), a_run(flow))
    assert flow(GENERAL).jobs == [("arrays", "general.fmri.npy"), ("pack", "session_01.h5")]
    assert flow.plan(GENERAL) == []


def put_older(source, target):
    shutil.copy(source, target)
    os.utime(target, (1.5e9, 1.5e9))


# The disk, and inputs that are replaced


def test_a_disk_that_fills_under_the_workflow(flow, tmp_path):
    """It stops, leaves nothing half made, and goes on once there is room. (The log, which lies there too, may be
    empty.)"""
    flow(GENERAL)
    wanted = {name: flow.bytes(f"cache/subj01/general.{name}") for name in ("fmri.npy", "meta.npy")}
    size = sum(path.stat().st_size for path in flow.path("cache").rglob("*") if path.is_file())
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk needs the right to mount: {done.stderr.strip()}")

    mount(f"size={1 << 16}")
    try:
        for share in (0.2, 0.6, 0.9):
            mount(f"remount,size={int(share * size)}")
            flow.fails(f"{disk}/subj01/general.fmri.npy", cache=str(disk))
            left = {path.name: path.read_bytes() for path in disk.glob("subj01/*")}
            assert all(wanted.get(name.partition(".")[2], left[name]) == left[name] for name in left), share
            assert not [name for name in left if name.startswith(".")] and verified(disk)[0] == 0
        mount(f"remount,size={4 * size}")
        flow(f"{disk}/subj01/general.fmri.npy", cache=str(disk))
        assert all((disk / f"subj01/general.{name}").read_bytes() == data for name, data in wanted.items())
    finally:
        subprocess.run(["umount", disk], check=True)


MEANWHILE = """#!/bin/sh
# Stops before its fifth read, has something happen, and goes on.
LD_PRELOAD="{shim} $LD_PRELOAD" FAULT_CALL=read FAULT_AT=5 FAULT_HOW=stop {bin}/{name} "$@" & pid=$!
while ! grep -q '^State:.T' /proc/$pid/status; do sleep 0.05; done
{action}
kill -CONT $pid
wait $pid
"""


def while_it_runs(folder, name, action):
    """A folder of the programs; while `name` reads, a shell does `action`."""
    programs, shim = folder / "programs", campaign.build_shim(folder)
    programs.mkdir()
    for path in BIN.iterdir():
        (programs / path.name).symlink_to(path)
    (programs / name).unlink()
    (programs / name).write_text(MEANWHILE.format(shim=shim, bin=BIN, name=name, action=action))
    (programs / name).chmod(0o755)
    return str(programs)


def test_a_run_that_is_replaced_during_the_job(flow, tmp_path):
    """The job fails: Snakemake would take its output for newer than the new run."""
    run, new = a_run(flow), tmp_path / "new.nii.gz"
    shutil.copy(str(run).replace("run01", "run02"), new)
    programs = while_it_runs(tmp_path, "nifti2h5", f"mv {new} {run}")
    flow.fails(GENERAL, says="was replaced", bin=programs, options=["--show-failed-logs"])
    assert not list(flow.folder.glob("cache/subj01/*"))
    flow(GENERAL)
    after = flow.bytes(GENERAL)
    shutil.rmtree(flow.path("cache"))
    flow(GENERAL)
    assert flow.bytes(GENERAL) == after


DAY, OLDER = 86400, "has older modification time"
OTHER = "cache/subj01/other.fmri.npy"


@pytest.mark.parametrize(("program", "by"), [("nifti2h5", DAY), ("applymask", -DAY)])
def test_a_clock_that_jumps_during_a_job(flow, tmp_path, program, by):
    """A program's output lands a day ahead of what is made once the clock is right again, or behind its own input:
    that is refused, with its name; times said are those that passed; a change that comes after is seen."""
    flow.config["rois"] = {"general": "nsdgeneral", "other": "nsdgeneral"}
    flow(GENERAL)
    made, clock = flow.bytes(GENERAL), tmp_path / "clock"
    shutil.rmtree(flow.path("cache")), shutil.rmtree(flow.path(".snakemake"))
    for path in flow.path("nsd").rglob("*"):
        os.utime(path, (1.5e9, 1.5e9))
    clock.write_text("0")
    flow.env = flow.env | {"LD_PRELOAD": campaign.build_shim(tmp_path, "clock"), "CLOCK_FILE": str(clock)}
    first = flow.any(GENERAL, bin=while_it_runs(tmp_path, program, f"echo {by} > {clock}"))
    said = [line for line in first.text.splitlines() if line.startswith("boldmill: ")]
    assert said and not [line for line in said if re.search(r"\d h\b| -\d", line)], said
    clock.write_text("0")
    if by > 0:
        assert first.status == 0 and flow.bytes(GENERAL) == made and flow.plan(GENERAL) == []
        flow.fails(OTHER, says=[OLDER, "session_01.h5"])
        os.utime(flow.path("cache/subj01/session_01.h5"))  # what docs/troubleshooting.md says
    else:
        assert first.status and f"{GENERAL} {OLDER}" in first.text
        assert not list(flow.folder.glob("cache/subj01/*general*"))
    flow(GENERAL, OTHER)
    assert flow.bytes(GENERAL) == flow.bytes(OTHER) == made
    design = next(flow.path("nsd").rglob("design_session01_run01.tsv"))
    design.write_text("".join(reversed(design.read_text().splitlines(keepends=True))))
    assert flow.plan(GENERAL) == [("arrays", "general.fmri.npy")]


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


def test_odd_values_in_the_configuration(flow, tmp_path):
    """Folders and files: names with blanks, quotes, line ends, `$()`, wildcards and a leading dash are names."""
    odd = '-n it\'s "b"; `touch hacked` $(touch hacked) $HOME\n*'
    flow(GENERAL)
    made = flow.bytes(GENERAL)
    programs = f"bin {odd}".replace("\n", " ")  # --config takes a line end for a blank
    for name, there in ((f"root {odd}", flow.path("nsd")), (programs, BIN)):
        tmp_path.joinpath(name).symlink_to(there)
    volume = next(flow.path("nsd").rglob("nsdgeneral.nii.gz"))
    shutil.copy(volume, volume.with_name(f"{odd} 01.nii.gz"))
    named = str(volume.with_name(odd))
    roi = {"file": f"{named} {{subject}}.nii.gz", "where": f"{named} 01.nii.gz > 0"}
    names = {key: f"{key} {odd}" for key in ("root", "cache", "scratch")}
    os.makedirs(tmp_path / os.path.expandvars(names["scratch"]))  # the only one that may name variables
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({**names, "rois": {odd: roi, "general": "nsdgeneral"}}))
    target = f"{names['cache']}/subj01/{odd}.fmri.npy"
    for route in ("packed", "direct"):
        there = Flow(tmp_path, {"route": route}, settings, Path(programs))
        there(target, options=["-F"])
        assert there.bytes(target) == made
    assert not list(tmp_path.rglob("hacked"))
