"""The files below the root as they are on the disk, beside what the bucket has."""

import os

from fetch import transfer
from fetch.bucket import Trouble
from fetch.checks import Damaged


class Files:
    def __init__(self, live, journal, replace=False):
        self.live, self.journal, self.replace = live, journal, replace

    def state(self, path):
        """here; compare (there before us, with the right size); fetch."""
        wanted, entry = self.live.object(path), self.journal.find(path)
        try:
            size = os.path.getsize(path)
        except FileNotFoundError:
            return "fetch"
        if entry and entry["etag"] == wanted.etag and entry["size"] == size == wanted.size:
            return "here"
        if size == wanted.size and (not entry or entry["etag"] == wanted.etag):
            return "compare"
        if entry or self.replace:
            return "fetch"
        raise Trouble(different(path, f"has {size} bytes and the bucket's has {wanted.size}"))

    def get(self, path, meter):
        """Sees to it that the file is there. Whether anything was transferred."""
        state, wanted, key = self.state(path), self.live.object(path), self.live.key(path)
        if state == "compare" and self.compare(path, wanted, key):
            return False
        if state == "here":
            return False
        found, md5, how = transfer.to_file(self.live.bucket, key, wanted, path, meter)
        self.live.replace(path, found)
        self.journal.add(path, found, md5, how)
        return True

    def compare(self, path, wanted, key):
        """Takes a file that we did not fetch for what it is, if its bytes are the object's."""
        try:
            self.journal.add(path, wanted, *self.check(path, wanted, key))
        except Damaged as damage:
            if not self.replace:
                raise Trouble(different(path, str(damage))) from None
            return False
        return True

    def check(self, path, wanted, key):
        return transfer.checked(self.live.bucket, key, wanted, path, os.path.basename(path))

    def verify(self, path):
        """Reads a file again; Trouble if it is not what was fetched."""
        entry = self.journal.find(path)
        try:
            md5, _ = self.check(path, self.live.object(path), self.live.key(path))
            if entry and md5 != entry["md5"]:
                raise Damaged(f"its MD5 was {entry['md5']} when it was fetched and is {md5} now")
        except FileNotFoundError:
            raise Trouble(f"{path}: is not there; run fetch") from None
        except Damaged as damage:
            raise Trouble(f"{path}: {damage}; run fetch --replace after removing it") from None


def different(path, how):
    return f"{path}: was there before and is not what the bucket has ({how}); move it away, or give --replace"
