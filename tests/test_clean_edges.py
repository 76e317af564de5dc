"""Cleaning at its edges: what denoise makes of short runs, dependent confounds, odd cut-offs, censored volumes.

The reference is long double (longdouble.py), or a case that must come out the same.
"""

import longdouble
import numpy as np
import pytest
from denoising import EPS, ROWS, TR, close, command, denoise, fails, numbers, reference, scans, table, write
from oracle import make_run, read_stream, write_stream

# Numbers of all sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["line", "cosines", "band", "confounds", "all of it"])
@pytest.mark.parametrize(
    ("level", "noise", "dtype"),
    [
        (1e6, 1, "<f4"),
        (2**30, 3, "<i4"),
        (2**51, 20000, "<i8"),
        (1e11, 1, "<f8"),
        (1e-30, 1e-33, "<f8"),
        (0, 1e200, "<f8"),
    ],
)
def test_extreme_levels(run, tmp_path, how, level, noise, dtype):
    """Within what a few roundings of the level leave."""
    data, x = scans(level=level, noise=noise, dtype=dtype), table()
    band = ["--filter", "butterworth", "--high-pass", 0.01, "--low-pass", 0.1, "--filter-order", 2]
    smooth = {"filter": "butterworth", "high_pass": 0.01, "low_pass": 0.1, "filter_order": 2}
    some = ["--confounds", write(tmp_path, x)]
    options, settings = {
        "line": ([], {}),
        "cosines": (["--high-pass", 0.01], {"high_pass": 0.01}),
        "band": (band, smooth),
        "confounds": (some, {"confounds": x}),
        "all of it": (some + band, {"confounds": x} | smooth),
    }[how]
    nothing = 2.0**-22 if dtype == "<f4" else 1e-12
    wanted = reference(data, nothing=nothing, **settings)[0]
    spread = float(wanted.std(0).min())
    close(denoise(run, data, *options).data, wanted, bound=1e-9 + 50 * EPS * abs(level) / spread)


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e-9, 1e9, 1e30, 1e140])
def test_the_unit_of_a_confound_does_not_matter(run, tmp_path, size):
    data, x = scans(), table()
    x["c1"] *= size
    got = denoise(run, data, "--confounds", write(tmp_path, x), "--high-pass", 0.01)
    x["c1"] /= size
    wanted, regressors = reference(data, x, high_pass=0.01)
    close(got.data, wanted, 1e-8)
    assert got.counts["denoise.regressors"] == regressors == 3 + 3


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_the_offset_of_a_confound_does_not_matter(run, tmp_path, offset):
    data, x = scans(), table()
    x["c1"] += offset
    got = denoise(run, data, "--confounds", write(tmp_path, x))
    close(got.data, reference(data, x)[0], 1e-9 + 10 * EPS * offset)
    assert got.counts["denoise.regressors"] == 3


def test_the_order_of_confounds_does_not_matter(run, tmp_path):
    data, x = scans(), table(cols=9)
    one = denoise(run, data, "--confounds", write(tmp_path, x)).data
    close(denoise(run, data, "--confounds", write(tmp_path, x[x.columns[::-1]])).data, one, 1e-12)


# Dependent and empty confounds --------------------------------------------------------------------------------------

T = np.linspace(-1, 1, ROWS)
ADDED = {
    "the same again": (lambda x: x.c0, 3),
    "in another unit": (lambda x: 1e6 * x.c0, 3),
    "in a small unit": (lambda x: 1e-6 * x.c0, 3),
    "with an offset": (lambda x: x.c0 - 3, 3),
    "a sum": (lambda x: x.c0 + x.c1, 3),
    "a sum of all": (lambda x: 0.3 * x.c0 - 2 * x.c1 + 7 * x.c2, 3),
    "a constant": (lambda x: 0 * x.c0 + 0.3, 3),
    "a large constant": (lambda x: 0 * x.c0 + 12345.678, 3),
    "zeros": (lambda x: 0 * x.c0, 3),
    "a line": (lambda x: 3 * T - 200, 3),
    "a steep line": (lambda x: 1e6 * T + 1e7, 3),
    "a sum with a line": (lambda x: x.c0 + 100 * T, 3),
    "a parabola": (lambda x: T**2, 4),
    "another": (lambda x: np.roll(x.c0, 5), 4),
    "nearly the same": (lambda x: x.c0 + 1e-6 * x.c1.iloc[::-1].to_numpy(), 4),
}


@pytest.mark.parametrize("what", ADDED)
@pytest.mark.parametrize("filtered", [False, True])
def test_dependent_confounds_are_left_out(run, tmp_path, what, filtered):
    """Rounding noise of a confound that others explain must not be scaled up and projected out."""
    make, rank = ADDED[what]
    data, x = scans(), table()
    x["added"] = make(x)
    options, settings = [], {}
    if filtered:
        options = ["--filter", "butterworth", "--high-pass", 0.01, "--low-pass", 0.2, "--filter-order", 2]
        settings = {"filter": "butterworth", "high_pass": 0.01, "low_pass": 0.2, "filter_order": 2}
    got = denoise(run, data, *options, "--confounds", write(tmp_path, x))
    wanted, regressors = reference(data, x if rank == 4 else x[["c0", "c1", "c2"]], **settings)
    assert (got.counts["denoise.regressors"], regressors) == (rank, rank)
    assert got.counts["denoise.dropped_confounds"] == 4 - rank
    close(got.data, wanted, 1e-7 if what == "nearly the same" else 1e-9)


def test_without_a_trend_lines_are_confounds(run, tmp_path):
    """--order -1: the mean stays, as confounds are centred first; a constant is no confound."""
    data, x = scans(), table(cols=1)
    x["line"], x["constant"] = 3 * T - 200, 0.1
    got = denoise(run, data, "--order", -1, "--confounds", write(tmp_path, x))
    close(got.data, reference(data, x, order=-1)[0])
    assert got.counts["denoise.regressors"] == 2
    np.testing.assert_allclose(got.data.mean(0), data.mean(0), rtol=1e-12)


def test_cosines_that_the_table_has_already(run, tmp_path):
    data, x = scans(), table()
    cosines = longdouble.cosines(ROWS, TR, 0.02).astype(float)
    alone = denoise(run, data, "--confounds", write(tmp_path, x), "--high-pass", 0.02)
    for k, column in enumerate(cosines.T):
        x[f"cosine{k:02d}"] = column * 0.7
    got = denoise(run, data, "--confounds", write(tmp_path, x), "--high-pass", 0.02)
    close(got.data, alone.data)
    assert got.counts["denoise.regressors"] == alone.counts["denoise.regressors"] == 3 + cosines.shape[1]


def test_a_voxel_that_confounds_explain_is_flat(run, tmp_path):
    """What is left is rounding: exactly 0, and counted, so that zscore does not blow it up."""
    data, x = scans(), table()
    data[:, 1] = 500 + 2 * x.c0
    data[:, 4] = 40 * x.c1 - 3 * x.c2 + 5 * T
    got = denoise(run, data, "--confounds", write(tmp_path, x))
    assert not got.data[:, [1, 4]].any() and got.data[:, [0, 2, 3, 5]].any(0).all()
    assert got.counts["denoise.flat_voxels"] == 2


@pytest.mark.parametrize("order", [-1, 0, 1])
@pytest.mark.parametrize("level", [0.1, 700, 12345.678])
def test_constant_voxels_under_a_high_pass_filter(run, order, level):
    data = scans()
    data[:, 2] = level
    filtered = ["--filter", "butterworth", "--high-pass", 0.01]
    got = denoise(run, data, "--order", order, *filtered)
    assert not got.data[:, 2].any() and got.counts["denoise.flat_voxels"] == 1
    close(
        np.delete(got.data, 2, 1),
        np.delete(reference(data, order=order, filter="butterworth", high_pass=0.01)[0], 2, 1),
    )


def test_a_spike_as_confound_is_censoring(run, tmp_path):
    """Least squares with a column that is 1 at one volume alone, or without that volume: the same elsewhere."""
    data, x = scans(), table()
    out = [5, 31, 32]
    spikes = x.assign(**{f"spike{k}": np.eye(ROWS)[t] for k, t in enumerate(out)})
    mask = numbers(tmp_path, np.where(np.isin(np.arange(ROWS), out), 0, 1))
    how = ["--order", 0, "--high-pass", 0.01]
    a = denoise(run, data, *how, "--confounds", write(tmp_path, spikes)).data
    b = denoise(run, data, *how, "--confounds", write(tmp_path, x, "x.tsv"), "--sample-mask", mask).data
    close(np.delete(a, out, 0), b)
    assert np.abs(a[out]).max() < 1e-9


# Cut-offs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high", [1e-9, 0.001, 0.003])
def test_high_pass_without_a_cosine(run, high):
    """The run is shorter than half a period: nothing to take out, and no error."""
    data = scans()
    got = denoise(run, data, "--high-pass", high)
    assert np.array_equal(got.data, denoise(run, data).data)
    assert got.counts["denoise.regressors"] == 0


EVEN = [
    (200, 2.0, 0.0125),
    (150, 1.0, 0.01),
    (100, 2.0, 0.01),
    (240, 1.6, 1 / 128),
    (300, 1.333, 0.0125),
    (121, 2.5, 0.02),
]


@pytest.mark.parametrize(("rows", "tr", "high"), [*EVEN, (80, 0.7, 0.1), (160, 0.72, 0.008), (90, 0.1, 0.5)])
def test_the_number_of_cosines_is_nilearns(run, rows, tr, high):
    """floor(2 rows f TR), also where that is a whole number."""
    from nilearn.signal import create_cosine_drift

    got = denoise(run, scans(rows), "--high-pass", high, tr=tr)
    assert got.counts["denoise.regressors"] == create_cosine_drift(high, np.arange(rows) * tr).shape[1] - 1


@pytest.mark.parametrize("kind", ["cosine", "butterworth"])
@pytest.mark.parametrize("high", [0.25, 0.3, 100])
def test_high_pass_of_everything(run, kind, high):
    """Above Nyquist's frequency nothing is left to keep: refused, with the figures."""
    fails(run, scans(), "--filter", kind, "--high-pass", high, says=["high-pass"] if kind == "butterworth" else [])


@pytest.mark.parametrize("low", [0.25, 0.3, 10])
def test_low_pass_at_nyquist(run, low):
    """Nothing to take out by it: an error that says so, or what nilearn makes of it (a filter just below)."""
    from nilearn.signal import butterworth

    data = scans()
    made = make_run(data, tr=TR)
    options = ["--filter", "butterworth", "--order", -1, "--low-pass", low, "--dtype", "float64"]
    done = run.any("denoise", *options, "-", "-", stdin=write_stream([made]))
    if done.status:
        assert done.status in (1, 2) and "low-pass" in done.err and "0.25" in done.err
    else:
        with pytest.warns(UserWarning, match="Nyquist"):
            wanted = butterworth(data.copy(), 1 / TR, low_pass=low)
        close(read_stream(done.out)[0].data, wanted, 1e-5)


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.05), (0.01, 0.1)])
def test_a_band_that_is_empty(run, low, high):
    options = ["--filter", "butterworth", "--low-pass", low, "--high-pass", high]
    done = run.any("denoise", *options, "-", "-", stdin=write_stream([make_run(scans(), tr=TR)]))
    assert done.status in (1, 2) and "high-pass" in done.err and "low-pass" in done.err


@pytest.mark.parametrize(
    ("order", "low", "high"), [(12, 0.249, 0.001), (12, 0.2, 0), (12, 0, 0.002), (10, 0.24, 0.01), (5, 0.02, 0.01)]
)
def test_steep_filters_stay_exact(run, order, low, high):
    """Sections must be paired well: in a bad order, a wide band of order 12 is noise in double."""
    data = scans(300)
    got = denoise(
        run, data, "--filter", "butterworth", "--filter-order", order, "--low-pass", low, "--high-pass", high
    )
    wanted = reference(data, filter="butterworth", filter_order=order, low_pass=low, high_pass=high)[0]
    close(got.data, wanted, 1e-7)


# Short runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [-1, 0, 1, 5])
@pytest.mark.parametrize("k", [0, 3])
def test_as_few_rows_as_can_be(run, tmp_path, order, k):
    """Rows must be more than regressors and trend; confounds are centred, so they take the mean in any case."""
    fewest = k + max(order + 1, 1 if k else 0) + 1
    if fewest < 2:
        return
    for rows in (fewest, fewest + 3):
        data, x = scans(rows), table(rows, k)
        options = ["--order", order, *(["--confounds", write(tmp_path, x)] if k else [])]
        close(denoise(run, data, *options).data, reference(data, x, order=order)[0], 1e-8)
    if fewest > 2:
        data, x = scans(fewest - 1), table(fewest - 1, k)
        options = ["--order", order, *(["--confounds", write(tmp_path, x)] if k else [])]
        fails(run, data, *options, says=[fewest - 1])


@pytest.mark.parametrize(("band", "order"), [("low", 1), ("low", 5), ("high", 4), ("both", 2), ("both", 5)])
def test_butterworth_needs_more_rows_than_its_padding(run, band, order):
    """scipy: more than 3 times the filter's coefficients."""
    how = {"low_pass": 0.1 if band != "high" else 0, "high_pass": 0.02 if band != "low" else 0}
    options = ["--filter", "butterworth", "--filter-order", order]
    options += ["--low-pass", how["low_pass"], "--high-pass", how["high_pass"]]
    needed = longdouble.pad_length(order, band == "both") + 1
    data = scans(needed)
    close(denoise(run, data, *options).data, reference(data, filter="butterworth", filter_order=order, **how)[0])
    fails(run, scans(needed - 1), *options, says=[needed - 1])


def test_runs_of_different_lengths_have_their_own_tables(run, tmp_path):
    lengths, stems = (60, 45, 80), "abc"
    datas = [scans(n, seed=n) for n in lengths]
    tables = [table(n, seed=n) for n in lengths]
    outs = [[3], [], [0, 40, 79]]
    runs = [make_run(d, tr=TR, run=k + 1, label=s) for k, (d, s) in enumerate(zip(datas, stems, strict=True))]
    options = ["--high-pass", 0.01]
    for x, s in zip(tables, stems, strict=True):
        options += ["--confounds", write(tmp_path, x, f"{s}.tsv")]
    for n, out, s in zip(lengths, outs, stems, strict=True):
        options += ["--sample-mask", numbers(tmp_path, np.where(np.isin(np.arange(n), out), 0, 1), f"{s}.txt")]
    got = read_stream(run(*command(*options), stdin=write_stream(runs)).out)
    for r, d, x, out in zip(got, datas, tables, outs, strict=True):
        kept = ~np.isin(np.arange(len(d)), out)
        close(r.data, reference(d, x, kept, high_pass=0.01)[0])
        assert r.counts["denoise.censored_volumes"] == len(out)


# Censoring ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cosine", "butterworth"])
def test_all_volumes_censored(run, tmp_path, kind):
    x = table().assign(fd=1.0)
    filtered = ["--filter", kind, "--high-pass", 0.02]
    fails(run, scans(), *filtered, "--sample-mask", numbers(tmp_path, [0] * ROWS), says=[ROWS])
    fails(run, scans(), *filtered, "--confounds", write(tmp_path, x), "--censor", "fd > 0.5", says=[ROWS])


@pytest.mark.parametrize("n_left", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("kind", ["cosine", "butterworth"])
def test_hardly_any_volume_left(run, tmp_path, kind, n_left):
    """Splines through 2 and 3 volumes are a line and a parabola; through one there is none."""
    kept = np.zeros(ROWS, bool)
    kept[np.linspace(4, ROWS - 9, n_left).astype(int)] = True
    options = ["--filter", kind, "--sample-mask", numbers(tmp_path, kept.astype(int)), "--order", 0]
    how = {"order": 0, "filter": kind}
    if kind == "butterworth":
        options += ["--low-pass", 0.1, "--filter-order", 1, "--ends", "extrapolate"]
        how |= {"low_pass": 0.1, "filter_order": 1}
    done = run.any(*command(*options), stdin=write_stream([make_run(scans(), tr=TR)]))
    if n_left < 2:
        assert done.status == 1 and str(n_left) in done.err
    elif done.status == 0:
        wanted = reference(scans(), kept=kept, **how)[0]
        close(read_stream(done.out)[0].data, wanted, 1e-5 if kind == "butterworth" else 1e-9)
    else:
        assert kind == "butterworth" and done.status == 1, done.err


@pytest.mark.parametrize("ends", ["extrapolate", "drop"])
@pytest.mark.parametrize("out", [range(10), range(70, 80), [0], [79], [0, 1, 2, 40, 77, 78, 79]])
def test_censored_ends_under_a_filter(run, tmp_path, ends, out):
    kept = ~np.isin(np.arange(ROWS), out)
    x = table()
    options = ["--filter", "butterworth", "--low-pass", 0.1, "--filter-order", 2, "--ends", ends]
    options += ["--confounds", write(tmp_path, x), "--sample-mask", numbers(tmp_path, kept.astype(int))]
    got = denoise(run, scans(), *options)
    how = {"filter": "butterworth", "low_pass": 0.1, "filter_order": 2, "ends": ends}
    close(got.data, reference(scans(), x, kept, **how)[0], 1e-8)
    assert got.head["times"] == np.flatnonzero(kept).tolist()


def test_ends_that_are_dropped_count_for_the_padding(run, tmp_path):
    kept = np.arange(ROWS) < 30
    options = ["--filter", "butterworth", "--low-pass", 0.1, "--high-pass", 0.01, "--ends", "drop"]
    fails(run, scans(), *options, "--sample-mask", numbers(tmp_path, kept.astype(int)), says=["30"])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fewest", [2, 5])
def test_short_pieces_are_nilearns(run, tmp_path, seed, fewest):
    from nilearn.interfaces.fmriprep.load_confounds_scrub import optimize_scrub

    out = np.sort(np.random.default_rng(seed).choice(ROWS, 7, replace=False))
    mask = numbers(tmp_path, np.where(np.isin(np.arange(ROWS), out), 0, 1))
    got = denoise(run, scans(), "--order", 0, "--sample-mask", mask, "--min-segment", fewest)
    gone = optimize_scrub(out, ROWS, fewest)
    assert got.head["times"] == np.setdiff1d(np.arange(ROWS), gone).tolist()


def test_conditions_and_masks_add_up(run, tmp_path):
    x = table().assign(fd=0.1, dvars=1.0, motion_outlier00=0, motion_outlier01=0)
    x.loc[3, "fd"], x.loc[20, "dvars"], x.loc[50, "motion_outlier01"] = 0.51, -4, 1
    x.loc[0, ["fd", "dvars"]] = np.nan
    x.loc[9, "fd"] = 0.5
    mask = numbers(tmp_path, [0 if t == 70 else 2.5 if t == 71 else 1 for t in range(ROWS)])
    conditions = ["fd > 0.5", "dvars <= -4", "motion_outlier* > 0"]
    options = [word for c in conditions for word in ("--censor", c)] + ["--columns", "c?"]
    got = denoise(run, scans(), "--confounds", write(tmp_path, x), *options, "--sample-mask", mask)
    kept = ~np.isin(np.arange(ROWS), [3, 20, 50, 70])
    assert got.head["times"] == np.flatnonzero(kept).tolist()
    close(got.data, reference(scans(), x[["c0", "c1", "c2"]], kept)[0])


CHAINED = {
    "trend": [],
    "cosines": ["--high-pass", 0.02],
    "dropped ends": ["--filter", "butterworth", "--low-pass", 0.1, "--ends", "drop"],
    "extrapolated": ["--filter", "butterworth", "--low-pass", 0.1, "--ends", "extrapolate", "--filter-order", 2],
}


@pytest.mark.parametrize("how", CHAINED)
@pytest.mark.parametrize("out", [[5, 30, 31], [0, 1, 40], [40, 78, 79], [0, 79]])
def test_volumes_left_out_before_are_left_out_as_here(run, tmp_path, out, how):
    """A run remembers which volumes its rows are, and how many the scan had."""
    mask = numbers(tmp_path, np.where(np.isin(np.arange(ROWS), out), 0, 1))
    options = [*CHAINED[how], "--confounds", write(tmp_path, table()), "--expand", "derivatives"]
    first = denoise(run, scans(), "--order", -1, "--sample-mask", mask)
    (got,) = read_stream(run(*command(*options), stdin=write_stream([first])).out)
    wanted = denoise(run, scans(), *options, "--sample-mask", mask)
    close(got.data, wanted.data, 1e-12)
    assert got.head["times"] == wanted.head["times"]
