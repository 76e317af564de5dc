"""Which files there are: on the disk, in a bucket's listing, or in either. Patterns are looked up in any of them.

A `files` object answers glob(shell pattern), exists(path) and local(path): the path of the file's content on the
disk, wherever it came from. `ready(paths)` says that local() will be asked for these.
"""

import fnmatch
import glob
import hashlib
import os
import re
from functools import cache
from pathlib import Path

MAGIC = re.compile(r"[*?[]")
SMALL = 1_000_000  # bytes; Snakemake looks at the content of files of up to this size too


@cache
def state(path):
    """What a file is now, as a text: the checksum of a small one, length and time of change of a larger one, to the
    second, as other disks have it."""
    try:
        about = os.stat(path)
        small = about.st_size <= SMALL and hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # it is Snakemake's to say so
        return "none"
    return small or f"{about.st_size} {int(about.st_mtime)}"


def states(paths):
    """The states of files in one short text."""
    return hashlib.sha256("\n".join(map(state, paths)).encode()).hexdigest()[:16]


class Disk:
    """What lies on the disk."""

    def glob(self, pattern):
        return glob.glob(pattern)

    def exists(self, path):
        return os.path.exists(path)

    def local(self, path):
        return path

    def ready(self, paths):
        pass


class Tree:
    """What lies in folders that something else can list: `listed(folder)` gives (names of folders, names of files),
    of a path that ends in a slash. Only the folders on the way of a pattern are asked for."""

    def __init__(self, root, listed):
        self.root, self.listed = os.path.join(root, ""), listed

    def inside(self, path):
        return path.startswith(self.root) and ".." not in path.split("/")

    def exists(self, path):
        folder, name = os.path.split(path)
        return self.inside(path) and name in self.listed(os.path.join(folder, ""))[1]

    def glob(self, pattern):
        """As glob.glob: names that begin with a dot are found by their dot alone. The root is no pattern, even where
        it has brackets in its name."""
        root = glob.escape(self.root)
        for start in (root, self.root):
            if pattern.startswith(start):
                return self.below(self.root, pattern[len(start) :].split("/"))
        return []

    def below(self, folder, parts):
        fits = matcher(parts[0])
        folders, files = self.listed(folder)
        if len(parts) == 1:
            return [folder + name for name in files if fits(name)]
        inner = [folder + name + "/" for name in folders if fits(name)]
        return [path for name in inner for path in self.below(name, parts[1:])]


def matcher(text):
    """Whether a name fits this part of a shell pattern."""
    if not MAGIC.search(text):
        return text.__eq__
    regex = re.compile(fnmatch.translate(text))
    return lambda name: bool(regex.match(name)) and (name[0] != "." or text[0] == ".")


class Either:
    """What is in one or the other. The content comes from the first, or where it is not there from the second."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def glob(self, pattern):
        return self.first.glob(pattern) + self.second.glob(pattern)

    def exists(self, path):
        return self.first.exists(path) or self.second.exists(path)

    def local(self, path):
        return (self.first if self.first.exists(path) else self.second).local(path)

    def ready(self, paths):
        first = [path for path in paths if self.first.exists(path)]
        self.first.ready(first)
        self.second.ready([path for path in paths if path not in first])
