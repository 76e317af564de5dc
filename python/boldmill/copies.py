"""Copies of arrays in another folder, such as one on a disk that is near."""

from __future__ import annotations

import os
from pathlib import Path

from .arrays import Arrays
from .description import sealed
from .errors import DataError
from .files import STEP, whole
from .make import alone


def copy(source: str, path: str, crc32: str) -> None:
    """A copy of a file, whose CRC-32 must be this; DataError where it is not."""
    with open(source, "rb") as there, whole(path) as here:
        while piece := there.read(STEP):
            here.write(piece)
        if f"{here.crc32:08x}" != crc32:
            raise DataError(f"{source}: its content is not what its description says; make the arrays anew")


def copy_arrays(arrays: Arrays, folder: str | os.PathLike[str]) -> Arrays:
    """The same arrays in another folder, copied there unless they are there already. The description comes last."""
    stem = Path(folder).absolute() / f"{Path(arrays.name).parent.name}-{Path(arrays.name).name}"
    parts = {which: f"{stem}.{which}.npy" for which in ("fmri", "meta") if arrays.info[which]}
    renamed = {which: arrays.info[which] | {"file": os.path.basename(path)} for which, path in parts.items()}
    wanted, description = sealed(arrays.info | renamed), Path(f"{stem}.json")

    def is_there() -> bool:
        return all(map(os.path.exists, (*parts.values(), description))) and description.read_bytes() == wanted

    if not is_there():
        with alone(stem.parent):
            if not is_there():
                for which, path in parts.items():
                    copy(arrays.path(which), path, arrays.info[which]["crc32"])
                with whole(description) as file:
                    file.write(wanted)
    return Arrays(stem)
