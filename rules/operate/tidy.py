"""Removes what killed programs have left: `make tidy`, or `python rules tidy [OPTIONS] FOLDER...`.

A program that is killed (SIGKILL, power, a node that goes down) leaves its temporary `.NAME.PID-RANDOM.tmp` beside
the output; a download that is cut leaves `.NAME.TOKEN.part`, with which it could go on. Such a file is removed if
it

  - is a plain file with such a name, and yours,
  - has not been written to for --age (a day),
  - and is not open in a process on this machine, nor has the number of one of our programs that runs here.

A shared folder may hold temporaries of other machines, whose processes cannot be seen from here: hence the age.
Where all programs ran on this machine, --gone takes every temporary whose process is gone, whatever its age. Nothing
else is ever touched: no folders, no links, no files of other users. --dry-run only tells.
"""

import argparse
import os
import re
import stat
import sys
import time
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.([1-9][0-9]{0,9})-[0-9a-f]{16}\.tmp", re.DOTALL)
PART = re.compile(r"\..+\.[0-9a-f]{16}\.part", re.DOTALL)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text):
    """90s, 10m, 24h or 7d."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text}: not a time; write e.g. 30m, 24h or 7d")
    return int(match[1]) * UNITS[match[2]]


def programs():
    """The names of our programs: those in bin/, or in the Makefile where nothing is built."""
    root = Path(__file__).resolve().parents[2]
    built = {path.name for path in (root / "bin").glob("*")}
    if not built and (root / "Makefile").exists():
        built = set(re.search(r"^PROGRAMS := (.+)$", (root / "Makefile").read_text(), re.M)[1].split())
    return built


def running():
    """{number: name} of the processes on this machine."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            found[int(path.parent.name)] = path.read_text().rstrip("\n")
        except OSError:  # it has ended
            continue
    return found


def open_files():
    """(device, inode) of all files that processes on this machine hold open, as far as we may see."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd"):
        try:
            names = os.listdir(path)
        except OSError:
            continue
        for name in names:
            try:
                st = os.stat(path / name)
            except OSError:
                continue
            found.add((st.st_dev, st.st_ino))
    return found


class Tidy:
    def __init__(self, age, gone, dry_run):
        self.age, self.gone, self.dry_run = age, gone, dry_run
        self.alive, self.ours = running(), programs()
        self.now = time.time()
        self.held = None
        self.removed = self.bytes = self.kept = self.failed = 0

    def why_kept(self, name, st):
        """Why a file with such a name stays, or None."""
        temporary = TEMPORARY.fullmatch(name)
        if st.st_uid != os.geteuid():
            return "it is another user's"
        if temporary and self.alive.get(int(temporary[1])) in self.ours:
            return f"process {temporary[1]} is at work"
        gone = self.gone and temporary and int(temporary[1]) not in self.alive
        if not gone and self.now - st.st_mtime < self.age:
            return "it is too young; see --age"
        if self.held is None:
            self.held = open_files()
        return "a process has it open" if (st.st_dev, st.st_ino) in self.held else None

    def one(self, folder, name, fd):
        """A file with such a name in the folder that is open as `fd`."""
        shown = ascii(os.path.join(folder, name))[1:-1]
        try:
            st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            why = self.why_kept(name, st) if stat.S_ISREG(st.st_mode) else "it is no plain file"
            if not why and not self.dry_run:
                os.unlink(name, dir_fd=fd)
        except FileNotFoundError:  # its program has finished meanwhile
            return
        except OSError as error:
            self.failed += 1
            print(f"tidy: {shown}: cannot be removed: {error.strerror}", file=sys.stderr)
            return
        if why:
            self.kept += 1
            print(f"kept {shown}: {why}")
            return
        self.removed += 1
        self.bytes += st.st_size
        print(f"{'would remove' if self.dry_run else 'removed'} {shown} ({st.st_size} bytes)")

    def folder(self, top):
        def unreadable(error):
            self.failed += 1
            print(f"tidy: {ascii(error.filename)[1:-1]}: cannot be read: {error.strerror}", file=sys.stderr)

        if not os.path.isdir(top):
            unreadable(NotADirectoryError(20, "no such folder", str(top)))
            return
        for folder, folders, files, fd in os.fwalk(top, onerror=unreadable):
            folders[:] = sorted(name for name in folders if name != ".snakemake")
            for name in sorted(files):
                if TEMPORARY.fullmatch(name) or PART.fullmatch(name):
                    self.one(folder, name, fd)


def configured_cache():
    """`cache` of the config.yaml in this folder."""
    import yaml

    path = Path("config.yaml")
    return (yaml.safe_load(path.read_text()) or {}).get("cache", "cache") if path.exists() else "cache"


def main(argv=None):
    args = argparse.ArgumentParser(
        prog="tidy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    args.add_argument("--dry-run", "-n", action="store_true", help="tell what would be removed, and remove nothing")
    args.add_argument("--age", type=seconds, default="24h", help="how long a file must be untouched [24h]")
    args.add_argument("--gone", action="store_true", help="all programs ran on this machine: see above")
    args.add_argument("folder", nargs="*", help="where to look, with all folders below [cache of config.yaml]")
    args = args.parse_args(argv)
    tidy = Tidy(args.age, args.gone, args.dry_run)
    for folder in args.folder or [configured_cache()]:
        tidy.folder(folder)
    verb = "would be removed" if args.dry_run else "removed"
    print(f"{tidy.removed} files {verb} ({tidy.bytes} bytes), {tidy.kept} kept, {tidy.failed} errors")
    return int(tidy.failed > 0)
