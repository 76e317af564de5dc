"""Breaks the readers on purpose and looks whether the fuzzers see it: `make fuzz-mutants`.

Each mutation takes one check out of a copy of the tree; the fuzzer of that reader must then find something within
--runs executions, from the seeds in the tree alone. One that passes on broken code proves nothing: that is a failure.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TILE = "plain / BM_DEFLATE_MAX_RATIO > tile->packed.size"
# target: file under lib, what is wrong, text, what comes in its place
MUTANTS = [
    ("nifti", "io/nifti.c", "the file's length", "!bm_bytes_may_hold(n->data, need)", "0"),
    ("nifti", "io/niftiheader.c", "dim[0]", "f->dim[0] < 1 || f->dim[0] > 7", "f->dim[0] < 1"),
    ("nifti", "io/niftiextension.c", "the number of extensions", "info->extensions < BM_NIFTI_EXTENSIONS", "1"),
    ("npy", "io/npy.c", "the number of dimensions", "*ndim == BM_NPY_MAX_DIMS || ", ""),
    ("npy", "io/npy.c", "the file's length", "|| !bm_bytes_may_hold(b, need)", ""),
    ("npy", "io/npy.c", "the length of descr", "n >= sizeof h->descr", "n >= sizeof h->descr + 4096"),
    ("stream", "io/stream.c", "the file's length", "!bm_bytes_may_hold(r->in, bytes)", "0"),
    ("stream", "io/runjson.c", "the number of times", "json_array_size(list) != run->rows", "0"),
    ("stream", "io/bytes.c", "how far it can look ahead", "n = n < HOLD_BYTES ? n : HOLD_BYTES;", ""),
    ("seriesfile", "io/seriesfile_read.c", "the size of a tile", "tile->packed.size == n", "tile->packed.size"),
    ("seriesfile", "io/seriesfile_read.c", "the number of voxels", "n != r->run.cols", "0"),
    ("seriesfile", "io/seriesfile_read.c", "what a tile can hold", TILE, "0"),
    ("tables", "io/labels.c", "the length of a list of names", "used + n + 8 > sizeof list", "0"),
    ("confounds", "io/confounds.c", "the number of fields", "n != t->c->cols", "0"),
    ("sealed", "io/sealed.c", "the length of a description", "n < SEAL_SIZE", "0"),
    ("sealed", "io/rowsfile.c", "the number of rows", "status == 0 && buf.size < bytes", "0"),
    (
        "describe",
        "io/describe_table.c",
        "the number of levels",
        "i < c->nlevels && i < MOST_LEVELS",
        "i < c->nlevels",
    ),
    ("specs", "io/bidsname.c", "the number of entities", "out->n == BM_BIDS_ENTITIES || ", ""),
    ("specs", "io/roi.c", "the length of a list", "n < 0 || *used + strlen(item) + 8 > size", "n < 0"),
    (
        "specs",
        "core/glob.c",
        "a pattern's end",
        "else if (at < n && pattern[at] == '*')",
        "else if (pattern[at] == '*')",
    ),
]
PARTS = ("Makefile", "make", "rules", "lib", "bin-src", "tests", "build/fuzz-clang")


def misplaced():
    """(file, what) of mutations whose text is not there: the code has moved on."""
    return [(name, what) for _, name, what, old, _ in MUTANTS if old not in (ROOT / "lib" / name).read_text()]


def copy(folder):
    for part in PARTS:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy2)(ROOT / part, target)


def caught(folder, runs, target, name, old, new):
    """(was it seen?, what was said of it)"""
    path = folder / "lib" / name
    text = path.read_text()
    if old not in text:
        return False, "the text to change is not there"
    path.write_text(text.replace(old, new, 1))
    program = f"build/fuzz-clang/tests/fuzz/fuzz_{target}"
    built = subprocess.run(
        ["make", "-C", folder, "CC=clang", "VARIANT=fuzz", "CFLAGS=", program],
        capture_output=True,
        text=True,
        check=False,
    )
    run = [sys.executable, folder / "tests/fuzz/run.py", "--only", target, "--runs", str(runs)]
    done = subprocess.run(run, capture_output=True, text=True, check=False) if built.returncode == 0 else built
    path.write_text(text)
    shutil.rmtree(folder / "build/fuzz", ignore_errors=True)
    if built.returncode:
        return False, "does not build: " + built.stderr[-500:]
    said = re.findall(r"^SUMMARY: (.*)$", done.stdout, re.M)
    return done.returncode != 0 and bool(said), said[-1][:90] if said else "nothing found"


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--runs", type=int, default=200000, help="executions for each mutation")
    args.add_argument("--only", default="", help="targets whose name holds this text")
    args = args.parse_args()
    missed, chosen = 0, [m for m in MUTANTS if args.only in m[0]]
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        for target, name, what, old, new in chosen:
            start = time.monotonic()
            seen, said = caught(Path(folder), args.runs, target, name, old, new)
            missed += not seen
            seconds = time.monotonic() - start
            print(f"{target:<11} {what:<30} {'seen' if seen else 'MISSED':<7} {seconds:4.0f} s  {said}", flush=True)
    print(f"{len(chosen) - missed} passed, {missed} failed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
