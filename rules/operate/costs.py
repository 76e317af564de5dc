"""What work costs, in seconds of one core and in bytes on the disk, before it is done.

The constants are measurements on the development machine (docs/costs.md has the commands, and how far the estimates
are from the truth). Another machine is faster or slower by a factor; sizes do not depend on the machine.
"""

import json
import os
import subprocess

from operate.words import duration, many, number, size

# Core seconds for each GB of input as it lies on the disk (1e9 bytes): bench/costs.py.
PACK_GZ = 7.8  # of gzipped runs: inflating, packing, deflating
PACK_RAW = 1.3  # of runs that are not gzipped
DIRECT_GZ = 4.2  # of gzipped runs, for one ROI
DIRECT_RAW = 0.4
STREAM = 6.1  # of runs that come from a bucket, besides: bench/download.py
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
USUAL_RATE = 100  # MB/s of a network, where nothing else is known
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


def work_of(dag, job, streamed=0):
    """Core seconds, roughly; `streamed` bytes come from a bucket and are no files."""
    gz = any(gzipped(path) for path in job.input)
    rates = {"pack": PACK_GZ if gz else PACK_RAW, "clean": CLEAN, "quality": QUALITY, "arrays": CUT}
    if job.rule.name in ("arrays", "quality") and "runs" in job.input:
        rates[job.rule.name] = DIRECT_GZ if gz else DIRECT_RAW
    work = JOB + rates.get(job.rule.name, 1.0) * inputs_of(dag, job) / 1e9
    return work + (DIRECT_GZ + STREAM) * streamed / 1e9


def free_at(folder):
    """Bytes that are free where the folder is, or will be."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(os.path.abspath(folder))
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def too_much(wanted, cache):
    """A sentence where so many bytes do not fit on the disk, or None."""
    free = free_at(cache)
    if wanted * MARGIN <= free:
        return None
    return (
        f"{cache}: about {size(int(wanted))} will be written, and {size(free)} are free; free some, name another "
        "cache, or set route: direct"
    )


def beforehand(todo, wanted, seconds, cores, cache):
    """What a call is about to do, in a line. todo: [(name, number)]; wanted: bytes of sessions; cores: None on a
    cluster."""
    what = ", ".join(f"{count} {name}" for name, count in todo)
    disk = f"about {size(int(wanted))} for the sessions, {size(free_at(cache))} are free; " if wanted else ""
    with_all = f", {duration(seconds / cores)} with {cores} cores where the disk keeps up" if cores else ""
    return f"to make: {what}; {disk}{duration(seconds)} of one core{with_all}"


# Estimates before anything is done


def columns(bin, words, run):
    """What boldinfo says of the run that nifti2h5 makes with these options of the first volume of a file."""
    read = [os.path.join(bin, "nifti2h5"), "--quiet", "--volumes=1", "--tr=1", *words, "--", run, "-"]
    with subprocess.Popen(read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as child:
        told = subprocess.run(
            [os.path.join(bin, "boldinfo"), "--json", "-"], stdin=child.stdout, capture_output=True, check=False
        )
        child.stdout.close()
        why = child.stderr.read().decode(errors="replace").strip()
    if child.returncode or told.returncode:
        raise ValueError(why or told.stderr.decode(errors="replace").strip())
    return json.loads(told.stdout)["runs"][0]


def by_size(store, gz):
    """Whether a packed session's size follows from those of its runs alone."""
    return store != "plain" and gz


def packed_bytes(settings, runs, brain):
    """Bytes of a packed session; brain: (voxels, bytes of a sample), or None where sizes alone are enough."""
    rows = sum(run["rows"] for run in runs)
    if by_size(settings["store"], all(run["gz"] for run in runs)):
        return PACKED_GZ * sum(run["bytes"] * run["rows"] / run["volumes"] for run in runs)
    share = 1 if settings["store"] == "plain" else PACKED_RAW
    return share * rows * brain[0] * brain[1]


def subject_costs(facts):
    """Bytes and core seconds of a subject. facts: sessions {number: [{"bytes", "gz", "here", "rows", "volumes"}]},
    brain (see packed_bytes), rois {name: voxels}, store, route, stream, history (None without designs), out (bytes a
    value)."""
    runs = [run for session in facts["sessions"].values() for run in session]
    read, rows = (sum(run[key] for run in runs) for key in ("bytes", "rows"))
    gz = all(run["gz"] for run in runs)
    meta = 0 if facts["history"] is None else 4 * facts["history"] + 18
    arrays = {name: rows * (voxels * facts["out"] + meta) for name, voxels in facts["rois"].items()}
    told = {"read": read, "runs": len(runs), "rows": rows, "sessions": {}, "arrays": arrays}
    told["absent"] = sum(not run["here"] for run in runs)
    told["download"] = sum(run["bytes"] for run in runs if not run["here"])
    if facts["route"] == "packed":
        told["sessions"] = {
            number: packed_bytes(facts, each, facts["brain"]) for number, each in facts["sessions"].items()
        }
        packed = sum(told["sessions"].values())
        work = (PACK_GZ if gz else PACK_RAW) * read + CUT * packed * len(arrays)
    else:
        work = (DIRECT_GZ if gz else DIRECT_RAW) * read * len(arrays)
    if facts["stream"]:
        told["download"] = read * len(arrays)
        work += STREAM * told["download"]
    return told | {"seconds": work / 1e9 + JOB * (len(told["sessions"]) + len(arrays))}


def table(costs, facts):
    """The costs of one subject as text."""
    sessions = len(facts["sessions"])
    yield (
        f"subject {facts['subject']}: {many(sessions, 'session')}, {many(costs['runs'], 'run')},"
        f" {number(costs['rows'])} time points,"
        f" {size(costs['read'])} to read"
    )
    if facts["stream"]:
        yield f"  from the bucket  {size(costs['download'])}: all runs, once for each ROI; none is stored"
    elif costs["download"]:
        yield f"  to download  {size(costs['download'])}: {costs['absent']} runs that are not here yet"
    if costs["sessions"]:
        packed = sum(costs["sessions"].values())
        voxels = f", of {number(facts['brain'][0])} voxels" if facts["brain"] else ""
        yield f"  packed sessions  {size(int(packed))}, {size(int(packed / sessions))} each{voxels}"
    for name, stored in costs["arrays"].items():
        yield f"  {name}  {size(stored)}, {number(costs['rows'])} x {number(facts['rois'][name])} voxels"


def downloads(every, remote, root):
    """Of all subjects: how much comes from the bucket, and whether it fits where it is to lie."""
    wanted = sum(costs["download"] for costs in every)
    if not wanted:
        return
    rate = remote["bandwidth"] or USUAL_RATE
    yield f"network: {size(wanted)} from {remote['url']}, {duration(wanted / rate / 1e6)} at {rate:g} MB/s"
    if not remote["stream"]:
        free = free_at(root)
        yield f"  {size(free)} are free in {root}" + ("" if wanted < free else "; warning: this does not fit")


def together(every, cores, cache):
    """All subjects: disk, time, and whether it fits."""
    stored = int(sum(sum(costs["sessions"].values()) + sum(costs["arrays"].values()) for costs in every))
    seconds, free = sum(costs["seconds"] for costs in every), free_at(cache)
    yield f"disk: {size(stored)} in all, if nothing is there yet; {size(free)} are free in {cache}"
    with_all = f"{duration(seconds / cores)} with {cores} cores where the disk keeps up"
    yield f"time: {duration(seconds)} of one core, {with_all}"
    if stored * MARGIN > free:
        yield "warning: this does not fit; free some, name another cache, choose fewer sessions, or set route: direct"
