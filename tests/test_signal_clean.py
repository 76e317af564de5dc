"""denoise, detrend and zscore against nilearn's signal.clean and against long double, over the table of cleaning.py.

What "to 1e-5" means here. A column is compared with the standard deviation of what it should be, about its mean: a
voxel tells by its fluctuations, and beside a mean of 1000 any error looks small. Samples in float64 (--dtype float64)
must be within 1e-5 of nilearn and within 1e-7 of long double (1e-7 and not less because of data with fluctuations
of 1e-7 of their level, of which double itself leaves 9 digits). Samples in float32 may be one rounding (2**-24 of the
value) further away. A step that keeps the mean should hand on float64 to zscore; the chains here do.
"""

import re

import numpy as np
import pytest
from cleaning import CASES, NOT_NILEARN, SCAN_SETTINGS, difference, scans
from conftest import ROOT

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


def test_the_page_about_fidelity_is_of_these_cases():
    """docs/fidelity.md has a row of every option with as many cases as there are now; `make fidelity` writes it."""
    page = (ROOT / "docs/fidelity.md").read_text()
    for name in next(iter(CASES.values())).used:
        row = re.search(rf"^\| {re.escape(name)} \| (\d+) \| (\d+) \| (.*) \|$", page, re.M)
        assert row, f"no row of {name}; run make fidelity"
        on = [case.by_itself for case in CASES.values() if case.used[name]]
        assert (int(row[1]), int(row[2])) == (sum(on), len(on) - sum(on)), f"{name}: run make fidelity"
        _, *relative = map(float, row[3].split(" | "))
        assert max(relative) < 1e-6, name
