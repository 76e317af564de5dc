"""What work costs, in seconds of one core and in bytes on the disk, before it is done.

The constants are measurements on the development machine (docs/costs.md has the commands, and how far the estimates
are from the truth). Another machine is faster or slower by a factor; sizes do not depend on the machine.
"""

import json
import os
import subprocess

from operate.progress import duration
from operate.summary import many, number, size

# Core seconds for each GB of input as it lies on the disk (1e9 bytes): bench/costs.py.
PACK_GZ = 7.8  # of gzipped runs: inflating, packing, deflating
PACK_RAW = 1.3  # of runs that are not gzipped
DIRECT_GZ = 4.2  # of gzipped runs, for one ROI
DIRECT_RAW = 0.4
CUT = 1.7  # of packed sessions, for one ROI
CLEAN = 14.5  # of packed sessions, all voxels cleaned and stored
QUALITY = 3.8  # of packed sessions
JOB = 1.0  # seconds of any job, Snakemake's part included

# Bytes for each byte of input.
PACKED_GZ = 0.78  # of a gzipped run, int16: byte shuffle and deflate do better than gzip
PACKED_RAW = 0.66  # of the brain's samples
CLEANED = 2.6  # of a packed session: float32

SAMPLE = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "int32": 4, "uint32": 4, "float32": 4}
SAMPLE |= {"int64": 8, "uint64": 8, "float64": 8}
MARGIN = 1.05  # of what must be free


def file_size(path):
    """0 where it is not there yet."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def gzipped(path):
    return str(path).endswith(".gz")


# Jobs of the workflow


def inputs_of(dag, job):
    """Bytes that the job will read; files that are still to be made count with their expected size."""
    makers = {str(path): other for other, paths in dag.dependencies[job].items() for path in paths}
    return sum(file_size(path) or made_of(dag, makers.get(str(path))) for path in job.input)


def made_of(dag, job):
    """Bytes that a job will write, as far as they are more than a few."""
    if job is None:
        return 0
    if job.rule.name == "pack":
        return sum(file_size(path) * (PACKED_GZ if gzipped(path) else PACKED_RAW) for path in job.input.runs)
    return CLEANED * inputs_of(dag, job) if job.rule.name == "clean" else 0


def work_of(dag, job):
    """Core seconds, roughly."""
    gz = any(gzipped(path) for path in job.input)
    rates = {"pack": PACK_GZ if gz else PACK_RAW, "clean": CLEAN, "quality": QUALITY, "arrays": CUT}
    if job.rule.name in ("arrays", "quality") and "runs" in job.input:
        rates[job.rule.name] = DIRECT_GZ if gz else DIRECT_RAW
    return JOB + rates.get(job.rule.name, 1.0) * inputs_of(dag, job) / 1e9


def free_at(folder):
    """Bytes that are free where the folder is, or will be."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(os.path.abspath(folder))
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def too_much(dag, jobs, cache):
    """A sentence where what the jobs will write does not fit on the disk, or None."""
    wanted, free = sum(made_of(dag, job) for job in jobs), free_at(cache)
    if wanted * MARGIN <= free:
        return None
    return (
        f"{cache}: about {size(int(wanted))} will be written, and {size(free)} are free; free some, name another "
        "cache, or set route: direct"
    )


# Estimates before anything is done


def columns(bin, words, run):
    """Voxels that nifti2h5 keeps with these options, by the first volume of a run; and what boldinfo says of it."""
    read = [os.path.join(bin, "nifti2h5"), "--quiet", "--volumes=1", *words, "--", run, "-"]
    with subprocess.Popen(read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as child:
        told = subprocess.run(
            [os.path.join(bin, "boldinfo"), "--json", "-"], stdin=child.stdout, capture_output=True, check=False
        )
        child.stdout.close()
        why = child.stderr.read().decode(errors="replace").strip()
    if child.returncode or told.returncode:
        raise ValueError(why or told.stderr.decode(errors="replace").strip())
    return json.loads(told.stdout)["runs"][0]


def packed_bytes(settings, runs, itemsize, voxels):
    """Bytes of a packed session."""
    rows = sum(run["rows"] for run in runs)
    if settings["store"] == "plain":
        return rows * voxels * itemsize
    gz = all(gzipped(run["path"]) for run in runs)
    stored = sum(file_size(run["path"]) * run["rows"] / run["volumes"] for run in runs)
    return PACKED_GZ * stored if gz else PACKED_RAW * rows * voxels * itemsize


def subject_costs(facts):
    """Bytes and core seconds of a subject. facts: sessions {number: [{"path", "rows", "volumes"}]}, brain, rois
    {name: voxels}, itemsize, store, route, history (None without designs), out (bytes a value)."""
    runs = [run for session in facts["sessions"].values() for run in session]
    read = sum(file_size(run["path"]) for run in runs)
    rows = sum(run["rows"] for run in runs)
    gz = all(gzipped(run["path"]) for run in runs)
    meta = 0 if facts["history"] is None else 4 * facts["history"] + 18
    arrays = {name: rows * (voxels * facts["out"] + meta) for name, voxels in facts["rois"].items()}
    told = {"read": read, "runs": len(runs), "rows": rows, "sessions": {}, "arrays": arrays}
    if facts["route"] == "packed":
        told["sessions"] = {
            number: packed_bytes(facts, each, facts["itemsize"], facts["brain"])
            for number, each in facts["sessions"].items()
        }
        packed = sum(told["sessions"].values())
        work = (PACK_GZ if gz else PACK_RAW) * read / 1e9, CUT * packed / 1e9 * len(arrays)
    else:
        work = 0, (DIRECT_GZ if gz else DIRECT_RAW) * read / 1e9 * len(arrays)
    return told | {"seconds": sum(work) + JOB * (len(told["sessions"]) + len(arrays))}


def table(costs, facts):
    """The costs of one subject as text."""
    sessions = len(facts["sessions"])
    yield (
        f"subject {facts['subject']}: {many(sessions, 'session')}, {many(costs['runs'], 'run')},"
        f" {number(costs['rows'])} time points,"
        f" {size(costs['read'])} to read"
    )
    if costs["sessions"]:
        packed = sum(costs["sessions"].values())
        each = f"{size(int(packed / sessions))} each, of {number(facts['brain'])} voxels"
        yield f"  packed sessions  {size(int(packed))}, {each}"
    for name, stored in costs["arrays"].items():
        yield f"  {name}  {size(stored)}, {number(costs['rows'])} x {number(facts['rois'][name])} voxels"


def together(every, cores, cache):
    """All subjects: disk, time, and whether it fits."""
    stored = int(sum(sum(costs["sessions"].values()) + sum(costs["arrays"].values()) for costs in every))
    seconds, free = sum(costs["seconds"] for costs in every), free_at(cache)
    yield f"disk: {size(stored)} in all, if nothing is there yet; {size(free)} are free in {cache}"
    with_all = f"{duration(seconds / cores)} with {cores} cores where the disk keeps up"
    yield f"time: {duration(seconds)} of one core, {with_all}"
    if stored * MARGIN > free:
        yield "warning: this does not fit; free some, name another cache, choose fewer sessions, or set route: direct"
