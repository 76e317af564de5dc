"""Files that are there whole or not at all, and on the disk, as the programs write theirs (lib/io/commit.h)."""

from __future__ import annotations

import errno
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

STEP = 1 << 24  # bytes read at once


def sync(folder: Path) -> None:
    """What was made and renamed in a folder is on the disk, where it may be listed and can be synchronised."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """The folder and those above it, each on the disk before anything is put into it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


class Written:
    """A file that is written, and the CRC-32 of what that was."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.crc32 = file, 0

    def write(self, data: bytes) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return self.file.write(data)


def check(path: Path, crc32: int) -> None:
    """What is read again must be what was written."""
    found = 0
    with open(path, "rb") as file:
        while piece := file.read(STEP):
            found = zlib.crc32(piece, found)
    if found != crc32:
        raise OSError(errno.EIO, "what was written is not what stands on the disk; check the file system", str(path))


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Written]:
    """A file to be written, which gets its name when the block ends without an error and all is on the disk."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with open(draft, "xb") as file:
            written = Written(file)
            yield written
            file.flush()
            os.fsync(file.fileno())
        check(draft, written.crc32)
        os.replace(draft, path)
        sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
