"""Memory for batches: where they are written, and how it is used again.

Each way of taking memory is a function (shape, dtype, output) -> (value, address): `value` is what the user gets, a
numpy array or a torch tensor, `address` is where its first byte is. Rows lie one behind the other.
"""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .core import SIZES
from .errors import MissingError, UsageError

if TYPE_CHECKING:
    import torch

Output = Literal["torch", "numpy"]
HUGE_PAGE = 2 << 20


class Take(Protocol):
    """A way of taking memory for a batch."""

    def __call__(self, shape: tuple[int, ...], dtype: str, output: Output) -> tuple[Any, int]: ...


def torch_module() -> Any:
    """The torch package, imported when it is first needed."""
    try:
        import torch
    except ImportError:
        raise MissingError("torch: is not installed; install it, or ask for output='numpy'") from None
    return torch


def check_output(output: str, dtype: str) -> None:
    """UsageError where there are no values of this type in this kind of output."""
    if output not in ("torch", "numpy"):
        raise UsageError(f"output: is {output!r}; give 'torch' or 'numpy'")
    if dtype not in SIZES:
        raise UsageError(f"dtype: is {dtype!r}; give one of {', '.join(SIZES)}")
    if output == "numpy" and dtype == "bfloat16":
        raise UsageError("dtype: numpy has no bfloat16; ask for output='torch' or another dtype")


def size_of(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes of an array."""
    return int(np.prod(shape, dtype=object)) * SIZES[dtype]


class _Block:
    """What keeps a piece of memory in use: arrays and tensors that lie in it, and views of them, refer to it."""

    def __init__(self, raw: NDArray[np.uint8]) -> None:
        address = raw.ctypes.data
        self.__array_interface__ = {"data": (address, False), "shape": (raw.nbytes,), "typestr": "|u1", "version": 3}


def _large(size: int) -> NDArray[np.uint8]:
    """New memory that begins a page, on huge pages where the system has them."""
    # private: memory that is shared with children gets no huge pages
    pages = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= 2 * HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)


class Pool:
    """Memory that is used again once nobody refers to the batch in it, nor to a view of it.

    keep: so many free pieces are kept. May be called from any thread. A process made by fork begins with none.
    """

    def __init__(self, keep: int = 4, least: int = 0) -> None:
        self.least = least  # bytes of a piece, at least: so that batches of different sizes can share them
        self._keep = keep
        self._free: deque[NDArray[np.uint8]] = deque()
        self._pid = os.getpid()

    def _take_raw(self, size: int) -> NDArray[np.uint8]:
        if self._pid != os.getpid():
            self._free, self._pid = deque(), os.getpid()
        while True:
            try:
                raw = self._free.pop()
            except IndexError:
                return _large(max(size, self.least))
            if raw.nbytes >= size:
                return raw

    def _give_back(self, raw: NDArray[np.uint8], pid: int) -> None:
        if pid == os.getpid() and len(self._free) < self._keep:
            self._free.append(raw)

    def bytes(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes as an array."""
        raw = self._take_raw(size)
        block = _Block(raw)
        weakref.finalize(block, self._give_back, raw, os.getpid()).atexit = False
        return np.asarray(block)[:size]

    def __call__(self, shape: tuple[int, ...], dtype: str, output: Output) -> tuple[Any, int]:
        raw = self.bytes(size_of(shape, dtype))
        address = raw.ctypes.data
        if output == "numpy":
            return raw.view(dtype).reshape(shape), address
        torch = torch_module()
        return torch.from_numpy(raw).view(getattr(torch, dtype)).reshape(shape), address


def pinned(shape: tuple[int, ...], dtype: str, output: Output) -> tuple[Any, int]:
    """Page-locked memory for copies to a GPU.

    It is torch's own: torch gives it out again only after copies that are still under way (non_blocking) have ended.
    """
    torch = torch_module()
    value = torch.empty(shape, dtype=getattr(torch, dtype), pin_memory=True)
    return value, value.data_ptr()


def shared(shape: tuple[int, ...], dtype: str, output: Output) -> tuple[Any, int]:
    """Memory that a worker of a DataLoader can hand to its parent without a copy."""
    torch = torch_module()
    kind = getattr(torch, dtype)
    storage = torch.empty(0, dtype=kind)._typed_storage()._new_shared(int(np.prod(shape)))
    value = torch.empty(0, dtype=kind).set_(storage).reshape(shape)
    return value, value.data_ptr()


def in_worker() -> bool:
    """Is this a worker process of a torch DataLoader?"""
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def to_output(values: NDArray, output: Output, pin: bool = False) -> NDArray | torch.Tensor:
    """A small array as a tensor, where tensors are wanted."""
    if output == "numpy":
        return values
    tensor = torch_module().from_numpy(values)
    return tensor.pin_memory() if pin else tensor
