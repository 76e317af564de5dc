"""The Loader behind a torch DataLoader with workers. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from .loader import Loader


class Iterable(IterableDataset):
    """`DataLoader(boldmill.iterable.Iterable(loader), batch_size=None, num_workers=2)` gives the Loader's batches.

    The batches of an epoch are dealt to the workers in turn, and the DataLoader collects them in turn: they are the
    same, in the same order, with any number of workers. `loader.set_epoch` counts for the DataLoader's next iteration
    (with persistent_workers it does not reach the workers). In one process the Loader alone is faster.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is None:
            return self.loader.share(0, 1)
        return self.loader.share(worker.id, worker.num_workers)
