"""A file that is written in pieces, several at a time, and what of it is there: for objects of many GB.

While it grows the file is longer than the object: behind its bytes stands one byte for each piece, 1 where the piece
is there. It is set when the piece's own bytes are on the disk, so that it holds after a crash, too. When all pieces
are there these bytes are cut off, and the file is what one stream would have left.
"""

import os

SIZE = 16 << 20
LARGE = 16 * SIZE  # from this size on a file is written in pieces


class Pieces:
    """Of the file `fd` that becomes `total` bytes long. What one stream has begun counts as far as it goes."""

    def __init__(self, fd, total):
        self.fd, self.total, self.count = fd, total, -(-total // SIZE)
        length = os.fstat(fd).st_size
        if length != total + self.count:
            whole = self.count if length == total else length // SIZE if length < total else 0
            os.ftruncate(fd, length if whole else 0)
            os.fdatasync(fd)
            os.pwrite(fd, b"\1" * whole + b"\0" * (self.count - whole), total)

    def missing(self):
        """Numbers of the pieces that are not there."""
        return [number for number, there in enumerate(flags(self.fd, self.total, self.count)) if there != 1]

    def span(self, number):
        """Where the piece begins and ends."""
        return number * SIZE, min((number + 1) * SIZE, self.total)

    def done(self, number):
        os.fdatasync(self.fd)
        os.pwrite(self.fd, b"\1", self.total + number)

    def finish(self):
        os.ftruncate(self.fd, self.total)


def flags(fd, total, count):
    return os.pread(fd, count, total)


def there(path, total):
    """How many bytes of an object lie in its file, which grows in pieces or as one stream; 0 where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        length, count = os.fstat(fd).st_size, -(-total // SIZE)
        if length <= total:
            return length
        return min(SIZE * flags(fd, total, count).count(1), total) if length == total + count else 0
    finally:
        os.close(fd)
