"""Which lines and branches of the C sources the tests reach: `make coverage`.

The programs, the unit tests and the core of the Python package are built by clang with counters (VARIANT=coverage).
Unit tests, the tests that call programs, those of the Python package and the fault campaign run on them. Then the
counts are put together: a table for each file, those lines and branches that nothing reached (build/coverage-clang/
missed.txt), and pages with the sources (build/coverage-clang/html).

A branch is one way out of a condition: `if (a && b)` has four. A condition that is compiled several times (a header,
a macro, a file that a unit test includes) counts once. Conditions that the compiler knows (sizeof) have none.

Status 1 where less is reached than FLOORS says. Stages may be left out (--only unit); each stage keeps its counts in
a file of its own, and --keep adds to those of the last time.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "build/coverage-clang"
COUNTS = OUT / "counts"  # of the stage that runs: programs write there
STAGE_COUNTS = OUT / "stages"
PROFILE = OUT / "all.profdata"

# Files that take apart what others wrote, and the way to a final name.
# fmt: off
PARSERS = [
    "core/compare", "core/parse", "core/glob", "io/text", "io/bytes", "io/inflate", "io/npy", "io/nifti",
    "io/niftiheader", "io/niftiaffine", "io/niftiextension", "io/niftiwide", "io/stream", "io/runjson",
    "io/sealed", "io/jsonmem", "io/designs", "io/confounds", "io/confounds_columns", "io/labels",
    "io/labelcounts", "io/roi", "io/maskfile", "io/bidsname", "io/runname", "io/scan", "io/rowsfile",
    "io/seriesfile_layout", "io/seriesfile_read", "io/seriesfile_seal", "io/hdf5", "io/hdf5_tiles",
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
# Tests that call none of our programs, or reach nothing that the others do not reach sooner.
# fmt: off
LEFT_OUT = [
    "test_asks", "test_catalog", "test_datasets", "test_dist", "test_docs", "test_examples", "test_faults_workflow",
    "test_fetch", "test_fetch_checks", "test_fetch_object", "test_fetch_pieces", "test_fetch_stream",
    "test_fidelity_rois", "test_haxby", "test_layout", "test_own_dataset", "test_presets", "test_progress",
    "test_python_docs", "test_python_install", "test_report", "test_report_browser", "test_sharedfs_workflow",
    "test_slurm", "test_slurm_generic", "test_tidy", "test_troubleshooting", "test_workflow",
]
# fmt: on
# Percent of lines and branches that must be reached.
FLOORS = {
    "parsers": (100, 98.4),
    "commit path": (100, 97),
    "lib/core": (99.5, 99),
    "lib/io": (99.2, 96.8),
    "lib/ops": (99.5, 99),
    "lib/load": (99.5, 99),
    "bin-src": (99.2, 97),
    "all": (99.4, 97.4),
}


@dataclass
class File:
    """Counts by place."""

    lines: dict = field(default_factory=collections.Counter)  # line -> times
    branches: dict = field(default_factory=collections.Counter)  # (line, column, way) -> times


def call(command, **env):
    print("$", " ".join(map(str, command)), flush=True)
    status = subprocess.run(list(map(str, command)), cwd=ROOT, env=os.environ | env, check=False).returncode
    if status:
        print(f"status {status}", flush=True)


def unit_programs():
    return sorted(OUT / "tests/unit" / path.stem for path in (ROOT / "tests/unit").glob("test_*.c"))


def run_units(args):
    for program in unit_programs():
        done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            print(f"{program.name}: status {done.returncode}\n{done.stdout[-2000:]}")


def run_pytest(args, which):
    """Less those that limit the size of files, which would cut the counts."""
    paths = []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        package = path.name.startswith(("test_python_", "test_examples"))
        if path.stem not in LEFT_OUT and package == (which == "python"):
            paths.append(path.relative_to(ROOT))
    env = {"BOLDMILL_BIN": str(OUT / "bin"), "BOLDMILL_CORE": str(OUT / "_core.so"), "BOLDMILL_TEST_PATIENCE": "6"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-x"] if args.stop else [])]
    command += ["-n", args.jobs, "--dist", "loadfile"] if args.jobs > 1 else []
    call([*command, "-k", "not (hardened or full_disk or real_sizes)", *paths], **env)


def run_faults(args):
    """The files that fail are those of the campaign, not those that the counts are written to."""
    shim = ROOT / "build/faults/shim.so"
    campaign = [sys.executable, "tests/faults/campaign.py", "--bin", OUT / "bin", "--shim", shim]
    places = ["--sites"] if args.faults is None else ["--most", args.faults]
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
    call([*campaign, "--jobs", args.jobs, *places], FAULT_UNDER=folder, BOLDMILL_CORE=str(OUT / "_core.so"))


STAGES = {
    "unit": run_units,
    "pytest": lambda args: run_pytest(args, "pytest"),
    "python": lambda args: run_pytest(args, "python"),
    "faults": run_faults,
}


def run_stage(name, args):
    """Runs it and moves the counts to a file of the stage's own: no later stage can damage them."""
    start = time.monotonic()
    STAGES[name](args)
    raw = list(COUNTS.glob("*.profraw"))
    before = [path for path in (STAGE_COUNTS / f"{name}.profdata",) if path.exists()]
    merged = STAGE_COUNTS / f"{name}.new"
    STAGE_COUNTS.mkdir(exist_ok=True)
    merge([*before, *raw], merged)
    merged.rename(STAGE_COUNTS / f"{name}.profdata")
    for path in raw:
        path.unlink()
    print(f"== {name}: counts of {len(raw)} programs, {time.monotonic() - start:.0f} s", flush=True)


def merge(inputs, output):
    """A file that a killed program left half-written is told and left out."""
    command = ["llvm-profdata", "merge", "-failure-mode=all", "-o", output, *inputs]
    done = subprocess.run(list(map(str, command)), check=True, stderr=subprocess.PIPE, text=True)
    print(done.stderr, end="", flush=True)


def objects():
    programs = sorted(p for p in (OUT / "bin").iterdir() if p.is_file())
    first, *others = [*programs, OUT / "_core.so", *unit_programs()]
    return [str(first), *(word for path in others for word in ("-object", str(path)))]


def export(form, *options):
    command = ["llvm-cov", "export", f"-format={form}", *options, f"-instr-profile={PROFILE}", *objects()]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def relative(path):
    """The name of a source of ours, or None."""
    name = os.path.relpath(path, ROOT)
    return name if name.startswith(("lib/", "bin-src/")) else None


def count_lines(files):
    current = File()
    for line in export("lcov").splitlines():
        key, _, rest = line.partition(":")
        if key == "SF":
            current = files.setdefault(relative(rest), File())
        elif key == "DA":
            number, times = map(int, rest.split(","))
            current.lines[number] += times


def count_branches(files):
    for function in json.loads(export("text", "-skip-expansions"))["data"][0]["functions"]:
        names = [relative(path) for path in function["filenames"]]
        for line, column, _, _, taken, left, place, *_ in function["branches"]:
            counts = files.setdefault(names[place], File()).branches
            counts[line, column, True] += taken
            counts[line, column, False] += left


def measured():
    """{name: File} of what is under lib and bin-src."""
    merge(sorted(STAGE_COUNTS.glob("*.profdata")), PROFILE)
    files = {}
    count_lines(files)
    count_branches(files)
    files.pop(None, None)
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
    for old in () if args.report else (COUNTS,) if args.keep else (COUNTS, STAGE_COUNTS):
        shutil.rmtree(old, ignore_errors=True)
    for name in STAGES:
        if not args.report and (not args.only or name in args.only):
            run_stage(name, args)
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
