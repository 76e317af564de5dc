"""The Loader: batches at the speed of memory, made in advance by a thread of the same process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

from . import memory
from .ahead import SHARE, Ahead, memory_there
from .dataset import Dataset
from .errors import DataError, UsageError
from .orders import Batches, Order, Plan, whole_number
from .reader import Reader

STATE = 1  # version of state_dict
MOST_THREADS = 8  # that are taken without being asked: memory has no more to give


class Loader:
    """Batches of a dataset: `for batch in boldmill.Loader(points, batch_size=4096, order="shuffled"): ...`.

    A batch is what the dataset gives: a tensor [n, V], or a dict of tensors where several fields were asked for.
    Batches lie in memory that is used again, but not before the batch and all views of it are gone: keeping them is
    safe.

    order, seed, epoch, block_rows, buffer_blocks, rank, world_size, drop_last: see `Batches`. When an epoch has been
        gone through to its end, the next iteration is that of the next epoch; `set_epoch` names one.
    threads: of the core, for one batch; 0: one a core, up to 8.
    ahead: so many batches are made in advance.
    pin_memory: page-locked memory for copies to a GPU; "auto": if torch has a CUDA device.
    standardise: each voxel of a batch to mean 0 and standard deviation 1 over the batch (divisor n - 1, sums in
        double, rounded once; a voxel that does not vary becomes 0, one with a value that is not finite NaN).
    output: "torch" or "numpy"; None: as the dataset has it.
    memory: bytes of rows that may be kept after reading, and read ahead; "auto": half of what there is. Larger data
        are given back to the system once they have been used.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 4096,
        order: Order = "sequential",
        seed: int = 0,
        epoch: int = 0,
        block_rows: int = 4096,
        buffer_blocks: int = 4,
        rank: int = 0,
        world_size: int = 1,
        threads: int = 0,
        ahead: int = 2,
        drop_last: bool = False,
        pin_memory: bool | Literal["auto"] = "auto",
        standardise: bool = False,
        output: memory.Output | None = None,
        memory_bytes: int | Literal["auto"] = "auto",
    ) -> None:
        self.dataset = dataset
        self.batches = Batches(
            dataset, batch_size, order, seed, epoch, block_rows, buffer_blocks, rank, world_size, drop_last
        )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.threads = whole_number(threads, "threads", 0, 1024) or min(cores, MOST_THREADS)
        self.ahead = whole_number(ahead, "ahead", 1, 1024)
        self.pin_memory = pin_memory
        self.standardise = bool(standardise)
        self.output: memory.Output = output or dataset.output
        memory.check_output(self.output, dataset.dtype)
        self.memory_bytes = memory_bytes
        self._start = 0  # the batch that the next iteration begins with
        self._given = 0  # batches that the present iteration has given out
        self._turn = 0  # number of the present iteration
        self._pool: memory.Pool | None = None
        if self.standardise:
            self._check_standardise()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    def _check_standardise(self) -> None:
        for part in self.dataset.parts:
            n = len(part) // self.batches.world_size
            last = {
                n % self.batches.batch_size,
                (n + (len(part) % self.batches.world_size > 0)) % self.batches.batch_size,
            }
            if self.batches.batch_size == 1 or (1 in last and not self.batches.drop_last):
                raise UsageError(
                    "standardise: a batch of one row has no standard deviation; take drop_last=True or another "
                    "batch_size"
                )

    @property
    def epoch(self) -> int:
        """The epoch of the present or next iteration."""
        return self.batches.epoch

    def set_epoch(self, epoch: int) -> None:
        """Names the epoch of the next iteration. Where it is another one, a loaded position is forgotten."""
        if epoch != self.batches.epoch:
            self.batches.set_epoch(epoch)
            self._start = self._given = 0
            self._turn += 1

    def __len__(self) -> int:
        """Batches of an epoch, on this rank."""
        return len(self.batches)

    # Going on later

    def _settings(self) -> dict[str, Any]:
        names = ("order", "seed", "batch_size", "block_rows", "buffer_blocks", "rank", "world_size", "drop_last")
        return {name: getattr(self.batches, name) for name in names} | {"items": len(self.dataset)}

    def state_dict(self) -> dict[str, Any]:
        """Where the present iteration is: small, and of plain numbers. Batches made in advance do not count."""
        return {"version": STATE, "epoch": self.epoch, "batches": self._given} | self._settings()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on where the one that gave the state was. DataError where the settings differ."""
        if not isinstance(state, dict) or not {"epoch", "batches"} <= state.keys():
            raise DataError("state: is none of state_dict(); begin the epoch anew")
        if state.get("version") != STATE:
            raise DataError(f"state: is of version {state.get('version')}, not {STATE}; begin the epoch anew")
        for name, value in self._settings().items():
            if state.get(name) != value:
                raise DataError(f"state: {name} was {state.get(name)!r} and is {value!r}; make the Loader as it was")
        self.batches.set_epoch(state["epoch"])
        self._start = self._given = whole_number(state["batches"], "batches", 0, len(self))
        self._turn += 1

    # Iterating

    def __iter__(self) -> Iterator[Any]:
        plan, start = self.batches.plan(), self._start
        self._start, self._given = 0, start
        self._turn += 1
        return _Iteration(self, self._turn, start, self._reader(plan, range(start, len(plan))))

    def share(self, worker: int, workers: int) -> Iterator[Any]:
        """Every `workers`-th batch of the epoch, from batch `worker` on; the Loader's position stays as it is."""
        plan = self.batches.plan()
        return self._reader(plan, range(worker, len(plan), workers))

    def _reader(self, plan: Plan, batches: range) -> Reader:
        return Reader(self._maker(plan, batches), self.ahead)

    def _maker(self, plan: Plan, batches: range) -> Callable[[], Iterator[Any]]:
        """Makes batches without referring to the Loader, so that it can be dropped."""
        take, pin = self._take()
        dataset, budget = self.dataset, self.memory_bytes
        how: dict[str, Any] = {
            "take": take,
            "threads": self.threads,
            "standardise": self.standardise,
            "output": self.output,
        }
        device = _cuda_device() if pin else None

        def make() -> Iterator[Any]:
            if device is not None:
                memory.torch_module().cuda.set_device(device)
            room = int(memory_there() * SHARE) if budget == "auto" else int(budget)
            with Ahead(dataset.parts, plan, batches.start, room, alone=batches.step == 1) as ahead:
                for k in batches:
                    ahead.before(k)
                    yield dataset.batch(plan.items(k), pin=pin, **how)
                    ahead.after(k)

        return make

    def _take(self) -> tuple[memory.Take, bool]:
        """How batches get their memory, and whether it is page-locked."""
        wanted = self.pin_memory
        if wanted == "auto":
            wanted = self.output == "torch" and not memory.in_worker() and _cuda_device() is not None
        if wanted and self.output != "torch":
            raise UsageError("pin_memory: only torch has it; take output='torch', or pin_memory=False")
        if wanted:
            return memory.pinned, True
        if self.output == "torch" and memory.in_worker():
            return memory.shared, False
        if self._pool is None:
            widest = max(memory.size_of(part.shape_of(1), self.dataset.dtype) for part in self.dataset.parts)
            longest = min(self.batches.batch_size, max(len(part) for part in self.dataset.parts))
            # those ahead, and two at the consumer's as it takes the next
            self._pool = memory.Pool(keep=self.ahead + 2, least=widest * longest)
        return self._pool, False


def _cuda_device() -> int | None:
    torch = sys.modules.get("torch") or memory.torch_module()
    return torch.cuda.current_device() if torch.cuda.is_available() else None


class _Iteration:
    """One pass over the batches. Tells the Loader how far it is, as long as it is the Loader's latest."""

    def __init__(self, loader: Loader, turn: int, start: int, reader: Reader) -> None:
        self._loader, self._turn, self._given, self._reader = loader, turn, start, reader

    def __iter__(self) -> _Iteration:
        return self

    def __next__(self) -> Any:
        latest = self._loader._turn == self._turn
        try:
            batch = next(self._reader)
        except StopIteration:
            if latest and self._given >= 0:
                self._loader.set_epoch(self._loader.epoch + 1)
            self._given = -1
            raise
        self._given += 1
        if latest:
            self._loader._given = self._given
        return batch
