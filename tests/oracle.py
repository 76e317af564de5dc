"""Second opinions, written from the formats' and the dataset's description and from nothing else.

read_stream, write_stream   the tile stream in numpy (docs/formats.md)
detrended, zscored          cleaning in long double
rows_of_design, ..._events  the metadata rows, one time point after the other
Nsd                         nibabel + nilearn + pandas: from the tree to the arrays
"""

import io
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd


@dataclass
class Run:
    head: dict
    voxels: np.ndarray
    data: np.ndarray
    meta: np.ndarray | None = None
    counts: dict = field(default_factory=dict)

    @property
    def values(self):
        return self.data * np.float64(self.head["slope"]) + self.head["inter"]

    def counted(self, part):
        """Sum of the counts with `part` in their name; None where there is no such count."""
        found = [n for name, n in self.counts.items() if part in name]
        return sum(found) if found else None


def read_stream(blob):
    """All runs of a tile stream. The loop is the ten-line reader; what is asserted is what a reader may rely on."""
    f, runs, ended = io.BytesIO(blob), [], 0
    while (head := json.loads(np.load(f).tobytes()))["boldmill"] == "run":
        voxels = np.load(f)
        meta = np.load(f) if head["history"] else None
        tiles = [np.load(f) for _ in range(0, head["cols"], head["tile_cols"])]
        foot = json.loads(np.load(f).tobytes())
        runs.append(Run(head, voxels, np.hstack(tiles), meta, foot["counts"]))
        check_run(runs[-1], tiles, foot)
        ended = f.tell()
    assert head["boldmill"] == "end" and head["schema"] == 1 and head["runs"] == len(runs)
    assert head["crc32"] == f"{zlib.crc32(blob[:ended]):08x}"
    assert f.read() == b""
    return runs


def check_run(run, tiles, foot):
    head = run.head
    assert head["schema"] == 1 and foot["boldmill"] == "run_end" and foot["schema"] == 1
    assert run.voxels.dtype == "<i8" and run.voxels.shape == (head["cols"],)
    assert (np.diff(run.voxels) > 0).all() and run.voxels[0] >= 0 and run.voxels[-1] < np.prod(head["dims"])
    assert {t.dtype.str for t in tiles} == {head["dtype"]}
    widths = [min(head["tile_cols"], head["cols"] - k) for k in range(0, head["cols"], head["tile_cols"])]
    assert [t.shape for t in tiles] == [(head["rows"], w) for w in widths]
    assert head["absent"] in ("zero", "unknown")
    assert np.shape(head["affine"]) == (3, 4)
    if run.meta is not None:
        assert run.meta.dtype == row_dtype(head["history"]) and run.meta.shape == (head["rows"],)


def row_dtype(history):
    fields = [("stimulus_history", "<i4", (history,)), ("subject_idx", "<i2"), ("session", "<i2"), ("run", "<i2")]
    return np.dtype([*fields, ("time", "<f4"), ("trial", "<i4"), ("stimulus", "<i4")])


def sealed(info):
    """The bytes of a description that ends with the checksum of its own text (docs/formats.md)."""
    info = {key: value for key, value in info.items() if key != "crc32"}
    text = json.dumps(info).removesuffix("}").encode()
    return text + b',"crc32":"%08x"}\n' % zlib.crc32(text)


def make_run(data, *, voxels=None, meta=None, tile_cols=16, counts=None, **head):
    """A run for write_stream; whatever `head` does not say has a plain value."""
    rows, cols = data.shape
    voxels = np.arange(3, 3 + cols) if voxels is None else np.asarray(voxels)
    full = {"boldmill": "run", "schema": 1, "label": "made", "subject": 1, "session": 1, "run": 1}
    full |= {"rows": rows, "cols": cols, "tile_cols": tile_cols, "dtype": data.dtype.str, "slope": 1.0, "inter": 0.0}
    full |= {"tr": 1.5, "dims": [7, 6, 5], "affine": [[2.0, 0, 0, -6], [0, 2.0, 0, -5], [0, 0, 2.0, -4]]}
    full |= {"absent": "zero", "history": 0 if meta is None else meta["stimulus_history"].shape[1]}
    full |= {"categories": [], "steps": []}
    return Run(full | head, voxels.astype("<i8"), data, meta, counts or {})


def write_stream(runs, heads=None):
    """`heads`: what the headers say, where that is not the truth."""
    f = io.BytesIO()

    def put(array):
        np.save(f, array, allow_pickle=False)

    def put_json(value):
        put(np.frombuffer(json.dumps(value).encode(), "u1"))

    for run, said in zip(runs, heads or [run.head for run in runs], strict=True):
        put_json(said)
        put(run.voxels)
        if run.meta is not None:
            put(run.meta)
        for k in range(0, run.head["cols"], run.head["tile_cols"]):
            put(np.ascontiguousarray(run.data[:, k : k + run.head["tile_cols"]]))
        put_json({"boldmill": "run_end", "schema": 1, "counts": run.counts})
    put_json({"boldmill": "end", "schema": 1, "runs": len(runs), "crc32": f"{zlib.crc32(f.getvalue()):08x}"})
    return f.getvalue()


# Cleaning -----------------------------------------------------------------------------------------------------------


def detrended(values, order):
    """What a polynomial of `order` leaves of each column, in long double, by Gram-Schmidt done twice.

    A residue of less than 1e-12 of the column's own scale is nothing: 0.
    """
    y = np.asarray(values, np.longdouble)
    t = np.linspace(np.longdouble(-1), np.longdouble(1), len(y))
    basis = []
    for k in range(order + 1):
        q = t**k
        for _ in range(2):
            for b in basis:
                q = q - b * (b @ q)
        basis.append(q / np.sqrt(q @ q))
    left = y
    for _ in range(2):
        for b in basis:
            left = left - np.outer(b, b @ left)
    nothing = np.abs(left).max(0) <= 1e-12 * np.abs(y).max(0)
    return np.where(nothing, 0, left)


def zscored(values, ddof=1):
    y = np.asarray(values, np.longdouble)
    left = y - y.mean(0)
    std = np.sqrt((left**2).sum(0) / (len(y) - ddof))
    constant = (y == y[0]).all(0)
    return np.where(constant, 0, left / np.where(constant, 1, std))


def demeaned(values):
    y = np.asarray(values, np.longdouble)
    return np.where((y == y[0]).all(0), 0, y - y.mean(0))


def percent_change(values):
    """100 * (y - mean) / |mean|; a column whose mean is zero has no percent change."""
    y = np.asarray(values, np.longdouble)
    mean = y.mean(0)
    return np.where((y == y[0]).all(0), 0, 100 * (y - mean) / np.where(mean == 0, 1, abs(mean)))


# Rows ---------------------------------------------------------------------------------------------------------------


def rows_of_design(design, *, tr, offset=4.6, history=4, repeats="count", subject=1, session=1, run=1):
    """One loop over the time points, as the public loader goes: labels delayed by whole TRs, then a history of H."""
    delay = round(offset / tr)
    delayed = [0] * delay + list(design)
    seen, trial, rows = [-1] * history, -1, []
    for t in range(len(design)):
        image = delayed[t] - 1
        is_new = image >= 0 and (repeats == "count" or image != seen[-1])
        if is_new:
            seen, trial = [*seen[1:], image], trial + 1
        rows.append((seen, subject, session, run, t, trial, image))
    return np.array(rows, row_dtype(history))


def loader_history(design, tr, offset, history):
    """The public loader alone, in other words: the runs of equal non-zero labels, each counted once."""
    labels = pd.Series(design).shift(round(offset / tr), fill_value=0)
    shown = labels[labels > 0] - 1
    shown = shown[shown != shown.shift()]
    filled = np.full((len(labels), history), -1, np.int32)
    for back in range(history):
        column = shown.shift(back).reindex(labels.index).astype(float)
        known = shown.reindex(labels.index).notna()
        column = column.where(~known | column.notna(), -1).ffill().fillna(-1)
        filled[:, history - 1 - back] = column
    return filled


def rows_of_events(events, *, volumes, tr, offset, history=4, subject=1, session=1, run=1, categories=None):
    """The same for events in seconds: each lasts from the time point nearest its onset to that nearest its end."""
    delay = round(offset / tr)
    kinds = sorted(events["trial_type"].unique()) if categories is None else list(categories)
    nearest = [
        (
            int(np.floor(e.onset / tr + 0.5)),
            int(np.floor((e.onset + e.duration) / tr + 0.5)),
            kinds.index(e.trial_type),
        )
        for e in events.sort_values("onset", kind="stable").itertuples()
    ]
    seen, trial, image, end, rows = [-1] * history, -1, -1, 0, []
    for t in range(-1000, volumes):
        for first, stop, kind in nearest:
            if first + delay == t:
                seen, trial, image, end = [*seen[1:], kind], trial + 1, kind, stop + delay
        if t >= 0:
            rows.append((seen, subject, session, run, t, trial, image if t < end else -1))
    return np.array(rows, row_dtype(history))


# The route ----------------------------------------------------------------------------------------------------------


class Nsd:
    """The route for one subject: nibabel reads, nilearn cleans, pandas reads the designs."""

    def __init__(self, root, subject=1, space="func1pt8mm"):
        series = Path(root) / "nsddata_timeseries" / "ppdata" / f"subj{subject:02d}" / space
        self.series, self.designs = series / "timeseries", series / "design"
        self.rois = Path(root) / "nsddata" / "ppdata" / f"subj{subject:02d}" / space / "roi"
        self.subject = subject

    def runs(self):
        """(session, run, file, design) of every run, in order, also those at rest."""
        for path in sorted(self.series.glob("timeseries_session??_run??.nii.gz")):
            session, run = int(path.name[18:20]), int(path.name[24:26])
            table = pd.read_csv(self.designs / f"design_session{session:02d}_run{run:02d}.tsv", header=None)
            yield session, run, path, table[0].to_numpy()

    def task_runs(self):
        return [r for r in self.runs() if r[3].any()]

    def roi(self, name="nsdgeneral"):
        return np.asarray(nib.load(self.rois / f"{name}.nii.gz").dataobj) > 0

    def arrays(self, mask, *, offset=4.6, history=4, repeats="count"):
        """(values float64 [rows, voxels], rows) of all task runs."""
        from nilearn.signal import clean

        values, rows = [], []
        for session, run, path, design in self.task_runs():
            image = nib.load(path)
            raw = np.asarray(image.dataobj)[mask].T[: len(design)].astype(np.float64)
            cleaned = clean(raw, detrend=True, standardize="zscore_sample", t_r=None)
            values.append(np.where((raw == raw[0]).all(0), 0, cleaned))
            how = {"tr": float(image.header["pixdim"][4]), "offset": offset, "history": history, "repeats": repeats}
            rows.append(rows_of_design(design, **how, subject=self.subject, session=session, run=run))
        return np.vstack(values), np.concatenate(rows)
