"""NAME.json, the description of arrays: read, compared with its seal, and looked at whether it contradicts itself."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError, MissingError

SCHEMA = 1
KEYS = ("fmri", "meta", "voxels", "grid", "runs", "sessions", "tr")


def sealed(info: dict[str, Any]) -> bytes:
    """The text of a description, which ends with its own checksum: docs/formats.md, "ROI arrays"."""
    head = json.dumps({key: value for key, value in info.items() if key != "crc32"}).removesuffix("}").encode()
    return head + b',"crc32":"%08x"}\n' % zlib.crc32(head)


def _is_sealed(text: bytes) -> bool:
    """Does a description end with the checksum of its own text?"""
    head, _, seal = text.removesuffix(b"\n").rpartition(b",")
    return seal == b'"crc32":"%08x"}' % zlib.crc32(head)


def read(path: str) -> dict[str, Any]:
    """The description; MissingError or DataError."""
    try:
        text = Path(path).read_bytes()
        info = json.loads(text)
    except FileNotFoundError:
        name = path.removesuffix(".json")
        if Path(name).is_dir():
            raise MissingError(
                f"{name}: is a folder; give the name of arrays in it, such as {name}/general"
            ) from None
        raise MissingError(
            f"{path}: is not there; correct the name, or make the arrays: boldmill.make_arrays, or "
            f"`snakemake -j8 {name}.fmri.npy` in boldmill's folder"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); make the arrays anew") from None
    if not isinstance(info, dict) or info.get("boldmill") != "arrays":
        raise DataError(f"{path}: does not describe arrays of boldmill; give the NAME of NAME.fmri.npy")
    if not _is_sealed(text):
        raise DataError(f"{path}: its checksum does not match; it is damaged or was edited, make the arrays anew")
    schema = info.get("schema", 0)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise DataError(f"{path}: schema {schema} is newer than this package; install a newer one")
    for key in KEYS:
        if key not in info:
            raise DataError(f"{path}: {key} is missing; make the arrays anew")
    if problem := _problem(info):
        raise DataError(f"{path}: {problem}; make the arrays anew")
    return info


def is_unchanged(path: str, info: dict[str, Any]) -> bool:
    """Whether the description that stands there now has the seal of this one. Reads its end alone."""
    end = b'"crc32":"%s"}' % str(info.get("crc32")).encode()
    try:
        with open(path, "rb") as f:
            f.seek(-len(end) - 1, 2)
            return f.read().removesuffix(b"\n").endswith(end)
    except OSError:
        return False


def _problem(info: dict[str, Any]) -> str | None:
    """In what the description contradicts itself, or None."""
    try:
        found = [what for what, right in _claims(info) if not right]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return f"what it says cannot be understood ({type(error).__name__}: {error})"
    return f"{found[0]} contradicts the rest" if found else None


def _claims(info: dict[str, Any]) -> list[tuple[str, bool]]:
    """(part of the description, whether it agrees with the others)"""
    fmri, meta, dims = info["fmri"], info["meta"], info["grid"]["dims"]
    (rows, columns), voxels = fmri["shape"], np.asarray(info["voxels"])
    claims = [
        ("fmri: shape", _counts(fmri["shape"])),
        ("fmri: dtype", fmri["dtype"] in ("float32", "float16")),
        ("grid: dims", _counts(dims) and len(dims) == 3),
        ("grid: affine", np.asarray(info["grid"]["affine"], float).size == 12),
        ("tr", math.isfinite(info["tr"])),
        ("voxels", voxels.shape == (columns,) and (columns == 0 or _ascend(voxels, math.prod(dims)))),
        ("runs", _covers(info["runs"], rows)),
        ("sessions", _covers(info["sessions"], rows)),
        ("meta: shape", meta is None or meta["shape"] == [rows]),
    ]
    texts = [entry[key] for entry in (fmri, meta) if entry is not None for key in ("file", "crc32")]
    return [*claims, ("file or crc32", all(isinstance(text, str) for text in texts))]


def _counts(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _ascend(voxels: Any, end: int) -> bool:
    """Whether these are voxel indices of a grid of `end` voxels, each larger than the one before."""
    return voxels.dtype.kind == "i" and voxels[0] >= 0 and voxels[-1] < end and bool((np.diff(voxels) > 0).all())


def _covers(pieces: list[dict[str, Any]], rows: int) -> bool:
    """Whether runs or sessions follow each other and have all rows."""
    at = 0
    for piece in pieces:
        times = piece.get("times")
        if piece["first_row"] != at or not _counts([piece["rows"]]) or (times and len(times) != piece["rows"]):
            return False
        at += piece["rows"]
    return at == rows
