"""Core seconds and bytes of each piece of work, for rules/operate/costs.py and the table of docs/costs.md.

    .venv/bin/python bench/costs.py build/bench/nsd       (after make bench, which makes this synthetic session)

Times are those of the processes themselves (user and system), all in a pipe added up, so that a busy machine or a
slow disk changes little; the median of --repeats. Files are written to memory (/dev/shm). --model prints what the
model says of the Natural Scenes Dataset, for which nothing is read.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "rules"))

from operate import costs  # noqa: E402

SERIES = "nsddata_timeseries/ppdata/subj01/func1pt8mm"
GB = 1e9


def spent(commands):
    """Core seconds of a pipe of commands."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    running, source = [], subprocess.DEVNULL
    for i, command in enumerate(commands):
        last = i == len(commands) - 1
        child = subprocess.Popen(list(map(str, command)), stdin=source, stdout=None if last else subprocess.PIPE)
        if running:
            source.close()
        source = child.stdout
        running.append(child)
    if sum(child.wait() != 0 for child in running):
        raise SystemExit(f"{commands}: failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# Grids, sessions and voxels of nsdgeneral at 1.8 mm (the dataset's manual; the voxels as public loaders have them).
NSD = {
    1: (81 * 104 * 83, 40, 15724),
    2: (82 * 106 * 84, 40, 14278),
    3: (81 * 106 * 82, 32, 15226),
    4: (85 * 99 * 80, 30, 13153),
    5: (79 * 97 * 78, 40, 13039),
    6: (85 * 113 * 83, 32, 17907),
    7: (78 * 95 * 81, 40, 12682),
    8: (80 * 103 * 78, 30, 14386),
}
DISK = 300e6  # bytes a second, for the last column
RUN = 99.1e6  # bytes of a gzipped run of the synthetic subject 01; of others by the size of their grids


def nsd_costs(subjects, route, rois=1):
    """What rules/operate/costs.py says of these subjects: bytes read, packed, in arrays; core seconds."""
    read = packed = arrays = seconds = 0.0
    for grid, sessions, voxels in (NSD[subject] for subject in subjects):
        size = RUN * grid / NSD[1][0] * 12 * sessions
        stored = costs.PACKED_GZ * size * 225 / 226 if route == "packed" else 0
        cut = costs.CUT * stored if stored else costs.DIRECT_GZ * size
        read, packed = read + size, packed + stored
        arrays += rois * 2700 * sessions * (4 * voxels + 34)
        seconds += (costs.PACK_GZ * size * bool(stored) + rois * cut) / GB + costs.JOB * (
            sessions * bool(stored) + rois
        )
    return read, packed, arrays, seconds


def model():
    print("| what | to read | packed | arrays | core hours | 8 cores alone | a disk of 300 MB/s alone |")
    print("|---|---|---|---|---|---|---|")
    for name, subjects in (("subject 01", [1]), ("all eight", list(NSD))):
        for route, rois, what in (
            ("packed", 1, "one ROI"),
            ("packed", 10, "ten ROIs"),
            ("direct", 1, "one ROI, direct"),
        ):
            read, packed, arrays, seconds = nsd_costs(subjects, route, rois)
            sizes = [f"{size / GB:.0f} GB" if size else "-" for size in (read, packed, arrays)]
            disk = (read + packed + arrays + (rois * packed or (rois - 1) * read)) / DISK / 60
            times = f"{seconds / 3600:.2f} | {seconds / 8 / 60:.1f} min | {disk:.0f} min"
            print(f"| {name}, {what} | {' | '.join(sizes)} | {times} |")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("root", type=Path, nargs="?", help="a dataset in NSD's layout; its session 1 is measured")
    args.add_argument("--repeats", type=int, default=3)
    args.add_argument("--runs", type=int, default=12)
    args.add_argument("--model", action="store_true", help="the model's figures for NSD, nothing measured")
    args = args.parse_args()
    if args.model:
        return model()
    program = {path.name: path for path in (ROOT / "bin").iterdir()}
    scans = sorted((args.root / SERIES / "timeseries").glob("timeseries_session01_run*.nii.gz"))[: args.runs]
    design = args.root / SERIES / "design/design_session{session}_run{run}.tsv"
    roi = args.root / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        packed, clean, array = (Path(folder) / name for name in ("packed.h5", "clean.h5", "roi.fmri.npy"))
        read = [program["nifti2h5"], f"--design={design}"]
        stages = [[program[name], "-", "-"] for name in ("detrend", "zscore")]
        label = [program["hrfshift"], f"--design={design}", "-", "-"]
        join = [program["concat"], "-", array]
        work = {
            "PACK_GZ": (scans, [[*read, *scans, packed]], packed),
            "DIRECT_GZ": (scans, [[*read, f"--mask={roi}", *scans, "-"], *stages, label, join], array),
            "CUT": ([packed], [[program["applymask"], f"--roi={roi}", packed, "-"], *stages, label, join], array),
            "CLEAN": ([packed], [[program["detrend"], packed, "-"], [program["zscore"], "-", clean]], clean),
            "QUALITY": ([packed], [[program["boldqc"], packed, Path(folder) / "quality.json"]], None),
        }
        for name, (inputs, commands, makes) in work.items():
            times = [spent(commands) for _ in range(args.repeats)]
            size = sum(path.stat().st_size for path in inputs)
            made = f", {makes.stat().st_size / size:.3f} bytes a byte" if makes else ""
            took = statistics.median(times)
            print(
                f"{name:10s} {took / size * GB:6.2f} core s/GB  ({took:.1f} s of {size / 1e6:.0f} MB{made})",
                flush=True,
            )


if __name__ == "__main__":
    main()
