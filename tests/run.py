"""Runs the test suites one after the other and adds up what they count: `make check`.

Each stage is a style check, a build (warnings are errors), a set of unit test programs, or a pytest call. The last
line is "N passed, N failed, N skipped"; what failed is named again just before it, where the end of a log shows it.
Output of a stage is shown when it fails, and why tests were skipped.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(sys.prefix) / "bin"
SLOW_BUILDS = {"asan": "3"}  # stretch of the tests' time limits


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []
        self.failures = []

    def add(self, name, passed, failed, skipped, seconds):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.notes.append((name, passed, failed, skipped, seconds))
        print(f"== {name}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.0f} s)", flush=True)

    def failure(self, name, output):
        """Keeps what the end of the log says of a failure: its name and the last of its output."""
        lines = [line.rstrip() for line in output.splitlines() if line.strip()]
        self.failures.append("\n    ".join([f"failed: {name}", *(line[:200] for line in lines[-8:])]))


def call(command, **env):
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, time.monotonic() - start


def one(count, name, command, **env):
    """A command that passes or fails as a whole."""
    status, output, seconds = call(command, **env)
    if status:
        print(output[-6000:])
        count.failure(name, output)
    count.add(name, int(not status), int(bool(status)), 0, seconds)
    return not status


def unit(count, variant, folder):
    passed = failed = skipped = 0
    start = time.monotonic()
    programs = sorted(p for p in (ROOT / folder / "tests/unit").glob("test_*") if not p.suffix)
    for program in programs:
        status, output, _ = call([str(program)])
        last = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output)
        p, f, s = (int(v or 0) for v in last[-1]) if last else (0, 1, 0)
        if status and not f:
            f = 1
        if f:
            print(f"{program}:\n{output[-4000:]}")
            count.failure(program.relative_to(ROOT), output)
        passed, failed, skipped = passed + p, failed + f, skipped + s
    if not programs:
        failed = 1
        count.failure(f"unit tests, {variant}", f"no unit tests in {folder}")
    count.add(f"unit tests, {variant}", passed, failed, skipped, time.monotonic() - start)


def pytest(count, name, paths, jobs=1, **env):
    """jobs: files of tests that run at a time."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *paths]
        command += ["-n", str(jobs), "--dist", "loadfile"] if jobs > 1 else []
        status, output, seconds = call(command, PYTHONDONTWRITEBYTECODE="1", **env)
        total = failed = skipped = 0
        if report.exists():
            for suite in ET.parse(report).iter("testsuite"):
                total += int(suite.get("tests", 0))
                failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                skipped += int(suite.get("skipped", 0))
                for case in suite.iter("testcase"):
                    for bad in (*case.findall("failure"), *case.findall("error")):
                        errors = [line for line in (bad.text or "").splitlines() if line.startswith(("E ", "tests/"))]
                        count.failure(f"{case.get('classname')}::{case.get('name')}", "\n".join(errors))
    if status and not failed:
        failed = 1
        count.failure(name, output)
    # names of what failed or was skipped, and why; the whole report when something failed
    print(output[-20000:] if failed else "\n".join(re.findall(r"^SKIPPED.*$", output, re.M)))
    count.add(name, total - failed - skipped, failed, skipped, seconds)


def campaign(count, name, target, **options):
    """A make target whose last line is "N passed, N failed"."""
    status, output, seconds = call(["make", target, *(f"{key}={value}" for key, value in options.items())])
    last = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    passed, failed = map(int, last[-1]) if last else (0, 1)
    failed = failed or int(bool(status))
    if failed:
        print(output[-6000:])
        count.failure(name, output)
    count.add(name, passed, failed, 0, seconds)


def faults(count):
    """The short forms; docs/reliability.md has the long ones. An HDF5 file takes the fuzzer 40 times as long."""
    campaign(count, "faults in system calls and allocations", "faults")
    campaign(count, "flipped bits and cuts", "damage")
    campaign(count, "losses of power", "power")
    campaign(count, "kills of the workflow", "kills")
    campaign(count, "fuzzing", "fuzz", FUZZ="--runs 20000 --skip series")
    campaign(count, "fuzzing series files", "fuzz", FUZZ="--runs 1000 --only series")


def style(count):
    sources = [
        str(p.relative_to(ROOT)) for d in ("bin-src", "lib", "tests", "bench") for p in (ROOT / d).rglob("*.[ch]")
    ]
    one(count, "clang-format", [VENV / "clang-format", "--dry-run", "-Werror", *sources])
    one(count, "ruff format", [VENV / "ruff", "format", "--check", "."])
    one(count, "ruff check", [VENV / "ruff", "check", "."])
    smk = [str(p.relative_to(ROOT)) for p in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]]
    one(count, "snakefmt", [VENV / "snakefmt", "--check", *smk])
    one(count, "layers", [sys.executable, "tests/layers.py"])


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args.add_argument("--quick", action="store_true", help="the release build alone, without the workflow")
    args.add_argument("--only", default="", help="stages whose name holds this text")
    args = args.parse_args()
    count = Count()
    make = ["make", f"-j{args.jobs}"]

    def wanted(name):
        return args.only in name

    if wanted("style"):
        style(count)
    built = one(count, "build, gcc", [*make, "all", "unit"])
    if built and wanted("docs"):
        one(count, "docs of the programs are up to date", ["make", "docs-check"])
    if built and wanted("unit release"):
        unit(count, "release", "build/release")
    workflow = [
        "tests/test_workflow.py",
        "tests/test_report.py",
        "tests/test_report_browser.py",
        "tests/test_progress.py",
        "tests/test_faults_workflow.py",
        "tests/test_haxby.py",
        "tests/test_layout.py",
        "tests/test_presets.py",
        "tests/test_datasets.py",
        "tests/test_fetch.py",
        "tests/test_fetch_object.py",
        "tests/test_fetch_pieces.py",
        "tests/test_fetch_checks.py",
        "tests/test_fetch_stream.py",
        "tests/test_catalog.py",
        "tests/test_dist.py",
        "tests/test_own_dataset.py",
        "tests/test_prefix.py",
        "tests/test_sharedfs_workflow.py",
        "tests/test_troubleshooting.py",
    ]
    programs = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("test_*.py"))
    package = [p for p in programs if p.startswith(("tests/test_python_", "tests/test_examples"))]
    slurm = ["tests/test_slurm.py", "tests/test_slurm_generic.py"]
    programs = [p for p in programs if p not in (*workflow, *package, *slurm)]
    if built and wanted("pytest release"):
        pytest(count, "programs and oracles, release", programs, args.jobs)
    if built and wanted("python"):
        pytest(count, "python package", package, args.jobs)
    if not args.quick:
        if built and wanted("workflow"):
            pytest(count, "workflow", workflow, args.jobs)
        if built and wanted("slurm"):
            pytest(count, "jobs of a cluster", slurm, BOLDMILL_TEST_PATIENCE="3")
        if built and wanted("faults"):
            faults(count)
        if wanted("lint"):
            one(count, "clang-tidy and cppcheck", [*make, "lint"])
        if built and wanted("valgrind"):
            campaign(count, "valgrind", "valgrind")
        if wanted("zlib") and one(count, "build, zlib without ISA-L", [*make, "ISAL=no", "all", "unit"]):
            unit(count, "zlib", "build/release-zlib")
        if wanted("clang") and one(count, "build, clang", [*make, "CC=clang", "all", "unit"]):
            unit(count, "clang", "build/release-clang")
        if wanted("asan") and one(
            count, "build, address and undefined sanitizers", [*make, "VARIANT=asan", "all", "unit"]
        ):
            unit(count, "asan", "build/asan")
            env = {"BOLDMILL_BIN": str(ROOT / "build/asan/bin"), "BOLDMILL_TEST_PATIENCE": SLOW_BUILDS["asan"]}
            # The shim brings a malloc of its own, as sanitizers do; hardening is that of the release build.
            outside = ["-k", "not (changes_while_it_is_read or hardened)"]
            pytest(count, "programs and oracles, asan", [*programs, *outside], args.jobs, **env)
    print()
    for name, passed, failed, skipped, seconds in count.notes:
        print(f"{name:45s} {passed:5d} passed {failed:4d} failed {skipped:4d} skipped {seconds:6.0f} s")
    if count.failures:
        print("", *count.failures[:20], sep="\n")
    print(f"\n{count.passed} passed, {count.failed} failed, {count.skipped} skipped", flush=True)
    return int(count.failed > 0 or count.passed == 0)


if __name__ == "__main__":
    sys.exit(main())
