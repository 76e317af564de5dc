"""docs/troubleshooting.md: each entry's message is what one sees. Every message of the page is provoked here."""

import fcntl
import os
import pty
import re
import shutil
import subprocess
import sys

import h5py
import makebids
import numpy as np
import pytest
from conftest import BIN, ROOT, bold, write_nifti
from flow import ENV, Flow

PAGE = ROOT / "docs/troubleshooting.md"
GENERAL = "cache/subj01/general.fmri.npy"


def messages():
    """The text blocks of the page; in them `...` stands for anything."""
    return [block.rstrip("\n") for block in re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.M | re.S)]


class Place:
    """A small dataset of one session, a packed session, and calls that fail."""

    def __init__(self, run, folder):
        self.run, self.folder = run, folder
        self.flow = Flow(folder, {"root": str(folder / "nsd")})
        self.scans = folder / "nsd/nsddata_timeseries/ppdata/subj01/func1pt8mm"
        self.roi = folder / "nsd/nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
        self.scan = self.scans / "timeseries/timeseries_session01_run01.nii.gz"
        self.design = self.scans / "design/design_session01_run01.tsv"

    def fails(self, *targets, **how):
        return self.flow.fails(*(targets or [GENERAL]), **how).text

    def says(self, name, *args, **how):
        done = self.run.any(name, *args, **how)
        assert done.status != 0
        return done.err

    def packed(self):
        self.run("nifti2h5", "--quiet", self.scan, self.folder / "session_01.h5")
        return self.folder / "session_01.h5"


def truncate(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


# What the page's messages are provoked by, by their first words.


def no_programs(place):
    return place.fails(bin=str(place.folder / "nowhere"))


def wrong_root(place):
    return place.fails(root=str(place.folder / "elsewhere"))


def cut_scan(place):
    truncate(place.scan)
    return place.says("nifti2h5", place.scan, place.folder / "a.h5")


def flipped_bit(place):
    path = place.packed()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return place.says("boldinfo", "--verify", path)


def other_grid(place):
    roi = write_nifti(place.folder / "other.nii.gz", np.ones((5, 5, 5), np.uint8))
    return place.says("applymask", "--roi", roi, place.packed(), place.folder / "a.h5")


def unknown_roi(place):
    return place.fails("cache/subj01/nsdgenerall.fmri.npy")


def no_design(place):
    place.design.unlink()
    return place.fails()


def long_design(place):
    with place.design.open("a") as f:
        f.write("0\n" * 10)
    return place.fails()


def misspelt_key(place):
    return place.fails(clena={"order": 2})


def no_rule(place):
    return place.fails("V1.fmri.npy")


def target_behind_config(place):
    config = [f"bin={BIN}", GENERAL]
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", "--config", *config]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False, env=ENV)
    return done.stdout + done.stderr


def label_with_key(place):
    root = makebids.raw(place.folder / "ds")
    return place.fails("all", root=str(root), layout={"preset": "bids"}, subjects="sub-01")


def bids_as_nsd(place):
    return place.fails("all", root=str(makebids.raw(place.folder / "ds")))


def held_lock(place):
    locks = place.folder / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text(f"{place.scan}\n")
    (locks / "0.output.lock").write_text(str(place.folder / GENERAL) + "\n" + GENERAL + "\n")
    return place.fails()


def from_the_future(place):
    os.utime(place.scan, (4e9, 4e9))
    return place.fails()


def locked_file(place):
    path = place.packed()
    with open(path, "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        try:
            h5py.File(path, locking=True)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
    return ""


def on_a_small_disk(place, work):
    """What `work(folder)` says where the disk has 16 kB."""
    if os.geteuid():
        pytest.skip("only root may mount a small disk")
    disk = place.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount")
    try:
        return work(disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def full_disk(place):
    path = place.packed()
    return on_a_small_disk(place, lambda disk: place.says("detrend", path, disk / "a.h5"))


def full_cache(place):
    return on_a_small_disk(place, lambda disk: place.fails(f"{disk}/subj01/general.fmri.npy", cache=str(disk)))


def no_permission(place):
    path, folder = place.packed(), place.folder / "theirs"
    folder.mkdir(mode=0o555)
    command = [BIN / "detrend", path, folder / "a.h5"]
    user = {"user": 65534} if os.geteuid() == 0 else {}
    for part in (place.folder, *place.folder.parents):
        if user and part != part.parent and part.stat().st_uid == 0:
            part.chmod(part.stat().st_mode | 0o055)
    return subprocess.run(command, capture_output=True, text=True, check=False, **user).stderr


def terminal(place):
    path = place.packed()
    outer, inner = pty.openpty()
    done = subprocess.run([BIN / "detrend", path, "-"], stdout=inner, stderr=subprocess.PIPE, text=True, check=False)
    os.close(inner)
    os.close(outer)
    return done.stderr


def broken_chain(place):
    truncate(place.scan)
    chain = f"'{BIN}/nifti2h5' --mask '{place.roi}' '{place.scan}' - | '{BIN}/detrend' - a.h5"
    return subprocess.run(["bash", "-c", chain], cwd=place.folder, capture_output=True, text=True, check=False).stderr


def overflow(place):
    data = np.full((3, 3, 3, 8), 30000, np.int16) * (np.arange(8) % 2 * 2 - 1).astype(np.int16)
    scan = write_nifti(place.folder / "loud_bold.nii.gz", data, slope=10.0, inter=0.0)
    place.run("nifti2h5", "--quiet", scan, place.folder / "loud.h5")
    return place.says("detrend", "--dtype", "float16", place.folder / "loud.h5", place.folder / "a.h5")


def short_confounds(place):
    table = place.folder / "motion.tsv"
    table.write_text("trans_x\n" + "0.5\n" * 7)
    return place.says("denoise", "--confounds", table, place.packed(), place.folder / "a.h5")


def little_memory(place):
    scan = write_nifti(place.folder / "big_bold.nii.gz", bold((64, 64, 40), 60))
    for limit in range(64000, 30000, -500):  # what a program needs besides depends on the machine's locales
        words = f"ulimit -v {limit}; exec '{BIN}/nifti2h5' -j1 '{scan}' '{place.folder}/a.h5'"
        said = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False).stderr
        if "memory is short" in said:
            break
    return said


def no_tr(place):
    scan = write_nifti(place.folder / "x_bold.nii.gz", bold(), tr=0)
    return place.run.any("nifti2h5", scan, place.folder / "a.h5").err


def grids_differ(place):
    scans = [write_nifti(place.folder / f"run-{n}_bold.nii.gz", bold((7, 6, n))) for n in (4, 5)]
    return place.says("nifti2h5", *scans, place.folder / "a.h5")


def no_description(place):
    root = makebids.raw(place.folder / "ds")
    (root / "dataset_description.json").unlink()
    return place.fails("cache/sub-01/brain.fmri.npy", root=str(root), layout={"preset": "bids"})


def no_column(place):
    root = makebids.raw(place.folder / "ds")
    config = {"layout": {"preset": "bids"}, "labels": {"column": "stimulus"}, "rois": {"all": "mask.nii.gz"}}
    makebids.write_mask(root / "mask.nii.gz")
    return place.fails("cache/sub-01/all.fmri.npy", root=str(root), **config)


def two_entities(place):
    root = makebids.fmriprep(place.folder / "ds", spaces=("MNI", "T1w"))
    return place.fails("cache/sub-01/brain.fmri.npy", root=str(root), layout={"preset": "fmriprep"})


def wrong_option(place):
    return place.says("detrend", "--odrer", "2", "a.h5", "b.h5")


def no_such_label(place):
    return place.says("applymask", "--roi", place.roi, "--labels", "7", place.packed(), place.folder / "a.h5")


def dead_job(place):
    """A program that is killed from outside, as schedulers do for want of memory."""
    shutil.copytree(BIN, place.folder / "bin")
    (place.folder / "bin/concat").unlink()
    (place.folder / "bin/concat").write_text("#!/bin/sh\nkill -9 $$\n")
    (place.folder / "bin/concat").chmod(0o755)
    return place.fails(bin=str(place.folder / "bin"))


# By words that only this message has.
PROVOKED = {
    "the programs are not there": no_programs,
    "there is no such key": misspelt_key,
    "No rule to produce": no_rule,
    "Unparsable value": target_behind_config,
    "Directory cannot be locked": held_lock,
    "unknown option": wrong_option,
    "no run of subject": wrong_root,
    "letters and digits alone": label_with_key,
    "it looks like BIDS": bids_as_nsd,
    "no volume nsdgenerall": unknown_roi,
    "this design is missing": no_design,
    "{space} is MNI": two_entities,
    "every BIDS dataset has one": no_description,
    "has no column": no_column,
    "gzip data end early": cut_scan,
    "the mask's grid": other_grid,
    "but the first run has": grids_differ,
    "or the design); check the run": long_design,
    "the table has 7 lines": short_confounds,
    "no repetition time": no_tr,
    "no voxel is 7": no_such_label,
    "too large for float16": overflow,
    "No space left": full_disk,
    "it left no message": full_cache,
    "Permission denied": no_permission,
    "Killed": dead_job,
    "memory is short": little_memory,
    "its writer failed": broken_chain,
    "is a terminal": terminal,
    "older modification time": from_the_future,
    "unable to lock file": locked_file,
    "the checksum differs": flipped_bit,
}


@pytest.fixture(scope="module")
def tree(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("trouble") / "nsd"
    run("synthnsd", "--runs", "2", "--volumes", "40", "--dims", "12,13,11", "--quiet", root)
    return root


@pytest.fixture
def place(run, tree, tmp_path):
    shutil.copytree(tree, tmp_path / "nsd")
    return Place(run, tmp_path)


def pattern(message):
    """Blanks are as one likes; `...` is anything."""
    parts = [re.escape(" ".join(part.split())) for part in message.split("...")]
    return re.sub(r"(\\ )+", r"\\s+", ".*?".join(parts))


def test_every_message_is_provoked():
    unknown = [m for m in messages() if not any(words in m for words in PROVOKED)]
    assert not unknown, "no test provokes: " + "\n".join(unknown)
    assert len(messages()) == len(PROVOKED) > 15


@pytest.mark.parametrize("words", list(PROVOKED))
def test_message(place, words):
    """The page's message is what one sees, `...` aside."""
    (message,) = [m for m in messages() if words in m]
    said = " ".join(PROVOKED[words](place).split())
    assert re.search(pattern(message), said), f"{message}\nis not in\n{said}"
