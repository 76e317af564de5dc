"""What the Loader reaches beside its yardsticks, on synthetic arrays: `.venv/bin/python bench/loader.py --full`.

Only measures and compares. Every way of reading an epoch is timed in turn, round after round, each beside a plain
memcpy of the same bytes with as many threads; the table has the medians of the rates and of the ratios in a round.
DataLoaders keep their workers, and each way goes through one epoch before it is timed. Batches are taken and dropped.
"""

import argparse
import ctypes
import json
import mmap
import os
import statistics
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("BOLDMILL_CORE", str(ROOT / "build/release/_core.so"))

import boldmill  # noqa: E402
from boldmill.ahead import memory_there  # noqa: E402

META = [
    ("stimulus_history", "<i4", (4,)),
    ("subject_idx", "<i2"),
    ("session", "<i2"),
    ("run", "<i2"),
    ("time", "<f4"),
]


def options():
    parser = argparse.ArgumentParser(description="Measures the Loader beside its yardsticks.")
    add = parser.add_argument
    add("--rows", type=int, default=4000, help="time points (default: %(default)s)")
    add("--voxels", type=int, default=2000, help="columns (default: %(default)s)")
    add("--batch", type=int, default=512, help="rows of a batch (default: %(default)s)")
    add("--full", action="store_true", help="40000 x 15724 in batches of 4096: 2.5 GB of disk")
    add(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the core and of memcpy (default: cores)"
    )
    add("--rounds", type=int, default=5, help="times that each way is measured (default: %(default)s)")
    add("--data", type=Path, default=ROOT / "build/bench/loader", help="folder of the arrays, made when missing")
    add("--cold-rounds", type=int, default=2, help="times that the disk is read, 0 for never (default: %(default)s)")
    add("--memory", type=float, default=0.4, help="memory given for the larger data, of their size (%(default)s)")
    add("--only", default="", help="ways whose name holds this text, and memcpy")
    add("--json", type=Path, help="write all figures to this file too")
    add("--first", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.full:
        args.rows, args.voxels, args.batch = 40000, 15724, 4096
    return args


def make_arrays(args):
    """Random values with the files that concat would write; the path without endings."""
    args.data.mkdir(parents=True, exist_ok=True)
    stem = args.data / f"x{args.rows}x{args.voxels}"
    if stem.with_suffix(".json").exists():
        return str(stem)
    rng = np.random.default_rng(0)
    head = str({"descr": "<f4", "fortran_order": False, "shape": (args.rows, args.voxels)}).encode()
    with open(f"{stem}.fmri.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + (4086).to_bytes(2, "little") + head.ljust(4085) + b"\n")
        for first in range(0, args.rows, 500):
            f.write(rng.standard_normal((min(500, args.rows - first), args.voxels), np.float32))
        f.flush()
        os.fsync(f.fileno())
    np.save(f"{stem}.meta.npy", np.zeros(args.rows, META))
    whole = {"label": "made", "subject": 1, "session": 1, "run": 1, "first_row": 0, "rows": args.rows}
    about = {"boldmill": "arrays", "schema": 1, "tr": 1.0, "runs": [whole], "sessions": [whole]}
    for which, shape in (("fmri", [args.rows, args.voxels]), ("meta", [args.rows])):
        about[which] = {"file": f"{stem.name}.{which}.npy", "dtype": "float32", "shape": shape, "crc32": "0"}
    about |= {
        "voxels": list(range(args.voxels)),
        "grid": {"dims": [args.voxels, 1, 1], "affine": np.eye(4)[:3].tolist()},
    }
    text = json.dumps(about)[:-1]
    stem.with_suffix(".json").write_text(f'{text},"crc32":"{zlib.crc32(text.encode()):08x}"}}')  # sealed
    return str(stem)


# Ways of reading an epoch. Each is a function that returns a function that reads one and returns the bytes. ---------


def copying(stem, args):
    """memcpy: the rows of each batch as they stand, into the same memory again and again."""
    fmri, out = np.load(f"{stem}.fmri.npy", mmap_mode="r"), np.empty((args.batch, args.voxels), np.float32)
    pool = ThreadPoolExecutor(args.threads)

    def piece(first, k):
        rows = fmri[first : first + args.batch]
        part = slice(k * len(rows) // args.threads, (k + 1) * len(rows) // args.threads)
        np.copyto(out[part], rows[part])

    def epoch():
        for first in range(0, args.rows, args.batch):
            list(pool.map(piece, [first] * args.threads, range(args.threads)))
        return fmri.nbytes

    return epoch


def drained(batches):
    n = 0
    for batch in batches:
        n += batch.numel() * batch.element_size()
        del batch
    return n


def loading(order, **how):
    def way(stem, args):
        points = boldmill.TimePoints(stem, dtype=how.get("dtype", "float32"))
        more = {"standardise": True} if how.get("standardise") else {}
        loader = boldmill.Loader(points, args.batch, order, threads=args.threads, **more)
        size = 4 * args.voxels  # bytes of the file, whatever the type of the batch

        return lambda: drained(loader) and args.rows * size

    return way


class Single:
    """The public loader's way: one row of a memmap at a time, torch's own collate."""

    def __init__(self, stem):
        self.fmri = np.load(f"{stem}.fmri.npy", mmap_mode="r")

    def __len__(self):
        return len(self.fmri)

    def __getitem__(self, row):
        import torch

        return torch.from_numpy(np.array(self.fmri[row]))


class Indexed(Single):
    """All rows of a batch by one index of numpy."""

    def __getitem__(self, rows):
        import torch

        return torch.from_numpy(self.fmri[rows])


def per_item(workers):
    def way(stem, args):
        from torch.utils.data import DataLoader

        how = {"num_workers": workers, "persistent_workers": workers > 0}
        loader = DataLoader(Single(stem), batch_size=args.batch, shuffle=True, **how)
        return lambda: drained(loader)

    return way


def batched(dataset, workers):
    def way(stem, args):
        from torch.utils.data import DataLoader

        batches = boldmill.Batches(boldmill.TimePoints(stem), args.batch, "shuffled")
        how = {"num_workers": workers, "persistent_workers": workers > 0}
        loader = DataLoader(dataset(stem), sampler=batches, batch_size=None, **how)
        return lambda: drained(loader)

    return way


WAYS = {
    "memcpy": copying,
    "Loader, sequential": loading("sequential"),
    "Loader, shuffled": loading("shuffled"),
    "Loader, block": loading("block"),
    "Loader, shuffled, float16": loading("shuffled", dtype="float16"),
    "Loader, shuffled, bfloat16": loading("shuffled", dtype="bfloat16"),
    "Loader, shuffled, standardised": loading("shuffled", standardise=True),
    "TimePoints in DataLoader, 0 workers": batched(boldmill.TimePoints, 0),
    "TimePoints in DataLoader, 2 workers": batched(boldmill.TimePoints, 2),
    "numpy index in DataLoader, 0 workers": batched(Indexed, 0),
    "numpy index in DataLoader, 1 worker": batched(Indexed, 1),
    "numpy index in DataLoader, 2 workers": batched(Indexed, 2),
    "public way, 0 workers": per_item(0),
    "public way, 2 workers": per_item(2),
}


@dataclass
class Figures:
    rates: list = field(default_factory=list)  # bytes a second
    cpu: list = field(default_factory=list)  # seconds of this process
    ratios: list = field(default_factory=list)  # to memcpy beside it

    def add(self, rate, unit, cpu=0.0):
        self.rates.append(rate)
        self.ratios.append(rate / unit)
        self.cpu.append(cpu)


def rate_of(epoch):
    start, cpu = time.monotonic(), time.process_time()
    size = epoch()
    return size / (time.monotonic() - start), time.process_time() - cpu


def warm(stem, args):
    """Figures of each way, from a warm cache."""
    with open(f"{stem}.fmri.npy", "rb") as f:
        while f.read(1 << 24):
            pass
    epochs = {name: way(stem, args) for name, way in WAYS.items() if name == "memcpy" or args.only in name}
    figures = {name: Figures() for name in epochs}
    for epoch in epochs.values():
        epoch()
    for _ in range(args.rounds):
        for name, epoch in epochs.items():
            unit, unit_cpu = rate_of(epochs["memcpy"])
            rate, cpu = (unit, unit_cpu) if name == "memcpy" else rate_of(epoch)
            figures[name].add(rate, unit, cpu)
    return figures


# The disk -----------------------------------------------------------------------------------------------------------


class Cached:
    """How much of a file is in the system's cache."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.address = np.frombuffer(self.map, np.uint8).ctypes.data
        self.flags = np.zeros(-(-len(self.map) // mmap.PAGESIZE), np.uint8)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def bytes(self):
        sizes = ctypes.c_size_t(len(self.map)), ctypes.c_void_p(self.flags.ctypes.data)
        self.libc.mincore(ctypes.c_void_p(self.address), *sizes)
        return int((self.flags & 1).sum()) * mmap.PAGESIZE


def drop(path, arrays):
    """Takes the file out of the memory of process and system; how much of it is left there, as a share."""
    boldmill.core.release(arrays.file, np.arange(len(arrays)))
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return Cached(path).bytes() / os.path.getsize(path)


def read_through(path):
    """The disk's sequential rate: the file read in pieces of 8 MiB, with the system's own reading ahead."""

    def epoch():
        room = bytearray(8 << 20)
        with open(path, "rb", buffering=0) as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while f.readinto(room):
                pass
        return os.path.getsize(path)

    return epoch


def watched(epoch, cached):
    """The most bytes of the file that were in the cache meanwhile. Looking takes time: this is not what is timed."""
    most, stop = [0], threading.Event()

    def look():
        while not stop.wait(0.05):
            most[0] = max(most[0], cached.bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        epoch()
        return most[0]
    finally:
        stop.set()
        watcher.join()


def cold(stem, args):
    """Block order from an empty cache, with all memory and with less than the data need."""
    path = f"{stem}.fmri.npy"
    size = os.path.getsize(path)
    blocks = max(args.rows // 40, 1)
    names = {"Loader, block, cold": "auto", "Loader, block, cold, little memory": int(args.memory * size)}
    figures = {"read, cold": Figures(), **{name: Figures() for name in names}}
    peaks = {}

    points = boldmill.TimePoints(stem)
    how = {"block_rows": blocks, "threads": args.threads}
    loaders = {m: boldmill.Loader(points, args.batch, "block", memory_bytes=m, **how) for m in names.values()}
    for loader in loaders.values():
        drained(loader)  # its batches have their memory now
    for _ in range(args.cold_rounds):
        for name, memory in names.items():
            drop(path, points.arrays)
            unit, _ = rate_of(read_through(path))
            left = drop(path, points.arrays)
            if left > 0.02:
                print(f"note: {100 * left:.0f} % of the file could not be taken out of the cache")
            figures["read, cold"].add(unit, unit)
            figures[name].add(rate_of(lambda m=memory: drained(loaders[m]))[0], unit)
    for name, memory in names.items():
        drop(path, points.arrays)
        peaks[name] = watched(lambda m=memory: drained(loaders[m]), Cached(path)) / size
    return figures, peaks


# The first batch ----------------------------------------------------------------------------------------------------


def first_batch(stem, args):
    """In this process: seconds from opening the arrays to the first batch, and to touch as much new memory."""
    import torch  # noqa: F401 - importing it is not what is measured

    start = time.monotonic()
    batch = next(iter(boldmill.Loader(boldmill.TimePoints(stem), args.batch, "shuffled", threads=args.threads)))
    took, size = time.monotonic() - start, batch.numel() * 4
    start = time.monotonic()
    boldmill.memory._large(size)[:: mmap.PAGESIZE] = 1
    return took, time.monotonic() - start


def first_batches(args):
    """The medians over processes of their own."""
    how = [f"--{name}={getattr(args, name)}" for name in ("rows", "voxels", "batch", "threads", "data")]
    command = [sys.executable, __file__, "--first", "yes", *how]
    found = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(args.rounds)]
    return [statistics.median(times) for times in zip(*found, strict=True)]


def table(title, figures, unit):
    print(f"\n| {title} | GB/s | of {unit} | CPU s |\n|---|---|---|---|")
    for name, found in figures.items():
        if found.rates:
            rate, ratio, cpu = (statistics.median(x) for x in (found.rates, found.ratios, found.cpu))
            print(f"| {name} | {rate / 1e9:.2f} | {ratio:.2f} | {cpu:.2f} |")


def main():
    args = options()
    stem = make_arrays(args)
    if args.first:
        print(json.dumps(first_batch(stem, args)))
        return
    size = args.rows * args.voxels * 4
    print(f"{args.rows} rows x {args.voxels} voxels ({size / 1e9:.2f} GB), batches of {args.batch} "
          f"({args.batch * args.voxels * 4 / 1e6:.0f} MB), {args.threads} threads, {args.rounds} rounds; "
          f"load {os.getloadavg()[0]:.1f}, memory there: {memory_there() / 1e9:.1f} GB")  # fmt: skip
    found = warm(stem, args)
    table("an epoch, warm cache", found, "memcpy")
    took, touch = first_batches(args)
    print(
        f"\nfirst batch {1000 * took:.0f} ms after opening; touching as much new memory alone: {1000 * touch:.0f} ms"
    )
    peaks = {}
    if args.cold_rounds:
        disk, peaks = cold(stem, args)
        table("an epoch from the disk", disk, "reading")
        for name, peak in peaks.items():
            print(f"{name}: at most {100 * peak:.0f} % of the file were in the cache")
        found |= disk
    if args.json:
        plain = {name: vars(figures) for name, figures in found.items()}
        args.json.write_text(json.dumps({"ways": plain, "first": [took, touch], "peaks": peaks}, indent=1))


if __name__ == "__main__":
    main()
