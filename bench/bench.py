"""make bench: what boldmill reaches on one session of real size, next to its yardsticks. Prints one table.

Only measures and compares; nothing here fails because something is slow. Every timed row is repeated, each time after
a run of the unit (inflating the same files alone, on the same cores), and stands in the table as the median of its
times and of its ratios to the unit beside it. The gzipped runs are read once before, so that they come from memory.
"""

import argparse
import filecmp
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = len(os.sched_getaffinity(0))
MB = 1e6


@dataclass
class Row:
    """One line of the table: `stages` are commands joined by pipes, `against` the row whose time is its unit."""

    name: str
    stages: list
    against: str = "unit"
    target: float | None = None
    makes: Path | None = None
    times: list = field(default_factory=list)
    ratios: list = field(default_factory=list)
    rss: dict = field(default_factory=dict)
    cpu: list = field(default_factory=list)


def options():
    parser = argparse.ArgumentParser(description="Measures boldmill on one synthetic session of real size.")
    add = parser.add_argument
    add("--bin", type=Path, default=ROOT / "bin", help="folder of the programs")
    add("--tools", type=Path, default=ROOT / "build/release/bench", help="folder of the C yardsticks")
    add("--data", type=Path, default=ROOT / "build/bench", help="folder of the synthetic session, made when missing")
    add(
        "--out",
        type=Path,
        help="folder that outputs are written to (default: memory, /dev/shm, to take the disk out)",
    )
    add("--disk", action="store_true", help="write outputs to the folder of --data")
    add("--cold-memory", action="store_true", help="do not touch and free memory before each measurement")
    add("--repeats", type=int, default=5, help="times each row is measured (default: %(default)s)")
    add("--python-runs", type=int, default=1, help="runs for the Python route, 0 for none (default: %(default)s)")
    add("--scale", type=float, default=1.0, help="size of the session, for trying this out (default: %(default)s)")
    add("--json", type=Path, help="write all figures to this file too")
    return parser.parse_args()


# The session --------------------------------------------------------------------------------------------------------


class Session:
    def __init__(self, root):
        anatomy = root / "nsddata/ppdata/subj01/func1pt8mm"
        series = root / "nsddata_timeseries/ppdata/subj01/func1pt8mm"
        self.runs = sorted((series / "timeseries").glob("timeseries_session01_run*.nii.gz"))
        self.designs = sorted((series / "design").glob("design_session01_run*.tsv"))
        self.template = series / "design/design_session{session}_run{run}.tsv"
        self.roi = anatomy / "roi/nsdgeneral.nii.gz"

    def __bool__(self):
        return len(self.runs) == 12 and self.roi.exists()

    @property
    def size(self):
        return sum(run.stat().st_size for run in self.runs)


def make_session(bench):
    """The synthetic session; what is half made goes under another name."""
    root = bench.data / ("nsd" if bench.scale == 1 else f"nsd-{bench.scale}")
    if not Session(root):
        part = root.with_name(root.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        bench.data.mkdir(parents=True, exist_ok=True)
        say(f"making the session in {root} (once) ...")
        command = [bench.bin / "synthnsd", "--subjects", "1", "--sessions", "1", "--scale", str(bench.scale)]
        subprocess.run([*command, "--pictures", "10", part], check=True)
        part.rename(root)
    session = Session(root)
    if not session:
        sys.exit(f"bench: {root}: not the 12 runs that were expected; remove it and run again")
    return session


def say(text):
    print(text, file=sys.stderr, flush=True)


# Measuring ----------------------------------------------------------------------------------------------------------


def start(stages):
    """Starts commands joined by pipes; the last one's output is dropped."""
    children, source = [], subprocess.DEVNULL
    for k, stage in enumerate(stages):
        target = subprocess.PIPE if k + 1 < len(stages) else subprocess.DEVNULL
        child = subprocess.Popen([str(word) for word in stage], stdin=source, stdout=target)
        if k:
            source.close()
        source = child.stdout
        children.append(child)
    return children


def run_once(stages):
    """Seconds, CPU seconds, and the peak resident megabytes of each stage. A stage that fails ends the bench."""
    begin, rss, cpu = time.perf_counter(), {}, 0.0
    children = start(stages)
    for stage, child in zip(stages, children, strict=True):
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        name = Path(str(stage[0])).name.replace("env", "igzip")
        rss[name] = max(rss.get(name, 0), usage.ru_maxrss / 1024)
        cpu += usage.ru_utime + usage.ru_stime
    seconds = time.perf_counter() - begin
    for stage, child in zip(stages, children, strict=True):
        if child.returncode:
            sys.exit(f"bench: {' '.join(map(str, stage[:4]))} ...: exit status {child.returncode}")
    return seconds, cpu, rss


def touch_memory():
    """Takes, touches and frees as much memory as any row needs.

    A virtual machine may hand freed memory back to its host, and then pays dearly for each page that it takes anew.
    This puts all rows, the unit too, into the state of a machine that keeps its memory.
    """
    subprocess.run(
        ["dd", "if=/dev/zero", "of=/dev/null", "bs=2000M", "count=1"], stderr=subprocess.DEVNULL, check=True
    )


def measure(row, cold):
    if row.makes:
        row.makes.unlink(missing_ok=True)
    if not cold:
        touch_memory()
    seconds, cpu, rss = run_once(row.stages)
    row.times.append(seconds)
    row.cpu.append(cpu)
    for name, peak in rss.items():
        row.rss[name] = max(row.rss.get(name, 0), peak)
    return seconds


def measure_all(rows, repeats, cold):
    """Rounds: before each row comes the row that it is compared with."""
    by_name = {row.name: row for row in rows}
    bases = {row.against for row in rows if row.against}
    for k in range(repeats + 1):
        for row in rows:
            if row.name in bases:
                continue
            say(f"round {k} of {repeats}: {row.name}" if k else f"warming up: {row.name}")
            base = measure(by_name[row.against], cold) if row.against else None
            seconds = measure(row, cold)
            if base:
                row.ratios.append(seconds / base)
        if k == 0:
            for row in rows:  # the first round only warms caches
                row.times, row.ratios, row.cpu = [], [], []


# What is measured ---------------------------------------------------------------------------------------------------


def unit_stages(bench, session, jobs):
    """igzip over all files, `jobs` at a time, to /dev/null; our own inflater alone where igzip is missing."""
    if shutil.which("igzip"):
        script = 'printf "%s\\0" "$@" | xargs -0 -n 1 -P "$JOBS" igzip -dc'
        return [["env", f"JOBS={jobs}", "sh", "-c", script, "sh", *session.runs]]
    return [[bench.tools / "inflate_files", jobs, *session.runs]]


def routes(bench, session, folder):
    tool = {path.name: path for path in bench.bin.iterdir()}
    design = ["--design", session.template]
    clean = [[tool["detrend"], "-", "-"], [tool["zscore"], "-", "-"], [tool["hrfshift"], *design, "-", "-"]]

    def direct(runs, target):
        first = [tool["nifti2h5"], "--mask", session.roi, *design, *runs, "-"]
        return [first, *clean, [tool["concat"], "-", target]]

    def packed(source, target):
        cut = [tool["applymask"], "--roi", session.roi, source, "-"]
        return [cut, *clean, [tool["concat"], "-", target]]

    def pack(store):
        return [[tool["nifti2h5"], "--store", store, *design, *session.runs, folder / f"{store}.h5"]]

    def chunks(source):
        return [[bench.tools / "inflate_chunks", CORES, source, session.roi]]

    plain, deflated = folder / "plain.h5", folder / "deflate.h5"
    arrays = {name: folder / f"{name}.fmri.npy" for name in ("direct", "packed", "packed_plain", "few")}
    rows = [
        Row("unit", unit_stages(bench, session, CORES), None),
        Row("unit, one core", unit_stages(bench, session, 1)),
        Row("direct route, one ROI", direct(session.runs, arrays["direct"]), target=1.3, makes=arrays["direct"]),
        Row("pack, plain", pack("plain"), target=1.6, makes=plain),
        Row("pack, deflate", pack("deflate"), target=2.3, makes=deflated),
        Row("chunks of the ROI", chunks(deflated), None),
        Row("cut and clean, deflate", packed(deflated, arrays["packed"]), "chunks of the ROI", 2, arrays["packed"]),
        Row("cut and clean, plain", packed(plain, arrays["packed_plain"]), "unit", makes=arrays["packed_plain"]),
    ]
    if bench.python_runs:
        some = session.runs[: bench.python_runs]
        rows.append(Row("direct route, runs of Python", direct(some, arrays["few"]), None, makes=arrays["few"]))
    return rows


def python_route(bench, session, folder):
    """The mean over --python-runs runs."""
    results = []
    script = Path(__file__).with_name("python_route.py")
    for k in range(bench.python_runs):
        say(f"Python route: run {k + 1} of {bench.python_runs}")
        command = [sys.executable, script, session.runs[k], session.designs[k], session.roi, folder]
        done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE)
        results.append(json.loads(done.stdout))
    return {key: statistics.mean(r[key] for r in results) for key in results[0]} if results else None


# The table ----------------------------------------------------------------------------------------------------------


def filesystem(folder):
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [m for m in mounts if folder.resolve().is_relative_to(m[1].replace("\\040", " "))]
    device, _, kind = max(above, key=lambda m: len(m[1]))
    return f"{kind} on {device}" if device.startswith("/dev") else kind


def first_line(*command):
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout.strip().replace("\n", "; ")


def machine(bench, session, folder):
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    busy = " (OTHER PROGRAMS ARE RUNNING: do not trust the seconds)" if load > CORES / 4 else ""
    unit = first_line("igzip", "--version") if shutil.which("igzip") else "inflate_files (igzip is not installed)"
    model = models[0] if models else platform.machine()
    return {
        "machine": f"{model}, {CORES} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        "load before": f"{load:.2f}{busy}",
        "programs": first_line(bench.bin / "nifti2h5", "--version"),
        "unit": f"{unit}, {CORES} at a time, 12 files, {session.size / MB:.0f} MB, to /dev/null",
        "input": f"{filesystem(bench.data)}, in the page cache",
        "output": f"{filesystem(folder)}",
        "memory": "as it comes" if bench.cold_memory else "2 GB touched and freed before each measurement",
    }


def cells(row, by_name):
    base = by_name.get(row.against)
    cpu = f"{statistics.median(row.cpu) / statistics.median(base.cpu):.2f}" if base else ""
    ratio = f"{statistics.median(row.ratios):.2f}" if row.ratios else ""
    of = {"unit": "units", None: ""}.get(row.against, "x the row above")
    spread = f"{min(row.times):.2f}-{max(row.times):.2f}"
    peak = max(row.rss, key=row.rss.get)
    target = f"<= {row.target:g}" if row.target else ""
    return [
        row.name,
        f"{statistics.median(row.times):.2f}",
        spread,
        f"{ratio} {of}".strip() if ratio else "",
        target,
        f"{statistics.median(row.cpu):.2f}",
        cpu,
        f"{row.rss[peak]:.0f} {peak}",
    ]


def print_table(header, lines):
    widths = [max(len(line[k]) for line in [header, *lines]) for k in range(len(header))]
    for line in [header, ["-" * w for w in widths], *lines]:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())


def same_bytes(*paths):
    return all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:])


def other_figures(bench, session, folder, rows, python):
    """Name, figure, target."""
    by_name = {row.name: row for row in rows}
    packed, plain = ((folder / f"{store}.h5").stat().st_size / len(session.runs) for store in ("deflate", "plain"))
    same = same_bytes(*(folder / f"{name}.fmri.npy" for name in ("direct", "packed", "packed_plain")))
    out = [
        ["packed session, MB a run", f"{packed / MB:.1f} deflate, {plain / MB:.1f} plain", ""],
        ["largest process of ours, MB", f"{max(max(r.rss.values()) for r in rows if r.target):.0f}", "<= 512"],
        ["direct and packed routes", "same bytes" if same else "DIFFER", "same bytes"],
    ]
    if python:
        seconds = python["store_s"] + python["roi_s"]
        ours = statistics.median(by_name["direct route, runs of Python"].times) / bench.python_runs
        session_s = statistics.median(by_name["direct route, one ROI"].times) / len(session.runs)
        out += [
            ["Python route, s a run", f"{seconds:.1f} ({python['store_s']:.1f} + ROI {python['roi_s']:.1f})", ""],
            ["Python route, peak MB", f"{python['rss_mb']:.0f}", ""],
            ["Python route, MB a run", f"{python['bytes'] / MB:.1f}", ""],
            [f"times faster, same {bench.python_runs} run(s)", f"{seconds / ours:.1f}", ">= 25"],
            ["times faster, per run of the session", f"{seconds / session_s:.1f}", ""],
            ["packed size / Python's file", f"{packed / python['bytes']:.2f}", "<= 0.7"],
        ]
    return out


def report(bench, about, rows, figures):
    for key, value in about.items():
        print(f"{key + ':':<13} {value}")
    print(f"\nmedian of {bench.repeats}; each row measured right after the row it is compared with\n")
    by_name = {row.name: row for row in rows}
    header = ["row", "s", "range", "ratio", "target", "CPU s", "CPU ratio", "peak MB (largest process)"]
    print_table(header, [cells(row, by_name) for row in rows])
    print()
    print_table(["figure", "value", "target"], figures)


def write_json(path, about, rows, figures, python):
    keys = ("name", "against", "target", "times", "ratios", "cpu", "rss")
    full = {"about": about, "rows": [{key: getattr(row, key) for key in keys} for row in rows]}
    full |= {"figures": figures, "python": python}
    path.write_text(json.dumps(full, indent=1) + "\n")


def out_folder(bench):
    if bench.out or bench.disk or not Path("/dev/shm").is_dir():
        return (bench.out or bench.data) / "out"
    return Path("/dev/shm") / f"boldmill-bench-{os.getpid()}"


def main():
    bench = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
    session = make_session(bench)
    folder = out_folder(bench)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        about = machine(bench, session, folder)
        rows = routes(bench, session, folder)
        measure_all(rows, bench.repeats, bench.cold_memory)
        python = python_route(bench, session, folder)
        figures = other_figures(bench, session, folder, rows, python)
        report(bench, about, rows, figures)
        if bench.json:
            write_json(bench.json, about, rows, figures, python)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
