"""detrend and zscore against long double, nilearn and plain numpy.

Bounds: the programs may work in any order of operations, but what they store is one rounding away from the exact
value times a small factor. For values of a few standard deviations 1e-5 in float32 leaves a factor of 40 over that
rounding; float16 has 11 bits, 2e-3 absolute up to 4 and 5e-4 relative above (2**-11).
"""

import re

import numpy as np
import pytest
from nilearn.signal import clean
from oracle import demeaned, detrended, make_run, percent_change, read_stream, write_stream, zscored

ROWS = 45


def panel(rows=ROWS, cols=37, seed=0):
    """int16 like a scan: level near 1000, a drift, noise of about 1 to 40."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None] / rows
    level, drift = rng.uniform(300, 1500, cols), rng.normal(0, 80, (2, cols))
    noise = rng.normal(0, 1, (rows, cols)) * np.geomspace(1, 40, cols)
    return np.rint(level + drift[0] * t + drift[1] * t**2 + noise).astype("<i2")


def through(run, stages, *runs):
    return read_stream(run.pipe(*[(name, *args, "-", "-") for name, *args in stages], stdin=write_stream(runs)))


def one(run, name, *args, data, **head):
    (got,) = through(run, [(name, *args)], make_run(data, **head))
    return got


def close(got, wanted, dtype="<f4", scale=1.0):
    assert got.dtype == np.dtype(dtype)
    bound = {"<f2": (2e-3, 2**-11), "<f4": (1e-5, 1e-5), "<f8": (1e-9, 1e-11)}[dtype]
    np.testing.assert_allclose(got.astype(float), np.asarray(wanted, float), atol=bound[0] * scale, rtol=bound[1])


def voxel(values, *, among=5):
    """One column among others that are plain noise."""
    values = np.asarray(values)
    data = np.random.default_rng(1).normal(1000, 20, (len(values), among)).astype(values.dtype)
    data[:, 2] = values
    return data


# Detrending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("rows", [8, ROWS, 226])
def test_detrend_against_long_double(run, order, rows):
    data = panel(rows)
    got = one(run, "detrend", "--order", order, data=data)
    scale = max(1.0, float(np.abs(detrended(data, order)).max()) / 4)
    close(got.data, detrended(data, order), scale=scale)
    double = one(run, "detrend", "--order", order, "--dtype", "float64", data=data)
    close(double.data, detrended(data, order), "<f8", scale=scale)
    assert (got.head["rows"], got.head["cols"], got.head["dtype"]) == (rows, 37, "<f4")


@pytest.mark.parametrize("order", [12, 20])
def test_detrend_of_high_order_is_still_a_projection(run, order):
    """Against the reference, and nothing of any lower polynomial is left."""
    data = panel(226)
    got = one(run, "detrend", "--order", order, "--dtype", "float64", data=data).data
    close(got, detrended(data, order), "<f8", scale=10)
    legendre = np.polynomial.legendre.legvander(np.linspace(-1, 1, 226), order)
    assert abs(legendre.T @ got).max() < 1e-9


def test_detrend_default_is_nilearns_linear_trend(run):
    data = panel()
    wanted = clean(data.astype(float), detrend=True, standardize=None)
    close(one(run, "detrend", "--dtype", "float64", data=data).data, wanted, "<f8")


@pytest.mark.parametrize("dtype", ["|u1", "<i2", "<u2", "<i4", "<f4", "<f8"])
def test_detrend_of_every_type_applies_the_scaling(run, dtype):
    data = (panel() % 200).astype(dtype)
    got = one(run, "detrend", "--order", 2, data=data, slope=-0.125, inter=300.0)
    close(got.data, detrended(data * -0.125 + 300.0, 2))
    assert (got.head["slope"], got.head["inter"]) == (1, 0)


def test_detrend_keeps_small_signals_on_high_levels(run):
    """int32 near 2**30 with noise of 5: no float32 may stand between the sample and the residue."""
    data = (2**30 + panel().astype("<i4") % 11).astype("<i4")
    close(one(run, "detrend", data=data).data, detrended(data, 1))


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("slope", [1.0, 0.1])
def test_detrended_polynomials_are_exactly_zero(run, order, slope):
    t = np.arange(ROWS)
    for values in (np.full(ROWS, 31000), 7 + 0 * t, 300 + 7 * t, -32000 + 31 * t**2, t**3 // 1 - 20000):
        degree = next(k for k in range(4) if not np.diff(values, k + 1).any())
        got = one(run, "detrend", "--order", order, data=voxel(values.astype("<i4")), slope=slope).data
        assert (got[:, 2] == 0).all() == (degree <= order), f"degree {degree}, order {order}"
        assert np.count_nonzero(got) >= 4 * ROWS - 4


@pytest.mark.parametrize("level", [0, 100, 32000])
def test_detrend_keeps_the_smallest_real_signal(run, level):
    """One count at one time point is a signal, however high the level."""
    values = np.full(ROWS, level, "<i2")
    values[17] += 1
    got = one(run, "detrend", data=voxel(values)).data
    close(got[:, 2], detrended(voxel(values), 1)[:, 2])
    assert got[17, 2] > 0.9


def test_detrend_is_a_projection(run):
    data = panel()
    once = through(run, [("detrend", "--dtype", "float64", "--order", 3)], make_run(data))[0].data
    twice = one(run, "detrend", "--dtype", "float64", "--order", 3, data=once).data
    close(twice, once, "<f8")
    shifted = panel() + (np.arange(ROWS)[:, None] * 7 - 900).astype("<i2")
    close(one(run, "detrend", "--dtype", "float64", "--order", 3, data=shifted).data, once, "<f8")


@pytest.mark.parametrize(("rows", "order"), [(2, 1), (1, 0), (5, 4), (4, 7)])
def test_detrend_of_too_few_rows(run, rows, order, tmp_path):
    """A polynomial through all points leaves nothing: an error, or exact zeros with the voxels counted."""
    data = panel(rows)
    source = tmp_path / "in.npys"
    source.write_bytes(write_stream([make_run(data)]))
    done = run.any("detrend", "--order", order, source, "-")
    if done.status == 0:
        assert not read_stream(done.out)[0].data.any()
    else:
        assert done.status == 1 and re.fullmatch(r"detrend: .+: .*--order.*; .+\n", done.err)


# Standardising ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zscore(run, ddof, dtype):
    data = panel()
    got = one(run, "zscore", "--ddof", ddof, "--dtype", dtype, data=data)
    close(got.data, zscored(data, ddof), np.dtype(dtype).str)
    assert got.counted("constant") == 0


def test_zscore_defaults_to_the_sample_standard_deviation_in_float32(run):
    got = one(run, "zscore", data=panel()).data
    close(got, zscored(panel(), 1))
    assert not np.allclose(got, zscored(panel(), 0), atol=1e-3)


@pytest.mark.parametrize(("ddof", "kind"), [(1, "zscore_sample"), (0, "zscore")])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_detrend_and_zscore_are_nilearns_clean(run, ddof, kind):
    data = panel()
    (got,) = through(run, [("detrend",), ("zscore", "--ddof", ddof)], make_run(data))
    close(got.data, clean(data.astype(float), detrend=True, standardize=kind))


SCALED = {"zscore": zscored, "demean": demeaned, "psc": percent_change}


@pytest.mark.parametrize("method", SCALED)
@pytest.mark.parametrize("dtype", ["|u1", "<i2", "<f4", "<f8"])
def test_every_method_applies_the_scaling(run, method, dtype):
    """A negative slope turns z-scores over; an intercept counts for percent signal change."""
    data = (panel() % 200).astype(dtype)
    got = one(run, "zscore", "--method", method, data=data, slope=-0.125, inter=300.0)
    close(got.data, SCALED[method](data * -0.125 + 300.0), scale=10)
    assert (got.head["slope"], got.head["inter"]) == (1, 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_demean(run, dtype):
    got = one(run, "zscore", "--method", "demean", "--dtype", dtype, data=panel())
    close(got.data, demeaned(panel()), np.dtype(dtype).str, scale=10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_percent_signal_change(run, dtype):
    data = panel()
    data[:, 20:] -= 3000
    got = one(run, "zscore", "--method", "psc", "--dtype", dtype, data=data).data
    close(got, percent_change(data), np.dtype(dtype).str)
    nilearns = clean(data.astype(float), detrend=False, standardize="psc")
    close(got, nilearns, np.dtype(dtype).str)


@pytest.mark.parametrize("size", [1, 0.1])
def test_percent_signal_change_where_the_mean_is_zero(run, size):
    """No percent of nothing, also where rounding leaves a mean of next to nothing: a count, and no infinity."""
    values = (size * np.r_[np.tile([1, -2, 3, -2], 11)]).astype("<f4")
    got = one(run, "zscore", "--method", "psc", data=voxel(values))
    assert np.isfinite(got.data).all()
    assert not got.data[:, 2].any()
    assert sum(got.counts.values()) == 1


@pytest.mark.parametrize("method", ["zscore", "demean", "psc"])
@pytest.mark.parametrize("constant", [0, 1, 700, -32768])
@pytest.mark.parametrize("slope", [1.0, 0.1])
def test_constant_voxels_become_zero_and_are_counted(run, method, constant, slope):
    data = voxel(np.full(ROWS, constant, "<i2"))
    data[:, 4] = constant
    got = one(run, "zscore", "--method", method, data=data, slope=slope, inter=0.3)
    assert not got.data[:, [2, 4]].any()
    assert got.data[:, [0, 1, 3]].any(0).all()
    assert got.counted("constant") == 2


def test_voxels_that_detrending_empties_are_constant(run):
    data = voxel((300 + 7 * np.arange(ROWS)).astype("<i2"))
    data[:, 0] = 700
    (got,) = through(run, [("detrend",), ("zscore",)], make_run(data))
    assert not got.data[:, [0, 2]].any()
    assert got.data[:, [1, 3, 4]].any(0).all()
    assert {name for name, n in got.counts.items() if n == 2 and "constant" in name}


@pytest.mark.parametrize(("dtype", "level", "step"), [("<i2", 32000, 1), ("<i4", 10**9, 1), ("<f4", 1e4, 0.125)])
def test_zscore_keeps_the_smallest_real_signal(run, dtype, level, step):
    """One count, or a hundred roundings of a float, at one time point."""
    values = np.full(ROWS, level, dtype)
    values[9] += step
    data = voxel(values)
    close(one(run, "zscore", data=data).data, zscored(data))


def test_one_row_has_no_sample_standard_deviation(run, tmp_path):
    source = tmp_path / "in.npys"
    source.write_bytes(write_stream([make_run(panel(1))]))
    done = run.any("zscore", source, "-")
    if done.status == 0:
        assert not read_stream(done.out)[0].data.any()
    else:
        assert done.status == 1 and "--ddof" in done.err


# What both promise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["detrend", "zscore"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2"])
def test_non_finite_samples_are_counted_and_touch_no_other_voxel(run, name, bad, dtype):
    data = panel().astype(dtype)
    wanted = one(run, name, data=data)
    broken = data.copy()
    broken[[3, 9], [5, 5]] = bad
    broken[7, 20] = bad
    got = one(run, name, data=broken)
    others = np.setdiff1d(np.arange(37), [5, 20])
    assert np.array_equal(got.data[:, others], wanted.data[:, others])
    assert got.counted("finite") == 3 and not wanted.counted("finite")
    assert np.isnan(got.data[:, [5, 20]]).all()


@pytest.mark.parametrize("name", ["detrend", "zscore"])
@pytest.mark.parametrize("tile_cols", [1, 7, 16, 37, 1024])
def test_the_width_of_tiles_does_not_matter(run, name, tile_cols):
    wanted = one(run, name, data=panel(), tile_cols=16).data
    assert np.array_equal(one(run, name, data=panel(), tile_cols=tile_cols).data, wanted)


@pytest.mark.parametrize("name", ["detrend", "zscore"])
def test_runs_are_cleaned_one_by_one(run, name):
    """Each run is its own matrix, of its own length; nothing leaks from one to the next."""
    parts = [panel(rows, seed=rows) for rows in (20, 31, 20)]
    alone = [one(run, name, data=data).data for data in parts]
    together = through(run, [(name,)], *[make_run(d, run=k + 1, label=f"r{k}") for k, d in enumerate(parts)])
    assert [r.head["run"] for r in together] == [1, 2, 3]
    assert [r.head["label"] for r in together] == ["r0", "r1", "r2"]
    for got, wanted in zip(together, alone, strict=True):
        assert np.array_equal(got.data, wanted)


def test_cleaning_keeps_what_it_does_not_change(run):
    made = make_run(panel(), voxels=np.arange(37) * 5 + 2, subject=3, session=12, run=9, label='a "b" é', tr=0.75)
    made.counts["nifti2h5.dropped_volumes"] = 4
    got = through(run, [("detrend", "--order", 2), ("zscore",)], made)[0]
    same = ("label", "subject", "session", "run", "rows", "cols", "tr", "dims", "affine", "absent", "history")
    assert {k: got.head[k] for k in same} == {k: made.head[k] for k in same}
    assert np.array_equal(got.voxels, made.voxels)
    assert got.counts["nifti2h5.dropped_volumes"] == 4
    assert [s["program"] for s in got.head["steps"]] == ["detrend", "zscore"]


def test_float16_that_overflows_is_not_silent(run):
    """A residue above 65504 is infinite in float16: refused, or counted."""
    data = voxel((np.tile([-1, 1, 1, -1], 11) * 10**6).astype("<i4"))
    done = run.any("detrend", "--dtype", "float16", "-", "-", stdin=write_stream([make_run(data)]))
    if done.status == 0:
        (got,) = read_stream(done.out)
        assert got.counted("finite") or got.counted("overflow"), got.counts
