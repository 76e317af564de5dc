"""Arrays of one region of interest, as `concat` writes them: NAME.fmri.npy, NAME.meta.npy and NAME.json."""

from __future__ import annotations

import ast
import os
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import core, description
from .errors import DataError, MissingError, RangeError, UsageError

ENDINGS = (".fmri.npy", ".meta.npy", ".json", ".npy")
ANEW = "make the arrays anew"


def _stem(name: str | os.PathLike[str]) -> str:
    text = os.fspath(name)
    for ending in ENDINGS:
        if text.endswith(ending):
            return text.removesuffix(ending)
    return text


def _read_header(f: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an NPY file of version 1.0. numpy's own reader can take minutes for a damaged one."""
    start = f.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
        raise ValueError("it does not begin as NPY 1.0 does")
    text = f.read(int.from_bytes(start[8:], "little"))
    header = ast.literal_eval(text.decode("latin1").strip())
    if not isinstance(header["shape"], tuple) or not all(type(n) is int and n >= 0 for n in header["shape"]):
        raise ValueError(f"its shape is {header['shape']}")
    return header["shape"], bool(header["fortran_order"]), np.lib.format.descr_to_dtype(header["descr"])


class Arrays:
    """Values, metadata rows and description of one region: `boldmill.Arrays("cache/subj01/general")`.

    name: path of the arrays without their endings, or of any of the three files. Only the description is read at
    once; the two arrays are mapped when they are first looked at, and are read-only. Copies in other processes
    (pickled or forked) share the same memory. Arrays of another content under the same name are refused by a copy.

    Raises MissingError where a file is not there, DataError where it is not what the description says.
    """

    def __init__(self, name: str | os.PathLike[str]) -> None:
        self.name = os.path.abspath(_stem(name))
        self._info = description.read(f"{self.name}.json")

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """What was opened first, if two threads do so at once."""
        kept = self.__dict__.get(name)
        return self.__dict__.setdefault(name, make()) if kept is None else kept

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "crc32": self._content()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name = state["name"]
        self._info = description.read(f"{self.name}.json")
        if self._content() != state["crc32"]:
            raise DataError(f"{self.name}.json: describes other arrays than when this was made; open them anew")

    def _content(self) -> list[str]:
        """The checksums of the arrays."""
        return [self._info[which]["crc32"] for which in ("fmri", "meta") if self._info[which]]

    def __repr__(self) -> str:
        rows, voxels = self.shape
        return f"boldmill.Arrays({self.name!r}): {rows} time points x {voxels} voxels, {self.dtype}"

    def __len__(self) -> int:
        return self.shape[0]

    # What the description says

    @property
    def info(self) -> dict[str, Any]:
        """All of NAME.json; docs/formats.md lists the keys."""
        return self._info

    @property
    def shape(self) -> tuple[int, int]:
        """(time points, voxels)"""
        rows, voxels = self._info["fmri"]["shape"]
        return rows, voxels

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored values: float32 or float16."""
        return np.dtype(self._info["fmri"]["dtype"])

    @property
    def voxels(self) -> NDArray[np.int64]:
        """Voxel index of each column [V]: its place in `volume.reshape(-1)`."""
        return np.asarray(self._info["voxels"], np.int64)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Shape (X, Y, Z) of the volumes that the voxels lie in."""
        x, y, z = self._info["grid"]["dims"]
        return x, y, z

    @property
    def affine(self) -> NDArray[np.float64]:
        """[4, 4]: (x, y, z, 1) to millimetres, as nibabel has it."""
        return np.vstack([np.asarray(self._info["grid"]["affine"], float).reshape(3, 4), [0, 0, 0, 1]])

    @property
    def tr(self) -> float:
        """Seconds from one time point to the next."""
        return float(self._info["tr"])

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One entry for each run, in order of rows: label, subject, session, run, first_row, rows, ..."""
        return self._info["runs"]

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """One entry for each session, in order of rows: subject, session, first_row, rows."""
        return self._info["sessions"]

    # The arrays

    def path(self, which: str = "fmri") -> str:
        """Path of the file with the values ("fmri") or the metadata rows ("meta")."""
        entry = self._info[which]
        if entry is None:
            raise DataError(f"{self.name}.json: these arrays have no metadata rows; make them with labels (hrfshift)")
        return os.path.join(os.path.dirname(self.name), os.path.basename(entry["file"]))

    def _open(self, which: str) -> NDArray:
        """Maps a file whose header and length are as the description says, which must not have changed since."""
        path, entry = self.path(which), self._info[which]
        try:
            with open(path, "rb") as f:
                shape, fortran, dtype = _read_header(f)
                offset, size = f.tell(), os.fstat(f.fileno()).st_size
                named = self.dtype if which == "fmri" else dtype
                if fortran or dtype.hasobject or list(shape) != entry["shape"] or dtype != named:
                    raise DataError(f"{path}: holds {dtype} {list(shape)}, not what {self.name}.json says; {ANEW}")
                if size != offset + dtype.itemsize * int(np.prod(shape, dtype=object)):
                    raise DataError(f"{path}: has {size} bytes, which is not what its header says; {ANEW}")
                mapped = np.memmap(f, dtype, "r", offset, shape) if size > offset else np.empty(shape, dtype)
        except FileNotFoundError:
            raise MissingError(f"{path}: is not there, though {self.name}.json is; {ANEW}") from None
        except DataError:
            raise
        except (OSError, ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise DataError(f"{path}: is no NPY file ({error}); {ANEW}") from None
        if not description.is_unchanged(f"{self.name}.json", self._info):
            raise DataError(f"{self.name}.json: is another one than when it was read; open the arrays anew")
        return mapped

    @property
    def fmri(self) -> NDArray:
        """Values [T, V], mapped and read-only. Rows are time points, columns voxels in C order of (x, y, z)."""
        return self._once("_fmri", lambda: self._open("fmri"))

    @property
    def meta(self) -> NDArray:
        """Metadata rows [T], a structured array, mapped and read-only: docs/formats.md, "Metadata rows"."""
        return self._once("_meta", lambda: self._open("meta"))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields of the metadata rows; empty where there are none."""
        return () if self._info["meta"] is None else tuple(self.meta.dtype.names or ())

    @property
    def file(self) -> core.RowsFile:
        """Where the rows are, for reading ahead."""
        return self._once("_file", lambda: core.RowsFile.of(self.path(), self.fmri))

    def verify(self) -> None:
        """Reads both arrays whole and compares them with their checksums; DataError where they differ."""
        for which in ("fmri", "meta"):
            if self._info[which] is None:
                continue
            self._open(which)
            path, crc = self.path(which), 0
            with open(path, "rb") as f:
                while piece := f.read(1 << 24):
                    crc = zlib.crc32(piece, crc)
            if f"{crc:08x}" != self._info[which]["crc32"]:
                raise DataError(f"{path}: its content is not what {self.name}.json says; make the arrays anew")

    def columns(self, mask: Any) -> NDArray[np.int64]:
        """Column numbers [n] of a choice of voxels.

        mask: None (all), a boolean array [V] or [X, Y, Z], or column numbers. Voxels of a volume that are not among
        the columns are an error.
        """
        if mask is None:
            return np.arange(self.shape[1], dtype=np.int64)
        chosen = np.asarray(mask)
        if chosen.dtype != bool:
            return _numbers(chosen, self.shape[1], "column", self.name)
        if chosen.shape == (self.shape[1],):
            return np.flatnonzero(chosen).astype(np.int64)
        if chosen.shape != self.grid:
            raise UsageError(
                f"{self.name}: a mask of shape {chosen.shape} fits neither {self.shape[1]} columns nor the grid "
                f"{self.grid}; give one of these"
            )
        wanted, voxels = np.flatnonzero(chosen.reshape(-1)), self.voxels
        at = np.minimum(np.searchsorted(voxels, wanted), len(voxels) - 1)
        absent = int((voxels[at] != wanted).sum())
        if absent:
            raise DataError(f"{self.name}: {absent} voxels of the mask are not in these arrays; take a smaller mask")
        return at.astype(np.int64)

    def volume(self, row: NDArray, fill: float = 0.0) -> NDArray:
        """One row [V] back in its grid [X, Y, Z], with `fill` outside the region."""
        volume = np.full(int(np.prod(self.grid)), fill, np.asarray(row).dtype)
        volume[self.voxels] = row
        return volume.reshape(self.grid)


def _numbers(chosen: Any, n: int, what: str, name: str) -> NDArray[np.int64]:
    """Row or column numbers 0 .. n - 1 as int64; anything else is an error."""
    numbers = np.asarray(chosen)
    if numbers.size == 0:
        return np.empty(0, np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise UsageError(f"{name}: {what}s must be a list of whole numbers, not {numbers.dtype} {numbers.shape}")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= n:
        raise RangeError(f"{name}: there is no {what} {low if low < 0 else high}; give numbers from 0 to {n - 1}")
    return np.ascontiguousarray(numbers, np.int64)


def row_numbers(rows: Any, n: int, name: str) -> NDArray[np.int64]:
    """Row numbers [m] of a choice among n rows: None (all), a slice, a boolean array [n], or numbers."""
    if rows is None:
        return np.arange(n, dtype=np.int64)
    if isinstance(rows, slice):
        return np.arange(n, dtype=np.int64)[rows]
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        if chosen.shape != (n,):
            raise UsageError(f"{name}: a choice of shape {chosen.shape} does not fit {n} rows; give one flag a row")
        return np.flatnonzero(chosen).astype(np.int64)
    return _numbers(chosen, n, "row", name)
