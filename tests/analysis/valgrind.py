"""Runs unit tests and programs under valgrind's memcheck: `make valgrind`.

Reads of what was never written, reads and writes outside of blocks, and memory that is lost when a program ends count
as errors. The programs are called as in the fault campaign, each on a small input. --all takes all unit tests but
those of long double.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "faults"))
from campaign import cases  # noqa: E402

COMMAND = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--fair-sched=try",
    f"--suppressions={HERE / 'valgrind.supp'}",
]
# What is about memory that comes from outside or changes hands: readers, writers, threads.
SHORT = "commit confounds cut designs glob labels mem niftiheader npy parse roi runname scan sealed stream tally"
SHORT = {f"test_{name}" for name in SHORT.split(" ")}
# Compare with sums in long double, which valgrind makes in 64 bits.
LONG_DOUBLE = "basis butterworth confounds_columns denoise dtype niftiwide spline standardise trend"
NOT_HERE = {f"test_{name}" for name in LONG_DOUBLE.split(" ")}
DAMAGES = "test_seriesfile"
LONGEST = ("test_memory", "test_hdf5", "test_pump", "test_cut")  # are begun first


def units(folder, everything):
    found = sorted(p for p in folder.glob("test_*") if not p.suffix)
    found.sort(key=lambda p: p.name not in LONGEST)
    return [p for p in found if p.name not in NOT_HERE and (everything or p.name in SHORT)]


def command_for(unit):
    return [f"--suppressions={HERE / 'hdf5.supp'}"] * (unit.name == DAMAGES) + [str(unit)]


def check(name, command, env):
    """(name, seconds, what valgrind says; None: nothing)"""
    start, env = time.monotonic(), os.environ | env
    done = subprocess.run(
        [*COMMAND, *command], capture_output=True, text=True, errors="replace", env=env, timeout=3600
    )
    said = None if done.returncode == 0 else f"status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return name, time.monotonic() - start, said


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--bin", default=ROOT / "bin", type=Path)
    args.add_argument("--units", default=ROOT / "build/release/tests/unit", type=Path)
    args.add_argument("--all", action="store_true", help="all unit tests")
    args.add_argument("--only", default="", help="what holds this text in its name")
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args = args.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        folder = Path(folder)
        tasks = [(p.name, command_for(p), {}) for p in units(args.units, args.all)]
        ours = [case for case in cases(folder, lambda name: str(args.bin / name)) if case.command[0] != "python"]
        for k, case in enumerate(ours):
            out = folder / f"out{k}"
            for name in ("", *case.folders):
                (out / name).mkdir()
            name, *rest = (word.replace("{out}", str(out)) for word in case.command)
            env = {key: value.replace("{out}", str(out)) for key, value in case.env.items()}
            tasks.append((case.name, [str(args.bin / name), *rest], env))
        tasks = [task for task in tasks if args.only in task[0]]
        for name, seconds, said in pool.map(lambda task: check(*task), tasks):
            print(f"{name:32} {'clean' if said is None else 'ERRORS'} {seconds:5.1f} s", flush=True)
            failed += said is not None
            if said:
                print(said)
    print(f"{len(tasks) - failed} passed, {failed} failed")
    return int(failed > 0 or not tasks)


if __name__ == "__main__":
    sys.exit(main())
