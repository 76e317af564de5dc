"""Whether the bytes that came are those that were meant: MD5 and what S3 makes of it, gzip to its last trailer."""

import hashlib
import re
import zlib

STEP = 1 << 20
# Part sizes that are in use, for objects that were uploaded in parts (their ETag is a hash of the parts' hashes).
USUAL = [n << 20 for n in (8, 5, 16, 32, 64, 10, 15, 20, 25, 50, 100, 128, 256, 512, 1024)]
USUAL += [5_000_000, 8_000_000, 10_000_000, 16_000_000, 50_000_000, 64_000_000, 100_000_000]


class Damaged(Exception):
    """The bytes are wrong: what about them, as a part of a sentence."""


class Digest:
    """What the bytes say of themselves, as they pass by: their number, their MD5, and the ETag that S3 would give
    them. `part` is the size of the parts that they were uploaded in, where it is known; else usual ones are tried."""

    def __init__(self, size, etag, part=None):
        self.size, self.etag, self.count = size, etag.lower(), 0
        self.md5, self.known = new_md5(), bool(part)
        parts = int(match[1]) if (match := re.fullmatch(r"[0-9a-f]{32}-([0-9]+)", self.etag)) else 0
        guesses = [part] if part else [n for n in USUAL if -(-size // n) == parts]
        self.parts = [Parts(n) for n in guesses] if parts else []

    def feed(self, data):
        self.count += len(data)
        self.md5.update(data)
        for parts in self.parts:
            parts.feed(data)

    def finish(self):
        """How far the bytes could be compared with the ETag: "md5", "parts", or "size" where no more can be told."""
        if self.count != self.size:
            raise Damaged(f"has {self.count} bytes where the bucket has {self.size}")
        if re.fullmatch("[0-9a-f]{32}", self.etag):
            if self.md5.hexdigest() != self.etag:
                raise Damaged(f"its MD5 is {self.md5.hexdigest()} and that of the object {self.etag}")
            return "md5"
        if any(parts.etag() == self.etag for parts in self.parts):
            return "parts"
        if self.known:
            raise Damaged(f"its parts have the ETag {self.parts[0].etag()} and those of the object {self.etag}")
        return "size"


class Parts:
    """The ETag of an object that was uploaded in parts of this size."""

    def __init__(self, size):
        self.size, self.room = size, size
        self.now, self.done = new_md5(), []

    def feed(self, data):
        view = memoryview(data)
        while view:
            taken, view = view[: self.room], view[self.room :]
            self.now.update(taken)
            self.room -= len(taken)
            if not self.room:
                self.done.append(self.now.digest())
                self.now, self.room = new_md5(), self.size

    def etag(self):
        done = self.done + ([self.now.digest()] if self.room < self.size or not self.done else [])
        return f"{new_md5(b''.join(done)).hexdigest()}-{len(done)}"


def new_md5(data=b""):
    return hashlib.md5(data, usedforsecurity=False)


class Gzip:
    """gzip, all members to the last trailer: the CRC-32 and the length of each must match. Zeros behind the last
    member are padding, anything else is damage, as nifti2h5 has it. What is no gzip passes, unless its name says that
    it is."""

    def __init__(self, name):
        self.named = name.endswith(".gz")
        self.state, self.begin, self.member, self.damage = "begin", b"", None, None

    def feed(self, data):
        try:
            self.take(data)
        except Damaged as damage:
            self.state, self.damage = "damaged", damage

    def take(self, data):
        if self.state == "begin":
            self.begin += data
            if len(self.begin) < 2:
                return
            data, self.begin = self.begin, b""
            self.state = "between" if data[:2] == b"\x1f\x8b" else "plain"
        while data and self.state in ("inside", "between"):
            data = self.inside(data) if self.state == "inside" else self.between(data)
        if data and self.state == "padding" and data.strip(b"\0"):
            raise Damaged("the gzip data are followed by zeros and then by something else")

    def between(self, data):
        """At the end of a member, or before the first."""
        if data[0] == 0:
            self.state = "padding"
        elif data[0] != 0x1F:
            raise Damaged("the gzip data are followed by something else")
        else:
            self.state, self.member = "inside", zlib.decompressobj(wbits=31)
        return data

    def inside(self, data):
        try:
            while data and not self.member.eof:
                self.member.decompress(data, STEP)
                data = self.member.unconsumed_tail
        except zlib.error as error:
            raise Damaged(f"its gzip data are corrupt ({error})") from None
        if not self.member.eof:
            return b""
        self.state = "between"
        return self.member.unused_data

    def finish(self):
        if self.damage:
            raise self.damage
        if self.state == "inside":
            raise Damaged("its gzip data end early")
        if self.named and self.state in ("begin", "plain"):
            raise Damaged("it is named .gz and holds no gzip data")


def reread(file, *checks):
    """Feeds an open file to the checks; does not finish them."""
    while data := file.read(STEP):
        for check in checks:
            check.feed(data)
