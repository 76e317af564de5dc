"""The C core: lib/load and the orders of lib/ops, called through ctypes (which lets other threads run meanwhile).

The library is `_core.so` beside this file, or what the environment variable BOLDMILL_CORE names. Structures repeat
those of lib/load/rows.h, lib/load/ahead.h and lib/ops/shuffle.h.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from ctypes import POINTER, Structure, byref, c_char, c_int, c_int64, c_size_t, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, Error, MissingError, RangeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# enum bm_sample
SAMPLES = {"float16": 1, "float32": 2, "float64": 3, "bfloat16": 4}
SIZES = {"float16": 2, "float32": 4, "float64": 8, "bfloat16": 2}
# enum bm_order_mode, under the names that the Loader gives them
ORDERS = {"sequential": 0, "shuffled": 1, "block": 2}
PARTS = 16  # BM_MAX_PARTS


class _Error(Structure):
    _fields_ = [("code", c_int), ("text", c_char * 1000)]


class _Matrix(Structure):
    _fields_ = [("data", c_void_p), ("row_count", c_int64), ("cols", c_int64), ("type", c_int)]


class _Batch(Structure):
    _fields_ = [
        ("rows", c_void_p),
        ("n", c_int64),
        ("columns", c_void_p),
        ("ncolumns", c_int64),
        ("out", c_void_p),
        ("stride", c_int64),
        ("type", c_int),
    ]


class _Order(Structure):
    _fields_ = [
        ("mode", c_int),
        ("block_rows", c_size_t),
        ("buffer_blocks", c_size_t),
        ("seed", c_uint64),
        ("epoch", c_uint64),
    ]


class RowsFile(Structure):
    """struct bm_rows_file: where the rows of a matrix are in a file, and where that is mapped."""

    _fields_ = [("fd", c_int), ("map", c_void_p), ("offset", c_int64), ("row_bytes", c_int64)]

    @classmethod
    def of(cls, path: str, values: NDArray) -> RowsFile:
        """The rows of `values`, a memmap of the file. Keeps the mapping, and the file open, as long as it lives."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        file = cls(fd, values.ctypes.data, getattr(values, "offset", 0), max(values.strides[0], 1))
        file.values = values
        weakref.finalize(file, os.close, fd).atexit = False
        return file


@cache
def library() -> ctypes.CDLL:
    """The loaded core; MissingError where it is not there."""
    path = os.environ.get("BOLDMILL_CORE") or str(Path(__file__).with_name("_core.so"))
    if not os.path.exists(path):
        raise MissingError(
            f"{path}: the C core is not there; run `pip install .` or `make python` in boldmill's folder"
        )
    lib = ctypes.CDLL(path)
    gather: list[Any] = [POINTER(_Matrix), POINTER(_Batch), ctypes.c_char_p, c_int, POINTER(_Error)]
    lib.bm_gather.argtypes = gather
    lib.bm_gather_standardised.argtypes = gather
    lib.bm_order_items.argtypes = [c_void_p, c_void_p, c_size_t, POINTER(_Order), c_size_t, POINTER(_Error)]
    lib.bm_shard.argtypes = [c_size_t, c_size_t, c_size_t, POINTER(c_size_t), POINTER(c_size_t)]
    lib.bm_shard.restype = None
    lib.bm_rows_fetch.argtypes = lib.bm_rows_release.argtypes = [POINTER(RowsFile), c_void_p, c_int64]
    lib.bm_rows_fetch.restype = c_int64
    lib.bm_rows_release.restype = None
    return lib


def _check(status: int, error: _Error) -> None:
    if status < 0:
        text = error.text.decode(errors="replace")
        kinds = {1: DataError, 2: Error, 3: RangeError}
        raise kinds.get(error.code, Error)(text)


def gather(
    matrix: NDArray,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64] | None,
    pointer: int,
    stride: int,
    dtype: str,
    *,
    name: str,
    threads: int = 1,
    standardise: bool = False,
) -> None:
    """Writes matrix[rows][:, columns] as `dtype` to memory at `pointer`, `stride` bytes from one row to the next.

    matrix: [T, V] float16 or float32, C order. The caller answers for the memory. RangeError where a row or a column
    is not there (then nothing is written), DataError where a finite value becomes infinite in `dtype`.
    """
    lib = library()
    source = _Matrix(matrix.ctypes.data, matrix.shape[0], matrix.shape[1], SAMPLES[matrix.dtype.name])
    cols = matrix.shape[1] if columns is None else len(columns)
    address = None if columns is None else columns.ctypes.data
    batch = _Batch(rows.ctypes.data, len(rows), address, cols, pointer, stride, SAMPLES[dtype])
    error = _Error()
    call = lib.bm_gather_standardised if standardise else lib.bm_gather
    _check(call(byref(source), byref(batch), os.fsencode(name), threads, byref(error)), error)


def order_items(
    rows: NDArray[np.int64], mode: str, *, seed: int, epoch: int, part: int, block_rows: int, buffer_blocks: int
) -> NDArray[np.int64]:
    """The numbers 0 .. n - 1 of items in the order that (seed, epoch, part) gives: docs/shuffle.md, "Order".

    rows: the row of each item [n]. It must ascend for "block", and is not looked at otherwise.
    """
    items = np.arange(len(rows), dtype=np.int64)
    order = _Order(ORDERS[mode], block_rows, buffer_blocks, seed, epoch)
    error = _Error()
    status = library().bm_order_items(
        items.ctypes.data, rows.ctypes.data, len(items), byref(order), part, byref(error)
    )
    _check(status, error)
    return items


def shard(n: int, shards: int, k: int) -> slice:
    """Piece k (0 ..) of n items in `shards` pieces, whose sizes differ by at most one."""
    first, count = c_size_t(), c_size_t()
    library().bm_shard(n, shards, k, byref(first), byref(count))
    return slice(first.value, first.value + count.value)


def fetch(file: RowsFile, rows: NDArray[np.int64]) -> int:
    """Asks the system to read rows (ascending) of a file; the bytes asked for."""
    return library().bm_rows_fetch(byref(file), rows.ctypes.data, len(rows))


def release(file: RowsFile, rows: NDArray[np.int64]) -> None:
    """Tells the system that rows (ascending) of a file are not wanted any more."""
    library().bm_rows_release(byref(file), rows.ctypes.data, len(rows))
