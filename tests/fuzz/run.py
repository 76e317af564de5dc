"""Runs the fuzzers and prints what they did: `make fuzz`.

Each target replays its seeds (tests/fuzz/corpus) and all files that ever broke it (tests/fuzz/found), and then
mutates them --runs times, under the address and undefined-behaviour sanitizers or, with `make fuzz-msan`, the memory
sanitizer. One allocation of more than 32 MiB, or 5 seconds for one input, is a finding. What is found lies in
build/fuzz; put it into tests/fuzz/found/TARGET/ with the mend. Inputs that reached something new are kept there too,
so that a later run goes on where this one ended (with --seed 0: by other random numbers), and every run adds a line
to build/fuzz/runs.tsv.
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
BUILDS = {"address": ROOT / "build/fuzz-clang", "memory": ROOT / "build/msan-clang-zlib"}
KEEP = ROOT / "build/fuzz"
LIMITS = ["-malloc_limit_mb=32", "-rss_limit_mb=2048", "-timeout=5"]
# Bytes of an input: what the format needs for its fields, and some samples.
LONGEST = {"nifti": 1024, "npy": 2560, "tables": 1024, "confounds": 512, "specs": 512, "describe": 1024}
LONGEST |= {"sealed": 1024, "stream": 3072, "seriesfile": 3072, "series": 9216}
# Edges that even a short run from the seeds reaches: fewer, and the reader turns all inputs away at its door.
LEAST = {"confounds": 500, "describe": 1200, "nifti": 450, "npy": 250, "sealed": 450, "series": 180}
LEAST |= {"seriesfile": 280, "specs": 600, "stream": 400, "tables": 400}
# Little is kept of what was freed: an input is done with in microseconds. HDF5 1.10 itself loses memory when a
# damaged file cannot be opened, and asks for as much as the file says: what we ask for is in the target seriesfile.
MEMORY = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=4:max_malloc_fill_size=256"
OF_LIBRARY = {"series": ":detect_leaks=0:allocator_may_return_null=1"}


def fuzz(target, args):
    """(target, ok, executions, per second, edges, seconds, output)"""
    grown = KEEP / "corpus" / target
    grown.mkdir(parents=True, exist_ok=True)
    seeds = [str(folder) for kind in ("corpus", "found") if (folder := HERE / kind / target).is_dir()]
    options = [f"-runs={args.runs}", f"-seed={args.seed}", f"-artifact_prefix={KEEP}/{target}-"]
    if target in OF_LIBRARY:
        options.append("-malloc_limit_mb=0")
    options += [f"-max_len={LONGEST[target]}", "-print_final_stats=1", *args.option]
    start = time.monotonic()
    done = subprocess.run(
        [BUILDS[args.sanitizer] / f"tests/fuzz/fuzz_{target}", *LIMITS, *options, grown, *seeds],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | dict.fromkeys(("ASAN_OPTIONS", "MSAN_OPTIONS"), MEMORY + OF_LIBRARY.get(target, "")),
    )
    seconds = time.monotonic() - start
    number = {name: int(value) for name, value in re.findall(r"stat::(\w+): +(\d+)", done.stderr)}
    edges = max(map(int, re.findall(r"cov: (\d+)", done.stderr)), default=0)
    executions = number.get("number_of_executed_units", 0)
    note(args.sanitizer, target, done.returncode, executions, f"{seconds:.0f}", edges)
    output, dead = done.stderr, args.sanitizer == "address" and edges < LEAST[target]
    if dead:
        output += (
            f"{target}: only {edges} edges were reached, fewer than {LEAST[target]}: does the reader refuse all?"
        )
    ok = done.returncode == 0 and not dead
    return target, ok, executions, executions / max(seconds, 1e-9), edges, seconds, output


def note(*fields):
    with (KEEP / "runs.tsv").open("a") as f:
        print(time.strftime("%Y-%m-%d %H:%M"), *fields, sep="\t", file=f)


def totals():
    """What build/fuzz/runs.tsv adds up to, as a table; edges are those of the last run."""
    sums = {}
    for line in (KEEP / "runs.tsv").read_text().splitlines():
        _, sanitizer, target, status, executions, seconds, edges = line.split("\t")
        one = sums.setdefault((sanitizer, target), [0, 0, 0, 0])
        one[:] = [one[0] + int(executions), one[1] + int(seconds), int(edges), one[3] + (status != "0")]
    print("| sanitizer | target | executions | a second | edges | runs that found something |")
    print("|---|---|---|---|---|---|")
    for (sanitizer, target), (executions, seconds, edges, found) in sorted(sums.items()):
        rate = executions / max(seconds, 1)
        print(f"| {sanitizer} | {target} | {executions:,} | {rate:,.0f} | {edges:,} | {found} |")


def main():
    targets = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--runs", type=int, default=20000, help="mutations of each target")
    args.add_argument("--seed", type=int, default=1, help="start of the random numbers; 0: another one each time")
    args.add_argument("--only", action="append", choices=targets, help="a target; may be given many times")
    args.add_argument("--skip", action="append", default=[], choices=targets, help="a target to leave out")
    args.add_argument("--jobs", type=int, default=1, help="targets at a time")
    args.add_argument("--sanitizer", choices=BUILDS, default="address")
    args.add_argument("--totals", action="store_true", help="print what all runs so far add up to, and run nothing")
    args.add_argument("--option", action="append", default=[], help="one more option of libFuzzer")
    args = args.parse_args()
    if args.totals:
        return totals()
    chosen = [target for target in args.only or targets if target not in args.skip]
    KEEP.mkdir(parents=True, exist_ok=True)
    failed = 0
    print(f"{'target':<12} {'executions':>12} {'per second':>11} {'edges':>6} {'seconds':>8}")
    with ThreadPoolExecutor(args.jobs) as pool:
        for target, ok, *figures, output in pool.map(lambda target: fuzz(target, args), chosen):
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
