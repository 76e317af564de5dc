"""Flips single bits and cuts files short, and looks at who notices: `make damage`.

Small inputs and artifacts of every kind: gzipped runs, masks, tables and streams, tile streams, series files (plain
and deflated), ROI arrays and their description, shuffled indices, what boldqc measured. Each damaged copy goes
through the program that is to find the damage, arrays through the Python package as well:

  - a status other than 0 is right;
  - status 0 is right only if everything that a user gets from the file is as before (gzip headers hold a time and a
    name). Of a series file that includes all that h5py finds in it.

Cuts: every length from 0 to the file's own. Flips: --flips places in all, spread evenly over the files' bits.
"""

import argparse
import collections
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "python")]
import boldmill  # noqa: E402
import numpy as np  # noqa: E402
import series_content  # noqa: E402
from campaign import FAST, ROOT, cases  # noqa: E402

MANY = 100  # copies in one call of boldinfo


@dataclass
class Target:
    """A file to damage, the files beside it that a reader needs, and what finds out and gives the content."""

    path: Path
    beside: list
    check: list  # program and arguments, called in the folder of the copy
    content: list  # the same, on standard output; empty: what numpy and json read from the files
    python: bool = False  # is it to be opened through the Python package too?
    h5py: bool = False  # is what h5py finds in it a part of the content?
    name: str = ""

    def __post_init__(self):
        self.name = self.name or self.path.name


def targets(folder, program):
    cases(folder, program)  # the inputs and artifacts of the other campaign
    run = folder / "sub-01_run-1_bold.nii.gz"
    packed, labelled, rows = folder / "packed.h5", folder / "labelled.h5", folder / "rows.fmri.npy"
    call = lambda *args: subprocess.run([program(args[0]), "--quiet", *map(str, args[1:])], check=True)  # noqa: E731
    call("concat", labelled, folder / "stream.npys")
    call("concat", "--store", "plain", labelled, folder / "plain.h5")
    call("shuffleidx", rows.with_name("rows.meta.npy"), folder / "order.npy")
    arrays = [folder / f"rows.{end}" for end in ("fmri.npy", "meta.npy", "json")]
    verify = ["boldinfo", "--verify", "--json", "rows.json"]
    found = [Target(run, [], ["nifti2h5", run.name, "out.npys"], ["nifti2h5", run.name, "-"])]
    for path in (folder / "stream.npys", packed, folder / "plain.h5", gzipped(folder / "stream.npys")):
        content, h5py = ["concat", path.name, "-"], path.suffix == ".h5"
        found.append(Target(path, [], ["boldinfo", "--verify", path.name], content, h5py=h5py))
        if h5py:
            found.append(Target(path, [], ["concat", path.name, "out.npys"], content, name=f"read-{path.name}"))
    mask, table = folder / "roi.nii.gz", gzipped(folder / "confounds1.tsv")
    cut = ["applymask", "--roi", mask.name, packed.name]
    clean = ["denoise", "--confounds", table.name, "--confounds", "confounds2.tsv", packed.name]
    found.append(Target(mask, [packed], [*cut, "out.npys"], [*cut, "-"]))
    found.append(Target(table, [packed, folder / "confounds2.tsv"], [*clean, "out.npys"], [*clean, "-"]))
    for path in arrays:
        found.append(Target(path, [other for other in arrays if other != path], verify, [], python=True))
    order = [folder / "order.npy", folder / "order.json"]
    measured = [folder / f"quality.{end}" for end in ("maps.npy", "carpet.npy", "json")]
    for bundle in (order, measured):
        check = ["boldinfo", "--verify", "--json", bundle[-1].name]
        found += [Target(path, [other for other in bundle if other != path], check, []) for path in bundle]
    return found


def gzipped(path):
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def through_python(folder):
    """What a user of the package gets from the arrays; None where it refuses them."""
    try:
        arrays = boldmill.Arrays(Path(folder) / "rows")
        arrays.verify()
        return arrays.info, arrays.fmri.dtype, arrays.fmri.tobytes(), arrays.meta.dtype, arrays.meta.tobytes()
    except boldmill.Error:
        return None
    except Exception as error:  # noqa: BLE001 - any other one is a finding
        return f"not an error of the package: {error!r}"


def as_read(path):
    """What a user gets from an array or a description."""
    try:
        if path.suffix == ".json":
            return json.loads(path.read_bytes())
        array = np.load(path)
        return str(array.dtype), array.shape, array.tobytes()
    except (ValueError, OSError, EOFError, SyntaxError, tokenize.TokenError) as error:
        return f"cannot be read: {error}"


class Damage:
    def __init__(self, args, folder):
        self.args, self.folder, self.bin = args, folder, Path(args.bin).resolve()
        self.tally, self.bad = collections.Counter(), []

    def program(self, name):
        return str(self.bin / name)

    def call(self, command, folder):
        words = [self.program(command[0]), "--quiet", *command[1:]]
        return subprocess.run(words, capture_output=True, check=False, timeout=60, cwd=folder)

    def content(self, target, folder):
        if not target.content:
            return 0, [as_read(Path(folder) / path.name) for path in [target.path, *target.beside]]
        done, path = self.call(target.content, folder), Path(folder) / target.path.name
        return done.returncode, done.stdout, series_content.content(path) if target.h5py else None

    def many(self, target, good, jobs):
        """The same as `one` for each, where boldinfo finds the damage: it takes many files in one call."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for k, (data, _) in enumerate(jobs):
                place = Path(folder) / str(k)
                place.mkdir()
                for other in target.beside:
                    os.link(other, place / other.name)
                (place / target.path.name).write_bytes(data)
            program, *options, name = target.check
            done = self.call([program, *options, *(f"{k}/{name}" for k in range(len(jobs)))], folder)
            refused = set(map(int, re.findall(rb"^boldinfo: (\d+)/", done.stderr, re.MULTILINE)))
            if done.returncode not in (0, 1) or done.returncode != bool(refused):
                for job in jobs:  # it broke down at one of them
                    self.one(target, good, *job)
                return
            for k, (_, what) in enumerate(jobs):
                place = Path(folder) / str(k)
                same = k not in refused and self.content(target, place) == good[0]
                self.count(target, what, k in refused, same, "status 0")
                self.python(target, what, good, place)

    def one(self, target, good, data, what):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for other in target.beside:
                shutil.copy(other, folder)
            (Path(folder) / target.path.name).write_bytes(data)
            done = self.call(target.check, folder)
            same = done.returncode == 0 and self.content(target, folder) == good[0]
            self.count(target, what, done.returncode > 0, same, f"status {done.returncode}")
            self.python(target, what, good, folder)

    def python(self, target, what, good, folder):
        if target.python:
            found = through_python(folder)
            self.count(target, what, found is None, found == good[1], f"the Python package: {str(found)[:200]}")

    def count(self, target, what, found, same, who):
        self.tally["found" if found else "without effect" if same else "MISSED"] += 1
        if not found and not same:
            self.bad.append(f"{target.name}: {what}: {who}")

    def test(self, target, flips, cuts, pool):
        data, start, before = target.path.read_bytes(), time.monotonic(), collections.Counter(self.tally)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for path in [target.path, *target.beside]:
                shutil.copy(path, folder)
            good = self.content(target, folder), through_python(folder) if target.python else None
        if good[0][0] != 0 or (target.python and not isinstance(good[1], tuple)):
            raise SystemExit(f"{target.path.name}: refused without damage")
        jobs = []
        for k in range(min(flips, 8 * len(data))):
            bit = k * 8 * len(data) // min(flips, 8 * len(data))
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            jobs.append((bytes(flipped), f"bit {bit % 8} of byte {bit // 8}"))
        step = max(1, len(data) // cuts) if cuts else 1
        jobs += [(data[:n], f"cut to {n} bytes") for n in range(0, len(data), step)]
        if target.check[0] == "boldinfo":
            pieces = [jobs[k : k + MANY] for k in range(0, len(jobs), MANY)]
            list(pool.map(lambda piece: self.many(target, good, piece), pieces))
        else:
            list(pool.map(lambda job: self.one(target, good, *job), jobs))
        counts = ", ".join(f"{name} {n - before[name]}" for name, n in self.tally.items() if n > before[name])
        print(f"{target.name:28} {len(data):7} bytes {time.monotonic() - start:5.0f} s   {counts}", flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--bin", default=ROOT / "bin", help="the programs")
    args.add_argument("--flips", type=int, default=1000, help="bits flipped in each file")
    args.add_argument("--cuts", type=int, default=0, help="lengths tried of each file; 0: all")
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args.add_argument("--only", default="", help="files whose name holds this text")
    args = args.parse_args()
    with tempfile.TemporaryDirectory(dir=FAST) as folder, ThreadPoolExecutor(args.jobs) as pool:
        damage = Damage(args, Path(folder))
        for target in targets(Path(folder), damage.program):
            if args.only in target.name:
                damage.test(target, args.flips, args.cuts, pool)
    for line in damage.bad[:50]:
        print(line)
    tally = damage.tally
    print(", ".join(f"{outcome}: {n}" for outcome, n in sorted(tally.items())))
    print(f"{sum(tally.values()) - tally['MISSED']} passed, {tally['MISSED']} failed")
    return int(tally["MISSED"] > 0 or not tally)


if __name__ == "__main__":
    sys.exit(main())
