"""denoise, detrend and zscore against nilearn's signal.clean and against long double, over the table of cleaning.py.

What "to 1e-5" means here. A column is compared with the standard deviation of what it should be, about its mean: a
voxel tells by its fluctuations, and beside a mean of 1000 any error looks small. Samples in float64 (--dtype float64)
must be within 1e-5 of nilearn and within 1e-7 of long double (1e-7 and not less because of data with fluctuations
of 1e-7 of their level, of which double itself leaves 9 digits). Samples in float32 may be one rounding (2**-24 of the
value) further away. A step that keeps the mean should hand on float64 to zscore; the chains here do.
"""

import json

import numpy as np
import pytest
from cleaning import CASES, NOT_NILEARN, SCAN_SETTINGS, Case, difference, scans
from oracle import read_stream, write_stream

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
NAMES = list(CASES)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NOT_NILEARN])
def test_the_two_witnesses_agree(name):
    case = CASES[name]
    assert difference(case.nilearn(), case.exact[0])[1] < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_denoise(run, tmp_path, name):
    case = CASES[name]
    wanted, regressors = case.exact
    got = case.through(run, tmp_path, "float64")
    assert difference(got.data, wanted)[1] < 1e-7
    if name not in NOT_NILEARN:
        assert difference(got.data, case.nilearn())[1] < 1e-5
    stored = case.through(run, tmp_path, "float32").data
    assert stored.dtype == np.float32
    assert (np.abs(stored - wanted) <= 1e-5 * wanted.std(0) + 2.0**-24 * np.abs(wanted)).all()
    about_rows(case, got, regressors)


def about_rows(case, got, regressors):
    volumes = np.flatnonzero(case.kept)
    assert got.head["rows"] == len(volumes)
    assert got.head.get("times", list(range(case.rows))) == volumes.tolist()
    assert got.counts["denoise.regressors"] == regressors
    assert got.counts["denoise.censored_volumes"] == case.rows - len(volumes)


@pytest.mark.parametrize("name", SCAN_SETTINGS)
def test_real_scans(run, tmp_path, shared, name):
    """Two runs of 530 voxels, against nilearn; docs/fidelity.md has all twelve."""
    if not (shared / "haxby").is_dir():
        pytest.skip(f"{shared / 'haxby'} is missing: real data are not part of the project")
    cases = list(scans(shared / "haxby", "run-0[19]", [name]))
    assert len(cases) == 2
    for case in cases:
        got, wanted = case.through(run, tmp_path, "float64"), case.nilearn()
        assert difference(got.data, wanted)[1] < 1e-9
        stored = case.through(run, tmp_path, "float32").data
        assert (np.abs(stored - wanted) <= 1e-5 * wanted.std(0) + 2.0**-24 * np.abs(wanted)).all()
        assert got.head["rows"] == case.rows - len(case.censored) and (len(case.censored) > 0) == ("cut" in name)


# nilearn's load_confounds reads the table, signal.clean uses it; denoise does both.
STRATEGIES = {
    "24 motion, cosines": (
        {"strategy": ("motion", "high_pass"), "motion": "full"},
        ["--columns", "trans_*,rot_*,cosine*"],
    ),
    "36 parameters": (
        {
            "strategy": ("motion", "wm_csf", "global_signal"),
            "motion": "full",
            "wm_csf": "full",
            "global_signal": "full",
        },
        ["--columns", "trans_*,rot_*,csf*,white_matter*,global_signal*"],
    ),
    "scrubbed": (
        {
            "strategy": ("motion", "scrub"),
            "motion": "basic",
            "scrub": 5,
            "fd_threshold": 0.5,
            "std_dvars_threshold": 1.5,
        },
        ["--columns", "trans_?,rot_?", "--censor", "framewise_displacement > 0.5", "--censor", "std_dvars > 1.5"]
        + ["--min-segment", 5],
    ),
    "basic motion, the rest made by denoise": (
        {"strategy": ("motion",), "motion": "full"},
        ["--columns", "trans_?,rot_?", "--expand", "derivatives,squares"],
    ),
}
FILTERS = {
    "no filter": ({"filter": False}, []),
    "band": (
        {"filter": "butterworth", "high_pass": 0.01, "low_pass": 0.1},
        ["--filter", "butterworth", "--high-pass", 0.01, "--low-pass", 0.1],
    ),
}


def fmriprep(folder, case):
    """A confounds table with all that load_confounds asks for, beside a run that it looks up the table by."""
    table = case.table[
        [c for c in case.table if c.startswith(("trans", "rot", "csf", "white")) and "again" not in c]
    ].copy()
    table["global_signal"] = 9e3 + 4 * case.table["late"].fillna(5)
    for name in list(table):
        table[f"{name}_derivative1"] = table[name].diff()
        table[f"{name}_power2"] = table[name] ** 2
        table[f"{name}_derivative1_power2"] = table[f"{name}_derivative1"] ** 2
    t = (np.arange(case.rows) + 0.5) * np.pi / case.rows
    for k in range(3):
        table[f"cosine{k:02d}"] = np.cos((k + 1) * t)
    table["framewise_displacement"] = case.table["framewise_displacement"]
    table["std_dvars"] = np.r_[np.nan, np.random.default_rng(4).uniform(0.8, 1.45, case.rows - 1)]
    table.loc[[30, 77], "std_dvars"] = 1.6
    base = folder / "sub-01_task-rest_desc-confounds_timeseries"
    table.to_csv(f"{base}.tsv", sep="\t", na_rep="n/a", index=False, float_format=lambda x: repr(float(x)))
    base.with_suffix(".json").write_text(json.dumps({}))
    image = folder / "sub-01_task-rest_space-T1w_desc-preproc_bold.nii.gz"
    image.touch()
    return base.with_suffix(".tsv"), image


@pytest.mark.parametrize("filtered", FILTERS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_fmriprep_tables_as_nilearn_loads_them(run, tmp_path, strategy, filtered):
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.signal import clean

    case = Case("fmriprep", censored=(10, 11, 33, 40, 62), data="float64")
    tsv, image = fmriprep(tmp_path, case)
    (loading, columns), (cleaning, filter_) = STRATEGIES[strategy], FILTERS[filtered]
    confounds, mask = load_confounds(str(image), **loading)
    wanted = clean(case.values, standardize=None, t_r=case.tr, confounds=confounds, sample_mask=mask, **cleaning)
    words = ["--confounds", tsv, *columns, *filter_, "--dtype", "float64", "-", "-"]
    (got,) = read_stream(run("denoise", *words, stdin=write_stream([case.run])).out)
    assert (mask is None) == ("scrub" not in strategy)
    assert got.head["rows"] == (case.rows if mask is None else len(mask))
    assert difference(got.data, wanted)[1] < 1e-8
