"""The drop-in for the public NSD loader, against a model of that loader: nibabel, nilearn, pandas and numpy alone.

What differs on purpose: sessions stand in their order, rest is no task run, a repeat counts as a new presentation
(`repeats="merge"` asks for the public way), values are not rounded to float16 on the way.
"""

import json
import os
import pickle
import shutil
import threading
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.signal import clean
from oracle import sealed

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -r requirements-train.txt")

from boldmill.nsd import NsdSaeDataConfig  # noqa: E402

TR, VOLUMES = 4 / 3, 225
SESSIONS = {1: (1, 2, 3), 21: (2, 3, 4)}  # task runs: session 21 has rest before and behind them
PPDATA = "nsddata_timeseries/ppdata/subj{subject:02d}/func1pt8mm"
FIELDS = {"stimulus_history": torch.int64, "subject_idx": torch.int64, "session": torch.int64, "run": torch.int64,
          "time": torch.float32}  # fmt: skip


def design_path(root, subject, session, run):
    return root / PPDATA.format(subject=subject) / f"design/design_session{session:02d}_run{run:02d}.tsv"


def scan_path(root, subject, session, run):
    return root / PPDATA.format(subject=subject) / f"timeseries/timeseries_session{session:02d}_run{run:02d}.nii.gz"


def roi_path(root, subject, name="nsdgeneral"):
    return root / f"nsddata/ppdata/subj{subject:02d}/func1pt8mm/roi/{name}.nii.gz"


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    """Subjects 1 and 3, whose grids differ. Subject 1 sees images twice in a row, and for long nothing."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    what = ["--subjects", "1,3", "--sessions", "1,21", "--runs", 3, "--scale", 0.14, "--seed", 5]
    run("synthnsd", *what, "--quiet", root)
    path = design_path(root, 1, 1, 2)
    design = np.loadtxt(path, int)
    shown = np.flatnonzero(design)
    design[shown[4]] = design[shown[3]]  # directly after itself
    design[shown[11]] = design[shown[9]]  # after itself, with a blank between
    design[shown[10]] = 0
    design[shown[20:32]] = 0
    design[-3:] = [0, design[shown[40]], 0]  # its window would leave the run
    path.write_text("".join(f"{image}\n" for image in design))
    path = design_path(root, 1, 1, 3)  # begins with an image, as runs of NSD do not
    design = np.loadtxt(path, int)
    design[0] = design.max()
    path.write_text("".join(f"{image}\n" for image in design))
    return root


@pytest.fixture(scope="module")
def dataset(root):
    return NsdSaeDataConfig(nsddata_path=str(root), subject_id=1).load_roi_NSDDataset(str(roi_path(root, 1)))


# The model ----------------------------------------------------------------------------------------------------------


def runs_of(root, subject):
    for session, runs in SESSIONS.items():
        for number in runs:
            yield session, number, np.loadtxt(design_path(root, subject, session, number), int)


def model_values(root, subject, mask):
    """Each run cleaned voxel by voxel, then cut."""
    parts = []
    for session, number, _ in runs_of(root, subject):
        data = nib.load(scan_path(root, subject, session, number)).get_fdata()[..., :VOLUMES]
        flat = data.reshape(-1, VOLUMES).T
        cleaned = clean(flat, detrend=True, standardize="zscore_sample").T.reshape(data.shape)
        parts.append(cleaned[mask].T)
    return np.concatenate(parts).astype("f4")


def model_rows(root, subject, offset=4.6, history=4, merge=False):
    """One dict a time point: labels delayed by whole TRs, the last images shown, in every run anew. `began`: the row
    where the latest of them began; None where there is none."""
    rows = []
    for session, number, design in runs_of(root, subject):
        labels = pd.Series(design).shift(round(offset / TR), fill_value=0).to_numpy()
        seen, began, first = [-1] * history, None, len(rows)
        for time, label in enumerate(labels):
            if label and not (merge and label - 1 == seen[-1]):
                seen, began = [*seen[1:], int(label) - 1], len(rows)
            row = {"stimulus_history": seen, "subject_idx": subject, "session": session, "run": number}
            rows.append(row | {"time": time, "began": began, "end": first + len(labels)})
    return rows


def model_sequence(rows, values, pictures, idx):
    row = rows[idx]
    if row["began"] is None:
        return None
    start = max(row["began"], idx - 24)
    if start + 6 > row["end"]:
        return None
    image = torch.tensor(pictures[row["stimulus_history"][-1]] / 255, dtype=torch.float32).permute(2, 0, 1)
    return {"brain": values[start : start + 6], "img": image, "subject_idx": row["subject_idx"]}


@pytest.fixture(scope="module")
def values(root):
    return model_values(root, 1, nib.load(roi_path(root, 1)).get_fdata() > 0)


@pytest.fixture(scope="module")
def pictures(root):
    with h5py.File(root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5") as f:
        return f["imgBrick"][...]


def same_rows(dataset, rows):
    """Each item of a dataset that gives dicts has these fields, of the types the public loader gives."""
    assert len(dataset) == len(rows)
    for idx, row in enumerate(rows):
        item = dataset[idx]
        assert list(item) == ["fmri", *FIELDS]
        for name, kind in FIELDS.items():
            assert item[name].dtype == kind and item[name].tolist() == row[name], (idx, name)


# Values and rows ----------------------------------------------------------------------------------------------------


def test_values(dataset, values):
    assert len(dataset) == len(values) == 6 * VOLUMES and dataset.voxel_dim == values.shape[1] > 20
    assert dataset.return_fmri_only is True and isinstance(dataset, torch.utils.data.Dataset)
    for idx in (0, 7, len(values) - 1, -1):
        item = dataset[idx]
        assert item.dtype == torch.float32 and item.shape == values[idx].shape
        assert np.abs(item.numpy() - values[idx]).max() < 2e-4
    assert isinstance(dataset.fmri_data, np.memmap) and np.abs(dataset.fmri_data - values).max() < 2e-4
    assert np.array_equal(torch.stack([dataset[k] for k in range(len(dataset))]), dataset.fmri_data)


def test_rows(root, dataset):
    rows = model_rows(root, 1)
    dataset.change_return_type(False)
    try:
        same_rows(dataset, rows)
        assert np.array_equal(dataset[100]["fmri"], dataset.fmri_data[100])
    finally:
        dataset.change_return_type(True)
    for name in FIELDS:
        assert dataset.metadata[name].tolist() == [row[name] for row in rows]
    assert dataset.metadata.dtype.names[:5] == tuple(FIELDS)


def test_another_subject(root):
    """The public loader refuses ROIs of subjects other than 1, and takes rest for task in subject 3."""
    dataset = NsdSaeDataConfig(nsddata_path=root, subject_id=3).build(roi_path(root, 3), return_fmri_only=False)
    same_rows(dataset, model_rows(root, 3))
    mask = nib.load(roi_path(root, 3)).get_fdata() > 0
    assert np.abs(dataset.fmri_data - model_values(root, 3, mask)).max() < 2e-4


# 2.0 is 1.5 TRs: ties go to the even one
@pytest.mark.parametrize(("offset", "repeats"), [(0, "merge"), (2.0, "count"), (2.0, "merge")])
def test_offsets_histories_repeats(root, offset, repeats):
    how = {"offset": offset, "history_length": 3, "repeats": repeats}
    config = NsdSaeDataConfig(nsddata_path=root, subject_id="1", chunk_size=5, hdf5_chunk_rows=2, **how)
    dataset = config.build(roi=roi_path(root, 1), return_fmri_only=False)
    rows, other = (model_rows(root, 1, offset, 3, merge == (repeats == "merge")) for merge in (True, False))
    same_rows(dataset, rows)
    assert [row["stimulus_history"] for row in rows] != [row["stimulus_history"] for row in other]


def test_an_array_as_roi(root, dataset, values):
    mask = nib.load(roi_path(root, 1)).get_fdata() > 0
    thinned = mask & (np.arange(mask.size).reshape(mask.shape) % 3 == 0)
    config = NsdSaeDataConfig(nsddata_path=root, subject_id=1)
    for array in (np.asfortranarray(thinned).astype("f4"), thinned, thinned.astype(int)):
        thin = config.load_roi_NSDDataset(array, custom_name="my {mask}/1")
        assert np.abs(thin.fmri_data - values[:, thinned[mask]]).max() < 2e-4
    other = config.load_roi_NSDDataset(mask, custom_name="my {mask}/1")  # another choice under the same name
    assert other.voxel_dim == dataset.voxel_dim and thin.voxel_dim == thinned.sum()


# Sequences and pictures ---------------------------------------------------------------------------------------------


def test_every_sequence(root, dataset, values, pictures):
    rows = model_rows(root, 1)
    found = {"none": 0, "window": 0, "late": 0}
    for idx in [*range(2 * VOLUMES + 40), *range(2 * VOLUMES + 40, len(rows), 7)]:
        item, wanted = dataset.get_sequence_item(idx), model_sequence(rows, dataset.fmri_data, pictures, idx)
        assert (item is None) == (wanted is None), idx
        found["none" if wanted is None else "window"] += 1
        if wanted is None:
            continue
        found["late"] += idx - rows[idx]["began"] > 24
        assert np.array_equal(item["brain"], wanted["brain"]) and item["brain"].dtype == torch.float32
        assert item["subject_idx"].dtype == torch.int64 and item["subject_idx"].tolist() == 1
        if idx % 40 == 0:
            assert item["img"].dtype == torch.float32 and item["img"].shape == (3, 425, 425)
            assert torch.equal(item["img"], wanted["img"])
    assert min(found.values()) > 3, found


@pytest.mark.parametrize("idx", [-1, 6 * VOLUMES, 10**9])
def test_sequences_that_are_not_there(dataset, idx):
    with pytest.raises(IndexError):
        dataset.get_sequence_item(idx)


def test_pictures(dataset, pictures):
    image = dataset.__get_image__(7)
    assert image.mode == "RGB" and np.array_equal(np.asarray(image), pictures[7])
    grey = np.asarray(dataset.__get_image__(-1))
    assert grey.shape == (425, 425, 3) and (grey[:100] == 128).all() and (grey.max(axis=2) > 200).sum() > 50
    with pytest.raises(IndexError):
        dataset.__get_image__(len(pictures))


def test_pictures_beside_the_data_or_missing(root, dataset, tmp_path, pictures):
    """In the folder itself, where the public loader looks, or nowhere: then an error once they are asked for."""
    copy = tmp_path / "nsd"
    shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns("*.h5", ".snakemake"))
    stimuli = copy / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    stimuli.rename(copy / "nsd_stimuli.hdf5")
    arrays = dataset.arrays
    config = NsdSaeDataConfig(nsddata_path=copy, subject_id=1, cache_dir=tmp_path / "cache")
    shutil.copytree(root / ".cache/boldmill", tmp_path / "cache")
    found = config.load_roi_NSDDataset(roi_path(copy, 1))
    assert found.stimuli_path == copy / "nsd_stimuli.hdf5"
    assert np.array_equal(np.asarray(found.__get_image__(3)), pictures[3])
    (copy / "nsd_stimuli.hdf5").unlink()
    missing = config.load_roi_NSDDataset(roi_path(copy, 1))
    assert torch.equal(missing[0], found[0]) and missing.arrays.info["voxels"] == arrays.info["voxels"]
    for call in (lambda: missing.get_sequence_item(50), lambda: missing.__get_image__(3)):
        with pytest.raises(FileNotFoundError, match="nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"):
            call()


# DataLoader ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_typical_script(root, dataset, workers):
    loader = torch.utils.data.DataLoader(dataset, batch_size=256, num_workers=workers, shuffle=True)
    batch = next(iter(loader))
    assert batch.shape == (256, dataset.voxel_dim) and batch.dtype == torch.float32
    rows = {row.tobytes() for row in np.asarray(dataset.fmri_data)}
    assert all(row.numpy().tobytes() in rows for row in batch)
    assert sum(len(batch) for batch in loader) == len(dataset)


@pytest.mark.parametrize("workers", [0, 1])
def test_dicts_in_batches(root, workers):
    config = NsdSaeDataConfig(nsddata_path=root, subject_id=1)
    dataset = config.build(roi=roi_path(root, 1), return_fmri_only=False)
    loader = torch.utils.data.DataLoader(dataset, batch_size=500, num_workers=workers)
    rows, first = model_rows(root, 1), 0
    for batch in loader:
        n = len(batch["fmri"])
        assert np.array_equal(batch["fmri"], dataset.fmri_data[first : first + n])
        for name, kind in FIELDS.items():
            assert batch[name].dtype == kind and batch[name].tolist() == [
                row[name] for row in rows[first : first + n]
            ]
        first += n
    assert first == len(dataset)


def test_other_uses_of_a_dataset(dataset):
    first, second = torch.utils.data.random_split(dataset, [1000, len(dataset) - 1000])
    both = torch.utils.data.ConcatDataset([first, second])
    assert len(both) == len(dataset) and torch.equal(first[3], dataset[first.indices[3]])
    assert torch.equal((dataset + dataset)[len(dataset) + 5], dataset[5]) and torch.equal(
        dataset[torch.tensor(5)], dataset[5]
    )
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[9], dataset[9]) and len(pickle.dumps(dataset)) < 40 * len(dataset)
    import boldmill

    for batch in boldmill.Loader(dataset.points, 1000, "shuffled"):
        assert batch.shape[1] == dataset.voxel_dim
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_close(root):
    mask = nib.load(roi_path(root, 1)).get_fdata() > 0
    dataset = NsdSaeDataConfig(nsddata_path=root, subject_id=1).build(mask, "closed")
    item, length = dataset[3], len(dataset)
    dataset.close()
    dataset.close()
    assert len(dataset) == length and item.shape == (dataset.voxel_dim,)
    for call in (lambda: dataset[0], lambda: dataset.fmri_data, lambda: dataset.get_sequence_item(60)):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert dataset.name not in Path("/proc/self/maps").read_text()


# What is made and when ----------------------------------------------------------------------------------------------


def test_nothing_is_written_but_the_cache(root, dataset):
    assert sorted(os.listdir(root / ".cache")) == ["boldmill"]
    assert sorted(os.listdir(root)) == [".cache", "ground_truth", "nsddata", "nsddata_stimuli", "nsddata_timeseries"]


def test_what_is_there_is_not_made_again(root, dataset, monkeypatch):
    import boldmill.nsd

    monkeypatch.setattr(boldmill.nsd, "make", lambda *args, **how: pytest.fail("made again"))
    again = NsdSaeDataConfig(nsddata_path=root, subject_id=1).build(roi_path(root, 1))
    assert torch.equal(again[0], dataset[0])


@pytest.fixture
def own(root, dataset, tmp_path):
    """A copy of the dataset with its cache, to be changed."""
    copy = tmp_path / "own"
    shutil.copytree(root, copy, symlinks=True)
    return copy


def test_a_design_that_has_changed(own):
    """A session that comes later, or a file that is replaced, is noticed."""
    path = design_path(own, 1, 1, 1)
    path.write_text("\n".join(["3", *path.read_text().split()[1:]]) + "\n")
    dataset = NsdSaeDataConfig(nsddata_path=own, subject_id=1).build(roi_path(own, 1), return_fmri_only=False)
    same_rows(dataset, model_rows(own, 1))
    assert dataset[3]["stimulus_history"][-1] == 2


def test_progress_is_shown(own, capfd):
    shutil.rmtree(own / ".cache")
    NsdSaeDataConfig(nsddata_path=own, subject_id=1).build(roi_path(own, 1), num_workers=1)
    shown = capfd.readouterr().err
    for text in ("making subj01/session_01.h5", "making subj01/nsdgeneral-", "2 of 2 sessions, 1 of 1 ROI arrays",
                 "session 21: of 5 runs, 1,5 is rest"):  # fmt: skip
        assert f"boldmill: {text}" in shown or text in shown, shown
    assert len(shown.splitlines()) < 20, shown
    NsdSaeDataConfig(nsddata_path=own, subject_id=1).build(roi_path(own, 1))
    assert capfd.readouterr().err == ""


def test_two_at_a_time(own):
    """Processes, or threads, that ask for the same thing wait for one of them to make it."""
    mask = nib.load(roi_path(own, 1)).get_fdata() > 0
    config, made, errors = NsdSaeDataConfig(nsddata_path=own, subject_id=1), [], []

    def ask():
        try:
            made.append(config.build(mask, custom_name="both"))
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors and len(made) == 2 and made[0].name == made[1].name


def test_a_damaged_scan(own):
    shutil.rmtree(own / ".cache")
    path = scan_path(own, 1, 21, 3)
    path.write_bytes(path.read_bytes()[:-50])
    config = NsdSaeDataConfig(nsddata_path=own, subject_id=1)
    with pytest.raises(RuntimeError, match=f"could not be made(.|\n)*nifti2h5: .*{path.name}") as caught:
        config.build(roi_path(own, 1))
    assert len(str(caught.value).splitlines()) < 20
    assert not list((own / ".cache/boldmill/subj01").glob("nsdgeneral*"))


def test_local_files(run, root, dataset, tmp_path):
    config = NsdSaeDataConfig(nsddata_path=root, subject_id=1)
    local = config.load_roi_NSDDataset(roi_path(root, 1), local_file=tmp_path / "disk/here")
    names = sorted(name for name in os.listdir(tmp_path / "disk/here") if not name.startswith("."))
    assert [name.split(".", 1)[1] for name in names] == ["fmri.npy", "json", "meta.npy"]
    assert local.name.startswith(str(tmp_path)) and np.array_equal(local.fmri_data, dataset.fmri_data)
    local.arrays.verify()
    run("boldinfo", "--verify", tmp_path / "disk/here" / names[1])
    stamps = [os.stat(tmp_path / "disk/here" / name).st_mtime_ns for name in names]
    config.load_roi_NSDDataset(roi_path(root, 1), local_file=str(tmp_path / "disk/here"))
    assert stamps == [os.stat(tmp_path / "disk/here" / name).st_mtime_ns for name in names]
    info = json.loads((tmp_path / "disk/here" / names[1]).read_text())
    info["fmri"]["crc32"] = "00000000"  # of other arrays
    (tmp_path / "disk/here" / names[1]).write_bytes(sealed(info))
    config.load_roi_NSDDataset(roi_path(root, 1), local_file=tmp_path / "disk/here").arrays.verify()


# Bad calls ----------------------------------------------------------------------------------------------------------


def test_rois_that_are_none(root, tmp_path):
    config = NsdSaeDataConfig(nsddata_path=root, subject_id=1)
    shape = nib.load(roi_path(root, 1)).shape
    ones = np.ones(shape)
    cases = [
        (ones, None, ValueError, "custom_name"),
        (ones[1:], "x", ValueError, "shape"),
        (ones[0], "x", ValueError, "dimensions"),
        (ones * 2, "x", ValueError, "0 and 1"),
        (ones * np.nan, "x", ValueError, "0 and 1"),
        (ones * 0, "x", ValueError, "everywhere"),
        (ones.astype("U1"), "x", ValueError, "0 and 1"),
        (ones.tolist(), "x", TypeError, "list"),
        (None, "x", TypeError, "NoneType"),
        (tmp_path / "none.nii.gz", None, FileNotFoundError, "none.nii.gz"),
        ("nsdgeneral", None, FileNotFoundError, "nsdgeneral"),
        (roi_path(root, 3), None, ValueError, "shape"),
        (design_path(root, 1, 1, 1), None, ValueError, "NIfTI"),
        (__file__, None, ValueError, "NIfTI"),
    ]
    (tmp_path / "text.nii").write_text("no volume")
    cases.append((tmp_path / "text.nii", None, ValueError, "text.nii"))
    for roi, name, kind, says in cases:
        with pytest.raises(kind, match=says):
            config.load_roi_NSDDataset(roi, custom_name=name)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"subject_id": 0}, "subject_id"),
        ({"subject_id": 1.5}, "subject_id"),
        ({"subject_id": "one"}, "subject_id"),
        ({"offset": -1}, "offset"),
        ({"offset": float("nan")}, "offset"),
        ({"history_length": 0}, "history_length"),
        ({"repeats": "no"}, "repeats"),
    ],
)
def test_settings_that_make_no_sense(root, how, says):
    with pytest.raises(ValueError, match=says):
        NsdSaeDataConfig(**{"nsddata_path": root, "subject_id": 1} | how)


def test_what_is_not_there(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        NsdSaeDataConfig(nsddata_path=tmp_path / "none", subject_id=1).build(roi_path(root, 1))
    with pytest.raises(FileNotFoundError, match="subj05.*download it"):
        NsdSaeDataConfig(nsddata_path=root, subject_id=5, cache_dir=tmp_path).build(roi_path(root, 1))
    with pytest.warns(UserWarning, match="verbose"):
        NsdSaeDataConfig(nsddata_path=root, subject_id=1, verbose=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="another folder"):
        NsdSaeDataConfig(nsddata_path=root, subject_id=1, cache_dir=tmp_path / "file/cache").build(roi_path(root, 1))
