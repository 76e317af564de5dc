"""Files that are there whole or not at all, as the programs write theirs (lib/io/commit.h), and copies of arrays."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .arrays import Arrays
from .description import sealed
from .errors import DataError
from .make import alone

STEP = 1 << 24


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to be written, which gets its name when the block ends without an error and all is on the disk."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def copy(source: str, path: str, crc32: str) -> None:
    """A copy of a file, whose CRC-32 must be this; DataError where it is not."""
    crc = 0
    with open(source, "rb") as there, whole(path) as here:
        while piece := there.read(STEP):
            crc = zlib.crc32(piece, crc)
            here.write(piece)
        if f"{crc:08x}" != crc32:
            raise DataError(f"{source}: its content is not what its description says; make the arrays anew")


def copy_arrays(arrays: Arrays, folder: str | os.PathLike[str]) -> Arrays:
    """The same arrays in another folder, copied there unless they are there already. The description comes last."""
    stem = Path(folder).absolute() / f"{Path(arrays.name).parent.name}-{Path(arrays.name).name}"
    parts = {which: f"{stem}.{which}.npy" for which in ("fmri", "meta")}
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
