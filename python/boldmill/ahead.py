"""Reading ahead: the rows that the next batches need come from the disk while the present one is used."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import core
from .dataset import Dataset
from .orders import Plan, Stream

SHARE = 0.5  # of the memory that there is, for rows that have been read


def memory_there() -> int:
    """Bytes of memory that this process may use, as far as the system tells."""
    found = [1 << 62]
    text = _text("/proc/meminfo")
    if match := re.search(r"^MemAvailable:\s+(\d+) kB", text, re.M):
        found.append(int(match[1]) * 1024)
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found.append(_limit(f"/sys/fs/cgroup{path}/memory.max"))
        elif "memory" in controllers.split(","):
            found.append(_limit(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))
    return min(found)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _limit(path: str) -> int:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else 1 << 62


class _Part:
    """Progress in the stream of one part. Positions count its items."""

    def __init__(self, part: Dataset, stream: Stream, start: int, budget: int) -> None:
        self.part, self.stream = part, stream
        self._sorted: tuple[int, NDArray[np.int64]] | None = None  # the group's first item, its rows
        self.files = [source.file for source in part.sources()]
        self.row_bytes = sum(file.row_bytes for file in self.files)
        self.larger = sum(len(source) * source.file.row_bytes for source in part.sources()) > budget
        # within a group the rows come mixed: one that was begun is read whole
        self.fetched = self.released = self._group(start)[0]
        widest = int(np.diff(stream.groups).max(initial=0))
        per_item = max(len(part.rows_of(stream.items[:1])), 1) * self.row_bytes
        self.distance = min(widest, max(budget // 2 // per_item, 1))

    def _rows(self, first: int, behind: int) -> NDArray[np.int64]:
        """The rows of a group, ascending, each once."""
        if self._sorted is None or self._sorted[0] != first:
            self._sorted = first, np.unique(self.part.rows_of(self.stream.items[first:behind]))
        return self._sorted[1]

    def _group(self, position: int) -> tuple[int, int]:
        """The group that an item is in: its first item, and the first behind it."""
        groups = self.stream.groups
        k = int(np.searchsorted(groups, position, side="right"))
        return int(groups[k - 1]), int(groups[min(k, len(groups) - 1)])

    def needed(self, last: int) -> int:
        """Where the group ends that a batch that ends at `last` needs."""
        return self._group(max(last - 1, 0))[1]

    def behind(self, last: int) -> bool:
        """Is it time to read on? Not for every batch: waking a thread takes longer than a small batch does."""
        wanted = min(last + self.distance, len(self.stream.items))
        return self.fetched < wanted and (
            wanted - self.fetched > self.distance // 8 or wanted == len(self.stream.items)
        )

    def fetch(self, wanted: int) -> None:
        """Asks for the rows of all items before `wanted`."""
        wanted = min(wanted, len(self.stream.items))
        while self.fetched < wanted:
            first, behind = self._group(self.fetched)
            rows, stop = self._rows(first, behind), min(wanted, behind)
            # positions within a group are mixed: in proportion, its rows are asked for in ascending order
            share = [len(rows) * (position - first) // (behind - first) for position in (self.fetched, stop)]
            self._tell(core.fetch, rows[share[0] : share[1]])
            self.fetched = stop

    def release(self, last: int) -> None:
        """Gives back the groups that end before `last`, where the data are larger than the memory."""
        while self.larger and self.released < len(self.stream.items):
            first, behind = self._group(self.released)
            if behind > last:
                break
            self._tell(core.release, self._rows(first, behind))
            self.released = behind

    def _tell(self, what: object, rows: NDArray[np.int64]) -> None:
        rows = np.ascontiguousarray(rows)
        for file in self.files if len(rows) else []:
            what(file, rows)  # type: ignore[operator]


class Ahead:
    """Reading ahead along a plan, from batch `start` on: `with Ahead(...) as ahead`.

    Asking the system takes time, too: a thread does it while batches are made. All that it does, it does in order.

    memory: bytes for rows that have been read. alone: nobody else goes through the same rows at the same time, so
    that they may be given back.
    """

    def __init__(self, parts: list[Dataset], plan: Plan, start: int, memory: int, alone: bool = True) -> None:
        budget = max(memory // max(len(parts), 1), 1)
        done = [int(plan.last[:start][plan.part[:start] == k].max(initial=0)) for k in range(len(parts))]
        self._plan, self._alone = plan, alone
        self._parts = [
            _Part(part, stream, position, budget)
            for part, stream, position in zip(parts, plan.streams, done, strict=True)
        ]

        self._thread = ThreadPoolExecutor(1, "boldmill ahead")

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._thread.shutdown(cancel_futures=error is not None)

    def before(self, batch: int) -> None:
        """To be called before the rows of a batch are looked at."""
        part, last = self._parts[self._plan.part[batch]], int(self._plan.last[batch])
        needed = part.needed(last)
        if part.fetched < needed:
            self._thread.submit(part.fetch, needed).result()
        if part.behind(last):
            self._thread.submit(part.fetch, last + part.distance)

    def after(self, batch: int) -> None:
        """To be called when they have been copied."""
        part, last = self._parts[self._plan.part[batch]], int(self._plan.last[batch])
        if self._alone and part.larger:
            self._thread.submit(part.release, last)
