"""The cases of the cleaning: settings, data, confound tables, and what nilearn makes of them.

One table for tests/test_signal_clean.py, which asserts, and tests/fidelity.py, which reports. A Case is a setting of
`denoise` (and of a `zscore` behind it) on made-up data; everything follows from it and its seed.
"""

import contextlib
import fnmatch
import itertools
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache

import longdouble
import nibabel as nib
import numpy as np
import pandas as pd
from oracle import make_run, read_stream, write_stream

COLS = 20
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


@dataclass(frozen=True)
class Case:
    name: str
    rows: int = 121
    tr: float = 2.0
    data: str = "int16"
    order: int = 1
    filter: str = "cosine"
    high_pass: float = 0
    low_pass: float = 0
    filter_order: int = 5
    columns: str = ""  # of the table of confounds; none: no table
    expand: str = ""
    missing: str = "start"
    censored: tuple = ()  # volumes of which the condition, or the mask, says so
    by: str = "censor"  # or sample-mask
    before: int = 0
    after: int = 0
    min_segment: int = 0
    ends: str = "extrapolate"
    keep_mean: bool = False
    nonfinite: str = ""
    then: str = ""  # zscore_sample, zscore, psc
    seed: int = 0

    @property
    def nothing(self):
        """The part of a voxel's largest value that is rounding noise, by the type of its samples."""
        return 2.0**-22 if self.data.startswith("float32") else 1e-12

    @property
    def smooth(self):
        return self.filter == "butterworth" and bool(self.high_pass or self.low_pass)

    # Inputs -----------------------------------------------------------------------------------------------------

    @cached_property
    def rng(self):
        return np.random.default_rng([self.seed, *self.name.encode()])

    @cached_property
    def run(self):
        """A run for the programs, its samples as they are stored."""
        make = DATA[self.data]
        return make_run(make(self), tr=self.tr, **SCALED.get(self.data, {}))

    @cached_property
    def values(self):
        """What the samples mean, in double; not finite is 0 where the case says so."""
        data = self.run.data * np.float64(self.run.head["slope"]) + self.run.head["inter"]
        return np.where(np.isfinite(data), data, 0) if self.nonfinite == "zero" else data

    @cached_property
    def table(self):
        """As fMRIPrep's: motion, tissue signals with an offset, displacement without a first value, spikes."""
        rng = np.random.default_rng([self.seed + 1, *self.name.encode()])
        t = np.linspace(-1, 1, self.rows)
        walk = rng.normal(0, 0.02, (self.rows, 6)).cumsum(0)
        table = pd.DataFrame(walk * [1, 1, 1, 0.01, 0.01, 0.01], columns=MOTION)
        table["csf"] = 1e4 + 30 * t + rng.normal(0, 20, self.rows)
        table["white_matter"] = 8e3 - 10 * t**2 + rng.normal(0, 5, self.rows)
        table["csf_again"] = table["csf"]
        table["slope"] = 3 * t - 200
        table["constant"] = 0.3
        table["late"] = rng.normal(5, 1, self.rows)
        table.loc[:2, "late"] = np.nan
        table["gaps"] = rng.normal(-3, 1, self.rows)
        table.loc[[0, self.rows // 3, self.rows - 1], "gaps"] = np.nan
        table["spike00"], table["spike01"] = np.eye(self.rows)[:, [7, self.rows // 2]].T
        table["framewise_displacement"] = rng.uniform(0.05, 0.45, self.rows)
        table.loc[list(self.censored), "framewise_displacement"] = rng.uniform(0.6, 3, len(self.censored))
        if 0 not in self.censored:
            table.loc[0, "framewise_displacement"] = np.nan
        return table

    def write_table(self, folder):
        path = folder / "sub-01_desc-confounds_timeseries.tsv"
        self.table.to_csv(path, sep="\t", na_rep="n/a", index=False, float_format=lambda x: repr(float(x)))
        return path

    def write_mask(self, folder):
        path = folder / "mask.txt"
        path.write_text("".join("0\n" if t in self.censored else "1\n" for t in range(self.rows)))
        return path

    def options(self, folder):
        """The words of `denoise` that this case stands for; what is a default is left out."""
        words, default = [], Case("")
        for field in ("order", "high_pass", "low_pass", "filter", "filter_order", "min_segment", "nonfinite"):
            if getattr(self, field) != getattr(default, field):
                words += [f"--{field.replace('_', '-')}", getattr(self, field)]
        if self.smooth and self.censored:
            words += ["--ends", self.ends]
        by_condition = self.censored and self.by == "censor"
        if self.columns or by_condition:
            words += ["--confounds", self.write_table(folder), "--columns", self.columns or "none"]
        for field in ("expand", "missing"):
            if getattr(self, field) != getattr(default, field):
                words += [f"--{field}", getattr(self, field)]
        if by_condition:
            words += ["--censor", "framewise_displacement > 0.5"]
        if self.censored and self.by == "sample-mask":
            words += ["--sample-mask", self.write_mask(folder)]
        if self.before or self.after:
            words += ["--censor-before", self.before, "--censor-after", self.after]
        return words + ["--keep-mean"] * self.keep_mean

    # What is to come out ----------------------------------------------------------------------------------------

    @cached_property
    def kept(self):
        """Which volumes stay, by the descriptions of the options."""
        out = np.isin(np.arange(self.rows), self.censored)
        for t in self.censored:
            out[max(0, t - self.before) : t + self.after + 1] = True
        if self.censored:
            for is_out, piece in itertools.groupby(range(self.rows), key=out.copy().__getitem__):
                piece = list(piece)
                if not is_out and len(piece) < self.min_segment:
                    out[piece] = True
        return ~out

    @cached_property
    def confounds(self):
        """The chosen columns, expanded and filled: [rows, n]."""
        patterns = [p for p in self.columns.split(",") if p]
        x = self.table[[c for c in self.table if any(fnmatch.fnmatchcase(c, p) for p in patterns)]]
        if "derivatives" in self.expand:
            x = pd.concat([x, x.diff().add_suffix("_derivative1")], axis=1)
        if "squares" in self.expand:
            x = pd.concat([x, (x**2).add_suffix("_power2")], axis=1)
        fill = {"start": x.bfill(limit_area="outside"), "zero": x.fillna(0), "mean": x.fillna(x[self.kept].mean())}
        return fill[self.missing].to_numpy(float)

    @cached_property
    def exact(self):
        """(values, regressors) in long double."""
        y, regressors = longdouble.cleaned(self.values, self.confounds, self.kept, self)
        return standardised(y, self.then), regressors

    def nilearn(self, as_it_is=False):
        """nilearn's values, in double and mended where it has to be; or from the samples as stored, and unmended."""
        from nilearn import signal

        filters = {"cosine": "cosine" if self.high_pass else False, "butterworth": "butterworth"}
        how = {"filter": filters[self.filter], "high_pass": self.high_pass or None, "low_pass": self.low_pass or None}
        if self.smooth:
            how["butterworth__order"] = self.filter_order
        if not self.kept.all():
            how |= {"sample_mask": np.flatnonzero(self.kept), "extrapolate": self.ends == "extrapolate"}
        if self.confounds.size:
            how["confounds"] = self.confounds.copy()
        y = self.values
        if as_it_is and not self.mends:
            y = self.run.data.copy()
        with warnings.catch_warnings(), contextlib.nullcontext() if as_it_is else mended(self):
            warnings.simplefilter("ignore")
            got = signal.clean(y, detrend=self.order >= 0, standardize=self.then or None, t_r=self.tr, **how)
            if self.keep_mean and not self.then and (self.order >= 0 or (self.smooth and self.high_pass)):
                got = got + mean_before(self)
        return got

    @property
    def mends(self):
        """Where nilearn 0.13.1 is not used as it is, and why."""
        found = []
        if self.order not in (-1, 1):
            found.append("order")
        out = np.flatnonzero(~self.kept)
        if self.smooth and np.isin(self.rows - 1 - out, out).any():
            found.append("mirror")
        if not self.smooth and self.high_pass and self.confounds.size:
            cosines = longdouble.cosines(self.rows, self.tr, self.high_pass).astype(float)
            both = np.hstack([cosines, self.confounds[:, np.ptp(self.confounds, axis=0) > 0]])
            if (np.corrcoef(both.T)[: cosines.shape[1], cosines.shape[1] :] > 0.89).any():
                found.append("cosines")
        return found

    @property
    def used(self):
        """{option: does this case turn it on?}, by the names that docs/fidelity.md has, in its order.

        Cases with tiny fluctuations stand in a row of their own: rounding of their level is all that they show.
        """
        tiny = self.data == "float64 tiny"
        used = {name: is_on and not tiny for name, is_on in self.turned_on.items()}
        return used | {"any of these, fluctuations of 1e-7 of the level": tiny}

    @property
    def turned_on(self):
        high, low = bool(self.high_pass), bool(self.low_pass)
        outer = self.smooth and bool(self.censored) and not (self.kept[0] and self.kept[-1])
        return {
            "`--nonfinite zero`": bool(self.nonfinite),
            "`--order` -1": self.order == -1,
            "`--order` 0": self.order == 0,
            "`--order` 1": self.order == 1,
            "`--order` 2 to 20": self.order > 1,
            "`--high-pass`, cosine": high and not self.smooth,
            "`--high-pass`, Butterworth": self.smooth and high and not low,
            "`--low-pass`, Butterworth": self.smooth and low and not high,
            "`--high-pass --low-pass`, Butterworth": self.smooth and high and low,
            "`--filter-order`": self.smooth and self.filter_order != 5,
            "`--confounds --columns`": bool(self.columns),
            "`--expand`": bool(self.expand),
            "`--missing`": any(c in self.columns for c in ("late", "gaps", "framewise")) or "deriv" in self.expand,
            "`--censor`": bool(self.censored) and self.by == "censor",
            "`--sample-mask`": bool(self.censored) and self.by == "sample-mask",
            "`--censor-before --censor-after`": bool(self.before or self.after),
            "`--min-segment`": self.min_segment > 0,
            "`--ends extrapolate`": outer and self.ends == "extrapolate",
            "`--ends drop`": outer and self.ends == "drop",
            "`--keep-mean`": self.keep_mean,
            **{f"zscore: {how}": self.then == how for how in ("zscore_sample", "zscore", "psc")},
        }

    @property
    def by_itself(self):
        """Made to show one option, with what that needs; otherwise one of the combinations."""
        return not self.name.startswith("pairs")

    # The programs -----------------------------------------------------------------------------------------------

    def through(self, run, folder, dtype):
        """What the programs make of it: the run of a stream. In between, float64."""
        stages = [("denoise", *self.options(folder), "--dtype", "float64" if self.then else dtype, "-", "-")]
        if self.then:
            how = {"psc": ["--method", "psc"], "zscore": ["--ddof", 0], "zscore_sample": []}[self.then]
            stages.append(("zscore", *how, "--dtype", dtype, "-", "-"))
        return read_stream(run.pipe(*stages, stdin=write_stream([self.run])))[0]


def standardised(y, how):
    if not how:
        return y
    left = y - y.mean(0)
    if how == "psc":
        return 100 * left / np.abs(y.mean(0))
    std = np.sqrt((left**2).sum(0) / (len(y) - (how == "zscore_sample")))
    return left / np.where(std == 0, 1, std)


# nilearn, where it needs a hand ---------------------------------------------------------------------------------


@contextlib.contextmanager
def mended(case):
    """nilearn 0.13.1 with what it lacks, for the cases that need it (Case.mends).

    order: it has lines alone.
    mirror: _interpolate_volumes uses ~sample_mask on indices, which are the mirrored positions (t -> rows - 1 - t): a
      censored volume whose mirror image is censored too is not interpolated, but filtered as it was scanned.
    cosines: one confound that goes along with one cosine (r > 0.9), and no cosine at all is used.
    """
    from nilearn import signal
    from scipy.interpolate import CubicSpline

    def detrend(y, inplace=False, type="linear", n_batches=10):
        t = np.linspace(-1, 1, len(y))
        y = y - y.mean(0)
        q = np.linalg.qr(np.polynomial.legendre.legvander(t, case.order))[0]
        y = y - q @ (q.T @ y)
        return y - q @ (q.T @ y)

    def interpolate(volumes, sample_mask, t_r, extrapolate):
        times, out = np.arange(len(volumes)) * t_r, np.ones(len(volumes), bool)
        out[sample_mask] = False
        volumes[out] = CubicSpline(times[sample_mask], volumes[sample_mask], extrapolate=extrapolate)(times)[out]
        return volumes

    def add(confounds, cosines):
        return cosines if confounds is None else np.hstack([confounds, cosines])

    before = signal._detrend, signal._interpolate_volumes, signal._check_cosine_by_user
    if "order" in case.mends:
        signal._detrend = detrend
    if "mirror" in case.mends:
        signal._interpolate_volumes = interpolate
    if "cosines" in case.mends:
        signal._check_cosine_by_user = add
    try:
        yield
    finally:
        signal._detrend, signal._interpolate_volumes, signal._check_cosine_by_user = before


def mean_before(case):
    """The means that detrending takes away, which nilearn keeps for itself (original_mean_signals)."""
    if not case.smooth or case.kept.all():
        return case.values[case.kept].mean(0)
    y = longdouble.interpolated(case.values.astype(np.longdouble), case.kept).astype(float)
    whole = np.flatnonzero(case.kept)
    return (y if case.ends == "extrapolate" else y[whole[0] : whole[-1] + 1]).mean(0)


# Data -----------------------------------------------------------------------------------------------------------


def scan(case, level, noise):
    """Level, drifts, slow and fast noise, and a share of each confound."""
    rng, rows = case.rng, case.rows
    t = np.linspace(-1, 1, rows)[:, None]
    y = rng.normal(0, 1, (rows, COLS))
    for k in range(1, rows):
        y[k] += 0.4 * y[k - 1]
    y += 3 * rng.normal(0, 1, COLS) * t + 2 * rng.normal(0, 1, COLS) * t**2
    x = np.nan_to_num((case.table - case.table.mean()) / case.table.std())
    y += 0.3 * x @ rng.normal(0, 1, (x.shape[1], COLS))
    y[list(case.censored)] += rng.normal(0, 30, (len(case.censored), COLS))
    return level * rng.uniform(0.5, 1.5, COLS) + noise * y


def holes(data, rng):
    data[rng.integers(0, len(data), 5), [1, 1, 4, 9, 19]] = [np.nan, np.inf, -np.inf, np.nan, np.nan]
    return data


DATA = {
    "int16": lambda c: np.rint(scan(c, 1000, 20)).clip(-32768, 32767).astype("<i2"),
    "uint8": lambda c: np.rint(scan(c, 120, 4)).clip(0, 255).astype("|u1"),
    "int32": lambda c: np.rint(scan(c, 2**28, 500)).astype("<i4"),
    "float32": lambda c: scan(c, 1e4, 100).astype("<f4"),
    "float32 holes": lambda c: holes(scan(c, 1e4, 100).astype("<f4"), c.rng),
    "float64": lambda c: scan(c, 700, 9).astype("<f8"),
    "float64 tiny": lambda c: scan(c, 1e4, 1e-3).astype("<f8"),
    "float64 no mean": lambda c: scan(c, 0, 1).astype("<f8"),
}
SCALED = {"uint8": {"slope": -0.125, "inter": 300.0}, "int32": {"slope": 1e-5, "inter": -3.0}}

# The table ------------------------------------------------------------------------------------------------------

FULL = "trans_*,rot_*"
FEW = (11, 12, 40, 70)  # no two are mirror images in any run below
BUTTER = {"filter": "butterworth"}


def alone():
    """Each option by itself, with each of its values."""
    yield Case("nothing but the default")
    for data in DATA:
        yield Case(f"data {data}", data=data, nonfinite="zero" if "holes" in data else "")
    for order in (-1, 0, 2, 3, 7, 20):
        yield Case(f"order {order}", order=order)
    for rows, tr in ((225, 1.6), (300, 1.333), (90, 2.5), (16, 1.5)):
        yield Case(f"{rows} rows", rows=rows, tr=tr)
        yield Case(f"cosines, {rows} rows", rows=rows, tr=tr, high_pass=0.02)
    for high in (1 / 128, 0.01, 0.05, 0.2):
        yield Case(f"cosines {high:.4f}", high_pass=high)
    for n in (1, 2, 3, 4, 5, 8, 12):
        yield Case(f"high {n}", **BUTTER, high_pass=0.01, filter_order=n)
        yield Case(f"low {n}", **BUTTER, low_pass=0.1, filter_order=n)
        yield Case(f"band {n}", **BUTTER, high_pass=0.01, low_pass=0.1, filter_order=n)
    yield Case("wide band", **BUTTER, high_pass=0.001, low_pass=0.2499, rows=300)
    yield Case("narrow band", **BUTTER, high_pass=0.03, low_pass=0.04, rows=300)
    for columns in (
        "trans_x",
        FULL,
        "csf,white_matter",
        "csf,csf_again",
        "csf,constant",
        "csf,slope",
        "spike*",
        "*[!s]",
    ):
        columns = columns.replace("*[!s]", f"{FULL},csf,white_matter,spike*")
        yield Case(f"confounds {columns}", columns=columns)
    for expand in ("derivatives", "squares", "derivatives,squares"):
        yield Case(f"expand {expand}", columns=FULL, expand=expand)
    yield Case("missing start", columns="late,framewise_displacement")
    for missing in ("zero", "mean"):
        yield Case(f"missing {missing}", columns="late,gaps,framewise_displacement", missing=missing)
    places = {"few": FEW, "first": (0, 1), "last": (119, 120), "both ends": (0, 1, 60, 118, 120), "mirror": (30, 90)}
    for name, censored in places.items():
        yield Case(f"censored {name}", censored=censored)
        yield Case(f"masked {name}", censored=censored, by="sample-mask")
        for ends in ("extrapolate", "drop"):
            yield Case(
                f"band, censored {name}, {ends}", **BUTTER, high_pass=0.01, low_pass=0.1, censored=censored, ends=ends
            )
    yield Case("censored before", censored=FEW, before=2)
    yield Case("censored after", censored=FEW, after=3)
    yield Case("short pieces", censored=(2, 9, 12, 17, 23, 100, 106, 118), min_segment=5)
    yield Case("keep the mean", keep_mean=True)
    for then in ("zscore_sample", "zscore"):
        yield Case(f"then {then}", then=then)
    yield Case("then psc", keep_mean=True, then="psc")
    yield Case("psc of what was not detrended", order=-1, then="psc")


FACTORS = {
    "shape": [{"rows": r, "tr": t} for r, t in ((121, 2.5), (225, 1.6), (300, 1.333), (150, 0.8), (84, 2.0))],
    "data": [{"data": d, "nonfinite": "zero" if "holes" in d else ""} for d in DATA],
    "order": [{"order": k} for k in (1, -1, 0, 2, 4)],
    "filter": [
        {},
        {"high_pass": 1 / 128},
        {"high_pass": 0.02},
        {**BUTTER, "high_pass": 0.008},
        {**BUTTER, "low_pass": 0.1},
        {**BUTTER, "high_pass": 0.01, "low_pass": 0.1},
        {**BUTTER, "high_pass": 0.02, "low_pass": 0.15, "filter_order": 2},
        {**BUTTER, "high_pass": 0.01, "low_pass": 0.09, "filter_order": 1},
    ],
    "confounds": [
        {},
        {"columns": FULL},
        {"columns": FULL, "expand": "derivatives,squares"},
        {"columns": f"{FULL},csf,white_matter", "expand": "derivatives"},
        {"columns": "csf,csf_again,spike*,constant,trans_y"},
        {"columns": "late,gaps,rot_x", "missing": "zero"},
        {"columns": "late,gaps,rot_x", "missing": "mean", "expand": "squares"},
        {"columns": "late,framewise_displacement", "expand": "derivatives"},
    ],
    "censoring": [
        {},
        {"censored": FEW},
        {"censored": FEW, "by": "sample-mask"},
        {"censored": (0, 20, 21, 50), "after": 2, "before": 1},
        {"censored": (14, 17, 40, 80, 83)},
        {"censored": (3, 13, 20, 60), "min_segment": 5},
    ],
    "ends": [{"ends": "extrapolate"}, {"ends": "drop"}],
    "then": [
        {},
        {"keep_mean": True},
        {"then": "zscore_sample"},
        {"then": "zscore", "keep_mean": True},
        {"then": "psc", "keep_mean": True},
    ],
}


def sensible(picked):
    """No percent of a mean that is not there."""
    together = {k: v for part in picked for k, v in part.items()}
    return not (together.get("then") == "psc" and together.get("data") == "float64 no mean")


def pairs():
    """Cases in which every two values of two factors come together at least once: greedy, from a fixed seed."""
    names, rng = list(FACTORS), np.random.default_rng(5)
    index = [range(len(FACTORS[n])) for n in names]
    cells = lambda row: {(a, row[a], b, row[b]) for a, b in itertools.combinations(range(len(row)), 2)}  # noqa: E731
    wanted = {
        (a, i, b, j) for a, b in itertools.combinations(range(len(names)), 2) for i in index[a] for j in index[b]
    }
    wanted = {(a, i, b, j) for a, i, b, j in wanted if sensible([FACTORS[names[a]][i], FACTORS[names[b]][j]])}
    count = 0
    while wanted:
        a, i, b, j = min(wanted)
        best, most = None, -1
        for _ in range(200):
            row = [int(rng.integers(len(k))) for k in index]
            row[a], row[b] = i, j
            if sensible([FACTORS[n][k] for n, k in zip(names, row, strict=True)]):
                new = len(cells(row) & wanted)
                best, most = (row, new) if new > most else (best, most)
        wanted -= cells(best)
        parts = {k: v for n, at in zip(names, best, strict=True) for k, v in FACTORS[n][at].items()}
        count += 1
        yield Case(f"pairs {count}", **parts)


# Cases in which nilearn does not say what is right, and why.
NOT_NILEARN = {
    "confounds csf,slope": "a confound that is a line leaves rounding noise, which it scales up and removes"
}
CASES = {case.name: case for case in [*alone(), *pairs()]}


# Real scans -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan(Case):
    """A case on a run of the Haxby data; the confounds are its own strongest components."""

    path: str = ""
    mask: str = ""

    @property
    def run(self):
        data, dims, _ = inside(self.path, self.mask)
        return make_run(data, tr=self.tr, dims=list(dims))

    @property
    def table(self):
        return inside(self.path, self.mask)[2]


@lru_cache(maxsize=2)
def inside(path, mask):
    """Samples in the mask, its shape, and a table: in place of motion, the scan's strongest components; of csf, the
    mean; of displacement, the change from volume to volume.
    """
    mask = np.asarray(nib.load(mask).dataobj) > 0
    samples = np.ascontiguousarray(np.asarray(nib.load(path).dataobj)[mask].T)
    data = samples.astype(float)
    table = pd.DataFrame(np.linalg.svd(data - data.mean(0), full_matrices=False)[0][:, :6], columns=MOTION)
    table["csf"] = data.mean(1)
    changes = np.r_[np.nan, np.sqrt((np.diff(data, axis=0) ** 2).mean(1))]
    table["framewise_displacement"] = changes / np.nanquantile(changes, 0.95) / 2
    return samples, mask.shape, table


SCAN_SETTINGS = {
    "lines": {},
    "cosines and components": {"high_pass": 1 / 128, "columns": FULL},
    "band and components": {**BUTTER, "high_pass": 0.01, "low_pass": 0.1, "columns": FULL, "expand": "derivatives"},
    "cut, 28 confounds": {"columns": f"{FULL},csf", "expand": "derivatives,squares", "high_pass": 0.01},
    "cut, band": {**BUTTER, "high_pass": 0.01, "low_pass": 0.1, "columns": FULL, "ends": "drop"},
    "percent": {"high_pass": 1 / 128, "keep_mean": True, "then": "psc"},
}


def scans(folder, runs="run-*", settings=tuple(SCAN_SETTINGS)):
    """Each setting on each run of the Haxby data."""
    for path in sorted(folder.glob(f"*_{runs}_bold.nii.gz")):
        where = {"path": str(path), "mask": str(folder / "sub-01_mask.nii.gz"), "tr": 2.5}
        changes = Scan("", **where).table["framewise_displacement"]
        for name in settings:
            how = {"then": "zscore_sample" if "band" in name else "", **SCAN_SETTINGS[name]}
            cut = tuple(int(t) for t in np.flatnonzero(changes > 0.5)) if "cut" in name else ()
            yield Scan(f"{path.name[26:32]}, {name}", **where, censored=cut, **how)


def difference(got, wanted):
    """(largest absolute, largest relative) difference. Relative: to the standard deviation of the wanted column,
    about its mean, since that is what a voxel has to tell. A column without any must be the same throughout.
    """
    got, wanted = np.asarray(got, np.longdouble), np.asarray(wanted, np.longdouble)
    assert got.shape == wanted.shape, f"{got.shape} in place of {wanted.shape}"
    far = np.abs(got - wanted).max(0)
    spread = wanted.std(0)
    relative = np.where(far == 0, 0, far / np.where(spread == 0, 1e-300, spread))
    return float(far.max()), float(relative.max())
