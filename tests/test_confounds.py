"""Confound tables as users have them, through denoise, against nilearn's load_confounds and signal.clean.

tests/test_denoise.py and tests/test_signal_clean.py are about what denoise does with the columns; this is about which
columns and volumes it takes. The recipes of docs/cleaning.md are run as they stand there.
"""

import re
import shlex

import nilearn.signal
import numpy as np
import pandas as pd
import pytest
from conftest import BIN, ROOT
from nilearn.interfaces.fmriprep import load_confounds
from oracle import make_run, read_stream, write_stream

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.skipif(not (BIN / "denoise").exists(), reason="there is no denoise"),
]
MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
TISSUE = ["csf", "white_matter", "global_signal"]
TR = 2.0


def one_hot(volumes, places, name):
    return {f"{name}{i:02d}": (np.arange(volumes) == place).astype(int) for i, place in enumerate(places)}


def expanded(columns):
    """Each column with its derivative and both squares behind it, as fMRIPrep computes them."""
    out = {}
    for name, x in columns.items():
        step = pd.Series(x).diff().to_numpy()
        out |= {name: x, f"{name}_derivative1": step, f"{name}_power2": x**2, f"{name}_derivative1_power2": step**2}
    return out


def fmriprep(seed, volumes=150, steady=2, spikes=0.06):
    """A table as fMRIPrep writes them: n/a in the first line, some columns only where the run needs them."""
    rng = np.random.default_rng(seed)
    signals = {name: np.cumsum(rng.normal(0, 0.1, volumes)) for name in MOTION}
    signals |= {name: 500 + rng.normal(0, 10, volumes) for name in TISSUE}
    bad = rng.random(volumes - 1) < spikes
    table = expanded(signals)
    table["framewise_displacement"] = np.r_[np.nan, np.round(0.1 + 0.5 * bad + 0.05 * rng.random(volumes - 1), 3)]
    table["std_dvars"] = np.r_[np.nan, np.round(1 + 0.2 * rng.normal(size=volumes - 1), 3)]
    table |= {f"a_comp_cor_{i:02d}": rng.normal(0, 0.1, volumes) for i in range(12)}
    table |= {f"cosine{i:02d}": np.cos(np.pi * (np.arange(volumes) + 0.5) * (i + 1) / volumes) for i in range(3)}
    table |= one_hot(volumes, range(steady), "non_steady_state_outlier")
    table |= one_hot(volumes, 1 + np.flatnonzero(bad), "motion_outlier")
    return pd.DataFrame(table)


def put(folder, table):
    """Writes the table and what load_confounds looks for beside it; the table's path and the image's."""
    stem = folder / "sub-01_task-x_run-01"
    path = folder / f"{stem.name}_desc-confounds_timeseries.tsv"
    table.to_csv(path, sep="\t", na_rep="n/a", index=False)
    path.with_suffix(".json").write_text("{}")
    image = folder / f"{stem.name}_space-x_desc-preproc_bold.nii.gz"
    image.touch()
    return path, image


def panel(volumes, seed=0):
    rng = np.random.default_rng(seed)
    return 1000 + rng.normal(0, 200, 9) + np.cumsum(rng.normal(0, 3, (volumes, 9)), axis=0)


def cleaned(run, data, *args):
    stream = write_stream([make_run(data, tr=TR)])
    (got,) = read_stream(run("denoise", "--dtype", "float64", *args, "-", "-", stdin=stream).out)
    return got


def same(got, data, confounds, kept):
    wanted = nilearn.signal.clean(data, confounds=confounds, sample_mask=kept, standardize=None, t_r=TR)
    assert got.data.shape == wanted.shape
    assert np.abs(got.data - wanted).max() < 1e-8 * data.std()


SCRUB = ["--censor", "framewise_displacement > 0.5", "--censor", "std_dvars > 1.5"]
STEADY = ["--censor", "non_steady_state_outlier* > 0"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "columns, strategy",
    [
        ("trans_?,rot_?", {"strategy": ["motion"], "motion": "basic"}),
        ("trans_*,rot_*", {"strategy": ["motion"], "motion": "full"}),
        ("*_[xyz],*_[xyz]_power2", {"strategy": ["motion"], "motion": "power2"}),
        ("*_[xyz],*_[xyz]_derivative1,cosine*", {"strategy": ["motion", "high_pass"], "motion": "derivatives"}),
        ("csf,white_matter,rot_*,trans_*", {"strategy": ["motion", "wm_csf"]}),
        ("csf,csf_[dp]*,white_matter*", {"strategy": ["wm_csf"], "wm_csf": "full"}),
        ("global_signal*,cosine0?", {"strategy": ["global_signal", "high_pass"], "global_signal": "full"}),
    ],
)
def test_strategies_of_load_confounds(run, tmp_path, columns, strategy, seed):
    path, image = put(tmp_path, fmriprep(seed))
    confounds, kept = load_confounds(str(image), demean=False, **strategy)
    data = panel(150, seed)
    got = cleaned(run, data, "--confounds", path, "--columns", columns, *STEADY)
    assert got.counts["denoise.regressors"] == confounds.shape[1]
    same(got, data, confounds, kept)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scrub", [0, 3, 5])
def test_scrubbing_of_load_confounds(run, tmp_path, scrub, seed):
    path, image = put(tmp_path, fmriprep(seed, steady=0))
    confounds, kept = load_confounds(str(image), strategy=["motion", "scrub"], scrub=scrub, demean=False)
    data = panel(150, seed)
    args = ["--confounds", path, "--columns", "trans_*,rot_*", *SCRUB, "--min-segment", scrub]
    got = cleaned(run, data, *args, *STEADY)
    assert got.head["times"] == kept.tolist()
    same(got, data, confounds, kept)


@pytest.mark.parametrize("header", [True, False])
def test_expansions_of_a_table_without_them(run, tmp_path, header):
    """The 24-parameter model from six columns; nilearn's from a table that has all of them."""
    table = fmriprep(7)
    _, image = put(tmp_path, table)
    confounds, kept = load_confounds(str(image), strategy=["motion"], demean=False)
    six = tmp_path / "six.tsv"
    table[MOTION].to_csv(six, sep="\t", index=False, header=header)
    mask = tmp_path / "mask.txt"
    mask.write_text("".join(f"{int(i in kept)}\n" for i in range(150)))
    data = panel(150)
    columns = "trans_*,rot_*" if header else "1-6"
    args = ["--confounds", six, "--columns", columns, "--expand", "derivatives,squares", "--sample-mask", mask]
    got = cleaned(run, data, *args)
    assert got.counts["denoise.regressors"] == 24
    same(got, data, confounds, kept)


def test_a_run_that_needs_no_columns_of_its_own(run, tmp_path):
    """fMRIPrep writes motion_outlierNN and non_steady_state_outlierNN for some runs and not for others."""
    path, _ = put(tmp_path, fmriprep(1, steady=0, spikes=0))
    data = panel(150)
    got = cleaned(
        run,
        data,
        "--confounds",
        path,
        "--columns",
        "trans_?,motion_outlier*",
        "--censor",
        "motion_outlier* > 0",
        *STEADY,
    )
    assert got.data.shape == data.shape
    assert got.counts["denoise.regressors"] == 3


def test_a_column_for_each_bad_volume_fits_the_others_alike(run, tmp_path):
    table = fmriprep(2, steady=0)
    path, _ = put(tmp_path, table)
    bad = table.filter(like="motion_outlier").sum(axis=1).to_numpy() > 0
    assert 3 < bad.sum() < 30
    data = panel(150)
    columns = ["--order", 0, "--confounds", path, "--columns"]
    gone = cleaned(run, data, *columns, "trans_?,rot_?", "--censor", "motion_outlier* > 0").data
    kept = cleaned(run, data, *columns, "trans_?,rot_?,motion_outlier*").data
    assert np.abs(kept[~bad] - gone).max() < 1e-8 * data.std()
    assert np.abs(kept[bad]).max() < 1e-8 * data.std()


def test_errors_name_file_column_and_line(run, tmp_path):
    table = fmriprep(3)
    path, _ = put(tmp_path, table)
    stream = write_stream([make_run(panel(150), tr=TR)])

    def refused(*args, says, status=1):
        run.fails(
            "denoise", "--confounds", path, *args, "-", tmp_path / "x.h5", stdin=stream, says=says, status=status
        )
        assert not (tmp_path / "x.h5").exists()

    refused("--columns", "trans_x,trans_w", says=["no column fits", "trans_w", "global_signal, frame"], status=2)
    refused("--columns", "trans_x", "--censor", "fd > 0.5", says=[path.name, "no column fits", '"fd"'], status=2)
    refused("--columns", "framewise_displacement", "--missing", "error", says=["line 2", "framewise_displacement"])
    table.loc[40, "csf"] = np.nan
    put(tmp_path, table)
    refused("--columns", "csf", says=[path.name, "line 42", "csf"])
    path.write_text(path.read_text().replace("n/a", "N.A.", 1))
    refused("--columns", "csf", says=[path.name, "line 2", "N.A."])


# ---- the page ----


def recipes():
    """The denoise calls of docs/cleaning.md, as lists of words."""
    page = (ROOT / "docs/cleaning.md").read_text().replace("\\\n", " ")
    calls = [shlex.split(line) for line in re.findall(r"^    (denoise -.*)$", page, re.M)]
    return [call[1 : call.index("|") if "|" in call else len(call)] for call in calls]


def test_there_are_recipes():
    assert len(recipes()) == 6


@pytest.mark.parametrize("words", recipes(), ids=lambda words: words[0] + words[1])
def test_recipes_run(run, tmp_path, words):
    words = list(words[:-2])
    mask = tmp_path / "mask.txt"
    mask.write_text("1\n" * 140 + "0\n" * 10)
    path, _ = put(tmp_path, fmriprep(5))
    if "1-6" in words:
        pd.read_csv(path, sep="\t")[MOTION].to_csv(path, sep="\t", index=False, header=False)
    for option, file in (("--confounds", path), ("--sample-mask", mask)):
        if option in words:
            words[words.index(option) + 1] = str(file)
    got = cleaned(run, panel(150), *words)
    assert np.isfinite(got.data).all() and got.data.std() > 0
