"""The Loader against numpy indexing of the arrays: every batch of every order."""

import gc
import threading
import time

import boldmill
import numpy as np
import pytest
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
