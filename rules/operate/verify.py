"""Reads all that stands in a cache and compares its checksums; what the rule `verify` runs:

    python rules verify CACHE --boldinfo bin/boldinfo --jobs 8

Every file ends up in one of four lists:

  good          checksums vouch for it: its own, or those of the description beside it
  unverifiable  it is complete, but holds no checksum, or is of a kind that boldinfo does not know
  leftover      the temporary of a killed program; it may be removed
  bad           damaged; or a part of an artifact whose description is not there, or vouches for other files; or
                what cannot be looked at: a folder without permission, a link to nothing

Bad ones make the status 1. Links to folders are followed. The workflow's own notes (log/, benchmark/) are passed
over.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from operate.words import shown

NOTES = ("log", "benchmark")  # text that nothing is made from
# Parts of artifacts.
OURS = re.compile(r"\.(fmri|meta|maps|carpet)\.npy$|\.(shuffle|split)(\.[^/]+)?(-\d+-of-\d+)?\.npy$")
KNOWN = (
    ".h5",
    ".hdf5",
    ".npys",
    ".npy",
    ".json",
    ".nii",
    ".gz",
    ".hdr",
    ".img",
)  # these must be what they are called
LEFTOVER = re.compile(r"^\..*\.tmp$", re.DOTALL)
MOST = 20  # names shown of a list


def files(cache):
    """All files below the folder, relative to it, and {what cannot be looked at: why}."""
    found, seen, wrong = [], set(), {}

    def unreadable(error):
        wrong[Path(error.filename).relative_to(cache)] = f"{shown(error.filename)}: {error.strerror}"

    for folder, folders, names in os.walk(cache, followlinks=True, onerror=unreadable):
        here, about = Path(folder).relative_to(cache), os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:  # a link to a folder that was or will be looked at by another name
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        if here == Path("."):
            folders[:] = [name for name in folders if name not in NOTES]
        found += [here / name for name in names]
    return sorted(found), wrong


def members(info):
    """Names of the files that a description vouches for."""
    parts = {"arrays": ("fmri", "meta"), "quality": ("maps", "carpet")}.get(info["kind"], ())
    entries = [info.get(name) for name in parts]
    entries += [file for part in info.get("parts", []) for file in part["files"]] if info["kind"] == "shuffle" else []
    return [entry["file"] for entry in entries if entry]


def foreign(path):
    """JSON that is whole and does not claim to be one of our descriptions."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    return not (isinstance(found, dict) and {"boldmill", "crc32"} & found.keys())


class Verify:
    def __init__(self, cache, boldinfo):
        self.cache, self.boldinfo = cache, boldinfo
        self.good, self.unverifiable, self.leftover, self.bad = [], {}, [], {}
        self.vouched = set()

    def look(self, name):
        """(description or None, what boldinfo said)"""
        command = [self.boldinfo, "--verify", "--json", "--", str(self.cache / name)]
        done = subprocess.run(command, capture_output=True, check=False)
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode:
            return None, said or f"{name}: boldinfo ended with status {done.returncode}"
        return json.loads(done.stdout), said

    def file(self, name):
        info, said = self.look(name)
        if info and info["verified"]:
            self.good.append(name)
            self.vouched |= {name.parent / member for member in members(info)}
        elif info:
            self.unverifiable[name] = f"{info['kind']}, holds no checksum"
        elif not name.name.endswith(KNOWN) or (name.suffix == ".json" and foreign(self.cache / name)):
            self.unverifiable[name] = "not a kind that boldmill knows"
        else:
            self.bad[name] = said

    def orphan(self, name):
        self.bad[name] = (
            f"{shown(self.cache / name)}: no description beside it vouches for it (its .json is not there, is "
            "damaged, or is of other files); make it again, or remove it"
        )

    def no_file(self, name):
        """A link to nothing; a pipe, socket or device is not the cache's."""
        path = self.cache / name
        if path.exists():
            self.unverifiable[name] = "no file"
        else:
            self.bad[name] = f"{shown(path)}: is a link to nothing; make it again, or remove it"

    def all(self, jobs):
        every, self.bad = files(self.cache)
        found = [name for name in every if (self.cache / name).is_file()]
        for name in set(every) - set(found):
            self.no_file(name)
        self.leftover = [name for name in found if LEFTOVER.match(name.name)]
        arrays = [name for name in found if name.suffix == ".npy" and name not in self.leftover]
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.file, [name for name in found if name not in {*arrays, *self.leftover}]))
            self.good += [name for name in arrays if name in self.vouched]
            alone = [name for name in arrays if name not in self.vouched]
            for name in alone:
                if OURS.search(name.name):
                    self.orphan(name)
            list(pool.map(self.file, [name for name in alone if name not in self.bad]))

    def tell(self):
        for name in sorted(self.bad):
            print(self.bad[name], file=sys.stderr)
        for names, what in (
            (self.unverifiable, "cannot be verified"),
            (self.leftover, "left by a killed program; may be removed"),
        ):
            for name in sorted(names)[:MOST]:
                why = f" ({self.unverifiable[name]})" if name in self.unverifiable else ""
                print(f"{shown(self.cache / name)}: {what}{why}", file=sys.stderr)
            if len(names) > MOST:
                print(f"... and {len(names) - MOST} more: {what}", file=sys.stderr)
        for listed, word in ((self.good, "good"), (self.unverifiable, "unverifiable"), (self.leftover, "leftover")):
            for name in sorted(listed):
                print(f"{word:14}{shown(name)}")
        for name in sorted(self.bad):
            print(f"{'BAD':14}{shown(name)}")
        counts = f"{len(self.good)} files are complete, all checksums good"
        for listed, what in (
            (self.unverifiable, "cannot be verified"),
            (self.leftover, "left over"),
            (self.bad, "damaged or without their description"),
        ):
            counts += f"; {len(listed)} {what}" if listed else ""
        print(counts, file=sys.stderr)


def main(argv=None):
    args = argparse.ArgumentParser(prog="verify", description=__doc__.splitlines()[0])
    args.add_argument("cache", type=Path)
    args.add_argument("--boldinfo", default="boldinfo")
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args = args.parse_args(argv)
    verify = Verify(args.cache, args.boldinfo)
    if not args.cache.is_dir():
        print(f"{args.cache}: there is no such folder, so nothing to verify; name the cache", file=sys.stderr)
        return 1
    if not shutil.which(args.boldinfo):
        print(f"{args.boldinfo}: is not there or no program; run make, or name it (--boldinfo)", file=sys.stderr)
        return 1
    verify.all(args.jobs)
    verify.tell()
    return int(bool(verify.bad))
