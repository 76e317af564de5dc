"""Datasets of time points: of one region, of several regions side by side, of several subjects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import core
from .arrays import Arrays, row_numbers
from .core import SIZES
from .dataset import Dataset, belong_together
from .errors import DataError, UsageError
from .images import Images
from .memory import Output


class TimePoints(Dataset):
    """Time points of one region: item i is row `rows[i]` of the arrays.

    arrays: Arrays, or their name.
    fields: "fmri" gives the values [V] alone; a list such as ("fmri", "stimulus_history", "time") gives dicts. Fields
        are those of the metadata rows, "row", the row number, and "image", the latest picture shown (see images).
    rows: which rows, in which order: None (all), numbers (such as an array of shuffleidx), flags [T], or a slice.
    columns: which voxels: None (all), numbers in any order, flags [V], or a mask [X, Y, Z].
    dtype: "float32", "float16", "bfloat16" (torch alone) or "float64". A value that is finite and too large for it is
        an error when it is met.
    output: "torch" or "numpy".
    images: Images or the path of a stimuli file, for the field "image".
    """

    def __init__(
        self,
        arrays: Arrays | str,
        fields: str | Sequence[str] = "fmri",
        rows: Any = None,
        columns: Any = None,
        dtype: str = "float32",
        output: Output = "torch",
        images: Images | str | os.PathLike[str] | None = None,
    ) -> None:
        self.arrays = arrays if isinstance(arrays, Arrays) else Arrays(arrays)
        super().__init__(self.arrays.name, fields, dtype, output)
        self.rows = row_numbers(rows, len(self.arrays), self.name)
        self.columns = None if columns is None else self.arrays.columns(columns)
        self.voxels = self.arrays.shape[1] if self.columns is None else len(self.columns)
        self.images = images if isinstance(images, Images) or images is None else Images(images)
        pictures = ("image",) if "stimulus_history" in self.arrays.fields else ()
        known = ("fmri", "row", *pictures, *self.arrays.fields)
        for name in self.fields:
            if name not in known:
                raise UsageError(f"{self.name}: there is no field {name!r}; there are {', '.join(known)}")
        if "image" in self.fields and self.images is None:
            raise UsageError(f"{self.name}: the field 'image' needs a stimuli file; give its path as images=")

    def __repr__(self) -> str:
        return f"boldmill.TimePoints({self.name!r}): {len(self)} time points x {self.voxels} voxels, {self.dtype}"

    def __len__(self) -> int:
        return len(self.rows)

    def sources(self) -> list[Arrays]:
        return [self.arrays]

    def first_rows(self) -> NDArray[np.int64]:
        return self.rows

    def rows_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.rows[items]

    def write(
        self, items: NDArray[np.int64], address: int, stride: int, *, threads: int = 1, standardise: bool = False
    ) -> None:
        rows = np.ascontiguousarray(self.rows_of(items))
        how: dict[str, Any] = {"name": self.name, "threads": threads, "standardise": standardise}
        core.gather(self.arrays.fmri, rows, self.columns, address, stride, self.dtype, **how)

    def field(self, name: str, items: NDArray[np.int64]) -> NDArray:
        rows = self.rows[items]
        if name == "row":
            return rows
        if name == "image" and self.images is not None:
            return self.images[self.arrays.meta["stimulus_history"][rows, -1]]
        return np.ascontiguousarray(self.arrays.meta[name][rows])


class Join(Dataset):
    """Several regions side by side: the columns of the first, then those of the second, and so on.

    regions: datasets of time points or windows (or names of arrays) with the same rows, of the same runs and grid.
    Their dtype and output must agree; fields other than the values come from the first. `starts[k]` is the first
    column of region k. A voxel that is in two regions is there twice.
    """

    def __init__(self, regions: Sequence[TimePoints | Arrays | str]) -> None:
        self.regions = [r if isinstance(r, TimePoints) else TimePoints(r) for r in regions]
        if not self.regions:
            raise UsageError("Join: there are no regions; give at least one")
        first = self.regions[0]
        fields = first.fields[0] if first.single else first.fields
        super().__init__(first.name, fields, first.dtype, first.output)
        for other in self.regions[1:]:
            belong_together(first.arrays, other.arrays)
            if (
                not np.array_equal(first.first_rows(), other.first_rows())
                or first.shape_of(1)[:-1] != other.shape_of(1)[:-1]
            ):
                raise DataError(f"{first.name}, {other.name}: different rows were chosen; choose the same")
            if (first.dtype, first.output) != (other.dtype, other.output):
                raise UsageError(f"{first.name}, {other.name}: differ in dtype or output; ask for the same")
        counts = [region.voxels for region in self.regions]
        self.starts = [0, *np.cumsum(counts).tolist()][:-1]
        self.voxels = sum(counts)

    def __len__(self) -> int:
        return len(self.regions[0])

    def sources(self) -> list[Arrays]:
        return [region.arrays for region in self.regions]

    def first_rows(self) -> NDArray[np.int64]:
        return self.regions[0].first_rows()

    def rows_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.regions[0].rows_of(items)

    def shape_of(self, n: int) -> tuple[int, ...]:
        return *self.regions[0].shape_of(n)[:-1], self.voxels

    def write(
        self, items: NDArray[np.int64], address: int, stride: int, *, threads: int = 1, standardise: bool = False
    ) -> None:
        for start, region in zip(self.starts, self.regions, strict=True):
            at = address + start * SIZES[self.dtype]
            region.write(items, at, stride, threads=threads, standardise=standardise)

    def field(self, name: str, items: NDArray[np.int64]) -> NDArray:
        return self.regions[0].field(name, items)


class Subjects(Dataset):
    """Several subjects one behind the other: the items of the first, then those of the second, and so on.

    subjects: datasets of the same fields, dtype and output. Voxels differ between subjects (`voxel_counts`), so a
    batch holds items of one subject alone: the Loader makes such batches, and for torch's DataLoader there is
    `boldmill.Batches`. Batches are dicts and have, beside the fields, "subject", the position of the subject in the
    list (an int).
    """

    def __init__(self, subjects: Sequence[Dataset | Arrays | str]) -> None:
        self.subjects = [s if isinstance(s, Dataset) else TimePoints(s) for s in subjects]
        if not self.subjects:
            raise UsageError("Subjects: there are none; give at least one")
        first = self.subjects[0]
        super().__init__("Subjects", first.fields, first.dtype, first.output)
        for other in self.subjects:
            if len(other.parts) > 1 or other.fields != first.fields:
                raise UsageError(f"{first.name}, {other.name}: differ in their fields; ask for the same")
            if (first.dtype, first.output) != (other.dtype, other.output):
                raise UsageError(f"{first.name}, {other.name}: differ in dtype or output; ask for the same")
        self.starts = np.cumsum([0, *(len(s) for s in self.subjects)])
        self.voxel_counts = [s.voxels for s in self.subjects]
        self.voxels = max(self.voxel_counts)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def parts(self) -> list[Dataset]:
        return self.subjects

    def batch(self, items: Any, **how: Any) -> dict[str, Any]:
        numbers = self.item_numbers(items)
        of = np.searchsorted(self.starts, numbers, side="right") - 1
        k = int(of[0]) if len(of) else 0
        if (of != k).any():
            raise UsageError("Subjects: a batch holds items of one subject; take boldmill.Loader or boldmill.Batches")
        found = self.subjects[k].batch(numbers - self.starts[k], **how)
        return (found if isinstance(found, dict) else {self.fields[0]: found}) | {"subject": k}
