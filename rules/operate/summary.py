"""What a call has made: runs, volumes, voxels, rows, bytes, and whatever was counted on the way, as text and as JSON.

Nothing is measured anew. Every file of ours carries its counts and `boldinfo --json` reads them.
"""

import json
import os
import re
import subprocess
import zlib
from collections import Counter

from operate.words import duration, many, number, size

KINDS = {"series": "sessions", "arrays": "arrays"}
# Counts that people should look at, in words. Of two programs that count the same voxels the larger count is told.
WARNINGS = {
    "constant voxels": (
        "zscore.constant_voxels",
        "detrend.flat_voxels",
        "denoise.flat_voxels",
        "boldqc.constant_voxels",
    ),
    "samples that are not finite": (
        "nifti2h5.nonfinite_samples",
        "detrend.nonfinite_samples",
        "denoise.nonfinite_samples",
        "zscore.nonfinite_samples",
        "hrfshift.nonfinite_samples",
        "boldqc.nonfinite_samples",
    ),
    "volumes dropped at the end of runs": ("nifti2h5.dropped_volumes",),
    "volumes censored": ("denoise.censored_volumes",),
    "bytes behind the last volume": ("nifti2h5.trailing_bytes",),
    "ROI voxels outside the stored brain": ("applymask.absent_voxels",),
}
PER_RUN = ("constant voxels", "ROI voxels outside the stored brain")  # the same voxels again in every run


def describe(boldinfo, paths):
    """What boldinfo says of each file, in order; files that it cannot read are left out."""
    if not paths:
        return []
    found = subprocess.run([boldinfo, "--json", "--", *paths], capture_output=True, text=True, check=False).stdout
    told = json.loads(found) if found else []
    return told if isinstance(told, list) else [told]


def bytes_of(info):
    """Of a description: with the files that it vouches for."""
    folder = os.path.dirname(info["file"])
    files = [info["file"]]
    files += [os.path.join(folder, part["file"]) for key in ("fmri", "meta") if (part := info.get(key))]
    return sum(os.path.getsize(path) for path in files if os.path.exists(path))


def counted(runs):
    total = Counter()
    for run in runs:
        total.update(run["counts"])
    return dict(sorted(total.items()))


def warnings(runs):
    """[{"what", "number", "runs"}]: what was counted, over how many runs."""
    found = []
    for what, names in WARNINGS.items():
        each = [max(run["counts"].get(name, 0) for name in names) for run in runs]
        if any(each):
            found.append(
                {"what": what, "number": max(each) if what in PER_RUN else sum(each), "runs": sum(map(bool, each))}
            )
    return found


def entry(info):
    """What is told of one file of ours; None of a file of another kind."""
    if info.get("kind") not in KINDS or not info["runs"]:
        return None
    runs, arrays = info["runs"], info["kind"] == "arrays"
    rows = sum(run["rows"] for run in runs)
    return {
        "file": info["file"],
        "kind": info["kind"],
        "subject": runs[0]["subject"],
        "sessions": sorted({run["session"] for run in runs}),
        "runs": len(runs),
        "rows": rows,
        "volumes": rows + sum(run["counts"].get("nifti2h5.dropped_volumes", 0) for run in runs),
        "voxels": info["fmri"]["shape"][1] if arrays else runs[0]["cols"],
        "bytes": bytes_of(info),
        "warnings": warnings(runs),
        "counts": counted(runs),
    }


def summary(boldinfo, paths, seconds, left_out=(), streamed=0):
    """Of the files that a call has made, and of the bytes that it read from a bucket for them."""
    wanted = sorted(path for path in set(paths) if path.endswith((".h5", ".json")) and os.path.exists(path))
    files = [told for info in describe(boldinfo, wanted) if (told := entry(info))]
    return {
        "boldmill": "summary",
        "schema": 1,
        "seconds": round(seconds, 1),
        "bytes": sum(os.path.getsize(path) for path in set(paths) if os.path.exists(path)),
        "streamed": streamed,
        "left_out": sorted(set(left_out)),
        "files": files,
    }


def together(files):
    """Packed sessions of a folder as one entry; arrays as they are."""
    groups = {}
    for file in files:
        name = (
            re.sub(r"session_\d+(?=[^/]*$)", "session_*", file["file"]) if file["kind"] == "series" else file["file"]
        )
        groups.setdefault((name, file["kind"]), []).append(file)
    for (name, kind), group in groups.items():
        yield group[0] if len(group) == 1 else joined(name, kind, group)


def joined(name, kind, group):
    """One entry from several: sums, the largest number of voxels, warnings as `warnings` gives them."""
    found = {}
    for each in (warning for file in group for warning in file["warnings"]):
        one = found.setdefault(each["what"], {"what": each["what"], "number": 0, "runs": 0})
        one["number"] = (max if each["what"] in PER_RUN else int.__add__)(one["number"], each["number"])
        one["runs"] += each["runs"]
    sums = {key: sum(file[key] for file in group) for key in ("runs", "rows", "volumes", "bytes")}
    numbers = sorted({session for file in group for session in file["sessions"]})
    voxels = max(file["voxels"] for file in group)
    return {
        "file": name,
        "kind": kind,
        "sessions": numbers,
        "voxels": voxels,
        "warnings": list(found.values()),
    } | sums


def lines(told):
    """The summary as text."""
    for file in together(told["files"]):
        sessions = len(file["sessions"])
        yield (
            f"{file['file']}: {many(sessions, 'session')}, {many(file['runs'], 'run')}, "
            f"{number(file['volumes'])} volumes, {number(file['rows'])} rows x "
            f"{number(file['voxels'])} voxels, {size(file['bytes'])}"
        )
        for warning in file["warnings"]:
            a_run = " a run at most" if warning["what"] in PER_RUN else ""
            yield f"  {number(warning['number'])} {warning['what']}{a_run} (in {many(warning['runs'], 'run')})"
    for text in told["left_out"]:
        yield f"left out: {text}"
    read = f"{size(told['streamed'])} read from the bucket, " if told["streamed"] else ""
    yield f"{read}{size(told['bytes'])} written in {duration(told['seconds'])}"


def sealed(told):
    """JSON text that ends with its own checksum (docs/formats.md)."""
    open_text = json.dumps(told)[:-1]
    return f'{open_text},"crc32":"{zlib.crc32(open_text.encode()):08x}"}}\n'
