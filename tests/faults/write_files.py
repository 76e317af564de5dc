"""Writes what the workflow, `fetch` and the package write by Python: python write_files.py ARRAYS OUT

OUT gets a summary and a page, a file from a bucket (a stand-in, which cuts the connection once) with its listing and
journal, and a copy of arrays. An error is one line "python: ..." and status 1.
"""

import contextlib
import gzip
import hashlib
import io
import os
import random
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parents[1] / name) for name in ("python", "rules"))]
import boldmill  # noqa: E402
import server  # noqa: E402
from boldmill.copies import copy_arrays  # noqa: E402

from fetch import listing, transfer  # noqa: E402
from fetch.bucket import Object, Trouble  # noqa: E402
from operate import summary, whole  # noqa: E402

DATA = gzip.compress(random.Random(1).randbytes(5000), mtime=0)
CUT = 3000  # where the connection ends for the first time


class Bucket:
    """One object, a thousand bytes at a time."""

    name, prefix = "bucket", ""

    def __init__(self):
        self.stop, self.slots = threading.Event(), threading.Semaphore()
        self.settings = {"retries": 1, "pause": 0}

    def listed(self, prefix):
        return ([], {"run.nii.gz": self.head("")}) if not prefix else ([], {})

    def head(self, key):
        return Object(len(DATA), hashlib.md5(DATA, usedforsecurity=False).hexdigest())

    def open(self, key, wanted, at, end):
        return Slow(DATA[at : CUT if at < CUT else end]), False

    def words(self, key):
        return contextlib.nullcontext()

    def part_size(self, key, wanted):
        return None

    def url(self, key):
        return f"s3://bucket/{key}"


class Slow(io.BytesIO):
    def read(self, n):
        return super().read(min(n, 1000))


def fetched(root):
    bucket = Bucket()
    live, path = listing.Live(root, bucket), os.path.join(root, "run.nii.gz")
    found = transfer.to_file(bucket, "run.nii.gz", live.object(path), path, transfer.Meter())
    listing.Journal(root).add(path, *found)
    live.save()


def write(arrays, out):
    told = {"boldmill": "summary", "schema": 1, "seconds": 1.0, "bytes": 0, "left_out": [], "files": []}
    whole.write(os.path.join(out, "summary.json"), summary.sealed(told))
    whole.write(os.path.join(out, "subj01/report.html"), "<!DOCTYPE html>\n" + "<p>page\n" * 5000)
    fetched(os.path.join(out, "data"))
    copy_arrays(arrays, os.path.join(out, "local"))


if __name__ == "__main__":
    arrays = boldmill.Arrays(sys.argv[1])
    server.wait_for_faults()
    try:
        write(arrays, sys.argv[2])
    except (OSError, MemoryError, boldmill.Error, Trouble) as error:
        sys.exit(f"python: {error}")
