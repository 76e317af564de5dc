"""What all datasets have in common: items by number, batches gathered by the core, a door for torch's DataLoader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import memory
from .arrays import Arrays, row_numbers
from .core import SIZES
from .errors import DataError, RangeError, UsageError
from .memory import Output, Take


def _each(batch: Any, n: int) -> list[Any]:
    """The n items of a batch. What the batch says of all its items (an int) each item says, too."""
    if not isinstance(batch, dict):
        return list(batch)
    columns = [[value] * n if isinstance(value, int) else list(value) for value in batch.values()]
    return [dict(zip(batch, item, strict=True)) for item in zip(*columns, strict=True)]


class Items(list):
    """Items of one batch, as a list for torch's own collate functions; `batch` holds all of them in one piece."""

    def __init__(self, items: list[Any], batch: Any) -> None:
        super().__init__(items)
        self.batch = batch

    def __reduce__(self) -> tuple[Any, ...]:
        return Items, (list(self), self.batch)


def collate(items: Any) -> Any:
    """For `DataLoader(dataset, collate_fn=boldmill.collate)`: the batch as the core gathered it, without a copy."""
    if isinstance(items, Items):
        return items.batch
    from torch.utils.data import default_collate

    return default_collate(items)


class Dataset:
    """Items 0 .. len - 1, each with values and, if asked, fields of the metadata rows.

    `data[3]` is one item, `data[[3, 5]]`, `data[10:20]` and `data[mask]` are batches: a tensor (or array), or a dict
    of them where there is more than one field. Items and batches are copies.

    A kind of dataset defines what stands in the section "A kind of dataset defines"; `voxels` is the number of
    columns of its values.
    """

    voxels: int

    def __init__(self, name: str, fields: str | Sequence[str], dtype: str, output: Output) -> None:
        memory.check_output(output, dtype)
        self.name = name
        self.single = isinstance(fields, str)
        self.fields: tuple[str, ...] = (cast(str, fields),) if self.single else tuple(fields)
        self.dtype = dtype
        self.output: Output = output
        self._pool: memory.Pool | None = None
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise UsageError(f"{name}: fields are {self.fields}; give at least one, each once")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    # A kind of dataset defines

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def parts(self) -> list[Dataset]:
        """The datasets whose items may share a batch: the dataset itself, or one a subject."""
        return [self]

    def sources(self) -> list[Arrays]:
        """The arrays that rows_of counts in."""
        raise NotImplementedError

    def first_rows(self) -> NDArray[np.int64]:
        """The row that each item begins with [len]."""
        raise NotImplementedError

    def rows_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """All rows that these items look at."""
        raise NotImplementedError

    def shape_of(self, n: int) -> tuple[int, ...]:
        """Shape of the values of n items."""
        return n, self.voxels

    def write(
        self, items: NDArray[np.int64], address: int, stride: int, *, threads: int = 1, standardise: bool = False
    ) -> None:
        """Gathers the values of items to `address`; one row of voxels begins `stride` bytes behind the other."""
        raise NotImplementedError

    def field(self, name: str, items: NDArray[np.int64]) -> NDArray:
        """A field other than "fmri" for these items: a new array whose first axis are the items."""
        raise NotImplementedError

    # What follows from it

    def item_numbers(self, which: Any) -> NDArray[np.int64]:
        """Item numbers of a choice of items: a slice, flags, or numbers."""
        return row_numbers(which, len(self), self.name)

    def batch(
        self,
        items: Any,
        *,
        take: Take | None = None,
        threads: int = 1,
        standardise: bool = False,
        output: Output | None = None,
        pin: bool = False,
    ) -> Any:
        """The batch of these items: values [n, V], or a dict with one entry for each field.

        items: numbers, flags or a slice. take: where the values get their memory. threads: of the core. standardise:
        each voxel to mean 0 and standard deviation 1 over the batch (divisor n - 1, sums in double).
        """
        numbers = self.item_numbers(items)
        output = output or self.output
        found: dict[str, Any] = {}
        for name in self.fields:
            if name == "fmri":
                found[name] = self._values(numbers, take or self._default_take(), output, threads, standardise)
            else:
                found[name] = memory.to_output(self.field(name, numbers), output, pin)
        return found[self.fields[0]] if self.single else found

    def _values(self, numbers: NDArray[np.int64], take: Take, output: Output, threads: int, standardise: bool) -> Any:
        shape = self.shape_of(len(numbers))
        value, address = take(shape, self.dtype, output)
        self.write(numbers, address, shape[-1] * SIZES[self.dtype], threads=threads, standardise=standardise)
        return value

    def _default_take(self) -> Take:
        if self.output == "torch" and memory.in_worker():
            return memory.shared
        if self._pool is None:
            self._pool = memory.Pool()
        return self._pool

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, int | np.integer):
            return self.batch(which)
        n, number = len(self), int(which)
        if not -n <= number < n:
            raise RangeError(f"{self.name}: there is no item {number}; there are {n}")
        found = self.batch([number % n])
        return _each(found, 1)[0]

    def __getitems__(self, items: Sequence[int]) -> Items:
        """For torch's DataLoader: all items of a batch in one call of the core."""
        found = self.batch(np.asarray(items))
        return Items(_each(found, len(items)), found)


def belong_together(a: Arrays, b: Arrays) -> None:
    """DataError where two arrays are not of the same grid and the same time points."""
    if a.grid != b.grid or not np.array_equal(a.affine, b.affine):
        raise DataError(f"{a.name}, {b.name}: lie in different grids; make them from the same dataset")
    if a.shape[0] != b.shape[0]:
        raise DataError(f"{a.name}, {b.name}: have {a.shape[0]} and {b.shape[0]} rows; make them from the same runs")
    labels = ("subject", "session", "run", "rows")
    for left, right in zip(a.runs, b.runs, strict=False):
        if any(left[key] != right[key] for key in labels) or left.get("times") != right.get("times"):
            raise DataError(f"{a.name}, {b.name}: are of different runs ({left['label']}, {right['label']})")
    if len(a.runs) != len(b.runs):
        raise DataError(
            f"{a.name}, {b.name}: have {len(a.runs)} and {len(b.runs)} runs; make them from the same runs"
        )
    if (a.info["meta"] is None) != (b.info["meta"] is None):
        raise DataError(f"{a.name}, {b.name}: only one has metadata rows; make them with the same settings")
    if a.info["meta"] is not None and a.info["meta"]["crc32"] != b.info["meta"]["crc32"]:
        raise DataError(f"{a.name}, {b.name}: their metadata rows differ; make them with the same settings")
