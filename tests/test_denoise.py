"""denoise: what its options do, what it writes and what it refuses.

nilearn's signal.clean is a quick witness here; tests/test_signal_clean.py compares widely. Two things are known to
differ: nilearn 0.13.1 interpolates the wrong volumes (`~sample_mask` of an index array counts from the other end),
which the witness here does right; and it leaves out all cosines where one confound resembles one of them.
"""

import json
import zlib

import nilearn.signal
import numpy as np
import pytest
from oracle import make_run, read_stream, row_dtype, write_stream
from scipy.interpolate import CubicSpline

ROWS, COLS, TR = 120, 21, 1.5
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


def panel(rows=ROWS, cols=COLS, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    slow = 30 * np.sin(2 * np.pi * t / rows * rng.uniform(0.5, 3, cols) + rng.uniform(0, 6, cols))
    return 1000 + rng.normal(0, 200, cols) + slow + 0.2 * t * rng.normal(0, 1, cols) + rng.normal(0, 10, (rows, cols))


def motion(rows=ROWS, cols=6, seed=1):
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (rows, cols)), axis=0)


def table(path, values, names=None, missing="n/a"):
    """Writes a confound table; NaN becomes n/a."""
    lines = ["\t".join(names)] if names else []
    lines += ["\t".join(missing if np.isnan(v) else repr(float(v)) for v in row) for row in np.atleast_2d(values)]
    path.write_text("\n".join(lines) + "\n")
    return path


def denoise(run, data, *args, **head):
    head.setdefault("tr", TR)
    (got,) = read_stream(run("denoise", *args, "-", "-", stdin=write_stream([make_run(data, **head)])).out)
    return got


def double(run, data, *args, **head):
    return denoise(run, data, "--dtype", "float64", *args, **head)


def interpolated(volumes, kept, t_r, extrapolate):
    times = np.arange(len(volumes)) * t_r
    out = CubicSpline(times[kept], volumes[kept], extrapolate=extrapolate)(times)
    out[kept] = volumes[kept]
    return out


@pytest.fixture
def clean(monkeypatch):
    monkeypatch.setattr(nilearn.signal, "_interpolate_volumes", interpolated)

    def call(data, kept=None, **how):
        filters = {"filter": False} if not {"low_pass", "high_pass"} & set(how) else {}
        mask = None if kept is None else np.flatnonzero(kept)
        how = {"detrend": True, "standardize": None, "t_r": TR} | filters | how
        return nilearn.signal.clean(np.array(data), sample_mask=mask, **how)

    return call


def close(got, wanted, bound=1e-10):
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= bound * np.abs(wanted).max()


# Each option against nilearn ----------------------------------------------------------------------------------------


def test_alone_it_is_detrend(run):
    for order in range(5):
        made = write_stream([make_run(panel())])
        one, two = (run(name, "--order", order, "-", "-", stdin=made).out for name in ("denoise", "detrend"))
        (a,), (b,) = read_stream(one), read_stream(two)
        assert np.array_equal(a.data, b.data)
        assert a.counts["denoise.flat_voxels"] == b.counts["detrend.flat_voxels"] == 0


def test_order_minus_one_takes_nothing(run):
    got = double(run, panel(), "--order", -1, slope=-2.0, inter=30.0)
    close(got.data, panel() * -2 + 30, 1e-14)


@pytest.mark.parametrize("order", [-1, 1])
@pytest.mark.parametrize("high_pass", [0.001, 0.008, 0.03])
def test_cosine_high_pass(run, clean, order, high_pass):
    got = double(run, panel(), "--order", order, "--high-pass", high_pass)
    close(got.data, clean(panel(), detrend=order > 0, filter="cosine", high_pass=high_pass))
    assert got.counts["denoise.regressors"] == int(2 * ROWS * TR * high_pass)


def test_cosines_stay_where_a_confound_resembles_one(run, tmp_path):
    """nilearn would drop the whole high-pass filter for it."""
    t = (np.arange(ROWS)[:, None] + 0.5) / ROWS
    cosines = np.cos(np.pi * t * np.arange(1, 4))
    drift = cosines[:, :1] + np.random.default_rng(0).normal(0, 0.1, (ROWS, 1))
    got = double(run, panel(), "--high-pass", 0.009, "--confounds", table(tmp_path / "c.tsv", drift))
    assert got.counts["denoise.regressors"] == 4
    assert abs(np.hstack([cosines, drift]).T @ got.data).max() < 1e-9


BANDS = [{"high_pass": 0.01}, {"low_pass": 0.1}, {"high_pass": 0.01, "low_pass": 0.1}]


def options(filters):
    return [f"--{k.replace('_', '-')}={v}" for k, v in filters.items()]


@pytest.mark.parametrize("filters", BANDS, ids=str)
@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_butterworth(run, clean, filters, order):
    got = double(run, panel(), "--filter", "butterworth", *options(filters), "--filter-order", order)
    close(got.data, clean(panel(), filter="butterworth", **filters, butterworth__order=order))


def test_butterworth_without_an_edge_is_no_filter(run):
    assert np.array_equal(double(run, panel(), "--filter", "butterworth").data, double(run, panel()).data)


@pytest.mark.parametrize("order", [-1, 1])
def test_confounds(run, clean, tmp_path, order):
    path = table(tmp_path / "motion.tsv", motion())
    got = double(run, panel(), "--order", order, "--confounds", path)
    close(got.data, clean(panel(), detrend=order > 0, confounds=motion()))
    assert (got.counts["denoise.regressors"], got.counts["denoise.dropped_confounds"]) == (6, 0)


def test_confounds_that_depend_on_each_other_count_once(run, clean, tmp_path):
    good = motion()
    extra = [good[:, 0] + good[:, 1], 3 - 2 * good[:, 2], np.full(ROWS, 5.0), 1e6 + np.arange(ROWS)]
    path = table(tmp_path / "c.tsv", np.column_stack([good, *extra]))
    got = double(run, panel(), "--confounds", path)
    close(got.data, clean(panel(), confounds=good))
    assert (got.counts["denoise.regressors"], got.counts["denoise.dropped_confounds"]) == (6, 4)


NAMES = ["csf", "trans_x", "trans_y", "rot_x", "framewise_displacement"]


def named(tmp_path):
    """A table with names: csf, three of motion, and a displacement whose first value is missing."""
    values = np.column_stack([motion(cols=4, seed=3), np.abs(motion(cols=1, seed=4))])
    values[0, 4] = np.nan
    return table(tmp_path / "desc-confounds_timeseries.tsv", values, NAMES), values


def test_columns(run, clean, tmp_path):
    path, values = named(tmp_path)
    got = double(run, panel(), "--confounds", path, "--columns", "trans_*,csf")
    close(got.data, clean(panel(), confounds=values[:, :3]))
    none = double(run, panel(), "--confounds", path, "--columns", "none")
    assert np.array_equal(none.data, double(run, panel()).data)


def test_ranges_of_a_table_without_names(run, clean, tmp_path):
    path = table(tmp_path / "motion.txt", motion())
    close(
        double(run, panel(), "--confounds", path, "--columns", "2-4").data, clean(panel(), confounds=motion()[:, 1:4])
    )


@pytest.mark.parametrize("what", ["derivatives", "squares", "derivatives,squares"])
def test_expansions(run, clean, tmp_path, what):
    made = motion()
    steps = np.vstack([made[1] - made[0], np.diff(made, axis=0)])  # n/a in the first row takes the first value
    parts = [made]
    parts += [steps] if "derivatives" in what else []
    parts += [part**2 for part in parts] if "squares" in what else []
    got = double(run, panel(), "--confounds", table(tmp_path / "c.tsv", made), "--expand", what)
    close(got.data, clean(panel(), confounds=np.hstack(parts)))
    assert got.counts["denoise.regressors"] == 6 * len(parts)


@pytest.mark.parametrize("policy", ["start", "zero", "mean"])
def test_missing_values(run, clean, tmp_path, policy):
    path, values = named(tmp_path)
    values[0, 4] = {"start": values[1, 4], "zero": 0, "mean": np.nanmean(values[:, 4])}[policy]
    close(double(run, panel(), "--confounds", path, "--missing", policy).data, clean(panel(), confounds=values))
    run.fails("denoise", "--confounds", path, "--missing", "error", "-", "-", stdin=write_stream([make_run(panel())]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("filters", [{}, {"filter": "cosine", "high_pass": 0.01}, *BANDS], ids=str)
@pytest.mark.parametrize("ends", ["drop", "extrapolate"])
@pytest.mark.parametrize("order", [-1, 1])
def test_volumes_left_out(run, clean, tmp_path, filters, ends, order):
    kept = np.ones(ROWS, bool)
    kept[[0, 1, 20, 21, 22, 23, 55, 64, 96, 97, 99, 119]] = False
    data = panel()
    data[~kept] = 1e5  # what is there does not matter
    mask = table(tmp_path / "mask.txt", kept[:, None].astype(float))
    noise = np.random.default_rng(9).normal(size=(ROWS, 6))
    confounds = table(tmp_path / "c.tsv", noise)
    how = {} if not filters else {"filter": "butterworth"} | filters
    args = ["--sample-mask", mask, "--confounds", confounds, "--ends", ends, "--order", order, *options(how)]
    got = double(run, data, *args)
    wanted = clean(data, kept, detrend=order > 0, confounds=noise, extrapolate=ends == "extrapolate", **how)
    close(got.data, wanted)
    assert got.head["times"] == np.flatnonzero(kept).tolist()
    assert (got.head["rows"], got.counts["denoise.censored_volumes"]) == (kept.sum(), 12)


def test_keep_mean_for_percent_signal_change(run, clean):
    """psc after cleaning is relative to the mean before it."""
    for args, how in [((), {}), (["--filter=butterworth", "--high-pass=0.01"], {"high_pass": 0.01})]:
        made = write_stream([make_run(panel() / 2 - 100, slope=2.0, inter=200.0, tr=TR)])
        mean = ["--keep-mean", "--dtype", "float64"]
        stages = [("denoise", *mean, *args, "-", "-"), ("zscore", "--method=psc", "--dtype=float64", "-", "-")]
        (got,) = read_stream(run.pipe(*stages, stdin=made))
        close(got.data, clean(panel(), standardize="psc", filter="butterworth" if how else False, **how))


# Which volumes go ---------------------------------------------------------------------------------------------------


def times(run, *args, **head):
    got = denoise(run, panel(), *args, **head)
    return set(range(ROWS)) - set(got.head.get("times", range(ROWS)))


def test_censoring_by_conditions(run, tmp_path):
    values = np.zeros((ROWS, 3))
    values[30, 0], values[31, 0], values[[50, 60], 1], values[70, 2] = 0.6, 0.5, 1, 1
    values[0, 0] = np.nan
    path = table(tmp_path / "c.tsv", values, ["framewise_displacement", "motion_outlier00", "motion_outlier01"])
    only = ["--confounds", path, "--columns", "none"]
    assert times(run, *only, "--censor", "framewise_displacement > 0.5") == {30}
    assert times(run, *only, "--censor", "framewise_displacement >= 0.5") == {30, 31}
    assert times(run, *only, "--censor", "motion_outlier* > 0") == {50, 60, 70}
    both = ["--censor", "motion_outlier00 = 1", "--censor", "framewise_displacement > 0.5"]
    assert times(run, *only, *both) == {30, 50, 60}
    assert times(run, *only, *both, "--censor-before", 2, "--censor-after", 1) == {
        *(28, 29, 30, 31),
        *(48, 49, 50, 51),
        *(58, 59, 60, 61),
    }
    assert times(run, *only, *both, "--min-segment", 10) == {30, *range(50, 61)}
    assert times(run, *only, *both, "--min-segment", 9) == {30, 50, 60}
    assert times(run, *only) == set()


def test_conditions_see_the_whole_table_and_nan_confounds_may_be_censored(run, clean, tmp_path):
    """Columns for censoring need not be chosen; what is missing at a volume that goes does not matter."""
    values = motion(cols=3)
    values[[7, 8], 2] = 100
    values[7, 0] = np.nan
    path = table(tmp_path / "c.tsv", values, ["a", "b", "fd"])
    got = double(run, panel(), "--confounds", path, "--columns", "a,b", "--censor", "fd>50")
    kept = values[:, 2] < 50
    close(got.data, clean(panel(), kept, confounds=np.nan_to_num(values[:, :2])))


def test_rows_keep_their_labels(run, tmp_path):
    """Metadata rows go with their volumes."""
    meta = np.zeros(ROWS, row_dtype(2))
    meta["time"], meta["trial"] = np.arange(ROWS), np.arange(ROWS) // 3
    kept = np.arange(ROWS) % 7 != 3
    got = denoise(run, panel(), "--sample-mask", table(tmp_path / "m", kept[:, None].astype(float)), meta=meta)
    assert np.array_equal(got.meta, meta[kept])


def test_twice_is_once_for_rows_that_are_gone_already(run, tmp_path):
    """A run with gaps knows its volumes: tables and Butterworth go by them."""
    kept = np.ones(ROWS, bool)
    kept[[5, 6, 40, 90, ROWS - 2, ROWS - 1]] = False
    mask = table(tmp_path / "m", kept[:, None].astype(float))
    confounds = table(tmp_path / "c.tsv", motion())
    (gone,) = read_stream(
        run("denoise", "--order=-1", "--dtype=float64", "--sample-mask", mask, "-", "-", stdin=stream(panel())).out
    )
    assert np.array_equal(gone.data, panel()[kept])
    for args in (["--high-pass=0.01"], ["--filter=butterworth", "--high-pass=0.01"]):
        both = double(run, panel(), "--sample-mask", mask, "--confounds", confounds, *args)
        again = run(
            "denoise", "--dtype=float64", "--confounds", confounds, *args, "-", "-", stdin=write_stream([gone])
        )
        (again,) = read_stream(again.out)
        assert np.array_equal(again.data, both.data)
        assert again.head["times"] == both.head["times"]


def stream(data, *more, **head):
    return write_stream([make_run(data, tr=TR, **head), *more])


def test_tables_of_scans_that_were_cut(run, clean, tmp_path):
    """NSD: a motion file has a line for each volume of the scan, of which the last one is cut off."""
    data, lines = panel(ROWS - 1), motion()
    lines[-1] = np.nan  # behind the run: nothing to do with it
    longer = table(tmp_path / "long.tsv", lines)
    got = double(run, data, "--confounds", longer, "--missing", "error", volumes=ROWS)
    close(got.data, clean(data, confounds=motion()[:-1]))
    assert got.head["volumes"] == ROWS and "times" not in got.head
    short = table(tmp_path / "short.tsv", lines[:-1])
    assert np.array_equal(double(run, data, "--confounds", short, volumes=ROWS).data, got.data)
    cosines = double(run, data, "--high-pass", 0.01, volumes=ROWS).data
    close(cosines, clean(data, filter="cosine", high_pass=0.01))
    for volumes, path in ((ROWS + 1, longer), (ROWS, table(tmp_path / "less.tsv", lines[:-2]))):
        made = stream(data, volumes=volumes)
        run.fails("denoise", "--confounds", path, "-", "-", stdin=made, says=[path.name, ROWS - 1, volumes])
    run("denoise", "-", "-", stdin=stream(data, volumes=ROWS - 1))
    for volumes in (ROWS - 2, 2**31, 2**41, -1, 1.5, "120", None):
        run.fails("denoise", "-", "-", stdin=stream(data, volumes=volumes), says="volumes")


def test_nifti2h5_tells_how_many_volumes_there_were(run, nsd):
    series = nsd / "nsddata_timeseries/ppdata/subj01/func1pt8mm"
    scan = series / "timeseries/timeseries_session01_run02.nii.gz"
    motions = series / "motion/motion_session01_run02.tsv"
    packed = run("nifti2h5", "--design", series / "design/design_session01_run02.tsv", scan, "-").out
    (made,) = read_stream(packed)
    assert (made.head["rows"], made.head["volumes"]) == (225, 226)
    assert len(motions.read_text().splitlines()) == 226
    (got,) = read_stream(run("denoise", "--confounds", motions, "-", "-", stdin=packed).out)
    assert got.counts["denoise.regressors"] == 6
    (whole,) = read_stream(run("nifti2h5", scan, "-").out)
    assert "volumes" not in whole.head


# The same bits ------------------------------------------------------------------------------------------------------

HARD = ["--filter=butterworth", "--high-pass=0.01", "--low-pass=0.15", "--ends=extrapolate", "--keep-mean"]


@pytest.mark.parametrize("args", [["--high-pass=0.01"], HARD], ids=["cosine", "butterworth"])
@pytest.mark.parametrize("tile_cols", [1, 7, 16, 1024])
def test_bits_depend_on_the_column_alone(run, tmp_path, args, tile_cols):
    kept = np.arange(ROWS) % 11 != 10
    mask = table(tmp_path / "m", kept[:, None].astype(float))
    args = [*args, "--confounds", table(tmp_path / "c.tsv", motion()), "--sample-mask", mask]
    wanted = denoise(run, panel(), *args).data
    assert np.array_equal(denoise(run, panel(), *args, tile_cols=tile_cols).data, wanted)
    some = [0, 3, 4, 17, 20]
    assert np.array_equal(denoise(run, panel()[:, some], *args, tile_cols=tile_cols).data, wanted[:, some])


def test_output_does_not_depend_on_threads(run, tmp_path):
    made = stream(panel(cols=200, seed=5), tile_cols=8)
    confounds = table(tmp_path / "c.tsv", motion())
    one, many = (run("denoise", "-j", n, "--confounds", confounds, *HARD, "-", "-", stdin=made).out for n in (1, 7))
    assert one == many


# Files of runs, provenance ------------------------------------------------------------------------------------------


def test_one_file_a_run_or_a_pattern(run, clean, tmp_path):
    runs = [make_run(panel(seed=k), run=k, session=4, label=f"r{k}", tr=TR) for k in (1, 2, 3)]
    paths = [table(tmp_path / f"s04_r{k}.tsv", motion(seed=k)) for k in (1, 2, 3)]
    listed = [part for path in paths for part in ("--confounds", path)]
    pattern = ["--confounds", tmp_path / "s{session}_r{run:d}.tsv"]
    one, two = (
        read_stream(run("denoise", *how, "-", "-", stdin=write_stream(runs)).out) for how in (listed, pattern)
    )
    for k, (a, b) in enumerate(zip(one, two, strict=True)):
        close(a.data, clean(panel(seed=k + 1), confounds=motion(seed=k + 1)), 1e-6)
        assert np.array_equal(a.data, b.data)
    run.fails("denoise", *listed[:4], "-", "-", stdin=write_stream(runs), status=2, says=["r3", "--confounds", "2"])
    run.fails(
        "denoise", *listed, "-", "-", stdin=write_stream(runs[:2]), status=2, says=["--confounds", "3", "2 runs"]
    )


def test_provenance_lists_what_was_read(run, tmp_path):
    confounds, mask = table(tmp_path / "c.tsv", motion()), table(tmp_path / "m.txt", np.ones((ROWS, 1)))
    got = denoise(run, panel(), "--confounds", confounds, "--sample-mask", mask, "--censor", "1 > 100")
    (step,) = got.head["steps"]
    assert step["program"] == "denoise"
    assert step["settings"]["censor"] == ["1 > 100"] and step["settings"]["order"] == 1
    assert step["inputs"] == [
        {"path": str(p), "bytes": len(p.read_bytes()), "crc32": f"{zlib.crc32(p.read_bytes()):08x}"}
        for p in (confounds, mask)
    ]
    assert json.dumps(step["settings"]).count("threads") == 0


# Samples that are not finite ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["denoise", "detrend", "zscore"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite(run, name, bad, tmp_path):
    data = panel().astype("<f4")
    data[3, 4] = data[9, 4] = data[100, 20] = bad
    zeroed = np.where(np.isfinite(data), data, 0).astype("<f4")

    def through(what, *args):
        return read_stream(run(name, *args, "-", "-", stdin=stream(what)).out)[0]

    count = f"{name}.nonfinite_samples"
    voxel, zero, wanted = through(data), through(data, "--nonfinite", "zero"), through(zeroed)
    assert voxel.counts[count] == zero.counts[count] == 3 and wanted.counts[count] == 0
    assert np.array_equal(zero.data, wanted.data)
    others = np.setdiff1d(np.arange(COLS), [4, 20])
    assert np.isnan(voxel.data[:, [4, 20]]).all() and np.array_equal(voxel.data[:, others], wanted.data[:, others])
    out = tmp_path / "out.h5"
    run.fails(name, "--nonfinite", "error", "-", out, stdin=stream(data), says=["--nonfinite", "not finite"])
    assert not out.exists()
    assert np.array_equal(through(zeroed, "--nonfinite", "error").data, wanted.data)


def test_nonfinite_samples_of_volumes_that_go_do_not_matter(run, tmp_path):
    data = panel()
    data[7, 3] = np.nan
    kept = np.arange(ROWS) != 7
    mask = table(tmp_path / "m", kept[:, None].astype(float))
    for args in ([], HARD):
        got = denoise(run, data, *args, "--sample-mask", mask)
        assert np.isfinite(got.data).all() and got.counts["denoise.nonfinite_samples"] == 0


def test_detrend_keeps_means_too(run):
    (got,) = read_stream(run("detrend", "--keep-mean", "-", "-", stdin=stream(panel(), slope=0.5, inter=-100.0)).out)
    close(got.data.mean(0), (panel() * 0.5 - 100).mean(0), 1e-6)


# What is refused ----------------------------------------------------------------------------------------------------

FD = ["--censor", "fd > 1"]


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["--low-pass", 0.1], 2, ["--low-pass", "--filter butterworth"]),
        (["--filter=butterworth", "--low-pass=0.1", "--high-pass=0.1"], 2, ["--high-pass", "--low-pass"]),
        (["--filter=butterworth", "--low-pass=0.34"], 2, ["0.34", "0.333", "--low-pass"]),
        (["--filter=butterworth", "--high-pass=0.1", "--filter-order", 13], 2, ["--filter-order", "12"]),
        (["--order", 21], 2, ["--order"]),
        (["--columns", "csf"], 2, ["--columns", "--confounds"]),
        (["--expand", "squares"], 2, ["--expand", "--confounds"]),
        (FD, 2, ["--censor", "--confounds"]),
        (["--min-segment", 5], 2, ["--min-segment", "--censor"]),
        (["--confounds", "TABLE", "--expand", "cubes"], 2, ["cubes", "derivatives", "squares"]),
        (["--confounds", "TABLE", "--columns", "csf,nose"], 2, ["nose", "trans_x"]),
        (["--confounds", "TABLE", "--missing=error"], 1, ["framewise_displacement"]),
        (["--confounds", "TABLE", "--columns=csf", "--censor", "csf > -1e9"], 1, ["all 120 volumes", "--censor"]),
        (["--confounds", "SHORT"], 1, ["SHORT", "119", "120"]),
        (["--confounds", "LONG"], 1, ["LONG", "121", "120"]),
        (["--confounds", "nowhere.tsv"], 1, ["nowhere.tsv"]),
        (["--sample-mask", "SHORT"], 1, ["SHORT"]),
        (["--high-pass", 0.33, "--confounds", "TABLE"], 1, ["120 time points", "118 regressors", "--order 1"]),
    ],
    ids=lambda v: " ".join(map(str, v)) if isinstance(v, list) else str(v),
)
def test_refused(run, tmp_path, args, status, says):
    named(tmp_path)
    names = {"TABLE": tmp_path / "desc-confounds_timeseries.tsv"}
    names["SHORT"] = table(tmp_path / "SHORT.tsv", motion(ROWS - 1, 1))
    names["LONG"] = table(tmp_path / "LONG.tsv", motion(ROWS + 1, 1))
    args = [names.get(a, a) for a in args]
    out = tmp_path / "out.npys"
    run.fails("denoise", *args, "-", out, stdin=stream(panel()), status=status, says=says)
    assert not out.exists()


def test_too_few_time_points(run, tmp_path):
    says = ["12 time points", "9 regressors", "--order 2"]
    confounds = table(tmp_path / "c.tsv", motion(12, 9))
    run.fails("denoise", "--order=2", "--confounds", confounds, "-", "-", stdin=stream(panel(12)), says=says)
    args = ["--filter=butterworth", "--high-pass=0.1", "-", "-"]
    run.fails("denoise", *args, stdin=stream(panel(18)), says=["18 time points", "--filter-order 5"])
    run("denoise", *args, stdin=stream(panel(19)))
