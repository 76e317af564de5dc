"""Writes small BIDS datasets, raw and as fMRIPrep leaves them, with nibabel."""

import json
from itertools import product

import numpy as np
from conftest import bold, write_nifti

DESCRIPTION = {"Name": "made up", "BIDSVersion": "1.8.0"}
FMRIPREP = {"Name": "fMRIPrep", "Version": "24.1.1"}
CONFOUNDS = ("csf", "framewise_displacement", "trans_x", "trans_y", "rot_z")
NAMES = ("cat", "face", "house")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def stem(subject, session=None, task="look", run=None, **entities):
    """sub-01_ses-a_task-look_run-1_space-x; a part that is None is left out."""
    parts = {"sub": subject, "ses": session, "task": task, **{"run": run}, **entities}
    return "_".join(f"{key}-{label}" for key, label in parts.items() if label is not None)


def folder(root, subject, session=None):
    return root / f"sub-{subject}" / (f"ses-{session}" if session else "") / "func"


def events(seed, end=28):
    """(onset, duration, name) of a run's events; every name comes in every run."""
    rng = np.random.default_rng(seed)
    onsets = np.arange(0, end, 4) + rng.integers(0, 2, len(range(0, end, 4))) * 0.5
    names = [NAMES[(i + seed) % len(NAMES)] for i in range(len(onsets))]
    return [(onset, 2.0, name) for onset, name in zip(onsets, names, strict=True)]


def events_text(rows):
    return "onset\tduration\ttrial_type\n" + "".join(f"{a:g}\t{b:g}\t{name}\n" for a, b, name in rows)


def raw(root, subjects=("01",), sessions=(None,), runs=("1", "2"), task="look", volumes=24, **how):
    """A raw dataset: scans, events, sidecars, dataset_description.json. `how`: see `scan`."""
    write(root / "dataset_description.json", {**DESCRIPTION, "DatasetType": "raw"})
    write(root / f"task-{task}_bold.json", {"RepetitionTime": 1.5, "TaskName": task})
    for seed, (subject, session, run) in enumerate(product(subjects, sessions, runs)):
        name = stem(subject, session, task, run)
        scan(folder(root, subject, session) / f"{name}_bold.nii.gz", seed, volumes, **how)
        write(folder(root, subject, session) / f"{name}_events.tsv", events_text(events(seed)))
    return root


def scan(path, seed=0, volumes=24, scans=True, tr=1.5, dtype=np.int16):
    path.parent.mkdir(parents=True, exist_ok=True)
    if scans:
        write_nifti(path, bold(seed=seed, volumes=volumes).astype(dtype), tr=tr)
    else:
        path.write_text("scan")


def fmriprep(
    root, subjects=("01",), sessions=(None,), runs=("1", "2"), task="look", spaces=("MNI",), start=0.75, **how
):
    """What fMRIPrep leaves in derivatives/fmriprep of a raw dataset, which is written too (without its scans)."""
    volumes = how.get("volumes", 24)
    raw(root, subjects, sessions, runs, task, scans=False)
    out = root / "derivatives/fmriprep"
    write(out / "dataset_description.json", {**DESCRIPTION, "DatasetType": "derivative", "GeneratedBy": [FMRIPREP]})
    for seed, (subject, session, run) in enumerate(product(subjects, sessions, runs)):
        place = folder(out, subject, session)
        for space in spaces:
            name = stem(subject, session, task, run, space=space)
            scan(place / f"{name}_desc-preproc_bold.nii.gz", seed, dtype=np.float32, **how)
            timing = {"RepetitionTime": 1.5} | ({"SliceTimingCorrected": True, "StartTime": start} if start else {})
            write(place / f"{name}_desc-preproc_bold.json", timing)
            write_mask(place / f"{name}_desc-brain_mask.nii.gz", seed)
        table = place / f"{stem(subject, session, task, run)}_desc-confounds_timeseries.tsv"
        write(table, confounds_text(confounds(seed, volumes)))
    return root


def write_mask(path, seed=0, shape=(7, 6, 5)):
    """A mask of the middle, with a corner that differs between runs."""
    mask = np.zeros(shape, np.uint8)
    mask[1:-1, 1:-1, 1:-1] = 1
    mask[0, 0, seed % shape[2]] = 1
    return write_nifti(path, mask)


def confounds(seed, volumes=24):
    rng = np.random.default_rng(100 + seed)
    table = rng.normal(size=(volumes, len(CONFOUNDS)))
    table[:, 1] = rng.uniform(0, 0.3, volumes)
    table[volumes // 2, 1] = 0.9  # one volume to leave out
    return table


def confounds_text(table):
    rows = [[f"{value:.17g}" for value in row] for row in table]
    rows[0][1] = "n/a"
    return "\n".join("\t".join(row) for row in [CONFOUNDS, *rows]) + "\n"
