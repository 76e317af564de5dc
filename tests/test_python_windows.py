"""Windows around presentations and pictures, against loops over numpy arrays."""

import pickle

import boldmill
import h5py
import numpy as np
import pytest
from oracle import make_run, rows_of_design, write_stream
from samples import load

SHAPE = (9, 11)  # of a picture
# volumes that were left out of each run: (session, run, volumes, left out)
RUNS = ((1, 1, 40, ()), (1, 2, 31, (7, 8, 20)), (2, 1, 33, (0, 1, 2, 9)), (2, 2, 25, (24,)))
# runs of which one goes on, by its times and presentations, where the other ends
ALIKE = ((1, 1, 5, ()), (1, 2, 10, range(5)), (1, 3, 5, ()), (2, 1, 5, ()))


def some_design(volumes, session, number):
    draw = np.random.default_rng(10 * session + number)
    return draw.integers(1, 30, volumes) * (np.arange(volumes) % 3 == number % 3) * (draw.random(volumes) < 0.8)


def one_image(volumes, session, number):
    return [number] + [0] * (volumes - 1)


def build(run, folder, name="roi", *, runs=RUNS, design=some_design, offset=4.6, voxels=23, labels=True, seed=0):
    """Arrays in which volumes are missing; their path without endings."""
    rng, parts = np.random.default_rng(seed), []
    for session, number, volumes, missing in runs:
        keep = np.setdiff1d(np.arange(volumes), missing)
        shown = design(volumes, session, number)
        meta = rows_of_design(shown, tr=1.5, offset=offset, session=session, run=number)[keep] if labels else None
        data = rng.normal(0, 1, (len(keep), voxels)).astype("<f4")
        head = {"session": session, "run": number, "label": f"s{session}r{number}"}
        parts.append(make_run(data, meta=meta, **head, **({"times": keep.tolist()} if missing else {})))
    run("concat", "-", f"{folder}/{name}.fmri.npy", stdin=write_stream(parts))
    return f"{folder}/{name}"


@pytest.fixture(scope="module")
def stem(run, tmp_path_factory):
    return build(run, tmp_path_factory.mktemp("arrays"))


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "nsd_stimuli.hdf5"
    with h5py.File(path, "w") as f:
        f["imgBrick"] = np.random.default_rng(0).integers(0, 256, (30, *SHAPE, 3)).astype("u1")
    return path


def model(meta, length, lag, unit):
    """(event rows, first rows of their windows), one event after the other: a window is a list of volumes of a run
    that all must be there, and so must all between it and the event."""
    where = {(m["session"], m["run"], int(m["time"])): k for k, m in enumerate(meta)}
    events, firsts = [], []
    for k, m in enumerate(meta):
        session, run, time = m["session"], m["run"], int(m["time"])
        if unit == "presentation":
            if m["trial"] < 0 or (time and (session, run, time - 1) not in where):
                continue
            if time and meta[k - 1]["trial"] == m["trial"]:
                continue
        volumes = range(time + min(lag, 0), time + max(lag + length - 1, 0) + 1)
        if all((session, run, volume) in where for volume in volumes):
            events.append(k)
            firsts.append(where[session, run, time] + lag)
    return np.array(events), np.array(firsts)


@pytest.mark.parametrize("unit", ["presentation", "row"])
@pytest.mark.parametrize(
    ("length", "lag"), [(6, 0), (1, 0), (3, 2), (4, -2), (2, -5), (12, 0), (25, 0), (1, 30), (60, 0)]
)
def test_every_window(stem, unit, length, lag):
    fmri, meta, _ = load(stem)
    events, firsts = model(meta, length, lag, unit)
    windows = boldmill.Windows(stem, length, lag, unit, output="numpy")
    assert windows.rows.tolist() == events.tolist() and windows.first_rows().tolist() == firsts.tolist()
    wanted = np.array([fmri[k : k + length] for k in firsts]).reshape(-1, length, fmri.shape[1])
    assert np.array_equal(windows[:], wanted) and windows[:].dtype == np.float32
    for k in range(len(firsts)):
        assert np.array_equal(windows[k], wanted[k])


@pytest.mark.parametrize("unit", ["presentation", "row"])
@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_runs_that_look_like_one(run, tmp_path, unit, length):
    stem = build(run, tmp_path, runs=ALIKE, design=one_image, offset=0)
    meta = load(stem)[1]
    assert meta["time"][:10].tolist() == list(range(10)) and (meta["trial"] == 0).all()
    events, firsts = model(meta, length, 0, unit)
    assert boldmill.Windows(stem, length, unit=unit).rows.tolist() == events.tolist()
    assert unit == "row" or events.tolist() == ([0, 10, 15] if length < 6 else [])


def test_the_model_finds_windows_in_all_cases(stem):
    """Or else the test above would test nothing."""
    meta = load(stem)[1]
    every = [len(model(meta, length, lag, "presentation")[0]) for length, lag in ((1, 0), (6, 0), (4, -2), (12, 0))]
    assert every[0] > every[1] > every[3] > 0 and every[2] > 0
    assert len(boldmill.Windows(stem, 60)) == 0


def test_those_left_out_are_counted(stem):
    meta = load(stem)[1]
    run_of = 100 * meta["session"] + meta["run"]
    firsts = [k for k in range(len(meta)) if meta["trial"][k] >= 0 and (
        k == 0 or run_of[k] != run_of[k - 1] or meta["trial"][k] != meta["trial"][k - 1])]  # fmt: skip
    windows = boldmill.Windows(stem, 6)
    assert windows.left_out == len(firsts) - len(windows) > 3


def test_rows_that_shuffleidx_deals(run, tmp_path):
    """Splits of presentations with windows name the rows that begin one here."""
    from samples import make_arrays

    stem = make_arrays(run, tmp_path)
    how = ["--unit", "presentation", "--window", 6, "--seed", 3, "--split", "train=0.5,test=0.5", "--by", "run"]
    run("shuffleidx", *how, f"{stem}.meta.npy", tmp_path / "x.npy")
    parts = [np.load(tmp_path / f"x.{name}.npy") for name in ("train", "test")]
    for rows in parts:
        assert boldmill.Windows(stem, 6, rows=rows).rows.tolist() == rows.tolist()
    assert sorted(np.concatenate(parts)) == boldmill.Windows(stem, 6).rows.tolist()


def test_chosen_rows_columns_fields(stem):
    fmri, meta, _ = load(stem)
    events, firsts = model(meta, 4, 1, "presentation")
    flags = np.arange(len(meta)) % 2 == 0
    fields = ["fmri", "row", "time", "stimulus_history"]
    windows = boldmill.Windows(
        stem, 4, 1, rows=flags, columns=[5, 2, 2], fields=fields, output="numpy", dtype="float16"
    )
    keep = flags[events]
    batch = windows[:]
    wanted = np.array([fmri[k : k + 4][:, [5, 2, 2]] for k in firsts[keep]]).astype("f2")
    assert np.array_equal(batch["fmri"], wanted) and batch["row"].tolist() == events[keep].tolist()
    assert np.array_equal(batch["time"], meta["time"][events[keep]])
    assert np.array_equal(batch["stimulus_history"], meta["stimulus_history"][events[keep]])
    backwards = boldmill.Windows(stem, 4, 1, rows=np.arange(len(meta))[::-1], fields=["row"], output="numpy")
    assert backwards[:]["row"].tolist() == events[::-1].tolist()


@pytest.mark.parametrize("order", ["sequential", "shuffled", "block"])
def test_the_loader_gives_every_window(stem, order):
    fmri, meta, _ = load(stem)
    firsts = dict(zip(*model(meta, 6, 0, "presentation"), strict=True))
    windows = boldmill.Windows(stem, 6, fields=["fmri", "row"], output="numpy")
    loader = boldmill.Loader(windows, 5, order, seed=3, block_rows=16, buffer_blocks=2)
    got = []
    for batch in loader:
        got += batch["row"].tolist()
        for row, values in zip(batch["row"], batch["fmri"], strict=True):
            assert np.array_equal(values, fmri[firsts[row] : firsts[row] + 6])
    assert sorted(got) == sorted(firsts) and (order != "sequential") == (got != sorted(got))


def test_windows_without_labels(run, tmp_path):
    """Then the runs' own lists of volumes tell where the gaps are."""
    stem, labelled = build(run, tmp_path, labels=False), build(run, tmp_path, "labelled")
    windows = boldmill.Windows(stem, 5, unit="row", output="numpy")
    assert windows.rows.tolist() == boldmill.Windows(labelled, 5, unit="row").rows.tolist() and len(windows) > 50
    with pytest.raises(boldmill.UsageError, match="unit='row'"):
        boldmill.Windows(stem, 5)
    with pytest.raises(boldmill.UsageError, match="no field 'image'"):
        boldmill.Windows(stem, 5, unit="row", fields="image", images="x.hdf5")


def test_regions_side_by_side(run, stem, tmp_path):
    other = build(run, tmp_path, "other", voxels=9, seed=5)
    parts = [boldmill.Windows(name, 6, output="numpy") for name in (stem, other)]
    joined = boldmill.Join(parts)
    assert np.array_equal(joined[:], np.concatenate([parts[0][:], parts[1][:]], axis=2)) and joined[0].shape == (
        6,
        32,
    )
    for bad in (boldmill.Windows(other, 5, output="numpy"), boldmill.Windows(other, 6, 1, output="numpy"),
                boldmill.TimePoints(other, output="numpy")):  # fmt: skip
        with pytest.raises(boldmill.DataError, match="different rows"):
            boldmill.Join([parts[0], bad])


@pytest.mark.parametrize(
    ("how", "says"),
    [({"length": 0}, "length"), ({"lag": 0.5}, "lag"), ({"unit": "trial"}, "unit"), ({"fields": "picture"}, "field")],
)
def test_bad_calls(stem, how, says):
    with pytest.raises(boldmill.UsageError, match=says):
        boldmill.Windows(stem, **how)


# Pictures ----------------------------------------------------------------------------------------------------------


def pixels(stimuli):
    with h5py.File(stimuli) as f:
        return f["imgBrick"][...]


def test_pictures(stimuli):
    images, stored = boldmill.Images(stimuli), pixels(stimuli)
    ids = [4, 29, 0, 4, 4]
    assert np.array_equal(images.pixels(ids), stored[ids]) and len(images) == 30 and images.size == SHAPE
    assert np.array_equal(images[ids], (stored[ids].astype("f4") / np.float32(255)).transpose(0, 3, 1, 2))
    assert images[7].shape == (3, *SHAPE) and images[ids].dtype == np.float32 and images[ids].flags.c_contiguous
    small = boldmill.Images(stimuli, form="bytes")
    assert np.array_equal(small[ids], stored[ids].transpose(0, 3, 1, 2)) and small[ids].dtype == np.uint8
    assert (small[-1] == 128).all() and (images.pixels([-1, 3])[1] == stored[3]).all()
    assert images.pixels([]).shape == (0, *SHAPE, 3)


def test_pictures_travel(stimuli):
    images = boldmill.Images(stimuli)
    _ = images[0]
    blob = pickle.dumps(images)
    assert len(blob) < 500 and np.array_equal(pickle.loads(blob)[3], images[3])


@pytest.mark.parametrize("number", [30, -2, 10**9])
def test_pictures_that_are_not_there(stimuli, number):
    with pytest.raises(boldmill.RangeError, match=f"no picture {number}; there are 30"):
        boldmill.Images(stimuli)[[3, number]]


def test_files_without_pictures(tmp_path, stimuli):
    with pytest.raises(boldmill.MissingError, match="download"):
        boldmill.Images(tmp_path / "none.hdf5")[0]
    (tmp_path / "text.hdf5").write_text("text")
    with pytest.raises(boldmill.DataError, match="download it again"):
        boldmill.Images(tmp_path / "text.hdf5")[0]
    with h5py.File(tmp_path / "other.hdf5", "w") as f:
        f["grey"] = np.zeros((3, 4, 4), "u1")
        f["deep"] = np.zeros((3, 4, 4, 3), "u2")
        f["group/x"] = 1
        f["outside"] = h5py.ExternalLink(str(stimuli), "imgBrick")
        f["soft"] = h5py.SoftLink("/grey")
    for name in ("imgBrick", "grey", "deep", "group", "outside", "soft"):
        with pytest.raises(boldmill.DataError, match=name):
            boldmill.Images(tmp_path / "other.hdf5", name)[0]
    with pytest.raises(boldmill.UsageError, match="form"):
        boldmill.Images(stimuli, form="pil")


@pytest.mark.parametrize("kind", ["points", "windows"])
def test_the_picture_of_an_item(stem, stimuli, kind):
    meta, stored = load(stem)[1], pixels(stimuli)
    how = {"fields": ["image", "row"], "images": stimuli, "output": "numpy"}
    data = boldmill.TimePoints(stem, **how) if kind == "points" else boldmill.Windows(stem, 6, lag=1, **how)
    batch = data[:]
    ids = meta["stimulus_history"][batch["row"], -1]
    assert (ids == -1).any() == (kind == "points") and len(set(ids)) > 10
    wanted = np.where((ids < 0)[:, None, None, None], 128, stored[ids]).transpose(0, 3, 1, 2).astype(
        "f4"
    ) / np.float32(255)
    assert np.array_equal(batch["image"], wanted) and np.array_equal(data[3]["image"], wanted[3])


def test_pictures_in_workers(stem, stimuli):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    windows = boldmill.Windows(stem, 6, fields=["fmri", "image"], images=boldmill.Images(stimuli, form="bytes"))
    wanted = windows[:]
    loader = data.DataLoader(windows, batch_size=4, num_workers=2, collate_fn=boldmill.collate)
    batches = list(loader)
    for name in ("fmri", "image"):
        assert np.array_equal(np.concatenate([b[name] for b in batches]), wanted[name])
    ours = list(boldmill.Loader(windows, 4))
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(ours, batches, strict=True))


def test_a_stimuli_file_must_be_named(stem):
    with pytest.raises(boldmill.UsageError, match="images="):
        boldmill.TimePoints(stem, ["fmri", "image"])
    points = boldmill.TimePoints(stem, ["fmri", "image"], images="nowhere.hdf5", output="numpy")
    with pytest.raises(boldmill.MissingError, match="nowhere.hdf5"):
        points[0]


def test_a_picture_that_the_file_does_not_have(stem, tmp_path):
    with h5py.File(tmp_path / "few.hdf5", "w") as f:
        f["imgBrick"] = np.zeros((2, 4, 4, 3), "u1")
    with pytest.raises(boldmill.RangeError, match="there are 2"):
        boldmill.Windows(stem, fields="image", images=tmp_path / "few.hdf5", output="numpy")[:]
