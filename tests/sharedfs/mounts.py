"""Mounts tests/sharedfs/slowfs.c: a folder seen through a slow file system with the habits of NFS."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOWFS = ROOT / "build/sharedfs/slowfs"


def lacking():
    """What stands in the way of mounting, or None."""
    if subprocess.run(["pkg-config", "--exists", "fuse3"], check=False).returncode:
        return "libfuse3-dev is not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if os.geteuid() and not shutil.which("fusermount3"):
        return "fuse3 is not installed"
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", "slowfs"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return f"slowfs cannot be built: {made.stderr}" if made.returncode else None


@contextmanager
def mounted(backing, at, **options):
    """`at` shows what is in `backing`; options as in slowfs.c. Gives the call counts, which are there afterwards."""
    backing.mkdir(exist_ok=True)
    at.mkdir(exist_ok=True)
    notes = at.parent / f"{at.name}.counts"
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [str(SLOWFS), "-f", "--counts", str(notes), *words, str(backing), str(at)]
    server, counts = subprocess.Popen(command), {}
    while server.poll() is None and not at.is_mount():
        time.sleep(0.005)
    if server.poll() is not None:
        raise OSError(f"slowfs ended with status {server.returncode}")
    try:
        yield counts
    finally:
        unmount(at, server)
        counts.update((name, int(n)) for name, n in map(str.split, notes.read_text().splitlines()))


def unmount(at, server):
    command = ["umount", str(at)] if os.geteuid() == 0 else ["fusermount3", "-u", str(at)]
    for _ in range(50):  # what closed last may still be on its way
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            break
        time.sleep(0.1)
    else:
        print(f"{at} is busy", file=sys.stderr)
        server.terminate()
    server.wait(20)
