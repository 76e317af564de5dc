"""Runs the fuzzers and prints what they did: `make fuzz`.

Each target replays its seeds (tests/fuzz/corpus) and all files that ever broke it (tests/fuzz/found), and then
mutates them --runs times, from a fixed start, under the address and undefined-behaviour sanitizers. One allocation of
more than 128 MiB, or 5 seconds for one input, is a finding. What is found lies in build/fuzz; put it into
tests/fuzz/found/TARGET/ with the mend.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ROOT / "build/fuzz-clang/tests/fuzz"
LIMITS = ["-malloc_limit_mb=128", "-rss_limit_mb=2048", "-timeout=5"]
# HDF5 1.10 itself loses memory when a damaged file cannot be opened.
LEAKS = f"suppressions={HERE}/hdf5.supp:print_suppressions=0"


def fuzz(target, runs, seed, keep):
    """(target, ok, executions, per second, edges, seconds, output)"""
    grown = keep / "corpus" / target
    grown.mkdir(parents=True, exist_ok=True)
    seeds = [str(folder) for kind in ("corpus", "found") if (folder := HERE / kind / target).is_dir()]
    options = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={keep}/{target}-", "-print_final_stats=1"]
    start = time.monotonic()
    done = subprocess.run(
        [PROGRAMS / f"fuzz_{target}", *LIMITS, *options, grown, *seeds],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"LSAN_OPTIONS": LEAKS},
    )
    number = {name: int(value) for name, value in re.findall(r"stat::(\w+): +(\d+)", done.stderr)}
    edges = max(map(int, re.findall(r"cov: (\d+)", done.stderr)), default=0)
    executions = number.get("number_of_executed_units", 0)
    seconds = time.monotonic() - start
    return target, done.returncode == 0, executions, executions / max(seconds, 1e-9), edges, seconds, done.stderr


def main():
    targets = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--runs", type=int, default=20000, help="mutations of each target")
    args.add_argument("--seed", type=int, default=1, help="start of the random numbers")
    args.add_argument("--only", action="append", choices=targets, help="a target; may be given many times")
    args.add_argument("--skip", action="append", default=[], choices=targets, help="a target to leave out")
    args.add_argument("--jobs", type=int, default=1, help="targets at a time")
    args = args.parse_args()
    chosen = [target for target in args.only or targets if target not in args.skip]
    keep = ROOT / "build/fuzz"
    keep.mkdir(parents=True, exist_ok=True)
    failed = 0
    print(f"{'target':<12} {'executions':>12} {'per second':>11} {'edges':>6} {'seconds':>8}")
    with ThreadPoolExecutor(args.jobs) as pool:
        for target, ok, *figures, output in pool.map(lambda target: fuzz(target, args.runs, args.seed, keep), chosen):
            print(
                "{:<12} {:>12} {:>11.0f} {:>6} {:>8.0f}".format(target, *figures), "" if ok else "FAILED", flush=True
            )
            if not ok:
                failed += 1
                print(output[-3000:])
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
