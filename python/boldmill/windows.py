"""Datasets of windows: several time points in a row for each presentation of a stimulus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .arrays import Arrays, row_numbers
from .errors import UsageError
from .images import Images
from .memory import Output
from .orders import whole_number
from .points import TimePoints

Unit = Literal["presentation", "row"]


class Windows(TimePoints):
    """Windows around events of one region: item i is the values [length, V] of the rows `first_rows()[i]` and so on.

    length: rows of a window.
    lag: rows from the event's row to the window's first; may be negative. The metadata rows are delayed already, so
        that 0 is the onset as the response shows it.
    unit: what an event is. "presentation": the first row of each presentation of a stimulus; "row": every row.
    rows: which of the events, in which order: None (all), flags [T], a slice, or row numbers, such as those that
        shuffleidx deals to a part of a split. Rows that are no event are passed over.
    fields: "fmri" gives [length, V] alone, a list such as ("fmri", "image", "time") dicts. Fields of the metadata
        rows, "row" and "image" are those of the event's row.
    images: Images or the path of a stimuli file, for the field "image": the latest picture of the event's row.
    arrays, columns, dtype, output: as TimePoints has them.

    A window that would leave its run, or a gap in `time` between its rows or between it and its event, is not among
    the items, nor is a presentation whose first row may be in a gap. `left_out` counts these.
    """

    def __init__(
        self,
        arrays: Arrays | str,
        length: int = 6,
        lag: int = 0,
        unit: Unit = "presentation",
        fields: str | Sequence[str] = "fmri",
        rows: Any = None,
        columns: Any = None,
        dtype: str = "float32",
        output: Output = "torch",
        images: Images | str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(arrays, fields, None, columns, dtype, output, images)
        self.length = whole_number(length, "length", 1)
        self.lag = whole_number(lag, "lag", -(2**31))
        self.unit = unit
        begins = stretches(self.arrays)
        events = self._events(row_numbers(rows, len(self.arrays), self.name))
        inside = self._inside(np.cumsum(begins), events)
        self.rows = events[inside]
        self.left_out = int((~inside).sum())

    def __repr__(self) -> str:
        return f"boldmill.Windows({self.name!r}): {len(self)} of {self.length} x {self.voxels} voxels, {self.dtype}"

    def _events(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.unit == "row":
            return rows
        if self.unit != "presentation":
            raise UsageError(f"unit: is {self.unit!r}; give 'presentation' or 'row'")
        if "trial" not in self.arrays.fields:
            raise UsageError(f"{self.name}: has no presentations; make the arrays with labels, or take unit='row'")
        return rows[presentations(self.arrays)[rows]]

    def _inside(self, stretch: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether an event lies in one stretch with its window, and a presentation has its first row."""
        first, last = events + min(self.lag, 0), events + max(self.lag + self.length - 1, 0)
        inside = (first >= 0) & (last < len(stretch))
        inside[inside] = stretch[first[inside]] == stretch[last[inside]]
        if self.unit == "presentation":
            inside &= ~behind_a_gap(self.arrays)[events]
        return inside

    def item_of(self, row: int) -> int | None:
        """The item whose event is in this row, or None."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None

    def first_rows(self) -> NDArray[np.int64]:
        return self.rows + self.lag

    def rows_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self.first_rows()[items, None] + np.arange(self.length)).reshape(-1)

    def shape_of(self, n: int) -> tuple[int, ...]:
        return n, self.length, self.voxels


def times(arrays: Arrays) -> NDArray[np.int64]:
    """Index of each row's volume in its run [T]."""
    if "time" in arrays.fields:
        return np.asarray(arrays.meta["time"], np.int64)
    parts = [run.get("times") or range(run["rows"]) for run in arrays.runs]
    return np.concatenate([np.asarray(part, np.int64) for part in parts])


def run_begins(arrays: Arrays) -> NDArray[np.bool_]:
    """Flags [T] of the first row of each run."""
    flags = np.zeros(len(arrays), bool)
    flags[[run["first_row"] for run in arrays.runs]] = True
    return flags


def stretches(arrays: Arrays) -> NDArray[np.bool_]:
    """Flags [T] of the rows that do not follow directly on the row before: a run begins, or volumes are missing."""
    return run_begins(arrays) | (np.diff(times(arrays), prepend=-1) != 1)


def behind_a_gap(arrays: Arrays) -> NDArray[np.bool_]:
    """Flags [T] of the rows before which volumes of the run are missing."""
    return stretches(arrays) & (times(arrays) > 0)


def presentations(arrays: Arrays) -> NDArray[np.bool_]:
    """Flags [T] of the first row of each presentation."""
    trial = np.asarray(arrays.meta["trial"])
    return (trial >= 0) & (run_begins(arrays) | (np.diff(trial, prepend=-1) != 0))
