"""Which items a batch holds, and which batch comes when: a function of the settings, the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import core
from .dataset import Dataset
from .errors import UsageError

Order = Literal["sequential", "shuffled", "block"]
LARGEST_SEED = 2**53  # as shuffleidx has it


@dataclass(frozen=True)
class Stream:
    """The items of one part (one subject) in the order in which one rank meets them.

    items: numbers within the part. groups: bounds of pieces [g + 1]; the rows of a piece are read together.
    """

    items: NDArray[np.int64]
    groups: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """The batches of an epoch on one rank. Batch b holds items `first[b]` to `last[b]` of the stream `part[b]`."""

    streams: list[Stream]
    starts: list[int]  # number of the first item of each part
    part: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.part)

    def items(self, batch: int) -> NDArray[np.int64]:
        """Item numbers of a batch, in the dataset as a whole."""
        part = self.part[batch]
        return self.streams[part].items[self.first[batch] : self.last[batch]] + self.starts[part]


def whole_number(value: object, name: str, low: int, high: int = 2**31) -> int:
    """The value as an int; UsageError where it is none, or outside low .. high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= int(value) <= high:
        raise UsageError(f"{name}: is {value!r}; give a whole number from {low} to {high}")
    return int(value)


class Batches:
    """Item numbers of each batch, batch by batch: a `batch_sampler` for torch's DataLoader.

        batches = boldmill.Batches(points, 4096, order="shuffled")
        DataLoader(points, batch_sampler=batches, collate_fn=boldmill.collate)

    order: "sequential": as the items stand. "shuffled": every order is possible. "block": blocks of `block_rows` rows
        of the arrays in any order, the items of `buffer_blocks` blocks mixed with each other: for data that are
        larger than the memory. The orders are those of `shuffleidx` with the same seed and epoch (docs/shuffle.md).
        For "block", items are first put in the order of their rows.
    rank, world_size: the order is cut into world_size contiguous pieces whose sizes differ by at most one; this is
        piece `rank` (0 ..). With drop_last all ranks have the same number of batches, else it may differ by one.
    drop_last: leave out a last batch that is not full.

    The items of Subjects are ordered, cut and batched subject by subject; the batches of the subjects come in turn,
    so that each is through with the same part of its batches at any time ("sequential": one subject after the other).
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        order: Order = "sequential",
        seed: int = 0,
        epoch: int = 0,
        block_rows: int = 4096,
        buffer_blocks: int = 4,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        if order not in core.ORDERS:
            raise UsageError(f"order: is {order!r}; give one of {', '.join(core.ORDERS)}")
        self.dataset = dataset
        self.order = order
        self.batch_size = whole_number(batch_size, "batch_size", 1)
        self.seed = whole_number(seed, "seed", 0, LARGEST_SEED)
        self.block_rows = whole_number(block_rows, "block_rows", 1)
        self.buffer_blocks = whole_number(buffer_blocks, "buffer_blocks", 1)
        self.world_size = whole_number(world_size, "world_size", 1)
        self.rank = whole_number(rank, "rank", 0, self.world_size - 1)
        self.drop_last = bool(drop_last)
        if len(dataset.parts) > core.PARTS:
            raise UsageError(
                f"Subjects: there are {len(dataset.parts)}; at most {core.PARTS} can be ordered together"
            )
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Another epoch: another order."""
        self.epoch = whole_number(epoch, "epoch", 0, 2**32 - 1)

    def __len__(self) -> int:
        return sum(self._batches_of(len(part)) for part in self.dataset.parts)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        plan = self.plan()
        for batch in range(len(plan)):
            yield plan.items(batch)

    def _batches_of(self, n: int) -> int:
        """Batches of a part of n items on this rank."""
        piece = core.shard(n, self.world_size, self.rank)
        if self.drop_last:
            return n // self.world_size // self.batch_size
        return -(-(piece.stop - piece.start) // self.batch_size)

    def _stream(self, k: int, part: Dataset) -> Stream:
        rows = np.ascontiguousarray(part.first_rows())
        by_row = None
        if self.order == "block" and len(rows) and (np.diff(rows) < 0).any():
            by_row = np.argsort(rows, kind="stable")
            rows = np.ascontiguousarray(rows[by_row])
        how = {"seed": self.seed, "epoch": self.epoch, "part": k}
        blocks = {"block_rows": self.block_rows, "buffer_blocks": self.buffer_blocks}
        items = core.order_items(rows, self.order, **how, **blocks)
        groups = self._groups(rows[items])
        piece = core.shard(len(items), self.world_size, self.rank)
        if by_row is not None:
            items = by_row[items]
        inside = groups[(groups > piece.start) & (groups < piece.stop)] - piece.start
        return Stream(items[piece], np.unique([0, *inside, piece.stop - piece.start]))

    def _groups(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each mixed group of blocks begins; other orders are read batch by batch."""
        if self.order != "block":
            return np.arange(0, len(rows), self.batch_size)
        _, first = np.unique(rows // self.block_rows, return_index=True)
        return np.sort(first)[:: self.buffer_blocks]

    def plan(self) -> Plan:
        """All batches of the epoch."""
        parts = self.dataset.parts
        streams = [self._stream(k, part) for k, part in enumerate(parts)]
        counts = [self._batches_of(len(part)) for part in parts]
        of = np.repeat(np.arange(len(parts)), counts)
        number = np.concatenate([np.arange(count) for count in counts]) if counts else of
        if self.order != "sequential":
            turn = np.lexsort((of, (number + 0.5) / np.asarray(counts, float)[of]))
            of, number = of[turn], number[turn]
        first = number * self.batch_size
        ends = np.asarray([len(stream.items) for stream in streams])[of]
        starts = [0, *np.cumsum([len(part) for part in parts]).tolist()][:-1]
        return Plan(streams, starts, of, first, np.minimum(first + self.batch_size, ends))
