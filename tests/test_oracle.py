"""The whole route on a synthetic subject against nibabel + nilearn + pandas, and on real data against a known result.

Bounds. float32: the programs keep values in float32 between stages and at the end; values here are up to about 6, so
one rounding is 2.4e-7, and rounding the detrended samples (up to some 200, deviation 10 or more) before they are
divided adds as much again. 1e-5, absolute for values up to 1 and relative above, is what is asked for and leaves a
factor of 10. float16 has 11 bits: 2e-3 absolute up to 4, relative above.
"""

import json

import numpy as np
import pytest
from oracle import Nsd, read_stream, rows_of_events

ROI = "nsdgeneral"


@pytest.fixture(scope="module")
def subject(nsd):
    return Nsd(nsd)


@pytest.fixture(scope="module")
def outside(subject):
    """The arrays as the outside route makes them."""
    return subject.arrays(subject.roi(ROI))


def task_files(subject):
    return [path for _, _, path, _ in subject.task_runs()]


def template(subject):
    return subject.designs / "design_session{session}_run{run}.tsv"


@pytest.fixture(scope="module")
def packed(run, subject, tmp_path_factory):
    """The session files, one a session, rest runs left out."""
    folder = tmp_path_factory.mktemp("packed")
    files = []
    for session in sorted({s for s, *_ in subject.runs()}):
        paths = [path for s, _, path, _ in subject.runs() if s == session]
        files.append(folder / f"session_{session:02d}.h5")
        run("nifti2h5", "--design", template(subject), "--skip-rest", *paths, files[-1])
    return files


def cut_and_clean(run, subject, source, target, *, dtype="float32", repeats="count", offset="4.6"):
    """Everything after packing: source is the stages that bring the runs, the rest is the same for both routes."""
    roi = subject.rois / f"{ROI}.nii.gz"
    shift = ["--design", template(subject), "--repeats", repeats, "--offset", offset]
    stages = [*source(roi), ("detrend", "-", "-"), ("zscore", "-", "-"), ("hrfshift", *shift, "-", "-")]
    run.pipe(*stages, ("concat", "--sessions", "1,21", "--dtype", dtype, "-", target))
    stem = str(target).removesuffix(".fmri.npy")
    with open(f"{stem}.json") as f:
        return np.load(target), np.load(f"{stem}.meta.npy"), json.load(f)


def from_packed(files):
    return lambda roi: [("applymask", "--roi", roi, *files, "-")]


def from_runs(subject, *args):
    keep = ["--design", template(subject), *args]
    return lambda roi: [("nifti2h5", *keep, *task_files(subject), "-"), ("applymask", "--roi", roi, "-", "-")]


def masked_at_once(subject):
    keep = ["--design", template(subject)]
    return lambda roi: [("nifti2h5", *keep, "--mask", roi, *task_files(subject), "-")]


# The tree itself ----------------------------------------------------------------------------------------------------


def test_the_tree_is_what_nsd_looks_like(subject):
    """Counts that NSD-like data must show, so that the comparison below cannot pass on an empty world."""
    runs = list(subject.runs())
    assert [(s, r) for s, r, *_ in runs] == [(1, r) for r in range(1, 13)] + [(21, r) for r in range(1, 15)]
    assert [(s, r) for s, r, _, d in runs if not d.any()] == [(21, 1), (21, 14)]
    assert {len(d) for *_, d in runs} == {225}
    trials = [np.count_nonzero(d) for *_, d in subject.task_runs()]
    assert trials == [63, 62] * 12
    labels = [d[d > 0] for *_, d in subject.task_runs()]
    assert any((np.diff(run) == 0).any() for run in labels), "no back-to-back repeat"
    assert np.concatenate(labels).max() <= 73000
    roi = subject.roi(ROI)
    assert 20 < roi.sum() < roi.size / 2


# Rows and values ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def direct(run, subject, tmp_path_factory):
    target = tmp_path_factory.mktemp("direct") / "general.fmri.npy"
    return cut_and_clean(run, subject, from_runs(subject), target)


def near(got, wanted, bound):
    np.testing.assert_allclose(got.astype(float), wanted, atol=bound, rtol=bound)


def test_rows_exactly(direct, outside):
    _, meta, _ = direct
    _, wanted = outside
    assert meta.dtype == wanted.dtype and len(meta) == 24 * 225
    for field in wanted.dtype.names:
        assert np.array_equal(meta[field], wanted[field]), field


def test_values(direct, outside):
    fmri, _, info = direct
    wanted, _ = outside
    assert fmri.dtype == np.float32 and fmri.shape == wanted.shape
    near(fmri, wanted, 1e-5)
    assert 0.99 < fmri.std() < 1.01 or (fmri == 0).all(0).any()
    assert fmri.shape[1] == len(info["voxels"])


def test_columns_are_data_of_mask(direct, subject):
    assert direct[2]["voxels"] == np.flatnonzero(subject.roi(ROI).ravel()).tolist()


def test_constant_voxels_are_zero_and_counted(direct, outside):
    """Voxels that are zero through a run are normal; they are told, run by run."""
    fmri, _, info = direct
    found = 0
    for r in info["runs"]:
        part = fmri[r["first_row"] : r["first_row"] + r["rows"]]
        counted = sum(n for name, n in r["counts"].items() if name.startswith("zscore.") and "constant" in name)
        assert counted == (part == 0).all(0).sum()
        found += counted
        assert r["counts"]["nifti2h5.dropped_volumes"] == 1 if "nifti2h5.dropped_volumes" in r["counts"] else True
    assert found > 0, "the synthetic subject has no dead voxel in this ROI: the test sees nothing"


def test_float16(run, subject, outside, tmp_path):
    target = tmp_path / "general.fmri.npy"
    fmri, _, _ = cut_and_clean(run, subject, from_runs(subject), target, dtype="float16")
    assert fmri.dtype == np.float16
    wanted = outside[0]
    np.testing.assert_allclose(fmri.astype(float), wanted, atol=2e-3, rtol=2**-11)


@pytest.mark.parametrize("offset", ["0", "4.6", "8"])
def test_rows_of_the_public_loader(run, subject, packed, tmp_path, offset):
    target = tmp_path / "general.fmri.npy"
    _, meta, _ = cut_and_clean(run, subject, from_packed(packed), target, repeats="merge", offset=offset)
    _, wanted = subject.arrays(subject.roi(ROI), repeats="merge", offset=float(offset))
    assert np.array_equal(meta, wanted)


def test_merging_repeats_changes_the_rows(subject):
    """The two behaviours differ on this subject, so that the tests above can tell them apart."""
    one = np.zeros((*subject.roi(ROI).shape,), bool)
    one[tuple(np.argwhere(subject.roi(ROI))[0])] = True
    rows = [subject.arrays(one, repeats=r)[1] for r in ("count", "merge")]
    assert not np.array_equal(*[r["stimulus_history"] for r in rows])


# One route and another ----------------------------------------------------------------------------------------------


def test_packed_and_direct_agree_bit_for_bit(run, subject, direct, packed, tmp_path):
    routes = {"packed": from_packed(packed), "masked": masked_at_once(subject)}
    routes["threads"] = from_runs(subject, "--threads", "3")
    for name, source in routes.items():
        folder = tmp_path / name
        folder.mkdir()
        fmri, meta, info = cut_and_clean(run, subject, source, folder / "general.fmri.npy")
        assert fmri.tobytes() == direct[0].tobytes(), name
        assert meta.tobytes() == direct[1].tobytes(), name
        assert info["voxels"] == direct[2]["voxels"]


def test_cleaned_full_brain_session_then_masked_agrees_too(run, subject, direct, packed, tmp_path):
    clean = []
    for path in packed:
        clean.append(tmp_path / path.name.replace(".h5", ".clean.h5"))
        shift = ("hrfshift", "--design", template(subject), "-", clean[-1])
        run.pipe(("detrend", path, "-"), ("zscore", "-", "-"), shift)
    roi = subject.rois / f"{ROI}.nii.gz"
    run.pipe(
        ("applymask", "--roi", roi, *clean, "-"), ("concat", "--sessions", "1,21", "-", tmp_path / "general.fmri.npy")
    )
    assert np.load(tmp_path / "general.fmri.npy").tobytes() == direct[0].tobytes()
    assert np.load(tmp_path / "general.meta.npy").tobytes() == direct[1].tobytes()


def test_the_same_call_twice_gives_the_same_bytes(run, subject, packed, tmp_path):
    blobs = []
    for _ in range(2):
        cut_and_clean(run, subject, from_packed(packed), tmp_path / "general.fmri.npy")
        blobs.append([(tmp_path / f"general.{end}").read_bytes() for end in ("fmri.npy", "meta.npy", "json")])
    assert blobs[0] == blobs[1]


def test_packing_is_lossless(run, subject, packed):
    import nibabel as nib

    for file in packed:
        for r in read_stream(run("concat", file, "-").out):
            name = f"timeseries_session{r.head['session']:02d}_run{r.head['run']:02d}.nii.gz"
            raw = np.asarray(nib.load(subject.series / name).dataobj).reshape(-1, 226)
            assert np.array_equal(r.data, raw[r.voxels, :225].T)
            raw[r.voxels] = 0
            assert not raw.any()


# Ground truth -------------------------------------------------------------------------------------------------------


def trials(meta, rows=3):
    """Of every presentation with that many rows to follow in its run: the first row, the image, its run's place."""
    run = np.cumsum(np.r_[False, np.diff(meta["time"]) < 0])
    first = np.flatnonzero(meta["stimulus"] >= 0)
    first = first[first + rows <= len(meta)]
    first = first[run[first] == run[first + rows - 1]]
    return first, meta["stimulus"][first], run[first]


def decoded(patterns, wanted, runs, ridge=30.0):
    """Ridge regression from voxels to latents, each run predicted from the others: correlation for each latent."""
    guess = np.empty_like(wanted)
    for left_out in np.unique(runs):
        train, test = runs != left_out, runs == left_out
        x, mean = patterns[train], wanted[train].mean(0)
        solved = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ (wanted[train] - mean))
        guess[test] = patterns[test] @ solved + mean
    return np.array([np.corrcoef(g, w)[0, 1] for g, w in zip(guess.T, wanted.T, strict=True)])


def test_a_linear_decoder_finds_the_ground_truth(direct, nsd):
    """What was shown can be read from the arrays, at the delay that the rows say and not elsewhere."""
    fmri, meta, _ = direct
    latents = np.load(nsd / "ground_truth" / "image_latents.npy").astype(float)
    first, images, runs = trials(meta)
    patterns = fmri[first[:, None] + np.arange(3)].mean(1).astype(float)
    found = decoded(patterns, latents[images], runs)
    chance = decoded(patterns, np.roll(latents[images], 5, axis=0), runs)
    late = decoded(np.roll(patterns, 2, axis=0), latents[images], runs)
    assert found.min() > 0.3 and found.mean() > 0.5
    assert abs(chance).max() < 0.2 and abs(late).max() < 0.2


# Real data ----------------------------------------------------------------------------------------------------------


def nearest_mean(values, labels, runs):
    """Leave one run out: each volume goes to the class whose mean pattern it correlates with best. Per cent right."""
    right = 0
    for left_out in np.unique(runs):
        train, test = runs != left_out, runs == left_out
        means = np.array([values[train & (labels == k)].mean(0) for k in np.unique(labels)])
        both = np.corrcoef(values[test], means)[: test.sum(), test.sum() :]
        right += (np.unique(labels)[both.argmax(1)] == labels[test]).sum()
    return 100 * right / len(labels)


@pytest.mark.parametrize(("offset", "accuracy"), [(0, 47.3), (2.5, 45.4), (5.0, 36.6)])
def test_haxby(run, shared, tmp_path, offset, accuracy):
    import pandas as pd

    folder = shared / "haxby"
    runs = sorted(folder.glob("*_bold.nii.gz"))
    target = tmp_path / "vt.fmri.npy"
    shift = ["--design", folder / "sub-01_task-objectviewing_run-{run}_events.tsv", "--offset", offset]
    run.pipe(
        ("nifti2h5", "--mask", folder / "sub-01_mask.nii.gz", *runs, "-"),
        ("detrend", "-", "-"),
        ("zscore", "-", "-"),
        ("hrfshift", *shift, "-", "-"),
        ("concat", "-", target),
    )
    fmri, meta = np.load(target), np.load(tmp_path / "vt.meta.npy")
    wanted = []
    for k, path in enumerate(runs):
        events = pd.read_csv(str(path).replace("bold.nii.gz", "events.tsv"), sep="\t")
        wanted.append(rows_of_events(events, volumes=121, tr=2.5, offset=offset, run=k + 1))
    assert np.array_equal(meta, np.concatenate(wanted))
    labelled = meta["stimulus"] >= 0
    assert labelled.sum() == 864 and fmri.shape == (12 * 121, 530)
    got = nearest_mean(fmri[labelled], meta["stimulus"][labelled], meta["run"][labelled])
    assert abs(got - accuracy) < 0.6
