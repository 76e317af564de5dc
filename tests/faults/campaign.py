"""Makes every system call of every program fail, one at a time, and looks at what is left: `make faults`.

For each program on a small input, and for the Python package: how often it opens, reads, writes, synchronises,
closes, renames, truncates, maps, makes folders, looks at files and allocates is counted first. Then each of these
calls fails in a run of its own, once and from there on, in several ways; and the program is killed in place of each
write, synchronisation and rename. After each run

  - exit status 0:      every output is there, and what is printed, byte for byte as without a fault;
  - another status:     an output that is there is complete (byte for byte), and no temporary file is left; a message
                        says why;
  - killed:             an output that is there is complete.

A write, synchronisation, rename or close of an output that fails must not end with status 0, even if the bytes are
right: the disk said that they are not safe. A write that is changed on its way (one byte, without a word) must be
refused, unless nothing that a user gets is changed. And in the run without a fault no file gets its name before it is
synchronised, and each folder is synchronised after its last rename.

tests/faults/shim.c does the failing. --most N takes N places of each kind, spread evenly (the short form). --sites
lets calls fail once for each chain of functions that leads to them, in one way, and changes each write so: what
coverage needs.
"""

import argparse
import collections
import contextlib
import io
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]
import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import series_content  # noqa: E402
from server import Server, as_output  # noqa: E402

ERRORS = {
    "open": ["EIO", "EMFILE", "ENOSPC", "EINTR"],
    "read": ["EIO", "EINTR", "short"],
    "write": ["EIO", "ENOSPC", "EDQUOT", "EINTR", "short", "changed"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "close": ["EIO", "EINTR"],
    "finish": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "rename": ["EIO", "ENOSPC", "EINTR"],
    "truncate": ["EIO", "ENOSPC", "EINTR"],
    "mkdir": ["EIO", "ENOSPC"],
    "stat": ["EIO"],
    "mmap": ["EIO", "ENOMEM"],
    "alloc": ["ENOMEM"],
}
KILLS = ("write", "fsync", "rename", "finish")
MUST_FAIL = ("write", "fsync", "rename", "finish", "truncate", "mkdir")
CORE = Path(os.environ.get("BOLDMILL_CORE", ROOT / "build/release/_core.so"))  # of the Python package
os.environ["BOLDMILL_CORE"] = str(CORE)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # its caches are no outputs
PASSING = ("EINTR", "short", "changed")  # the call is to be made again; what was changed may be written once more
FAST = (
    "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
)  # the shim is the disk that fails; the real one may be quick


@dataclass
class Case:
    """One call of a program; `out` is a folder of its own for each run."""

    name: str
    command: list
    outputs: dict = field(default_factory=dict)  # name -> bytes, without a fault
    env: dict = field(default_factory=dict)
    folders: tuple = ()  # below {out}, which are there before
    growing: tuple = ()  # outputs that are added to: the begin of one is complete too
    parts: str = "^$"  # names of what may be left, to be gone on with by the next call
    sites: list = field(default_factory=list)  # (call, place): the first of each chain of functions that leads to it

    def is_whole(self, name, data):
        """Or, of a file that grows, its begin, and zeros where the disk has not got further."""
        return data == self.outputs[name] or (
            name in self.growing and self.outputs[name].startswith(data.rstrip(b"\0"))
        )


def build_shim(folder, name="shim"):
    """Builds shim.c, or clock.c, for those who have no make at hand; its path."""
    source, built = HERE / f"{name}.c", folder / f"{name}.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return str(built)


def small_runs(folder):
    rng = np.random.default_rng(1)
    for run in (1, 2):
        data = rng.integers(1, 900, (5, 4, 3, 20)).astype(np.int16)
        image = nib.Nifti1Image(data, np.diag([2, 2, 2, 1]))
        image.header.set_zooms((2, 2, 2, 1.5))
        image.header.set_xyzt_units("mm", "sec")
        nib.save(image, folder / f"sub-01_run-{run}_bold.nii.gz")
        (folder / f"design{run}.tsv").write_text("".join(f"{k % 7 * (k % 3 == 0)}\n" for k in range(20)))
        motion = "".join(f"{x:.4f}\t{y:.4f}\n" for x, y in rng.normal(size=(20, 2)))
        (folder / f"confounds{run}.tsv").write_text(f"trans_x\tfd\n{motion}")
        (folder / f"kept{run}.txt").write_text("".join(f"{int(k != 4)}\n" for k in range(20)))
    mask = nib.Nifti1Image((data[..., 0] > 300).astype(np.uint8), np.diag([2, 2, 2, 1]))
    nib.save(mask, folder / "roi.nii.gz")
    other_inputs(folder, data)


def other_inputs(folder, data):
    """The other kinds of files that the programs read."""
    rng = np.random.default_rng(2)
    for run in (1, 2):
        shown = "".join(f"{3 * k:.1f}\t1.5\t{'face' if k % 2 else 'house'}\n" for k in range(8))
        (folder / f"events{run}.tsv").write_text("onset\tduration\ttrial_type\n" + shown)
    nib.save(nib.Nifti1Image(data[..., 0] % 4, np.diag([2, 2, 2, 1])), folder / "atlas_dseg.nii.gz")
    (folder / "atlas_dseg.tsv").write_text("index\tname\n1\tV1\n2\tV2\n3\tV3\n")
    np.save(folder / "statistic.npy", rng.normal(size=data.shape[:3]).astype("f4"))
    volumes = folder / "volumes"
    volumes.mkdir()
    for k in range(6):
        nib.save(nib.Nifti1Image(data[..., k], np.diag([2, 2, 2, 1])), volumes / f"sub-01_run-1_volume{k}.nii")
    pair = nib.Nifti1Pair(data, np.diag([2, 2, 2, 1]))
    pair.header.set_zooms((2, 2, 2, 1.5))
    pair.header.set_xyzt_units("mm", "sec")
    nib.save(pair, folder / "sub-01_run-3_bold.img")
    (folder / "sub-01_run-3_bold.json").write_text('{"RepetitionTime": 1.5, "TaskName": "x"}')


def each_run(option, folder, stem, end):
    return [word for k in (1, 2) for word in (option, folder / f"{stem}{k}.{end}")]


def cases(folder, program):
    """Commands; {out} is the folder of the outputs."""
    small_runs(folder)
    runs = sorted(folder.glob("*_bold.nii.gz"))
    packed, labelled, rows = folder / "packed.h5", folder / "labelled.h5", folder / "rows.fmri.npy"
    designs = each_run("--design", folder, "design", "tsv")
    confounds = [*each_run("--confounds", folder, "confounds", "tsv"), "--censor", "fd > 2", "--expand", "squares"]
    masks = each_run("--sample-mask", folder, "kept", "txt")
    for name, *args in (
        ("nifti2h5", *runs, packed),
        ("hrfshift", *designs, packed, labelled),
        ("concat", labelled, rows),
        ("boldqc", packed, folder / "quality.json"),
    ):
        subprocess.run([program(name), "--quiet", *map(str, args)], check=True)
    events = ["--design", folder / "events{run:d}.tsv"]
    brought = ["--mask", folder / "roi.nii.gz", "--reader", "cat"]
    atlas = ["--roi", folder / "atlas_dseg.nii.gz", "--labels", "V1,V3", "--where", f"{folder / 'statistic.npy'} > 0"]
    tables = [folder / name for name in ("events1.tsv", "confounds1.tsv", "design1.tsv", "atlas_dseg.tsv")]
    pair = folder / "sub-01_run-3_bold.hdr"
    stream = folder / "packed.npys"
    subprocess.run([program("concat"), "--quiet", packed, stream], check=True)
    labelled.with_name("packed2.h5").write_bytes(second_session(folder, program))
    arrays = folder / "arrays"
    arrays.mkdir()
    subprocess.run([program("concat"), "--quiet", labelled, arrays / "rows.fmri.npy"], check=True)
    found = [
        ("nifti2h5", "-j1", *runs, "{out}/a.h5"),
        ("nifti2h5", "-j1", "--store", "plain", "--mask", folder / "roi.nii.gz", *runs, "{out}/a.npys"),
        ("nifti2h5", "-j1", "--tr", "1.5", "--design", folder / "design1.tsv", pair, "{out}/pair.npys"),
        ("nifti2h5", "-j1", "--tr", "1.5", *sorted((folder / "volumes").iterdir()), "{out}/list.h5"),
        ("nifti2h5", "-j1", *brought, *runs, "{out}/brought.npys"),
        ("detrend", "-j1", packed, "{out}/a.h5"),
        ("denoise", "-j1", *confounds, *masks, packed, "{out}/a.h5"),
        ("denoise", "-j1", "--filter", "butterworth", "--high-pass", "0.05", packed, "{out}/a.npys"),
        ("zscore", "-j1", packed, "{out}/a.npys"),
        ("hrfshift", *designs, packed, "{out}/a.h5"),
        ("hrfshift", "--shift", "cubic", "--categories", "a,b", *designs, packed, "{out}/b.npys"),
        ("hrfshift", "--shift", "sinc", "--edges", "drop", *events, stream, "{out}/events.h5"),
        ("applymask", "-j1", "--roi", folder / "roi.nii.gz", packed, "{out}/a.h5"),
        ("applymask", "-j1", *atlas, stream, "{out}/atlas.npys"),
        ("boldqc", "-j1", packed, "{out}/quality.json"),
        (
            "boldqc",
            "-j1",
            "--voxels",
            "5",
            "--order",
            "0",
            labelled,
            labelled.with_name("packed2.h5"),
            "{out}/two.json",
        ),
        ("boldqc", "-j1", "--voxels", "9999", stream, "{out}/one.json"),
        ("concat", labelled, "{out}/a.fmri.npy"),
        ("concat", labelled, labelled.with_name("packed2.h5"), "{out}/a.h5"),
        ("shuffleidx", "--split", "train=0.5,test=0.5", "--by", "run", folder / "rows.meta.npy", "{out}/a.npy"),
        ("shuffleidx", "--shards", "2", folder / "rows.json", "{out}/b.npy"),
        ("shuffleidx", "12", "{out}/c.npy"),
        ("synthnsd", "-j1", "--dims", "6,6,6", "--runs", "1", "--volumes", "12", "--pictures", "2", "{out}/nsd"),
        ("boldinfo", "--verify", folder / "rows.json", folder / "quality.json", packed, *runs),
        ("boldinfo", "--verify", "--values", "--json", stream, pair, *tables, folder / "rows.meta.npy"),
        ("boldinfo", "--values", stream, pair, *tables, pair.with_suffix(".json"), folder / "rows.meta.npy"),
    ]
    return [named(*words) for words in found] + by_way_of_scratch(folder) + in_python(arrays)


def named(name, *args):
    last = str(args[-1])
    label = f"{name} {last.rpartition('/')[2]}" if "{out}" in last else f"{name} {args[0]} {len(args)}"
    env = {"FAULT_ALONE": "1"} if "--reader" in args else {}
    return Case(label, [name, *map(str, args)], env=env)


def by_way_of_scratch(folder):
    """Outputs that are made in another folder first."""
    runs = sorted(folder.glob("*_bold.nii.gz"))
    found = [
        named("nifti2h5", "-j1", *runs, "{out}/scratch.h5"),
        named("concat", folder / "labelled.h5", "{out}/scratch.fmri.npy"),
    ]
    for case in found:
        case.env, case.folders = {"BOLDMILL_SCRATCH": "{out}/away"}, ("away",)
    return found


def in_python(arrays):
    """What Python itself does does not count: only what is below the arrays' folder, or that of the outputs."""
    ours = {"FAULT_CODE": "_core.so", "FAULT_LATER": "1", "OPENBLAS_NUM_THREADS": "1"}
    read = Case("python reads", ["python", str(HERE / "read_arrays.py"), str(arrays / "rows"), "{out}/sums"])
    written = Case("python writes", ["python", str(HERE / "write_files.py"), str(arrays / "rows"), "{out}"])
    read.env, written.env = ours | {"FAULT_UNDER": str(arrays)}, ours | {"FAULT_UNDER": "{out}"}
    written.growing, written.parts = ("data/.fetch/done.jsonl",), r"\.part$"
    return [read, written]


def second_session(folder, program):
    """The same runs as session 2, labelled."""
    other = folder / "two.h5"
    designs = map(str, each_run("--design", folder, "design", "tsv"))
    runs = [str(path) for path in sorted(folder.glob("*_bold.nii.gz"))]
    subprocess.run([program("nifti2h5"), "--quiet", "--session", "2", *runs, other], check=True)
    subprocess.run([program("hrfshift"), "--quiet", *designs, other, folder / "two.l.h5"], check=True)
    return (folder / "two.l.h5").read_bytes()


def same_series(*files):
    found = [series_content.content(io.BytesIO(data)) for data in files if data.startswith(b"\x89HDF")]
    return len(found) == len(files) and isinstance(found[0], dict) and found[0] == found[1]


class Campaign:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.bin = Path(args.bin).resolve()
        self.shim = str(Path(args.shim).resolve())
        self.tally, self.bad = collections.Counter(), []

    def program(self, name):
        return sys.executable if name == "python" else str(self.bin / name)

    def command(self, case):
        return [self.program(case.command[0]), *case.command[1:]]

    def env(self, case):
        preload = f"{self.shim}:{CORE}" if case.command[0] == "python" else self.shim
        return os.environ | case.env | {"LD_PRELOAD": preload}

    def counted(self, case):
        """A run without a fault: (status, {name: bytes} of its outputs, messages, {call: times})"""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            out, counts = Path(folder) / "out", Path(folder) / "counts"
            out.mkdir()
            for name in case.folders:
                (out / name).mkdir()
            command = [word.replace("{out}", str(out)) for word in self.command(case)]
            env = {key: value.replace("{out}", str(out)) for key, value in self.env(case).items()}
            env = env | {"FAULT_COUNT": str(counts), "FAULT_SITES": f"{counts}.sites"}
            done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
            left = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
            told = dict(line.split() for line in counts.read_text().splitlines()) if counts.exists() else {}
            case.sites = self.first_places(Path(f"{counts}.sites"), case.command[0] == "python")
        left |= as_output(done.stdout)
        return done.returncode, left, done.stderr.decode(errors="replace"), {name: int(n) for name, n in told.items()}

    def first_places(self, sites, in_python):
        """In Python all places: what leads to them is not seen."""
        first = {}
        for call, place, site in map(str.split, sites.read_text().splitlines()):
            first.setdefault((call, place if in_python else site), int(place))
        return [(call, place) for (call, _), place in first.items()]

    def judge(self, case, fault, status, left, said):
        killed = fault["how"] == "kill"
        wrong = [name for name, data in left.items() if name in case.outputs and not case.is_whole(name, data)]
        for name in wrong if fault["how"] == "changed" else ():
            # HDF5 also writes bytes that mean nothing; what grows is a record, of which each line is compared again.
            if name in case.growing or same_series(left[name], case.outputs[name]):
                left = left | {name: case.outputs[name]}
                wrong = [other for other in wrong if other != name]
        strange = [name for name in left if name not in case.outputs and not re.search(case.parts, name)]
        problems = []
        spared = case.folders and fault["call"] == "finish"  # a file that is done with, as it was copied
        if status == 0 and fault["call"] in MUST_FAIL and fault["how"] not in PASSING and not spared:
            problems.append("status 0 though the disk failed")
        if wrong:
            problems.append(f"damaged: {wrong}")
        if strange and not killed:
            problems.append(f"left behind: {strange}")
        if status == 0 and left != case.outputs and not wrong:
            problems.append(f"status 0, but there is only {sorted(left)}")
        if status == "hangs" or (isinstance(status, int) and status < 0 and not killed) or (killed and status == 0):
            problems.append(f"status {status}")
        if isinstance(status, int) and status > 0 and not said.startswith(f"{case.command[0]}: "):
            problems.append(f"status {status} without a message: {said[:200]!r}")
        outcome = "killed" if status == -signal.SIGKILL and killed else "correct" if status == 0 else "refused"
        self.tally[outcome if not problems else "WRONG"] += 1
        if problems:
            self.bad.append(f"{case.name}: {fault}: {'; '.join(problems)}: {said.strip()[-300:]}")
            print(self.bad[-1], flush=True)

    def places(self, n):
        most = self.args.most
        if not most or n <= most:
            return range(1, n + 1)
        return sorted({1 + round(k * (n - 1) / max(most - 1, 1)) for k in range(most)})

    def faults(self, case, counts):
        if self.args.sites:
            yield from ({"call": call, "at": at, "how": ERRORS[call][0]} for call, at in case.sites)
            yield from ({"call": call, "at": at, "how": "changed"} for call, at in case.sites if call == "write")
            return
        for call, ways in ERRORS.items():
            for at in self.places(counts.get(call, 0)):
                for how in ways:
                    yield {"call": call, "at": at, "how": how}
                    if how != "EINTR":  # a call that is interrupted for ever never ends
                        yield {"call": call, "at": at, "how": how, "lasts": 1}
        for call in KILLS:
            for at in self.places(counts.get(call, 0)):
                yield {"call": call, "at": at, "how": "kill"}

    def test(self, case, pool):
        status, case.outputs, said, counts = self.counted(case)
        if status != 0:
            raise SystemExit(f"{case.name}: fails without any fault: {said}")
        if counts.pop("unsynced"):
            self.tally["WRONG"] += 1
            self.bad.append(f"{case.name}: renames what is not synchronised, or leaves a folder so")
        before, start, free = sum(self.tally.values()), time.monotonic(), queue.SimpleQueue()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, contextlib.ExitStack() as stack:
            for k in range(self.args.jobs):
                server = Server(self.command(case), self.env(case), Path(folder) / str(k), case.folders)
                stack.callback(server.close)
                free.put(server)

            def one(fault):
                server = free.get()
                try:
                    self.judge(case, fault, *server.run(**fault))
                finally:
                    free.put(server)

            list(pool.map(one, self.faults(case, counts)))
        calls = " ".join(f"{name} {n}" for name, n in counts.items() if n)
        faults, seconds = sum(self.tally.values()) - before, time.monotonic() - start
        print(f"{case.name:24} {faults:6} faults {seconds:5.0f} s   {calls}", flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--bin", default=ROOT / "bin", help="the programs")
    args.add_argument("--shim", required=True, help="shim.so")
    args.add_argument("--most", type=int, default=0, help="places of each kind in each program; 0: all")
    args.add_argument(
        "--sites", action="store_true", help="each call once for each chain of functions that leads to it"
    )
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args.add_argument("--only", default="", help="programs whose name holds this text")
    args.add_argument("--skip", default="no program", help="leave out those whose name holds this text")
    args = args.parse_args()
    with tempfile.TemporaryDirectory(dir=FAST) as folder, ThreadPoolExecutor(args.jobs) as pool:
        campaign = Campaign(args, Path(folder))
        for case in cases(Path(folder), campaign.program):
            if args.only in case.name and args.skip not in case.name:
                campaign.test(case, pool)
    for line in campaign.bad[:50]:
        print(line)
    tally = campaign.tally
    print(", ".join(f"{outcome}: {n}" for outcome, n in sorted(tally.items())))
    print(f"{sum(tally.values()) - tally['WRONG']} passed, {tally['WRONG']} failed")
    return int(tally["WRONG"] > 0 or not tally)


if __name__ == "__main__":
    sys.exit(main())
