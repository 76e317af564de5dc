"""A drop-in for a public NSD loader (NSD_SAE): the same names and values, made and read by boldmill.

    from boldmill.nsd import NsdSaeDataConfig      # was: from nsd_data_loader import NsdSaeDataConfig

    config = NsdSaeDataConfig(nsddata_path="/data/nsd", subject_id=1)
    dataset = config.load_roi_NSDDataset("/data/nsd/nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz")
    loader = torch.utils.data.DataLoader(dataset, batch_size=4096, shuffle=True, num_workers=8)

docs/python.md lists what differs. Importing this module imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray

from .arrays import Arrays
from .copies import copy_arrays
from .errors import KindError, MissingError, RangeError, UsageError
from .files import make_folder, whole
from .images import GREY, Images
from .make import VOLUME, alone, grid_of, make
from .points import TimePoints
from .windows import Windows

if TYPE_CHECKING:
    from PIL.Image import Image

FIELDS = ("fmri", "stimulus_history", "subject_idx", "session", "run", "time")
WINDOW = 6  # rows of a sequence
LOOK_BACK = 24  # rows; a sequence of a longer presentation begins so far back
SPACE = "func1pt8mm"
TR = 4 / 3  # the nominal one; headers have it as a float32, which would not meet halves of it
SCANS = "nsddata_timeseries/ppdata/subj{subject:02d}/" + SPACE
SCAN = re.compile(r"_session(\d+)_run\d+\.(nii\.gz|tsv)$")
CACHE = ".cache/boldmill"  # below nsddata_path; nothing else there is written


class NsdSaeDataConfig:
    """Where a copy of NSD is, and what is attached to its time points.

    nsddata_path: folder with `nsddata_timeseries`. subject_id: 1 to 8.
    offset: seconds from a picture to the time point it is attached to. history_length: pictures that a row lists.
    chunk_size, hdf5_chunk_rows: taken and ignored; there is nothing to tune by them here.

    Beyond the public loader: cache_dir, the folder of all that is made (nsddata_path/.cache/boldmill); repeats,
    "count" or "merge": whether a picture directly after itself is a new presentation. Other names are ignored with a
    warning. Raises UsageError (a ValueError) for values that make no sense.
    """

    def __init__(
        self,
        nsddata_path: str | os.PathLike[str],
        subject_id: int,
        offset: float = 4.6,
        history_length: int = 4,
        chunk_size: int = 1000,
        hdf5_chunk_rows: int = 100,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        repeats: Literal["count", "merge"] = "count",
        **ignored: Any,
    ) -> None:
        self.nsddata_path = os.fspath(nsddata_path)
        self.subject_id = _whole("subject_id", subject_id, 1, 99)
        self.offset = _number("offset", offset, 0, 60)
        self.history_length = _whole("history_length", history_length, 1, 1024)
        self.chunk_size, self.hdf5_chunk_rows = chunk_size, hdf5_chunk_rows
        self.cache_dir = Path(cache_dir or Path(self.nsddata_path) / CACHE).absolute()
        self.repeats = repeats
        if repeats not in ("count", "merge"):
            raise UsageError(f"repeats: is {repeats!r}; give 'count' or 'merge'")
        if ignored:
            warnings.warn(f"boldmill: {', '.join(ignored)} mean nothing here and are ignored", stacklevel=2)

    def __repr__(self) -> str:
        return f"NsdSaeDataConfig(nsddata_path={self.nsddata_path!r}, subject_id={self.subject_id})"

    def load_roi_NSDDataset(  # noqa: N802 - the public loader's name
        self,
        roi: str | os.PathLike[str] | NDArray,
        custom_name: str | None = None,
        return_fmri_only: bool = True,
        num_workers: int | None = None,
        local_file: str | os.PathLike[str] = "",
    ) -> NSDDataset:
        """The time points of one region. What is missing is made first, which takes a while for a new subject.

        roi: path of a NIfTI volume, of which values above 0 count; or an array [X, Y, Z] of 0 and 1, which needs a
            custom_name.
        return_fmri_only: see NSDDataset. num_workers: cores to work with; None: all.
        local_file: a folder, such as one on a local disk, that the arrays are copied to and read from.

        Raises MissingError (FileNotFoundError) for files that are not there, UsageError or DataError (ValueError) for
        an ROI of another shape or with other values, KindError (TypeError) for an ROI that is neither path nor array,
        WorkflowError where making the arrays fails.
        """
        if not os.path.isdir(self.nsddata_path):
            raise MissingError(f"{self.nsddata_path}: there is no such folder; give that of your copy of NSD")
        region = _Region(roi, custom_name)
        name = f"{region.name}-{self._digest(region)}"
        stem = self.cache_dir / f"subj{self.subject_id:02d}" / name
        stamp = self.cache_dir / "state" / f"{stem.parent.name}-{name}"
        if not self._is_made(stem, stamp):
            with alone(self.cache_dir):
                if not self._is_made(stem, stamp):
                    self._make(region, name, stamp, num_workers)
        arrays = copy_arrays(Arrays(stem), local_file) if local_file else Arrays(stem)
        return NSDDataset(arrays, Images(self.nsddata_path).path, return_fmri_only)

    build = load_roi_NSDDataset  # the name in older versions

    def _digest(self, region: _Region) -> str:
        """Of all that decides about the arrays but the scans, so that each choice has files of its own."""
        choice = [region.digest, self.offset, self.history_length, self.repeats]
        return hashlib.sha256(json.dumps(choice).encode()).hexdigest()[:8]

    def _files(self, part: str) -> list[tuple[str, int, int]]:
        """(name, size, time) of all scans ("timeseries") or designs ("design") of this subject."""
        folder = Path(self.nsddata_path, SCANS.format(subject=self.subject_id), part)
        if not folder.is_dir():
            raise MissingError(f"{folder}: is not there; download it, or correct nsddata_path or subject_id")
        found = [(entry.name, entry.stat()) for entry in os.scandir(folder) if SCAN.search(entry.name)]
        return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)

    def _scans(self) -> str:
        """Whether any scan or design has come or changed since the last time."""
        files = [os.path.abspath(self.nsddata_path), self._files("timeseries"), self._files("design")]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()

    def _sessions(self) -> list[int]:
        """Those of which there are scans. A gap between them is told, and no error as in the workflow."""
        found = sorted({int(match[1]) for name, *_ in self._files("timeseries") if (match := SCAN.search(name))})
        absent = sorted(set(range(1, max(found, default=0))) - set(found))
        if absent:
            print(f"boldmill: no scans of sessions {absent}: the arrays go without them", file=sys.stderr, flush=True)
        return found

    def _is_made(self, stem: Path, stamp: Path) -> bool:
        there = all(os.path.exists(f"{stem}{ending}") for ending in (".fmri.npy", ".meta.npy", ".json"))
        return there and stamp.exists() and stamp.read_text() == self._scans()

    def _make(self, region: _Region, name: str, stamp: Path, cores: int | None) -> None:
        scans = self._scans()
        region.check(self._grid())
        sessions = self._sessions()
        labels = {"offset": self.offset, "history": self.history_length, "repeats": self.repeats}
        file = region.file(self.cache_dir / "masks")
        config = {"labels": labels, "sessions": sessions, "pack": {"tr": TR}}
        how: dict[str, Any] = {"name": name, "config": config, "cores": cores}
        make(self.nsddata_path, self.subject_id, file, self.cache_dir, **how)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(scans)

    def _grid(self) -> tuple[int, int, int]:
        """The subject's own, as the scans have it."""
        folder = Path(self.nsddata_path) / SCANS.format(subject=self.subject_id) / "timeseries"
        scans = self._files("timeseries")
        if not scans:
            raise MissingError(f"{folder}: no scan is there; download them, or correct nsddata_path")
        return grid_of(folder / scans[0][0])


class _Region:
    """An ROI as it was given: a path, or an array with a name."""

    def __init__(self, roi: Any, custom_name: str | None) -> None:
        self.mask: NDArray[np.bool_] | None = None
        self.path = Path()
        if isinstance(roi, np.ndarray):
            self.mask = _mask(roi)
            content = self.mask.tobytes() + str(roi.shape).encode()
            if not custom_name:
                raise UsageError("roi: an array has no name; give one as custom_name")
        elif isinstance(roi, str | os.PathLike):
            self.path = Path(roi)
            if not self.path.is_file():
                raise MissingError(f"{roi}: there is no such ROI volume; correct the path")
            if not self.path.name.endswith(VOLUME):
                raise UsageError(f"{roi}: is no NIfTI file by its name; give one that ends in .nii or .nii.gz")
            content = self.path.read_bytes()
        else:
            raise KindError(
                f"roi: is a {type(roi).__name__}; give the path of a NIfTI volume, or an array of 0 and 1"
            )
        plain = custom_name or self.path.name.removesuffix(".gz").removesuffix(".nii")
        self.name = re.sub(r"[^A-Za-z0-9_-]+", "_", plain)
        self.digest = hashlib.sha256(content).hexdigest()

    def check(self, grid: tuple[int, int, int]) -> None:
        """ValueError where the ROI is not in the subject's grid."""
        shape = grid_of(self.path) if self.mask is None else self.mask.shape
        if shape != grid:
            what = self.path if self.mask is None else "roi"
            raise UsageError(
                f"{what}: has shape {shape}, but the subject's scans have {grid}; take an ROI of this subject"
            )

    def file(self, folder: Path) -> Path:
        """The volume, or the array as a .npy file in the folder."""
        if self.mask is None:
            return self.path
        make_folder(folder)
        path = folder / f"{self.name}-{self.digest[:16]}.npy"
        if not path.exists():
            with whole(path) as f:
                np.save(f, self.mask)
        return path


def _mask(roi: NDArray) -> NDArray[np.bool_]:
    """An array of 0 and 1 [X, Y, Z] as flags."""
    if roi.ndim != 3:
        raise UsageError(f"roi: has {roi.ndim} dimensions; give an array [X, Y, Z]")
    if roi.dtype.kind not in "biuf" or not np.isin(roi, (0, 1)).all():
        raise UsageError("roi: has other values than 0 and 1; give e.g. `roi > 0`")
    if not roi.any():
        raise UsageError("roi: is 0 everywhere; choose at least one voxel")
    return roi != 0


def _number(name: str, value: Any, low: float, high: float) -> float:
    """A number, also as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise UsageError(f"{name}: is {value!r}; give a number from {low} to {high}")
    return number


def _whole(name: str, value: Any, low: int, high: int) -> int:
    number = _number(name, value, low, high)
    if number != int(number):
        raise UsageError(f"{name}: is {value!r}; give a whole number")
    return int(number)


class _Points(TimePoints):
    """Time points whose whole numbers are int64, as the public loader gives them."""

    def field(self, name: str, items: NDArray[np.int64]) -> NDArray:
        values = super().field(name, items)
        return values.astype(np.int64) if values.dtype.kind == "i" else values


class NSDDataset(torch.utils.data.Dataset):
    """Time points of one region, as the public loader gives them.

    An item is a float32 tensor [voxels], or with return_fmri_only=False a dict of tensors: fmri [voxels],
    stimulus_history int64 [history], subject_idx, session, run int64, time float32.

    fmri_data: values [T, voxels], mapped and read-only. metadata: rows [T], a structured array. voxel_dim: number of
    voxels. stimuli_path: file of the pictures. points: the same as a dataset of boldmill, for boldmill.Loader.
    """

    def __init__(self, arrays: Arrays, stimuli_path: str | os.PathLike[str], return_fmri_only: bool = True) -> None:
        self.arrays: Arrays | None = arrays
        self.name = arrays.name
        self._length, self.voxel_dim = arrays.shape
        self.stimuli_path = Path(stimuli_path)
        self._images: Images | None = None
        self._kinds = {True: _Points(arrays), False: _Points(arrays, FIELDS)}
        self._windows: Windows | None = None
        self.change_return_type(return_fmri_only)

    def change_return_type(self, return_fmri_only: bool) -> None:
        """Items from now on: the values alone, or dicts."""
        self.return_fmri_only = bool(return_fmri_only)

    def __len__(self) -> int:
        return self._length

    def _open(self) -> Arrays:
        if self.arrays is None:
            raise UsageError(f"{self.name}: has been closed; load it again")
        return self.arrays

    @property
    def points(self) -> TimePoints:
        self._open()
        return self._kinds[self.return_fmri_only]

    @property
    def fmri_data(self) -> NDArray:
        return self._open().fmri

    @property
    def metadata(self) -> NDArray:
        return self._open().meta

    def __getitem__(self, idx: Any) -> Any:
        return self.points[idx.item() if isinstance(idx, torch.Tensor) else idx]

    def __getitems__(self, items: Sequence[int]) -> Any:
        """All items of a batch at once; torch's DataLoader calls it."""
        return self.points.__getitems__(items)

    def get_sequence_item(self, idx: int) -> dict[str, torch.Tensor] | None:
        """What belongs to the picture of row idx: brain float32 [6, voxels], img float32 [3, 425, 425] from 0 to 1,
        subject_idx int64.

        The six rows begin where the presentation began, at most 24 rows before idx. None where no picture was shown
        yet in the run, or where the rows would leave the run. Raises IndexError for a row that is not there.
        """
        meta = self.metadata
        if not 0 <= idx < len(self):
            raise RangeError(f"{self.name}: there is no row {idx}; give one from 0 to {len(self) - 1}")
        row = meta[idx]
        if row["stimulus_history"][-1] < 0:
            return None
        if self._windows is None:
            self._windows = Windows(self._open(), WINDOW, unit="row")
        start = self._windows.item_of(self._began(int(idx)))
        if start is None:
            return None
        return {
            "brain": self._windows[start],
            "img": torch.from_numpy(self._pictures()[int(row["stimulus_history"][-1])]),
            "subject_idx": torch.tensor(int(row["subject_idx"])),
        }

    def _began(self, idx: int) -> int:
        """The row where the presentation of row idx began."""
        before = min(LOOK_BACK, int(self.metadata["time"][idx]))  # rows of the run
        trial = self.metadata["trial"][idx - before : idx + 1]
        return idx - before + int(np.searchsorted(trial, trial[-1]))

    def _pictures(self) -> Images:
        if self._images is None:
            self._images = Images(self.stimuli_path)
        return self._images

    def __get_image__(self, idx: int) -> Image:
        """The picture with this 0-based id as a PIL image; -1 gives a grey one that says so."""
        try:
            from PIL import Image, ImageDraw
        except ImportError:
            raise MissingError("Pillow: is not installed, and PIL images need it; run `pip install pillow`") from None
        if idx != -1:
            return Image.fromarray(self._pictures().pixels([idx])[0])
        image = Image.new("RGB", (425, 425), (GREY, GREY, GREY))
        ImageDraw.Draw(image).text((212, 212), "no seen image", (255, 255, 255), anchor="mm")
        return image

    def close(self) -> None:
        """Lets go of the files; safe twice. Items and batches that were taken stay."""
        self.arrays = self._images = self._windows = None
        self._kinds = {}
