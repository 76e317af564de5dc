"""Datasets of time points against numpy indexing: items, batches, regions side by side, subjects; DataLoader."""

import multiprocessing
import pickle

import boldmill
import numpy as np
import pytest
from samples import RUNS, load, make_arrays
from test_shuffleidx import ordered

ROWS = sum(rows for _, _, rows in RUNS)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    """roi: 37 voxels. other: 50 voxels of the same runs. second, third: subjects 2 and 3."""
    folder = tmp_path_factory.mktemp("arrays")
    make_arrays(run, folder, "roi")
    make_arrays(run, folder, "other", voxels=np.r_[0:3, 30:77], seed=1)
    make_arrays(run, folder, "second", voxels=20, subject=2, seed=2, runs=RUNS[:3])
    make_arrays(run, folder, "third", voxels=61, subject=3, seed=3, runs=RUNS[1:])
    return folder


def numpy_points(stem, *args, **how):
    return boldmill.TimePoints(str(stem), *args, output="numpy", **how)


def test_items(folder):
    fmri, meta, _ = load(folder / "roi")
    points = numpy_points(folder / "roi")
    assert len(points) == ROWS and points.voxels == 37
    for k in (0, 17, ROWS - 1, -1, -ROWS, np.int64(5)):
        assert np.array_equal(points[k], fmri[k]) and points[k].dtype == np.float32
    assert np.array_equal(np.stack(list(points)), fmri)
    fields = numpy_points(folder / "roi", ["time", "fmri", "stimulus_history", "row"])
    item = fields[60]
    assert list(item) == ["time", "fmri", "stimulus_history", "row"] and item["row"] == 60
    assert item["time"] == meta["time"][60] and np.array_equal(item["stimulus_history"], meta["stimulus_history"][60])


@pytest.mark.parametrize(
    "which", [[3, 1, 1], slice(5, 90, 7), slice(None), slice(None, None, -1), [], np.arange(ROWS) % 2 == 0]
)
def test_batches(folder, which):
    fmri = load(folder / "roi")[0]
    assert np.array_equal(
        numpy_points(folder / "roi")[which], fmri[which if len(np.atleast_1d(which)) else slice(0, 0)]
    )


@pytest.mark.parametrize("rows", [None, [7, 3, 3, 100], slice(10, 60), np.arange(ROWS) % 3 == 0])
def test_rows(folder, rows):
    fmri, meta, _ = load(folder / "roi")
    points = numpy_points(folder / "roi", ["fmri", "time"], rows=rows)
    wanted = fmri if rows is None else fmri[rows]
    assert np.array_equal(points[:]["fmri"], wanted) and len(points) == len(wanted)
    assert np.array_equal(points[:]["time"], meta["time"] if rows is None else meta["time"][rows])


def test_columns_by_a_mask(folder):
    fmri, _, info = load(folder / "roi")
    mask = np.zeros((7, 6, 5), bool)
    mask.reshape(-1)[info["voxels"][5:30:4]] = True
    points = numpy_points(folder / "roi", columns=mask)
    assert points.voxels == 7 and np.array_equal(points[:], fmri[:, 5:30:4])


def test_batches_are_copies(folder):
    points = numpy_points(folder / "roi", ["fmri", "time"])
    for value in points[3:9].values():
        value[:] = -5
    assert np.array_equal(points[:]["fmri"], load(folder / "roi")[0])


@pytest.mark.parametrize("item", [ROWS, -ROWS - 1, 10**12])
def test_items_that_are_not_there(folder, item):
    points = numpy_points(folder / "roi")
    with pytest.raises(boldmill.RangeError) as caught:
        points[item]
    assert isinstance(caught.value, IndexError)
    with pytest.raises(boldmill.RangeError):
        points[[0, item]]
    with pytest.raises(boldmill.RangeError):
        numpy_points(folder / "roi", rows=[0, item])


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"fields": "voxels"}, "field"),
        ({"fields": ["fmri", "fmri"]}, "each once"),
        ({"fields": []}, "at least one"),
        ({"dtype": "int8"}, "dtype"),
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"rows": np.ones(5, bool)}, "rows"),
        ({"rows": [0.5]}, "whole numbers"),
        ({"columns": np.ones(5, bool)}, "mask"),
    ],
)
def test_bad_calls(folder, how, says):
    with pytest.raises(boldmill.UsageError, match=says):
        numpy_points(folder / "roi", **how)


def test_the_core_refuses_rows_by_itself(folder):
    points = numpy_points(folder / "roi")
    points.rows = np.array([0, ROWS])
    with pytest.raises(boldmill.RangeError, match=f"no row {ROWS}"):
        points[:]
    points.rows, points.columns, points.voxels = np.array([0]), np.array([-1]), 1
    with pytest.raises(boldmill.RangeError, match="no column -1"):
        points[:]


def test_without_torch(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(boldmill.MissingError, match="output='numpy'"):
        boldmill.TimePoints(str(folder / "roi"))[0]
    with pytest.raises(boldmill.MissingError, match="output='numpy'"):
        list(boldmill.Loader(boldmill.TimePoints(str(folder / "roi"))))
    assert len(list(boldmill.Loader(numpy_points(folder / "roi"), 50))) == 4


# Regions side by side -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["sequential", "shuffled", "block"])
def test_regions(folder, order):
    a, b = load(folder / "roi")[0], load(folder / "other")[0]
    chosen = [9, 8, 40]
    parts = [
        numpy_points(folder / "roi"),
        numpy_points(folder / "other", columns=chosen),
        numpy_points(folder / "roi"),
    ]
    joined = boldmill.Join(parts)
    whole = np.hstack([a, b[:, chosen], a])
    assert joined.voxels == 77 and joined.starts == [0, 37, 40] and len(joined) == ROWS
    assert np.array_equal(joined[:], whole) and np.array_equal(joined[7], whole[7])
    mode = {"sequential": "none", "shuffled": "full", "block": "block"}[order]
    wanted = whole[ordered(range(ROWS), mode, 0, 0, 0, 32, 2)]
    assert np.array_equal(
        np.concatenate(list(boldmill.Loader(joined, 30, order, block_rows=32, buffer_blocks=2))), wanted
    )
    z = np.concatenate(list(boldmill.Loader(joined, ROWS, standardise=True)))
    assert np.abs(z - (whole - whole.mean(0)) / whole.std(0, ddof=1)).max() < 1e-5


def test_fields_of_regions(folder):
    meta = load(folder / "roi")[1]
    parts = [numpy_points(folder / name, ["fmri", "time"], rows=[5, 3]) for name in ("roi", "other")]
    joined = boldmill.Join(parts)
    assert joined[:]["fmri"].shape == (2, 87) and joined[:]["time"].tolist() == meta["time"][[5, 3]].tolist()


def test_regions_that_do_not_belong_together(run, folder, tmp_path):
    roi = numpy_points(folder / "roi")
    with pytest.raises(boldmill.DataError, match="rows"):
        boldmill.Join([roi, numpy_points(folder / "second")])
    with pytest.raises(boldmill.DataError, match="different rows"):
        boldmill.Join([roi, numpy_points(folder / "other", rows=slice(None, None, -1))])
    for subject, runs in ((2, RUNS), (1, [(1, 1, 55), (1, 2, 40), *RUNS[2:]])):
        with pytest.raises(boldmill.DataError, match="different runs"):
            boldmill.Join([roi, numpy_points(make_arrays(run, tmp_path, subject=subject, runs=runs))])
    with pytest.raises(boldmill.UsageError, match="dtype"):
        boldmill.Join([roi, numpy_points(folder / "other", dtype="float16")])
    with pytest.raises(boldmill.UsageError):
        boldmill.Join([])


# Subjects ----------------------------------------------------------------------------------------------------------


def subjects(folder, *fields, **how):
    names = ("roi", "second", "third")
    return boldmill.Subjects([numpy_points(folder / name, fields or "fmri", **how) for name in names])


def test_subjects(folder):
    all_of = subjects(folder)
    values = [load(folder / name)[0] for name in ("roi", "second", "third")]
    sizes = [len(v) for v in values]
    assert len(all_of) == sum(sizes) and all_of.voxel_counts == [37, 20, 61]
    for k, (part, start) in enumerate(zip(values, np.cumsum([0, *sizes]), strict=False)):
        item = all_of[int(start) + 3]
        assert item["subject"] == k and np.array_equal(item["fmri"], part[3])
        batch = all_of[start + 2 : start + 9]
        assert batch["subject"] == k and np.array_equal(batch["fmri"], part[2:9])
    with pytest.raises(boldmill.UsageError, match="one subject"):
        all_of[sizes[0] - 1 : sizes[0] + 1]


@pytest.mark.parametrize("order", ["sequential", "shuffled", "block"])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world", [1, 2])
def test_batches_of_subjects(folder, order, drop_last, world):
    values = [load(folder / name)[0] for name in ("roi", "second", "third")]
    mode = {"sequential": "none", "shuffled": "full", "block": "block"}[order]
    for rank in range(world):
        how = {"seed": 4, "epoch": 1, "block_rows": 16, "buffer_blocks": 2}
        loader = boldmill.Loader(
            subjects(folder, "fmri", "subject_idx"),
            12,
            order,
            drop_last=drop_last,
            rank=rank,
            world_size=world,
            **how,
        )
        batches = list(loader)
        assert len(batches) == len(loader)
        turns = [batch["subject"] for batch in batches]
        for k, part in enumerate(values):
            wanted = ordered(range(len(part)), mode, 4, 1, k, 16, 2)
            first, count = rank * len(part) // world + (rank > 0 and len(part) % 2), len(part) // world
            count += rank == 0 and len(part) % world
            wanted = wanted[first : first + count]
            n = len(part) // world // 12 if drop_last else -(-len(wanted) // 12)
            got = [batch for batch in batches if batch["subject"] == k]
            assert len(got) == n
            for i, batch in enumerate(got):
                assert np.array_equal(batch["fmri"], part[wanted[12 * i : 12 * i + 12]])
                assert (batch["subject_idx"] == k + 1).all()
            if order != "sequential":  # each subject is through with the same part of its batches at any time
                seen = np.cumsum([turn == k for turn in turns])
                share = seen / n - np.arange(1, len(turns) + 1) / len(turns)
                assert np.abs(share).max() <= 1.5 / n
        if order == "sequential":
            assert turns == sorted(turns)


def test_subjects_that_differ(folder):
    parts = [numpy_points(folder / "roi"), numpy_points(folder / "second", ["fmri", "time"])]
    with pytest.raises(boldmill.UsageError, match="fields"):
        boldmill.Subjects(parts)
    with pytest.raises(boldmill.UsageError, match="dtype"):
        boldmill.Subjects([parts[0], numpy_points(folder / "second", dtype="float64")])
    with pytest.raises(boldmill.UsageError):
        boldmill.Subjects([])
    with pytest.raises(boldmill.UsageError, match="at most 16"):
        boldmill.Loader(boldmill.Subjects([parts[0]] * 17))


# Batches, shuffleidx ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "mode"), [("shuffled", "full"), ("block", "block"), ("sequential", "none")])
def test_the_orders_are_those_of_shuffleidx(run, folder, tmp_path, order, mode):
    how = ["--mode", mode, "--seed", 6, "--epoch", 3, "--block-rows", 20, "--buffer-blocks", 3]
    run("shuffleidx", *how, folder / "roi.meta.npy", tmp_path / "x.npy")
    batches = boldmill.Batches(numpy_points(folder / "roi"), 16, order, 6, 3, 20, 3)
    assert np.concatenate(list(batches)).tolist() == np.load(tmp_path / "x.npy").tolist()
    assert len(batches) == len(list(batches)) == -(-ROWS // 16)


# torch's DataLoader -------------------------------------------------------------------------------------------------


def in_batches(stem, order="none", size=16):
    fmri, meta, _ = load(stem)
    rows = ordered(range(len(fmri)), order, 0, 0, 0)
    return [(fmri[rows[k : k + size]], meta[rows[k : k + size]]) for k in range(0, len(rows), size)]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("collate", [None, boldmill.collate])
@pytest.mark.parametrize("fields", ["fmri", ("fmri", "time", "stimulus_history")])
def test_dataloader(folder, workers, collate, fields):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    points = boldmill.TimePoints(str(folder / "roi"), fields)
    loader = data.DataLoader(points, batch_size=16, num_workers=workers, collate_fn=collate)
    for batch, (fmri, meta) in zip(loader, in_batches(folder / "roi"), strict=True):
        if fields == "fmri":
            batch = {"fmri": batch}
        assert np.array_equal(batch["fmri"], fmri)
        for name in fields[1:] if fields != "fmri" else []:
            assert np.array_equal(batch[name], meta[name])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_dataloader_with_our_batches(folder, workers, method):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    points = boldmill.TimePoints(str(folder / "roi"))
    points[0]  # opened here: a fork must do with that
    batches = boldmill.Batches(points, 16, "shuffled")
    context = multiprocessing.get_context(method) if workers else None
    how = {"num_workers": workers, "multiprocessing_context": context}
    wanted = in_batches(folder / "roi", "full")
    for loader in (
        data.DataLoader(points, batch_sampler=batches, collate_fn=boldmill.collate, **how),
        data.DataLoader(points, sampler=batches, batch_size=None, **how),
    ):
        got = list(loader)
        assert len(got) == len(wanted) and all(np.array_equal(a, b) for a, (b, _) in zip(got, wanted, strict=True))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_loader_in_workers(folder, workers):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    from boldmill.iterable import Iterable

    loader = boldmill.Loader(boldmill.TimePoints(str(folder / "roi")), 16, "shuffled")
    stream = data.DataLoader(Iterable(loader), batch_size=None, num_workers=workers)
    wanted = in_batches(folder / "roi", "full")
    got = list(stream)
    assert len(got) == len(wanted) and all(np.array_equal(a, b) for a, (b, _) in zip(got, wanted, strict=True))
    loader.set_epoch(1)
    again = list(stream)
    assert np.array_equal(again[0], load(folder / "roi")[0][ordered(range(ROWS), "full", 0, 1, 0)[:16]])


def test_subjects_in_a_dataloader(folder):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    names = ("roi", "second", "third")
    all_of = boldmill.Subjects([boldmill.TimePoints(str(folder / name)) for name in names])
    for collate in (boldmill.collate, None):
        batches = boldmill.Batches(all_of, 16, "shuffled")
        loader = data.DataLoader(all_of, batch_sampler=batches, collate_fn=collate, num_workers=1)
        for items, batch in zip(batches, loader, strict=True):
            wanted = all_of[items]
            assert np.array_equal(batch["fmri"], wanted["fmri"])
            assert np.all(np.asarray(batch["subject"]) == wanted["subject"])


def test_datasets_are_small_when_they_travel(folder):
    points = numpy_points(folder / "roi")
    points[:]
    assert len(pickle.dumps(points)) < 3000 + 8 * ROWS
    loader = boldmill.Loader(points, 50)
    list(loader)
    assert np.array_equal(np.concatenate(list(pickle.loads(pickle.dumps(loader)))), points[:])


def iterate(loader, iterator, told):
    """In a forked child: the parent's iterator says what to do, a new one works."""
    try:
        next(iterator)
    except boldmill.UsageError as error:
        told.put(str(error))
    told.put(sum(len(batch) for batch in loader))


def test_a_forked_child(folder):
    loader = boldmill.Loader(numpy_points(folder / "roi"), 5)
    iterator = iter(loader)
    first = next(iterator)
    fork = multiprocessing.get_context("fork")
    told = fork.Queue()
    child = fork.Process(target=iterate, args=(loader, iterator, told))
    child.start()
    assert "iter(loader)" in told.get(timeout=60) and told.get(timeout=60) == ROWS
    child.join(60)
    assert child.exitcode == 0 and np.array_equal(first, load(folder / "roi")[0][:5])
    assert len(list(iterator)) == len(loader) - 1
