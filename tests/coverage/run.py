"""Which lines and branches of the C sources the tests reach: `make coverage`.

The programs, the unit tests and the core of the Python package are built by clang with counters (VARIANT=coverage).
Unit tests, the tests that call programs, those of the Python package and the fault campaign run on them. Then the
counts are put together: a table for each file, those lines and branches that nothing reached (build/coverage-clang/
missed.txt), and pages with the sources (build/coverage-clang/html).

A branch is one way out of a condition: `if (a && b)` has four. Conditions that the compiler knows (sizeof) have none.

--check: status 1 where less is reached than FLOORS says. Stages may be left out (--only unit); --keep adds to the
counts of the last time.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "build/coverage-clang"
COUNTS = OUT / "counts"
PROFILE = OUT / "all.profdata"

# Files that take apart what others wrote, and the way to a final name.
# fmt: off
PARSERS = [
    "core/parse", "core/glob", "io/text", "io/bytes", "io/inflate", "io/npy", "io/nifti", "io/niftiheader",
    "io/niftiaffine", "io/niftiextension", "io/niftiwide", "io/stream", "io/runjson", "io/sealed", "io/jsonmem",
    "io/designs", "io/confounds", "io/confounds_columns", "io/labels", "io/labelcounts", "io/roi",
    "io/maskfile", "io/bidsname", "io/runname", "io/scan", "io/rowsfile", "io/seriesfile_layout",
    "io/seriesfile_read", "io/hdf5", "io/hdf5_tiles",
]
# fmt: on
COMMIT = ["io/commit"]
GROUPS = {
    "parsers": lambda name: name in {f"lib/{stem}.c" for stem in PARSERS},
    "commit path": lambda name: name in {f"lib/{stem}.c" for stem in COMMIT},
    "lib/core": lambda name: name.startswith("lib/core/"),
    "lib/io": lambda name: name.startswith("lib/io/"),
    "lib/ops": lambda name: name.startswith("lib/ops/"),
    "lib/load": lambda name: name.startswith("lib/load/"),
    "bin-src": lambda name: name.startswith("bin-src/"),
    "all": lambda name: True,
}
# Percent of lines and branches that must be reached.
FLOORS = {"parsers": (97, 91), "commit path": (96, 88), "all": (95.5, 88)}


@dataclass
class File:
    """Counts by place; a header that several files include has one place for all."""

    lines: dict = field(default_factory=collections.Counter)  # line -> times
    branches: dict = field(default_factory=collections.Counter)  # (line, number on it, way) -> times


def call(command, **env):
    print("$", " ".join(map(str, command)), flush=True)
    status = subprocess.run(list(map(str, command)), cwd=ROOT, env=os.environ | env, check=False).returncode
    if status:
        print(f"status {status}", flush=True)


def run_units(args):
    for program in sorted(p for p in (OUT / "tests/unit").glob("test_*") if not p.suffix):
        done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            print(f"{program.name}: status {done.returncode}\n{done.stdout[-2000:]}")


def run_pytest(args, which):
    """Less those that call none of our programs, and those that limit the size of files: it would cut the counts."""
    skip = [
        "test_slurm",
        "test_slurm_generic",
        "test_fetch",
        "test_fetch_checks",
        "test_workflow",
        "test_faults_workflow",
        "test_haxby",
        "test_layout",
        "test_presets",
        "test_datasets",
    ]
    paths = []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        package = path.name.startswith(("test_python_", "test_examples"))
        if path.stem not in skip and package == (which == "python"):
            paths.append(path.relative_to(ROOT))
    env = {"BOLDMILL_BIN": str(OUT / "bin"), "BOLDMILL_CORE": str(OUT / "_core.so"), "BOLDMILL_TEST_PATIENCE": "3"}
    command = [sys.executable, "-m", "pytest", "-q", "-x" if args.stop else "-q", "-p", "no:cacheprovider"]
    call([*command, "-k", "not (hardened or full_disk or real_sizes)", *paths], **env)


def run_faults(args):
    shim = ROOT / "build/faults/shim.so"
    campaign = [sys.executable, "tests/faults/campaign.py", "--bin", OUT / "bin", "--shim", shim]
    places = ["--sites"] if args.faults is None else ["--most", args.faults]
    call([*campaign, "--jobs", args.jobs, *places])


STAGES = {
    "unit": run_units,
    "pytest": lambda args: run_pytest(args, "pytest"),
    "python": lambda args: run_pytest(args, "python"),
    "faults": run_faults,
}


def objects():
    programs = sorted(p for p in (OUT / "bin").iterdir() if p.is_file())
    units = sorted(p for p in (OUT / "tests/unit").glob("test_*") if not p.suffix)
    first, *others = [*programs, OUT / "_core.so", *units]
    return [str(first), *(word for path in others for word in ("-object", str(path)))]


def measured():
    """{name: File} of what is under lib and bin-src."""
    merge = ["llvm-profdata", "merge", "-failure-mode=all", "-o", PROFILE, *COUNTS.glob("*.profraw")]
    subprocess.run(list(map(str, merge)), check=True)
    export = ["llvm-cov", "export", "-format=lcov", f"-instr-profile={PROFILE}", *objects()]
    text = subprocess.run(export, check=True, capture_output=True, text=True).stdout
    files, current, seen = {}, File(), collections.Counter()
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        if key == "SF":
            name = os.path.relpath(rest, ROOT)
            ours = name.startswith(("lib/", "bin-src/"))
            current = files.setdefault(name, File()) if ours else File()
            seen.clear()
        elif key == "DA":
            number, times = map(int, rest.split(","))
            current.lines[number] += times
        elif key == "BRDA":
            number, block, way, times = rest.split(",")
            current.branches[int(number), block, way] += 0 if times == "-" else int(times)
    return dict(sorted(files.items()))


def share(counts):
    """(reached, all)"""
    return sum(1 for times in counts.values() if times), len(counts)


def percent(reached, total):
    return 100.0 * reached / total if total else 100.0


def total_of(files, chosen):
    names = [name for name in files if chosen(name)]
    lines = [share(files[name].lines) for name in names]
    branches = [share(files[name].branches) for name in names]
    return tuple(map(sum, zip(*lines, strict=True))), tuple(map(sum, zip(*branches, strict=True)))


def row(name, lines, branches):
    return (
        f"| {name} | {lines[0]} of {lines[1]} | {percent(*lines):.1f} | {branches[0]} of {branches[1]} "
        f"| {percent(*branches):.1f} |"
    )


def table(files):
    yield "| part | lines | % | branches | % |"
    yield "|---|---|---|---|---|"
    for name, chosen in GROUPS.items():
        yield row(name, *total_of(files, chosen))
    yield ""
    yield "| file | lines | % | branches | % |"
    yield "|---|---|---|---|---|"
    for name, file in files.items():
        yield row(name, share(file.lines), share(file.branches))


def missed(files):
    """Each line with something that was not reached, with its text."""
    for name, file in files.items():
        text = (ROOT / name).read_text().splitlines()
        ways = collections.Counter(line for (line, *_), times in file.branches.items() if not times)
        dead = {line for line, times in file.lines.items() if not times}
        for line in sorted(dead | set(ways)):
            kind = "line" if line in dead else f"{ways[line]} br"
            yield f"{name}:{line}: {kind:5} {text[line - 1].strip()}"


def check(files):
    failed = 0
    for group, (lines, branches) in FLOORS.items():
        reached = total_of(files, GROUPS[group])
        for what, floor, part in (("lines", lines, reached[0]), ("branches", branches, reached[1])):
            good = percent(*part) >= floor
            failed += not good
            print(f"{group}: {percent(*part):.2f} % of {what}, at least {floor}: {'ok' if good else 'TOO FEW'}")
    return failed


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args.add_argument("--only", action="append", default=[], choices=list(STAGES), help="some stages")
    args.add_argument(
        "--faults",
        type=int,
        help="places of each kind in the fault campaign, 0 for all; without it one for each chain of calls",
    )
    args.add_argument("--keep", action="store_true", help="add to the counts that are there")
    args.add_argument("--report", action="store_true", help="run nothing, look at the counts that are there")
    args.add_argument("--stop", action="store_true", help="stop pytest at the first failure")
    args = args.parse_args()
    if not args.keep and not args.report:
        shutil.rmtree(COUNTS, ignore_errors=True)
    for name, stage in STAGES.items():
        if not args.report and (not args.only or name in args.only):
            stage(args)
    files = measured()
    lines = list(table(files))
    print("\n".join(lines))
    (OUT / "table.md").write_text("\n".join(lines) + "\n")
    (OUT / "missed.txt").write_text("\n".join(missed(files)) + "\n")
    show = ["llvm-cov", "show", "-format=html", f"-output-dir={OUT / 'html'}", f"-instr-profile={PROFILE}"]
    subprocess.run([*show, "-show-branches=count", *objects()], check=True, stdout=subprocess.DEVNULL)
    failed = check(files)
    print(f"{2 * len(FLOORS) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
