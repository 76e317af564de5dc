"""Cleaning where something is missing: n/a in tables, samples that are not finite, means, tables that do not fit."""

import numpy as np
import pandas as pd
import pytest
from denoising import ROWS, TR, close, denoise, fails, numbers, reference, scans, table, write
from oracle import make_run, read_stream, write_stream

# n/a ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["first", "first three", "middle", "last", "all", "all but one"])
@pytest.mark.parametrize("missing", ["start", "zero", "mean", "error"])
def test_missing_values(run, tmp_path, where, missing):
    gaps = {"first": [0], "first three": range(3), "middle": [0, 40], "last": [79], "all": range(ROWS)}
    gaps["all but one"] = np.delete(np.arange(ROWS), 33)
    x = table()
    x.loc[list(gaps[where]), "c1"] = np.nan
    options = ["--confounds", write(tmp_path, x), "--missing", missing]
    starts = where in ("first", "first three")
    if missing == "error" or (missing == "start" and not starts) or (missing == "mean" and where == "all"):
        line = {"first": 2, "first three": 2, "middle": 42, "last": 81}.get(where, "")
        says = ["c1", line if missing == "start" or where != "middle" else ""]
        fails(run, scans(), *options, says=says)
        return
    fill = {"start": x.bfill(), "zero": x.fillna(0), "mean": x.fillna(x.mean())}[missing]
    close(denoise(run, scans(), *options).data, reference(scans(), fill)[0])


def test_missing_values_in_other_columns_do_not_matter(run, tmp_path):
    x = table()
    x["empty"] = np.nan
    x.loc[40, "c2"] = np.nan
    got = denoise(run, scans(), "--confounds", write(tmp_path, x), "--columns", "c0,c1", "--missing", "error")
    close(got.data, reference(scans(), x[["c0", "c1"]])[0])


@pytest.mark.parametrize("missing", ["zero", "mean"])
def test_fills_come_after_derivatives(run, tmp_path, missing):
    """A gap has no difference to its neighbours; the mean is that of the column itself."""
    x = table()
    x.loc[40, "c1"] = np.nan
    options = ["--confounds", write(tmp_path, x), "--expand", "derivatives", "--missing", missing]
    full = pd.concat([x, x.diff().add_suffix("_d")], axis=1)
    full = full.fillna(0) if missing == "zero" else full.fillna(full.mean())
    close(denoise(run, scans(), *options).data, reference(scans(), full)[0])


# Samples that are not finite ----------------------------------------------------------------------------------------


def broken(bad=np.nan):
    data = scans()
    data[[3, 50], [1, 1]] = bad
    data[79, 4] = -bad
    return data


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("filtered", [False, True])
def test_nonfinite_policies(run, bad, filtered):
    filter_ = ["--filter", "butterworth", "--low-pass", 0.1] if filtered else []
    how = {"filter": "butterworth", "low_pass": 0.1} if filtered else {}
    whole = [0, 2, 3, 5]
    for options in ([], ["--nonfinite", "voxel"]):
        got = denoise(run, broken(bad), *filter_, *options)
        assert np.isnan(got.data[:, [1, 4]]).all()
        close(got.data[:, whole], reference(scans(), **how)[0][:, whole])
        assert got.counts["denoise.nonfinite_samples"] == 3
    got = denoise(run, broken(bad), *filter_, "--nonfinite", "zero")
    zeroed = np.where(np.isfinite(broken(bad)), broken(bad), 0)
    close(got.data, reference(zeroed, **how)[0])
    assert got.counts["denoise.nonfinite_samples"] == 3
    fails(run, broken(bad), *filter_, "--nonfinite", "error", says=["finite"])
    assert denoise(run, scans(), *filter_, "--nonfinite", "error").counts["denoise.nonfinite_samples"] == 0


def test_zero_is_the_value_zero_also_where_samples_are_scaled(run):
    """nilearn sees values: 0, and not the intercept."""
    data = broken().astype("<f4")
    got = denoise(run, data, "--nonfinite", "zero", slope=2.0, inter=300.0)
    values = 2.0 * data.astype(float) + 300
    close(got.data, reference(np.where(np.isfinite(values), values, 0), nothing=2.0**-22)[0])


@pytest.mark.parametrize("filtered", [False, True])
def test_nonfinite_in_censored_volumes_alone(run, tmp_path, filtered):
    """The volume goes; the voxel stays or is NaN throughout, but nothing in between, and others do not change."""
    data = scans()
    data[40, 2] = np.nan
    kept = np.arange(ROWS) != 40
    options = ["--sample-mask", numbers(tmp_path, kept.astype(int))]
    how = {}
    if filtered:
        options += ["--filter", "butterworth", "--low-pass", 0.1]
        how = {"filter": "butterworth", "low_pass": 0.1}
    got = denoise(run, data, *options).data
    wanted = reference(scans(), kept=kept, **how)[0]
    if np.isnan(got[:, 2]).any():
        assert np.isnan(got[:, 2]).all()
        got, wanted = np.delete(got, 2, 1), np.delete(wanted, 2, 1)
    close(got, wanted)


@pytest.mark.parametrize("name", ["detrend", "zscore"])
def test_nonfinite_policies_of_the_others(run, name):
    def through(data, *options):
        made = write_stream([make_run(data, tr=TR)])
        return read_stream(run(name, "--dtype", "float64", *options, "-", "-", stdin=made).out)[0]

    zeroed = np.where(np.isfinite(broken()), broken(), 0)
    got = through(broken(), "--nonfinite", "zero")
    assert np.array_equal(got.data, through(zeroed).data)
    assert got.counts[f"{name}.nonfinite_samples"] == 3
    assert np.isnan(through(broken(), "--nonfinite", "voxel").data[:, [1, 4]]).all()
    run.fails(name, "--nonfinite", "error", "-", "-", stdin=write_stream([make_run(broken())]), says="finite")


# The mean -----------------------------------------------------------------------------------------------------------


def test_keep_mean_keeps_the_mean(run, tmp_path):
    x = write(tmp_path, table())
    for options in ([], ["--confounds", x], ["--high-pass", 0.02, "--order", 3]):
        got = denoise(run, scans(), *options, "--keep-mean").data
        np.testing.assert_allclose(got.mean(0), scans().mean(0), rtol=1e-13)
        close(got - got.mean(0), denoise(run, scans(), *options).data, 1e-9)
    got = denoise(run, scans(), "--order", -1, "--keep-mean", "--confounds", x).data
    close(got, denoise(run, scans(), "--order", -1, "--confounds", x).data, 1e-12)


@pytest.mark.parametrize("options", [[], ["--high-pass", 0.02], ["--filter", "butterworth", "--low-pass", 0.1]])
@pytest.mark.parametrize("order", [-1, 0, 1])
def test_keep_mean_of_scaled_samples(run, options, order):
    """The intercept is a part of the mean, whether or not the mean was taken away."""
    data = np.rint(scans()).astype("<i2")
    got = denoise(run, data, *options, "--order", order, "--keep-mean", slope=2.0, inter=300.0).data
    np.testing.assert_allclose(got.mean(0), (2.0 * data + 300).mean(0), rtol=1e-3)


@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize("options", [[], ["--high-pass", 0.02], ["--filter", "butterworth", "--low-pass", 0.1]])
@pytest.mark.parametrize("keep", [False, True])
def test_scaled_samples_without_a_trend(run, tmp_path, options, censored, keep):
    """--order -1: slope and intercept enter all the same."""
    data = np.rint(scans()).astype("<i2")
    mask = numbers(tmp_path, [0 if t in (5, 40) and censored else 1 for t in range(ROWS)])
    options = [*options, "--order", -1, "--sample-mask", mask, *["--keep-mean"] * keep]
    got = denoise(run, data, *options, slope=2.0, inter=300.0).data
    close(got, denoise(run, 2.0 * data + 300, *options).data)


def test_keep_mean_of_flat_voxels_is_their_mean(run):
    data = scans()
    data[:, 3] = 700
    got = denoise(run, data, "--keep-mean")
    assert (got.data[:, 3] == 700).all()
    assert got.counts["denoise.flat_voxels"] == 1


def test_detrend_is_denoise_with_an_order(run):
    for order in (0, 1, 2, 5):
        for extra in ([], ["--keep-mean"], ["--nonfinite", "zero"]):
            made = write_stream([make_run(broken(), tr=TR)])
            a = read_stream(run("detrend", "--order", order, *extra, "-", "-", stdin=made).out)[0]
            b = read_stream(run("denoise", "--order", order, *extra, "-", "-", stdin=made).out)[0]
            assert np.array_equal(a.data, b.data, equal_nan=True)


# Tables that do not fit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 79, 81, 160])
def test_tables_of_the_wrong_length(run, tmp_path, rows):
    fails(run, scans(), "--confounds", write(tmp_path, table(rows)), says=[rows, ROWS, "confounds.tsv"])
    fails(run, scans(), "--sample-mask", numbers(tmp_path, [1] * rows), says=[rows, ROWS, "mask.txt"])


def test_unknown_columns(run, tmp_path):
    x = write(tmp_path, table())
    fails(run, scans(), "--confounds", x, "--columns", "trans_*", says=["trans_*", "c0", "c2"])
    fails(run, scans(), "--confounds", x, "--censor", "fd > 0.5", says=["fd", "c0", "c2"])


def test_more_confounds_than_volumes(run, tmp_path):
    fails(run, scans(), "--confounds", write(tmp_path, table(cols=79)), says=[ROWS])
