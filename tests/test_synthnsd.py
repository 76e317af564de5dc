"""synthnsd: what it writes, looked at with nibabel, h5py, scipy and pandas."""

import hashlib
import json
import re
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.io

SPACE = "func1pt8mm"
DIMS = (20, 24, 18)
SUBJECTS, SESSIONS = (1, 4), (1, 21)
REST_RUNS = {1: (), 21: (1, 14)}
ROIS = {
    "nsdgeneral": ["nsdgeneral"],
    "general": ["general"],
    "prf-visualrois": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"],
    "streams": ["early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"],
    "floc-faces": ["OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"],
}
REAL = {  # 1.8 mm, 1 mm, voxels of nsdgeneral
    1: ((81, 104, 83), (145, 186, 148), 15724),
    2: ((82, 106, 84), (146, 190, 150), 14278),
    3: ((81, 106, 82), (145, 190, 146), 15226),
    4: ((85, 99, 80), (152, 177, 143), 13153),
    5: ((79, 97, 78), (141, 173, 139), 13039),
    6: ((85, 113, 83), (152, 202, 148), 17907),
    7: ((78, 95, 81), (139, 170, 145), 12682),
    8: ((80, 103, 78), (143, 184, 139), 14386),
}


class Tree:
    """The files of a dataset by what they are."""

    def __init__(self, root, space=SPACE):
        self.root, self.space = Path(root), space

    def series_folder(self, subject):
        return self.root / f"nsddata_timeseries/ppdata/subj{subject:02d}/{self.space}"

    def image(self, subject, session, run):
        return nib.load(
            self.series_folder(subject) / f"timeseries/timeseries_session{session:02d}_run{run:02d}.nii.gz"
        )

    def series(self, subject, session, run):
        return np.asarray(self.image(subject, session, run).dataobj)

    def table(self, kind, subject, session, run):
        return np.loadtxt(self.series_folder(subject) / f"{kind}/{kind}_session{session:02d}_run{run:02d}.tsv")

    def design(self, subject, session, run):
        return self.table("design", subject, session, run).astype(int)

    def volume(self, subject, name):
        folder = self.root / f"nsddata/ppdata/subj{subject:02d}/{self.space}"
        return np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj)

    def truth(self, name):
        return np.load(self.root / "ground_truth" / name)

    @property
    def settings(self):
        return json.loads((self.root / "ground_truth/settings.json").read_text())

    @property
    def experiment(self):
        return scipy.io.loadmat(self.root / "nsddata/experiments/nsd/nsd_expdesign.mat")

    @property
    def stim_info(self):
        return pd.read_csv(self.root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv", index_col=0)

    @property
    def pictures(self):
        return self.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"

    def names(self):
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}

    def sums(self):
        return {name: hashlib.sha256((self.root / name).read_bytes()).hexdigest() for name in self.names()}


@pytest.fixture(scope="module")
def tree(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("synthnsd") / "nsd"
    run("synthnsd", "--subjects", "1,4", "--sessions", "1,21", "--dims", "20,24,18", "--decoys", "--quiet", root)
    return Tree(root)


def runs_of(session):
    return range(1, 13 + len(REST_RUNS[session]))


def task_runs_of(session):
    return [run for run in runs_of(session) if run not in REST_RUNS[session]]


# Layout -------------------------------------------------------------------------------------------------------------


def expected_names():
    yield from ("nsddata/experiments/nsd/nsd_expdesign.mat", "nsddata/experiments/nsd/nsd_stim_info_merged.csv")
    yield "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    yield from (f"ground_truth/{name}" for name in ("settings.json", "image_latents.npy", "image_classes.npy"))
    for subject in SUBJECTS:
        who = f"subj{subject:02d}"
        yield from (f"ground_truth/{who}_{name}.npy" for name in ("voxels", "weights", "noise_sd", "baseline"))
        volumes = ["brainmask", "mean"] + [f"{kind}_session{s:02d}" for s in SESSIONS for kind in ("mean", "valid")]
        volumes += [f"roi/{side}{roi}" for roi in ROIS for side in ("", "lh.", "rh.")]
        yield from (f"nsddata/ppdata/{who}/{SPACE}/{name}.nii.gz" for name in volumes)
        yield from (f"nsddata/freesurfer/{who}/label/{roi}.mgz.ctab" for roi in ROIS if roi != "general")
        series = f"nsddata_timeseries/ppdata/{who}/{SPACE}"
        for part in [f"session{s:02d}_run{r:02d}" for s in SESSIONS for r in runs_of(s)]:
            yield from (f"{series}/{kind}/{kind}_{part}.tsv" for kind in ("design", "motion"))
            yield f"{series}/timeseries/timeseries_{part}.nii.gz"
        yield from (f"{series}/timeseries/timeseries_{task}_run01.nii.gz" for task in ("prffloc", "nsdsynthetic"))
        yield from (f"{series}/design/design_{task}_run01.tsv" for task in ("floc", "nsdsynthetic"))
        yield f"{series}/motion/motion_prffloc_run01.tsv"


def test_layout(tree):
    assert tree.names() == set(expected_names())


def test_headers(tree):
    for session in SESSIONS:
        image = tree.image(1, session, 1)
        assert image.shape == (*DIMS, 226) and image.get_data_dtype() == np.int16
        assert image.header.get_xyzt_units() == ("mm", "sec")
        np.testing.assert_allclose(image.header.get_zooms(), [1.8, 1.8, 1.8, 4 / 3], rtol=1e-6)
        expected = np.diag([1.8, 1.8, 1.8, 1])
        expected[:3, 3] = -1.8 * (np.array(DIMS) - 1) / 2
        np.testing.assert_allclose(image.affine, expected, atol=1e-5)


def test_tables(tree):
    for session in SESSIONS:
        for run in runs_of(session):
            assert tree.design(1, session, run).shape == (225,)
            motion = tree.table("motion", 1, session, run)
            assert motion.shape == (226, 6) and 0 < np.abs(motion).max() < 1
            assert np.abs(np.diff(motion, axis=0)).max() < 0.1


# Volumes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
def test_background_is_zero(tree, subject):
    mask = tree.volume(subject, "brainmask").astype(bool)
    assert abs(mask.mean() - 257764 / (81 * 104 * 83)) < 0.001
    for session in SESSIONS:
        data = tree.series(subject, session, 2)
        assert not data[~mask].any()
        lost = ~data[mask].any(axis=1)
        assert 0 < lost.sum() < 0.02 * mask.sum()
        assert (data[mask][~lost] > 100).all() and data.max() < 5000


def test_subjects_have_their_own_brains(tree):
    assert (tree.volume(1, "brainmask") != tree.volume(4, "brainmask")).any()


@pytest.mark.parametrize("session", SESSIONS)
def test_valid_voxels_and_means(tree, session):
    mask = tree.volume(1, "brainmask").astype(bool)
    runs = [tree.series(1, session, run) for run in runs_of(session)]
    valid = np.all([run.any(axis=-1) for run in runs], axis=0)
    np.testing.assert_array_equal(tree.volume(1, f"valid_session{session:02d}"), valid)
    assert (mask & ~valid & (tree.volume(1, "roi/nsdgeneral") > 0)).any()
    mean = np.mean([run.mean(axis=-1) for run in runs], axis=0)
    np.testing.assert_allclose(tree.volume(1, f"mean_session{session:02d}"), mean, rtol=1e-6)


def test_some_voxels_are_lost_in_one_run_only(tree):
    lost = [~tree.series(1, 1, run).any(axis=-1) for run in runs_of(1)]
    assert (np.any(lost, axis=0) & ~np.all(lost, axis=0)).any()


def test_mean_of_all_sessions(tree):
    weights = [len(runs_of(session)) for session in SESSIONS]
    means = [tree.volume(1, f"mean_session{session:02d}") for session in SESSIONS]
    np.testing.assert_allclose(tree.volume(1, "mean"), np.average(means, axis=0, weights=weights), rtol=1e-5)


@pytest.mark.parametrize("roi", ROIS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_rois(tree, subject, roi):
    both, left, right = (tree.volume(subject, f"roi/{side}{roi}") for side in ("", "lh.", "rh."))
    assert both.dtype == np.int16 and set(np.unique(both)) == set(range(-1, len(ROIS[roi]) + 1))
    np.testing.assert_array_equal(np.maximum(left, right), both)
    assert not ((left >= 0) & (right >= 0)).any()
    half = DIMS[0] // 2
    assert (left[half:] == -1).all() and (right[:half] == -1).all()
    assert (tree.volume(subject, "brainmask")[both >= 0] == 1).all()
    np.testing.assert_array_equal(both == -1, tree.volume(subject, "roi/nsdgeneral") == -1)


def test_label_tables(tree):
    for roi in ROIS.keys() - {"general"}:
        path = tree.root / f"nsddata/freesurfer/subj01/label/{roi}.mgz.ctab"
        table = pd.read_csv(path, delimiter=" ", header=None, index_col=0)[1].to_dict()
        assert table == dict(enumerate(["Unknown", *ROIS[roi]]))


def test_general_is_nsdgeneral(tree):
    np.testing.assert_array_equal(tree.volume(1, "roi/general"), tree.volume(1, "roi/nsdgeneral"))


# Experiment ---------------------------------------------------------------------------------------------------------


def test_expdesign_shapes(tree):
    e = tree.experiment
    shapes = {name: e[name].shape for name in e if not name.startswith("__")}
    assert shapes == {
        "masterordering": (1, 30000),
        "sharedix": (1, 1000),
        "subjectim": (8, 10000),
        "stimpattern": (40, 12, 75),
    }
    assert all(np.issubdtype(e[name].dtype, np.integer) for name in shapes)  # so that they index, as NSD's do


def test_every_image_three_times(tree):
    e = tree.experiment
    counts = np.bincount(e["masterordering"][0], minlength=10001)
    assert counts[0] == 0 and (counts[1:] == 3).all()
    shared = e["sharedix"][0]
    assert (np.diff(shared) > 0).all()
    assert (e["subjectim"][:, :1000] == shared).all()
    own = e["subjectim"][:, 1000:]
    assert np.array_equal(np.sort(np.concatenate([shared, own.ravel()])), np.arange(1, 73001))


def test_pattern_of_trials(tree):
    pattern = tree.experiment["stimpattern"]
    assert set(np.unique(pattern)) == {0, 1}
    np.testing.assert_array_equal(pattern.sum(axis=2), np.tile([63, 62], (40, 6)))
    assert not pattern[:, :, :3].any() and not pattern[:, :, -4:].any()
    inner = pattern[:, :, 3:-4]
    assert inner[:, :, 0].all() and ((inner[:, :, 1:] + inner[:, :, :-1]) > 0).all()


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("session", SESSIONS)
def test_designs_follow_the_experiment(tree, subject, session):
    e = tree.experiment
    images = e["subjectim"][subject - 1][e["masterordering"][0] - 1]
    images = iter(images[(session - 1) * 750 : session * 750])
    for run in REST_RUNS[session]:
        assert not tree.design(subject, session, run).any()
    for number, run in enumerate(task_runs_of(session)):
        design = tree.design(subject, session, run)
        slots = np.flatnonzero(e["stimpattern"][session - 1, number])
        np.testing.assert_array_equal(np.flatnonzero(design), 3 * slots)
        np.testing.assert_array_equal(design[design > 0], [next(images) for _ in slots])
    assert next(images, None) is None


def test_repeats(tree):
    designs = [tree.design(1, session, run) for session in SESSIONS for run in task_runs_of(session)]
    back_to_back = [((d[:-3] == d[3:]) & (d[3:] > 0)).sum() for d in designs]
    assert sum(n > 0 for n in back_to_back) >= 20
    first, second = ({i for d in part for i in d if i} for part in (designs[:12], designs[12:]))
    assert len(first & second) > 100


def test_stim_info(tree):
    info, e = tree.stim_info, tree.experiment
    reps = [f"subject{s}_rep{r}" for s in range(1, 9) for r in range(3)]
    head = ["cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000", "shared1000"]
    assert list(info.columns) == head + [f"subject{s}" for s in range(1, 9)] + reps
    assert list(info.index) == list(info.nsdId) == list(range(73000)) and info.cocoId.is_unique
    assert all(re.fullmatch(r"\(\d[\d.]*(, \d[\d.]*){3}\)", box) for box in info.cropBox[:50])
    np.testing.assert_array_equal(np.flatnonzero(info.shared1000) + 1, e["sharedix"][0])
    for s in (1, 4, 8):
        np.testing.assert_array_equal(np.flatnonzero(info[f"subject{s}"]) + 1, np.sort(e["subjectim"][s - 1]))
        trials = np.zeros(30001, int)
        for r in range(3):
            trials[info[f"subject{s}_rep{r}"]] = info.nsdId + 1
        np.testing.assert_array_equal(trials[1:], e["subjectim"][s - 1][e["masterordering"][0] - 1])


def test_pictures(tree):
    classes, most = tree.truth("image_classes.npy"), 0
    for subject in SUBJECTS:
        most = max(most, *(tree.design(subject, s, r).max() for s in SESSIONS for r in runs_of(s)))
    with h5py.File(tree.pictures, "r") as f:
        brick = f["imgBrick"]
        assert brick.dtype == np.uint8 and brick.shape == (tree.settings["pictures"], 425, 425, 3)
        assert most <= len(brick) == len(classes)
        colours = np.array([brick[i, ::8, ::8].mean(axis=(0, 1)) for i in range(200)])
    hue = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    centres = np.array([hue[:100][classes[:100] == c].mean(axis=0) for c in range(8)])
    found = np.argmin(((hue[100:, None] - centres) ** 2).sum(axis=2), axis=1)
    assert (found == classes[100:200]).mean() > 0.6


# Signal and noise ---------------------------------------------------------------------------------------------------


def cleaned(tree, subject, session, run, mask):
    data = tree.series(subject, session, run)[mask][:, :225].T.astype(float)
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, 225), 4))[0]
    return data - basis @ (basis.T @ data)


def regressors(tree, design):
    latents = tree.truth("image_latents.npy")
    hrf = np.array(tree.settings["hrf"])
    shown = np.zeros((225, 9))
    for row in np.flatnonzero(design):
        shown[row] = [1, *latents[design[row] - 1]]
    return np.stack([np.convolve(column, hrf)[:225] for column in shown.T], axis=1)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_weights_are_those_of_the_truth(tree, subject):
    roi = tree.volume(subject, "roi/nsdgeneral") > 0
    valid = np.all([tree.volume(subject, f"valid_session{s:02d}") for s in SESSIONS], axis=0)
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, 225), 4))[0]
    xs, ys = [], []
    for session in SESSIONS:
        for run in task_runs_of(session):
            x = regressors(tree, tree.design(subject, session, run))
            xs.append(x - basis @ (basis.T @ x))
            ys.append(cleaned(tree, subject, session, run, roi & (valid > 0)))
    found = np.linalg.lstsq(np.concatenate(xs), np.concatenate(ys), rcond=None)[0].T
    voxels = tree.truth(f"subj{subject:02d}_voxels.npy")
    assert (np.diff(voxels) > 0).all()
    np.testing.assert_array_equal(voxels, np.flatnonzero(tree.volume(subject, "roi/nsdgeneral") >= 0))
    weights = tree.truth(f"subj{subject:02d}_weights.npy")[np.isin(voxels, np.flatnonzero(roi & (valid > 0)))]
    assert found.shape == weights.shape
    for k in range(9):
        assert np.corrcoef(found[:, k], weights[:, k])[0, 1] > 0.9
    np.testing.assert_allclose(found.mean(axis=0)[0], weights.mean(axis=0)[0], rtol=0.1)


def test_noise_is_that_of_the_truth(tree):
    mask = tree.volume(1, "brainmask").astype(bool) & (tree.volume(1, "roi/nsdgeneral") == -1)
    data = cleaned(tree, 1, 1, 5, mask & (tree.volume(1, "valid_session01") > 0))
    assert np.percentile(data.std(axis=0), 5) > 24 and np.percentile(data.std(axis=0), 95) < 42
    lag1 = (data[1:] * data[:-1]).sum(axis=0) / (data**2).sum(axis=0)
    assert abs(np.median(lag1) - tree.settings["noise_ar1"]) < 0.05
    standard = data / data.std(axis=0)
    assert abs((standard**3).mean()) < 0.02 and abs((standard**4).mean() - 3) < 0.2


def windows(tree, sessions=SESSIONS):
    roi = tree.volume(1, "roi/nsdgeneral") > 0
    for session in sessions:
        for run in task_runs_of(session):
            data, design = cleaned(tree, 1, session, run, roi), tree.design(1, session, run)
            data /= np.where(data.std(axis=0) > 0, data.std(axis=0), 1)
            for row in np.flatnonzero(design[:-6]):
                yield session, design[row] - 1, data[row + 3 : row + 6].mean(axis=0)


def decoding(tree):
    """Correlation of decoded with true latents of session 21, by ridge regression on session 1."""
    latents = tree.truth("image_latents.npy")
    sessions, ids, x = (np.array(part) for part in zip(*windows(tree), strict=True))
    train = sessions == 1
    x, z = x - x[train].mean(axis=0), latents[ids]
    gram = x[train].T @ x[train] + 300 * np.eye(x.shape[1])
    decoded = x[~train] @ np.linalg.solve(gram, x[train].T @ (z[train] - z[train].mean(axis=0)))
    return np.mean([np.corrcoef(decoded[:, k], z[~train][:, k])[0, 1] for k in range(z.shape[1])])


def test_a_linear_decoder_finds_the_images(tree):
    assert decoding(tree) > 0.7


def test_without_signal_it_finds_nothing(run, tmp_path):
    run("synthnsd", "--sessions", "1,21", "--dims", "12,14,12", "--signal", 0, "--pictures", 50, tmp_path / "nsd")
    assert abs(decoding(Tree(tmp_path / "nsd"))) < 0.2


# Sizes and spaces ---------------------------------------------------------------------------------------------------


def test_real_sizes(run, tmp_path):
    tree = Tree(tmp_path)
    run("synthnsd", "--subjects", "1-8", "--runs", 1, "--volumes", 2, "--quiet", tmp_path)
    for subject, (dims, _, nsdgeneral) in REAL.items():
        assert tree.image(subject, 1, 1).shape == (*dims, 2)
        assert (tree.volume(subject, "roi/nsdgeneral") > 0).sum() == nsdgeneral
    assert tree.volume(1, "brainmask").sum() == 257764


def test_fine_space(run, tmp_path):
    run("synthnsd", "--space", "func1mm", "--scale", 0.1, "--runs", 1, tmp_path)
    tree = Tree(tmp_path, "func1mm")
    image, design = tree.image(1, 1, 1), tree.design(1, 1, 1)
    assert image.shape == (15, 19, 15, 301) and len(design) == 300
    np.testing.assert_allclose(image.header.get_zooms(), 1)
    slots = np.flatnonzero(tree.experiment["stimpattern"][0, 0])
    np.testing.assert_array_equal(np.flatnonzero(design), 4 * slots)


def test_fewer_volumes_and_pictures(run, tmp_path):
    run("synthnsd", "--dims", "8,8,8", "--runs", 2, "--volumes", 46, "--pictures", 5, tmp_path)
    tree = Tree(tmp_path)
    assert tree.image(1, 1, 2).shape == (8, 8, 8, 46)
    assert not tree.series_folder(1).joinpath("timeseries/timeseries_session01_run03.nii.gz").exists()
    designs = np.concatenate([tree.design(1, 1, run) for run in (1, 2)])
    assert designs.shape == (90,) and set(designs) <= set(range(6))
    with h5py.File(tree.pictures, "r") as f:
        assert f["imgBrick"].shape[0] == 5


def test_rest_runs_stay_with_fewer_task_runs(run, tmp_path):
    run("synthnsd", "--subjects", "5", "--sessions", "38,39", "--dims", "8,8,8", "--runs", 1, tmp_path)
    tree = Tree(tmp_path)
    assert [tree.design(5, 38, r).any() for r in (1, 2, 3)] == [False, True, False]
    assert tree.design(5, 39, 1).any() and len(list(tree.series_folder(5).glob("design/*session39*"))) == 1


# Same bytes ---------------------------------------------------------------------------------------------------------

SMALL = (
    "--subjects",
    "1,2",
    "--sessions",
    "1,21",
    "--dims",
    "10,12,9",
    "--runs",
    "2",
    "--pictures",
    "20",
    "--decoys",
)


@pytest.fixture(scope="module")
def small_sums(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    run("synthnsd", *SMALL, "--threads", 1, root)
    return Tree(root).sums()


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_change_nothing(run, small_sums, tmp_path, threads):
    run("synthnsd", *SMALL, "--threads", threads, tmp_path)
    assert Tree(tmp_path).sums() == small_sums


def test_again_into_the_same_folder(run, small_sums, tmp_path):
    (tmp_path / "nsddata").mkdir()
    (tmp_path / "nsddata/mine").write_text("stays")
    for _ in range(2):
        run("synthnsd", *SMALL, tmp_path)
    sums = Tree(tmp_path).sums()
    assert sums.pop("nsddata/mine") and sums == small_sums


def test_seeds_differ(run, small_sums, tmp_path):
    run("synthnsd", *SMALL, "--seed", 1, tmp_path)
    other = Tree(tmp_path).sums()
    assert other.keys() == small_sums.keys()
    same = {name for name in other if other[name] == small_sums[name]}
    assert all(re.search(r"ctab|prffloc|nsdsynthetic|design_floc|_run0[14]\.tsv", name) for name in same), same


# Mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ["--dims", "1,2"],
        ["--dims", "8,8,8,8"],
        ["--dims", "8,8,"],
        ["--dims", "8,8,9999"],
        ["--scale", "0"],
        ["--subjects", "0"],
        ["--subjects", "1,,2"],
        ["--sessions", "3-1"],
        ["--sessions", "41"],
        ["--sessions", "35", "--subjects", "1,4"],
        ["--volumes", "1"],
        ["--runs", "13"],
        ["--pictures", "73001"],
        ["--dims", "8,8,8", "--scale", "0.5"],
    ],
)
def test_mistakes(run, tmp_path, args):
    run.fails("synthnsd", *args, tmp_path / "out", status=2, says=args[0])
    assert not (tmp_path / "out").exists()


def test_no_dataset_into_a_pipe(run):
    run.fails("synthnsd", "-", status=2, says="folder")


def test_sessions_that_a_subject_lacks_are_noted(run, tmp_path):
    done = run("synthnsd", "--subjects", 4, "--sessions", "30,31", "--dims", "8,8,8", "--runs", 1, tmp_path)
    assert "subject 4 has no session 31" in done.err
    assert not list(Tree(tmp_path).series_folder(4).glob("*/*session31*"))


def test_the_smallest_grid(run, tmp_path):
    """No axis is shorter than 6 voxels, however small the scale."""
    run("synthnsd", "--scale", 0.05, "--runs", 1, "--volumes", 2, "--pictures", 1, tmp_path)
    assert Tree(tmp_path).image(1, 1, 1).shape == (6, 6, 6, 2)
