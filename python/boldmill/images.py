"""Pictures of a stimuli file, such as NSD's nsd_stimuli.hdf5, read when they are asked for."""

from __future__ import annotations

import math
import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, MissingError, RangeError, UsageError

GREY = 128  # of the picture that stands for no picture (id -1)
FILTERS = (1, 2, 3, 32000)  # deflate, shuffle, fletcher32, and h5py's own lzf
DEFLATE_MAX_RATIO = 1032  # bytes from one, the most that RFC 1951 can do
# Where the file is below the folder of the dataset: as the bucket has it, and where the public loaders want it.
PLACES = ("nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", "nsd_stimuli.hdf5")


def stimuli_file(root: str | os.PathLike[str]) -> str:
    """The stimuli file below a copy of NSD, or where it would be."""
    places = [os.path.join(root, place) for place in PLACES]
    return next((path for path in places if os.path.exists(path)), places[-1])


class Images:
    """Pictures by their 0-based number: `Images("nsd_stimuli.hdf5")[[3, 17]]`.

    path: an HDF5 file, or the folder of a copy of NSD, where it is looked for. Nothing is opened before the first
        picture is asked for; then once in every process.
    dataset: name of the pictures in it, uint8 [pictures, H, W, 3].
    form: "float" gives float32 from 0 to 1, "bytes" uint8 from 0 to 255; both [n, 3, H, W].

    The number -1 is no picture and gives a grey one. Raises MissingError where the file or h5py is not there,
    DataError where it is not such a file, RangeError for a number that is not in it.
    """

    def __init__(
        self, path: str | os.PathLike[str], dataset: str = "imgBrick", form: Literal["float", "bytes"] = "float"
    ) -> None:
        if form not in ("float", "bytes"):
            raise UsageError(f"form: is {form!r}; give 'float' or 'bytes'")
        self.path = os.path.abspath(stimuli_file(path) if os.path.isdir(path) else path)
        self.dataset = dataset
        self.form = form
        self._opened: tuple[int, Any] | None = None  # process, dataset

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def __repr__(self) -> str:
        return f"boldmill.Images({self.path!r})"

    def __len__(self) -> int:
        return self._pictures().shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of a picture."""
        return self._pictures().shape[1:3]

    def _pictures(self) -> Any:
        """The HDF5 dataset, opened in this process."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._open())
        return self._opened[1]

    def _open(self) -> Any:
        try:
            import h5py
        except ImportError:
            raise MissingError("h5py: is not installed, and pictures need it; run `pip install h5py`") from None
        if not os.path.exists(self.path):
            raise MissingError(f"{self.path}: the pictures are not there; download {PLACES[0]}, or correct the path")
        try:
            file = h5py.File(self.path, "r", locking=False)
            link = file.get(self.dataset, getlink=True)
            found = file[self.dataset] if isinstance(link, h5py.HardLink) else None
        except (OSError, KeyError) as error:
            raise DataError(f"{self.path}: cannot be read ({error}); download it again") from None
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise DataError(f"{self.path}: holds no pictures called {self.dataset}; give the name as `dataset`")
        if found.ndim != 4 or found.shape[3] != 3 or found.dtype != np.uint8:
            raise DataError(f"{self.path}: {self.dataset} is {found.dtype} {found.shape}, not uint8 [n, H, W, 3]")
        self._check_storage(found)
        return found

    def _check_storage(self, found: Any) -> None:
        """No filters that HDF5 would load from elsewhere, and no more bytes than the file can inflate to."""
        filters = found.id.get_create_plist()
        for k in range(filters.get_nfilters()):
            if filters.get_filter(k)[0] not in FILTERS:
                raise DataError(f"{self.path}: {self.dataset} is packed in an unknown way; pack it with deflate")
        most = DEFLATE_MAX_RATIO * os.path.getsize(self.path)
        if found.size > most or math.prod(found.chunks or ()) > most:
            raise DataError(f"{self.path}: {self.dataset} claims {found.shape}, more than the file can hold")

    def pixels(self, ids: Any) -> NDArray[np.uint8]:
        """Pictures as they are stored: uint8 [n, H, W, 3]. Each is read once, however often it is asked for."""
        numbers, place = np.unique(np.asarray(ids, np.int64), return_inverse=True)
        pictures = self._pictures()
        if len(numbers) and (numbers[0] < -1 or numbers[-1] >= len(pictures)):
            wrong = int(numbers[0] if numbers[0] < -1 else numbers[-1])
            raise RangeError(f"{self.path}: there is no picture {wrong}; there are {len(pictures)}")
        found = np.full((len(numbers), *pictures.shape[1:]), GREY, np.uint8)
        for k, number in enumerate(numbers):
            if number >= 0:
                pictures.read_direct(found, np.s_[number], np.s_[k])
        return found[place]

    def __getitem__(self, which: Any) -> NDArray:
        """One picture [3, H, W] for a number, or several [n, 3, H, W] for a list of numbers."""
        pixels = self.pixels(np.atleast_1d(which)).transpose(0, 3, 1, 2)
        if self.form == "float":
            found = np.divide(pixels, np.float32(255), dtype=np.float32, order="C")
        else:
            found = np.ascontiguousarray(pixels)
        return found[0] if np.ndim(which) == 0 else found
