"""Counts what a file server is asked: `make metadata-count` prints the tables of docs/shared-filesystems.md.

Each program runs under strace on a synthetic session (12 runs, as in NSD), and the calls that concern files of the
dataset and of the cache are counted; libraries, /proc, pipes and the like are left out. The last table has the whole
workflow, with Snakemake's own calls, for two numbers of sessions: their difference is what one session costs.
"""

import argparse
import collections
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "open": ("open", "openat", "creat"),
    "stat": ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    "fstat": ("fstat",),
    "list": ("getdents64",),
    "sync": ("fsync", "fdatasync"),
    "rename": ("rename", "renameat", "renameat2"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "make": ("mkdir", "mkdirat", "symlink", "link", "utime", "utimensat", "chmod", "fchmod", "ftruncate"),
    "lock": ("flock",),
}
KIND = {call: kind for kind, calls in KINDS.items() for call in calls}
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)")
DATA = ("read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev")
OWN = ("nifti2h5", "detrend", "denoise", "zscore", "hrfshift", "applymask", "concat", "shuffleidx", "boldinfo")


class Counts:
    """kind -> number; `failed` of them found nothing."""

    def __init__(self):
        self.kinds, self.failed, self.data = collections.Counter(), 0, 0

    def line(self, text, folder):
        text = re.sub(r'AT_FDCWD<[^>]*>, "/', 'AT_FDCWD, "/', text)
        match = CALL.match(text)
        if not match or folder not in text:
            return
        call, rest = match.groups()
        if call == "newfstatat" and re.match(r'\d+<[^>]*>, ""', rest):
            call = "fstat"
        if call == "fcntl" and re.search(r"F_(OFD_)?(SETLK|GETLK)", rest):
            call = "flock"
        if call in KIND:
            self.kinds[KIND[call]] += 1
            self.failed += "= -1 ENOENT" in rest
        elif call in DATA:
            self.data += 1

    @property
    def total(self):
        return sum(self.kinds.values())


def traced(command, folder, notes, **how):
    """(counts of all processes together, counts of our programs) of calls on files below `folder`."""
    names = ",".join([*KIND, *DATA, "fcntl", "execve"])
    strace = [
        "strace",
        "-ff",
        "-qq",
        "-yy",
        "-s",
        "4096",
        "--seccomp-bpf",
        "-e",
        f"trace={names}",
        "-e",
        "signal=none",
    ]
    notes.mkdir()
    done = subprocess.run(
        [*strace, "-o", notes / "trace", *map(str, command)], capture_output=True, text=True, check=False, **how
    )
    if done.returncode:
        raise SystemExit(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    every, ours = Counts(), Counts()
    for path in notes.iterdir():
        lines = path.read_text(errors="replace").splitlines()
        program = next((m[1] for line in reversed(lines) if (m := re.match(r'execve\("[^"]*/([^"/]+)"', line))), "")
        for line in lines:
            every.line(line, str(folder))
            if program in OWN:
                ours.line(line, str(folder))
    shutil.rmtree(notes)
    return every, ours


def row(name, counts):
    cells = [counts.kinds[kind] for kind in KINDS]
    return f"| {name} | {' | '.join(map(str, cells))} | {counts.total} | {counts.failed} | {counts.data} |"


def head(first):
    columns = [first, *KINDS, "all", "of them in vain", "reads and writes"]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def programs(folder):
    """(name, command) on one session."""
    nsd = folder / "nsd"
    scans = nsd / "nsddata_timeseries/ppdata/subj01/func1pt8mm"
    roi = nsd / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    runs = sorted((scans / "timeseries").glob("timeseries_session01_run*.nii.gz"))
    designs = ["--design", f"{scans}/design/design_session{{session}}_run{{run}}.tsv"]
    packed, labelled = folder / "packed.h5", folder / "labelled.h5"
    yield "nifti2h5 --design ... RUN... packed.h5 (12 runs)", ["nifti2h5", *designs, *runs, packed]
    yield "nifti2h5 --mask ROI RUN... roi.h5", ["nifti2h5", "--mask", roi, *runs, folder / "direct.h5"]
    yield "detrend packed.h5 out.h5", ["detrend", packed, folder / "detrended.h5"]
    yield "denoise --high-pass 0.01 packed.h5 out.h5", ["denoise", "--high-pass", "0.01", packed, folder / "d.h5"]
    yield "zscore packed.h5 out.h5", ["zscore", packed, folder / "z.h5"]
    yield "hrfshift --design ... packed.h5 out.h5", ["hrfshift", *designs, packed, labelled]
    yield "applymask --roi ROI packed.h5 roi.h5", ["applymask", "--roi", roi, packed, folder / "roi.h5"]
    yield "concat labelled.h5 a.fmri.npy", ["concat", labelled, folder / "a.fmri.npy"]
    yield "shuffleidx a.meta.npy a.shuffle.npy", ["shuffleidx", folder / "a.meta.npy", folder / "a.shuffle.npy"]
    yield "boldinfo --verify packed.h5", ["boldinfo", "--verify", packed]


def workflow(folder, sessions, bin_):
    """Counts of the whole workflow for 1-N sessions: everything, and our programs alone; then of a call that finds
    nothing to do."""
    root, work = folder / f"nsd{sessions}", folder / f"work{sessions}"
    work.mkdir()
    make_nsd(bin_, root, f"1-{sessions}")
    command = [Path(sys.prefix) / "bin/snakemake", "-s", ROOT / "Snakefile", "-j2", "--quiet", "all", "--config"]
    command += [f"root={root}", f"cache={work / 'cache'}", f"bin={bin_}"]
    command += ["--", work / "cache/subj01/general.fmri.npy"]
    first = traced(command, folder, folder / "notes", cwd=work)
    return (*first, traced(command, folder, folder / "notes", cwd=work)[0])


def make_nsd(bin_, root, sessions):
    size = ["--dims", "12,13,11", "--runs", "12", "--sessions", sessions, "--volumes", "20"]
    subprocess.run([bin_ / "synthnsd", "--quiet", *size, root], check=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", default=ROOT / "bin", type=Path, help="the programs")
    args.add_argument("--programs", action="store_true", help="the programs alone, without the workflow")
    args = args.parse_args()
    if not shutil.which("strace"):
        raise SystemExit("strace is not installed; apt-get install strace")
    bin_ = args.bin.resolve()
    with tempfile.TemporaryDirectory(prefix="boldmill-count-") as folder:
        folder = Path(folder).resolve()
        make_nsd(bin_, folder / "nsd", "1")
        print(head("program"))
        for name, (program, *words) in programs(folder):
            counts, _ = traced([bin_ / program, "--quiet", *words], folder, folder / "notes", cwd=folder)
            print(row(name, counts), flush=True)
        if not args.programs:
            print(f"\n{head('workflow, 12 runs a session')}")
            few, many = workflow(folder, 1, bin_), workflow(folder, 5, bin_)
            labels = ("Snakemake and programs", "the programs alone", "a second call, nothing to do")
            for label, one, five in zip(labels, few, many, strict=True):
                print(row(f"{label}: 1 session", one))
                print(row(f"{label}: 5 sessions", five))
                print(f"{label}: {(five.total - one.total) / 4:.0f} calls a session more")


if __name__ == "__main__":
    main()
