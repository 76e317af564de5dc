"""Writes docs/fidelity.md: how far the programs are from each witness, measured here and now (`make fidelity`).

The cases are those of the tests: cleaning.py, shifting.py, niftiwitness.py and fidelity_rois.py.
"""

import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import fidelity_rois
import nibabel as nib
import niftiwitness
import numpy as np
import scipy
import shifting
from cleaning import CASES, NOT_NILEARN, difference, scans
from conftest import ROOT, SHARED, Runner

PAGE = ROOT / "docs/fidelity.md"


@dataclass
class Measured:
    """Largest relative differences of some cases: the programs from each witness, the witnesses from each other."""

    alone: int = 0
    together: int = 0
    worst: dict = field(default_factory=lambda: defaultdict(float))

    def add(self, alone, found):
        self.alone, self.together = self.alone + alone, self.together + (not alone)
        for name, value in found.items():
            self.worst[name] = max(self.worst[name], value)


def figure(value):
    return "0" if value == 0 else f"{value:.1e}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


# Cleaning -----------------------------------------------------------------------------------------------------------


def measure(run, case, folder, with_exact=True):
    """Differences of one case. `stored`: of float32, beyond its one rounding."""
    nilearn = case.name not in NOT_NILEARN
    double = case.through(run, folder, "float64").data
    single = case.through(run, folder, "float32").data
    found = {}
    if nilearn:
        found["nilearn, absolute"], found["nilearn"] = difference(double, case.nilearn())
    if with_exact:
        exact = case.exact[0]
        found["exact"] = difference(double, exact)[1]
        if nilearn:
            found["witnesses"] = difference(case.nilearn(), exact)[1]
    wanted = case.exact[0] if with_exact else case.nilearn()
    beyond = np.maximum(np.abs(single - wanted) - 2.0**-24 * np.abs(wanted), 0).max(0)
    found["stored"] = float((beyond / wanted.std(0)).max())
    return found


def cleaning_rows(run, folder):
    """{option: what was measured} on made-up data."""
    rows = defaultdict(Measured)
    for case in CASES.values():
        found = measure(run, case, folder)
        for name in (name for name, is_on in case.used.items() if is_on):
            rows[name].add(case.by_itself, found)
    return {name: rows[name] for name in case.used}


def scan_rows(run, folder):
    rows = defaultdict(Measured)
    for case in scans(SHARED / "haxby") if (SHARED / "haxby").is_dir() else ():
        label, what = case.name.split(", ", 1)
        rows[what].add(False, measure(run, case, folder, with_exact=label == "run-01"))
    return rows


COLUMNS = {
    "nilearn, absolute": "from nilearn, absolute",
    "nilearn": "from nilearn, relative",
    "exact": "from long double",
    "witnesses": "nilearn from long double",
    "stored": "float32 beyond its rounding",
}


def cleaning_table(rows, counted):
    def line(name, m):
        counts = [m.alone, m.together] if len(counted) == 2 else [m.alone + m.together]
        return [name, *counts, *(figure(m.worst[k]) for k in COLUMNS)]

    return table(["option", *counted, *COLUMNS.values()], [line(*item) for item in rows.items()])


def as_it_is():
    """[(why, cases, nearest, farthest)]: relative differences of nilearn without our mends from long double."""
    reasons = {
        "mirror": "a censored volume and its mirror image (t and rows - 1 - t) are both censored, with Butterworth: "
        "they are filtered as they were scanned, or with `extrapolate=False` other rows come out",
        "cosines": "a confound goes along with one cosine (r > 0.9): no cosine is taken out at all",
    }
    rows = []
    for mend, why in reasons.items():
        found = [far_off(case) for case in CASES.values() if case.mends == [mend]]
        rows.append((why, len(found), min(found), max(found)))
    found = [far_off(CASES[name]) for name in NOT_NILEARN]
    rows.append(
        ("a confound that is a line: its rounding noise is scaled up and taken out", len(found), *span(found))
    )
    stored = [c for c in CASES.values() if c.data in ("int16", "float32") and not c.mends]
    found = [far_off(c) for c in stored if c.name not in NOT_NILEARN]
    rows.append(("samples that are int16 or float32, which nilearn cleans in float32", len(found), *span(found)))
    return rows


def span(found):
    return min(found), max(found)


def far_off(case):
    try:
        return difference(case.nilearn(as_it_is=True), case.exact[0])[1]
    except (AssertionError, IndexError, ValueError):
        return np.inf  # other rows than those that were kept, or an error


# The page -----------------------------------------------------------------------------------------------------------

TEXT = """\
# Fidelity

How far the programs are from other people's software, measured by `make fidelity` on generated data and, where they
are there, on real ones. The tests assert bounds on the same cases; this page tells the distances. All figures are
the largest over all cases. They may differ a little from machine to machine, as the witnesses' linear algebra does.

Witnesses: nilearn {nilearn}, nibabel {nibabel}, scipy {scipy}, numpy {numpy}, and `tests/longdouble.py`, which is
the cleaning in long double (64 bits of mantissa), from textbook formulas.

## Cleaning: denoise, zscore

Against `nilearn.signal.clean`, in double, and against long double. Some cases show one option, with what it needs; in
the others every two values of two options meet at least once. A case counts in the row of every option that it
uses.

"Relative" is relative to the standard deviation of the column as it should be, about its mean: beside a mean of
1000, any error would look small. Samples in float64 but for the last column. There they are float32, and the figure
is how far they are off beyond the one rounding that storing costs (2^-24 of the value). Data with
fluctuations of 1e-7 of their level, of which double itself leaves nine digits, have the last row to themselves. Of
the others, nearly dependent regressors are the farthest off.

{cleaning}

On the Haxby scans (12 runs, 530 voxels, 121 volumes; see `tests/cleaning.py` for the settings). Long double is
asked for the first run alone, and float32 is compared with nilearn:

{scans}

### Where nilearn is not the judge

nilearn detrends with lines alone; for other orders its detrending is replaced by numpy's least squares. In the
following cases nilearn 0.13.1 as it is comes to other results, by the figures in the table (relative, from long
double). In the first two it is compared after the line in question has been mended (`tests/cleaning.py`, `mended`);
in the third, long double alone decides.

{asitis}

Volumes that are censored in the middle of a run are passed over by the polynomial's time, as nilearn does it: its
time is the number of the row among those that are there. With Butterworth all volumes are there.

## Data moved in time: hrfshift --shift

A case is a sample. Relative to the column's standard deviation. The last six rows are no error of arithmetic: they
tell how well each method knows what lies between two volumes.

{shift}

## NIfTI: nifti2h5

A case is a file. Against nibabel's `get_fdata`, which is in double: integers beyond 2^53 are rounded on both sides.

{nifti}

## ROIs: applymask, boldinfo

Against numpy's conditions on what nibabel reads of the same volumes. A case is a mask, or a volume that boldinfo
describes; a voxel that is chosen wrongly counts as infinitely different.

{roi}

"""


def page(run, folder):
    import nilearn

    reading = niftiwitness.rows(run, folder, SHARED if SHARED.is_dir() else None)
    plain = lambda rows: [(n, c, figure(a), figure(r)) for n, c, a, r in rows]  # noqa: E731
    head = ["what", "cases", "absolute", "relative"]
    return TEXT.format(
        nilearn=nilearn.__version__,
        nibabel=nib.__version__,
        scipy=scipy.__version__,
        numpy=np.__version__,
        cleaning=cleaning_table(cleaning_rows(run, folder), ["by itself", "combined"]),
        scans=cleaning_table(scan_rows(run, folder), ["runs"]),
        asitis=table(
            ["where", "cases", "least", "most"], [(w, n, figure(a), figure(b)) for w, n, a, b in as_it_is()]
        ),
        shift=table(head, plain(shifting.fidelity(run))),
        nifti=table(head, plain(reading)),
        roi=table(head, plain(fidelity_rois.rois(run, folder))),
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        text = page(Runner(), Path(folder))
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
