"""Text files that are there whole or not at all, and on the disk, as the programs write theirs (lib/io/commit.h)."""

import contextlib
import errno
import os
import secrets


def sync(folder):
    """What was made and renamed in a folder is on the disk, where it may be listed and can be synchronised."""
    try:
        fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)


def make_folder(folder):
    """The folder and those above it, each on the disk before anything is put into it."""
    above = os.path.dirname(folder.rstrip("/"))
    if not os.path.isdir(folder or "."):
        make_folder(above)
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
        sync(above)


@contextlib.contextmanager
def named(path):
    """Errors in here name the file, which those of writing and synchronising do not by themselves."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def check(path, text):
    """What was written is what is read again."""
    with open(path, encoding="utf-8", newline="") as file:
        if file.read() != text:
            raise OSError(errno.EIO, "what was written is not what stands on the disk; check the file system", path)


def write(path, text):
    """The text under its name in one step. A temporary that a killed process leaves is one that tidy.py knows."""
    folder, name = os.path.split(path)
    make_folder(folder)
    draft = os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with named(path), open(draft, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        check(draft, text)
        os.replace(draft, path)
        sync(folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
