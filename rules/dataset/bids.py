"""What a BIDS dataset says about itself: dataset_description.json and the sidecars of its scans."""

import json
import os
import re

from dataset.patterns import DISK

FMRIPREP_SAMPLED = 0.5  # where fMRIPrep's slice-timing correction puts a volume in its TR, unless told otherwise


def read_json(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file, object_pairs_hook=once)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error}); mend the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no JSON object; mend the file")
    return content


def once(pairs):
    """An object, in which no key may be there twice: readers would not agree on its value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return found


def description(folder, standard, files=DISK):
    """The content of dataset_description.json, which must be there and speak of a dataset of this kind ("raw" or
    "derivative")."""
    path = os.path.join(folder, "dataset_description.json")
    if not files.exists(path):
        raise ValueError(
            f"{path}: is missing, and every BIDS dataset has one; correct root or layout: derivatives, or set "
            "layout: standard: null for a folder that has no more than the names of BIDS"
        )
    about = read_json(files.local(path))
    version = about.get("BIDSVersion")
    if not isinstance(version, str) or not re.match(r"[0-9]+\.[0-9]+", version):
        raise ValueError(f"{path}: BIDSVersion is {version!r}, not a version such as 1.8.0; mend the file")
    kind = dataset_type(about)
    if kind != standard:
        raise ValueError(f"{path}: DatasetType is {kind}, not {standard}; {ADVICE[standard]}")
    return about


ADVICE = {
    "raw": "give the folder of the raw dataset as root, or use the preset fmriprep",
    "derivative": "layout: derivatives must name the folder that fMRIPrep wrote, or use the preset bids",
}


def dataset_type(about):
    """Older derivatives have no DatasetType and name the program that made them."""
    made = bool(about.get("GeneratedBy") or about.get("PipelineDescription"))
    return about.get("DatasetType", "derivative" if made else "raw")


def made_by(about):
    """Names of the programs that made a derivative."""
    entries = [*(about.get("GeneratedBy") or []), about.get("PipelineDescription") or {}]
    return [str(entry["Name"]) for entry in entries if isinstance(entry, dict) and entry.get("Name")]


def by_fmriprep(about):
    return any(name.lower() == "fmriprep" for name in made_by(about))


def nearest(sidecars, key):
    """(value, path) of a key in the first of a scan's sidecars that has it; (None, None) if none has."""
    for path in sidecars:
        content = read_json(path)
        if key in content:
            return content[key], path
    return None, None


def positive(value, path, key):
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000:
        raise ValueError(f"{path}: {key} is {value!r}, not a number of seconds above 0; mend it, or give pack: tr")
    return float(value)


def repetition_time(sidecars):
    """Seconds from volume to volume by the scan's sidecars, or None."""
    value, path = nearest(sidecars, "RepetitionTime")
    return None if path is None else positive(value, path, "RepetitionTime")


def sampled(sidecars, tr=None):
    """Where in its TR each volume was sampled, by StartTime as fMRIPrep writes it; None where it does not say."""
    start, path = nearest(sidecars, "StartTime")
    tr = tr or repetition_time(sidecars)
    if path is None or tr is None:
        return None
    if isinstance(start, bool) or not isinstance(start, int | float) or not 0 <= start <= tr:
        raise ValueError(
            f"{path}: StartTime is {start!r}, not between 0 and the TR of {tr:g} s; give labels: sampled"
        )
    return round(start / tr, 6)


def agreed(values, what, key):
    """The one value of all runs (None where none has it), or a ValueError. `values` are {path: value}."""
    distinct = sorted({value for value in values.values() if value is not None})
    if len(distinct) > 1 or (distinct and None in values.values()):
        texts = ", ".join(f"{value:g}" for value in distinct) + ", none" * (None in values.values())
        path = next(iter(values))
        raise ValueError(f"{path}: the sidecars of its subject's runs differ in {what} ({texts}); give {key}")
    return distinct[0] if distinct else None
