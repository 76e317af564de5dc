"""The Loader against numpy indexing of the arrays: every batch of every order."""

import gc
import threading
import time

import boldmill
import numpy as np
import pytest
from boldmill import memory
from samples import RUNS, load, make_arrays
from test_shuffleidx import ordered

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -r requirements-train.txt")
ROWS = sum(rows for _, _, rows in RUNS)
MODES = {"sequential": "none", "shuffled": "full", "block": "block"}


@pytest.fixture(scope="module")
def stem(run, tmp_path_factory):
    return make_arrays(run, tmp_path_factory.mktemp("arrays"))


@pytest.fixture(scope="module")
def points(stem):
    return boldmill.TimePoints(stem)


def rows_in_order(order, n=ROWS, seed=0, epoch=0, block_rows=4096, buffer_blocks=4, rows=None):
    """The order by the Python model of docs/shuffle.md."""
    rows = range(n) if rows is None else rows
    return ordered(rows, MODES[order], seed, epoch, 0, block_rows, buffer_blocks)


@pytest.mark.parametrize("order", MODES)
@pytest.mark.parametrize("size", [1, 16, ROWS - 1, ROWS, 1000])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("output", ["torch", "numpy"])
def test_every_batch(stem, points, order, size, drop_last, output):
    how = {"seed": 5, "epoch": 2, "block_rows": 16, "buffer_blocks": 3}
    loader = boldmill.Loader(points, size, order, drop_last=drop_last, output=output, **how)
    wanted, fmri = rows_in_order(order, **how), load(stem)[0]
    batches = list(loader)
    n = ROWS // size if drop_last else -(-ROWS // size)
    assert len(batches) == n and loader.epoch == 3
    for k, batch in enumerate(batches):
        assert isinstance(batch, torch.Tensor if output == "torch" else np.ndarray)
        assert np.array_equal(np.asarray(batch), fmri[wanted[k * size : (k + 1) * size]])


@pytest.mark.parametrize("order", MODES)
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_ranks_share_the_order(points, order, world):
    how = {"seed": 1, "epoch": 4, "block_rows": 8, "buffer_blocks": 2}
    wanted = rows_in_order(order, **how)
    got = []
    for rank in range(world):
        numbered = boldmill.TimePoints(points.arrays, fields=["row"])
        loader = boldmill.Loader(numbered, 10, order, rank=rank, world_size=world, **how)
        rows = [batch["row"].tolist() for batch in loader]
        assert all(len(part) == 10 for part in rows[:-1])
        got.append(sum(rows, []))
    assert sum(got, []) == wanted
    sizes = [len(part) for part in got]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("size", [1, 7, 11, 22, 43, 44])
def test_drop_last_gives_all_ranks_as_many_batches(points, size):
    counts = set()
    for rank in range(4):  # 44, 44, 44, 43 rows
        loader = boldmill.Loader(points, size, rank=rank, world_size=4, drop_last=True)
        assert len(loader) == len(list(loader))
        counts.add(len(loader))
    assert counts == {ROWS // 4 // size}


def test_chosen_rows_and_columns(stem):
    fmri = load(stem)[0]
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(ROWS)[:90], rng.permutation(37)[:20]
    points = boldmill.TimePoints(stem, rows=rows, columns=columns)
    for order in MODES:
        how = {"seed": 3, "block_rows": 16, "buffer_blocks": 2}
        # a block order knows rows alone: those that were chosen, ascending
        chosen = np.sort(rows) if order == "block" else rows
        wanted = rows_in_order(order, rows=chosen, **how)
        got = torch.cat(list(boldmill.Loader(points, 16, order, **how)))
        assert np.array_equal(got.numpy(), fmri[wanted][:, columns])


def test_a_block_order_with_rows_twice(stem):
    rows = [5, 5, 80, 3, 5, 80]
    points = boldmill.TimePoints(stem, rows=rows, fields=["row"])
    got = torch.cat([b["row"] for b in boldmill.Loader(points, 2, "block", block_rows=10, buffer_blocks=1)]).tolist()
    assert got in ([3, 5, 5, 5, 80, 80], [80, 80, 3, 5, 5, 5]) or sorted(got) == sorted(rows)
    assert [row // 10 for row in got] in ([0, 0, 0, 0, 8, 8], [8, 8, 0, 0, 0, 0])


def test_several_fields(stem):
    fmri, meta, _ = load(stem)
    fields = ("fmri", "stimulus_history", "subject_idx", "session", "run", "time", "trial", "stimulus", "row")
    points = boldmill.TimePoints(stem, fields=fields)
    wanted = rows_in_order("shuffled")
    for k, batch in enumerate(boldmill.Loader(points, 50, "shuffled")):
        rows = wanted[50 * k : 50 * k + 50]
        assert tuple(batch) == fields and batch["row"].tolist() == rows
        assert np.array_equal(batch["fmri"], fmri[rows])
        for name in fields[1:-1]:
            assert isinstance(batch[name], torch.Tensor) and np.array_equal(batch[name], meta[name][rows])


# Seeds, epochs, going on later --------------------------------------------------------------------------------------


def test_same_seed_and_epoch_same_batches(points):
    def epochs(**how):
        loader = boldmill.Loader(points, 50, "shuffled", **how)
        return [torch.cat(list(loader)) for _ in range(3)]

    first, again, later, other = epochs(), epochs(), epochs(epoch=1), epochs(seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1]) and torch.equal(first[1], later[0])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("order", MODES)
@pytest.mark.parametrize("stop", [0, 1, 4, 11])
def test_resuming(points, order, stop):
    def make(**how):
        return boldmill.Loader(points, 16, order, seed=9, block_rows=16, ahead=3, **how)

    loader, whole = make(epoch=2), list(make(epoch=2)) + list(make(epoch=3))
    batches = iter(loader)
    seen = [next(batches) for _ in range(stop)]
    state = loader.state_dict()
    assert state["epoch"] == 2 and state["batches"] == stop
    assert all(isinstance(value, int | str | bool) for value in state.values())
    other = make()
    other.load_state_dict(state)
    assert other.state_dict() == state
    other.set_epoch(2)  # the epoch that it is in: nothing is forgotten
    seen += list(other) + list(other)
    assert len(seen) == len(whole) and all(torch.equal(a, b) for a, b in zip(seen, whole, strict=True))


def test_another_epoch_forgets_the_position(points):
    loader = boldmill.Loader(points, 50, "shuffled")
    loader.load_state_dict(loader.state_dict() | {"batches": 2})
    loader.set_epoch(7)
    assert len(list(loader)) == len(loader) == 4


def test_an_iteration_begins_anew(points):
    loader = boldmill.Loader(points, 50, "shuffled")
    first = next(iter(loader))
    assert loader.state_dict()["batches"] == 1
    assert torch.equal(next(iter(loader)), first) and len(list(loader)) == 4


def test_an_older_iteration_does_not_count(points):
    loader = boldmill.Loader(points, 50)
    old = iter(loader)
    next(old)
    new = iter(loader)
    next(new)
    next(new)
    list(old)
    assert loader.state_dict()["batches"] == 2 and loader.epoch == 0


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"order": "block"}, {"batch_size": 10}, {"world_size": 2}, {"items": 3}, {"version": 0}]
)
def test_a_state_of_another_loader(points, change):
    loader = boldmill.Loader(points, 50, "shuffled")
    with pytest.raises(boldmill.DataError, match=next(iter(change))):
        loader.load_state_dict(loader.state_dict() | change)


@pytest.mark.parametrize("state", [None, [], "state", {}, {"version": 1}, {"version": 1, "epoch": 0}])
def test_what_is_no_state(points, state):
    with pytest.raises(boldmill.DataError, match="none of state_dict"):
        boldmill.Loader(points, 50).load_state_dict(state)


# Memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["torch", "numpy"])
def test_kept_batches_stay_as_they_are(stem, points, output):
    fmri = load(stem)[0]
    loader = boldmill.Loader(points, 8, output=output)
    kept = list(loader)
    views = [batch[2:4, 5:9] for batch in loader]
    for _ in range(3):
        for batch in loader:
            batch[:] = -1
    assert all(np.array_equal(batch, fmri[8 * k : 8 * k + 8]) for k, batch in enumerate(kept))
    assert all(np.array_equal(view, fmri[8 * k : 8 * k + 8][2:4, 5:9]) for k, view in enumerate(views))


@pytest.mark.parametrize("output", ["torch", "numpy"])
def test_memory_is_used_again(points, output, monkeypatch):
    places, made, large = set(), [], memory._large
    monkeypatch.setattr(memory, "_large", lambda size: made.append(size) or large(size))
    loader = boldmill.Loader(points, 2, output=output, ahead=2)
    for batch in loader:
        places.add(batch.data_ptr() if output == "torch" else batch.ctypes.data)
        del batch
    assert len(loader) == 88 and len(places) <= 4 and len(made) <= 4


def test_batches_may_be_written(points):
    for batch in boldmill.Loader(points, 50):
        batch += 1


def threads_of_readers():
    return [t for t in threading.enumerate() if t.name == "boldmill reader"]


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


def test_dropped_iterators_leave_no_threads(points):
    for k in range(20):
        iterator = iter(boldmill.Loader(points, 2, "shuffled"))
        for _ in range(k):
            next(iterator)
        del iterator
    gc.collect()
    assert wait_for(lambda: not threads_of_readers())


def test_an_ended_iteration_leaves_no_thread(points):
    iterator = iter(boldmill.Loader(points, 50))
    assert len(list(iterator)) == 4 and wait_for(lambda: not threads_of_readers())
    assert list(iterator) == []


def test_no_more_than_ahead_is_made(points):
    class Counting(boldmill.TimePoints):
        made = 0

        def batch(self, *items, **how):
            Counting.made += 1
            return super().batch(*items, **how)

    iterator = iter(boldmill.Loader(Counting(points.arrays), 2, ahead=3))
    assert wait_for(lambda: Counting.made == 3) and not wait_for(lambda: Counting.made > 3, 0.2)
    next(iterator)
    assert wait_for(lambda: Counting.made == 4) and not wait_for(lambda: Counting.made > 4, 0.2)


def test_errors_reach_the_consumer(points):
    class Failing(boldmill.TimePoints):
        def write(self, items, *args, **how):
            if 100 in items:
                raise OSError("the disk is gone")
            super().write(items, *args, **how)

    got = []
    with pytest.raises(OSError, match="the disk is gone"):
        for batch in boldmill.Loader(Failing(points.arrays), 30, ahead=5):
            got.append(batch)
    assert len(got) == 3 and wait_for(lambda: not threads_of_readers())


def test_pinned_memory_comes_from_torch(points, monkeypatch):
    """Without a GPU: that torch is asked for it, each time anew, and that small fields are pinned as well."""
    asked, empty = [], torch.empty

    def fake(*args, pin_memory=False, **how):
        asked.append(pin_memory)
        return empty(*args, **how)

    monkeypatch.setattr(torch, "empty", fake)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append("field") or tensor)
    fields = boldmill.TimePoints(points.arrays, ["fmri", "time"])
    got = list(boldmill.Loader(fields, 50, pin_memory=True))
    assert asked.count(True) == 4 and asked.count("field") == 4
    assert np.array_equal(torch.cat([batch["fmri"] for batch in got]), points.arrays.fmri)


# Types and standardising --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["float32", "float16"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("columns", [None, "some"])
def test_types(run, tmp_path, stored, dtype, columns):
    stem = make_arrays(run, tmp_path, dtype=stored, voxels=90)
    values, columns = torch.from_numpy(load(stem)[0]), np.r_[3:40, 0, 50:53] if columns else None
    wanted = values[:, columns] if columns is not None else values
    points = boldmill.TimePoints(stem, dtype=dtype, columns=columns)
    got = torch.cat(list(boldmill.Loader(points, 33)))
    assert got.dtype == getattr(torch, dtype) and torch.equal(got, wanted.to(got.dtype))
    if dtype != "bfloat16":
        arrays = np.concatenate(list(boldmill.Loader(points, 33, output="numpy")))
        assert arrays.dtype == dtype and np.array_equal(arrays, wanted.numpy().astype(dtype))


def test_too_large_for_float16(run, tmp_path):
    stem = make_arrays(run, tmp_path, scale=1e5)
    with pytest.raises(boldmill.DataError, match="too large"):
        list(boldmill.Loader(boldmill.TimePoints(stem, dtype="float16"), 50))
    assert len(list(boldmill.Loader(boldmill.TimePoints(stem, dtype="bfloat16"), 50))) == 4


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("columns", [None, "some"])
def test_standardised(run, tmp_path, threads, dtype, columns):
    stem = make_arrays(run, tmp_path, voxels=150, scale=20)
    columns = np.r_[100:120, 3:40, 7] if columns else None
    points = boldmill.TimePoints(stem, dtype=dtype, columns=columns)
    values, wanted = load(stem)[0].astype(float), rows_in_order("shuffled")
    values = values if columns is None else values[:, columns]
    near = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-23, "float64": 1e-12}[dtype]
    for k, batch in enumerate(boldmill.Loader(points, 50, "shuffled", standardise=True, threads=threads)):
        rows = values[wanted[50 * k : 50 * k + 50]]
        z = (rows - rows.mean(0)) / rows.std(0, ddof=1)
        assert (
            batch.dtype == getattr(torch, dtype)
            and np.abs(batch.double().numpy() - z).max() <= near * np.abs(z).max()
        )


def test_voxels_that_do_not_vary_and_that_are_not_finite(run, tmp_path):
    from samples import replace_values

    stem = make_arrays(run, tmp_path)
    values = load(stem)[0]
    values[:, 4], values[60, 7] = 2.5, np.nan
    replace_values(stem, values)
    first, second = list(boldmill.Loader(boldmill.TimePoints(stem), 50, standardise=True, output="numpy"))[:2]
    assert (first[:, 4] == 0).all() and np.isfinite(first).all()
    assert np.isnan(second[:, 7]).all() and np.isfinite(np.delete(second, 7, 1)).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_do_not_show(stem, threads):
    points = boldmill.TimePoints(stem, dtype="float16")
    for standardise in (False, True):
        got = list(boldmill.Loader(points, 70, threads=threads, standardise=standardise))
        one = list(boldmill.Loader(points, 70, threads=1, standardise=standardise))
        assert all(torch.equal(a, b) for a, b in zip(got, one, strict=True))


# Bad calls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"order": "random"}, "order"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53 + 1}, "seed"),
        ({"epoch": -1}, "epoch"),
        ({"block_rows": 0}, "block_rows"),
        ({"buffer_blocks": 0}, "buffer_blocks"),
        ({"rank": 2, "world_size": 2}, "rank"),
        ({"world_size": 0}, "world_size"),
        ({"threads": -1}, "threads"),
        ({"ahead": 0}, "ahead"),
        ({"output": "jax"}, "output"),
        ({"batch_size": 1, "standardise": True}, "standardise"),
        ({"batch_size": ROWS - 1, "standardise": True}, "standardise"),
    ],
)
def test_bad_settings(points, how, says):
    with pytest.raises(boldmill.UsageError, match=says):
        boldmill.Loader(points, **how)


def test_numpy_has_no_bfloat16(stem):
    with pytest.raises(boldmill.UsageError, match="bfloat16"):
        boldmill.Loader(boldmill.TimePoints(stem, dtype="bfloat16"), output="numpy")
    with pytest.raises(boldmill.UsageError, match="pin_memory"):
        iter(boldmill.Loader(boldmill.TimePoints(stem), output="numpy", pin_memory=True))


def test_no_rows_at_all(stem):
    loader = boldmill.Loader(boldmill.TimePoints(stem, rows=[]), 10, "block")
    assert len(loader) == 0 and list(loader) == []
