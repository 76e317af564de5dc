"""Breaks the code on purpose and looks whether the campaigns see it: `make mutants`.

Each mutation is one change of one line in a copy of the tree, which is built and given to a campaign in its short
form. A campaign that passes on broken code proves nothing: that is a failure here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "lib/io/commit.c"
IN_PLACE = (
    "c->temp = temp_name(c, err);",
    "c->temp = c->slot > MAX_OPEN ? temp_name(c, err)"
    ' : bm_format(err, c->path[0] == 0x2f ? "/%s" : "./%s", c->path);',
)
NO_SYNC = (
    "return bm_commit_sync_folder(c->path, err);",
    "return c->fd >= 0 ? bm_commit_sync_folder(c->path, err) : 0;",
)
NOT_AGAIN = ("c->reserved + c->appended > 0 ? read_again(c, fd, NULL, err) : 0;", "0;")
FSYNC, RENAME = "if (fsync(c->fd))", "if (rename(c->temp, c->path))"
NAME_FIRST = (
    "    if (fsync(c->fd))",
    "    if (rename(c->temp, c->path) || rename(c->path, c->temp) || fsync(c->fd))",
)
NULL_CHECK = ("    if (!c)\n        return NULL;\n    c->fd = c->slot", "    c->fd = c->slot")
GZIP = "if (get_u32(t) != bm_inflater_crc32(b->z))"
SEAL = ("return !memcmp(seal + sizeof SEAL - 1, digits", "return memcmp(seal + sizeof SEAL - 1, digits")
TILE = ("!= r->crcs[tile->index])", "== ~r->crcs[tile->index])")
NO_SEAL = ("if (memcmp(have, want, SEAL) != 0)", "if (memcmp(have, want, SEAL) != 0 && size < SEAL)")
H5_CLOSE = ("bm_h5_close(file, err))", "bm_h5_close(file, err) > 0)")
# A write that fails or is cut short without a word is found when it is read again: no mutation of it alone shows.
# campaign, the part of it that is enough, file: what is wrong, text, what comes in its place
MUTANTS = {
    ("faults", "zscore", COMMIT): [
        ("no fsync of the file", FSYNC, "if (c->fd < 0)"),
        ("an fsync that nobody checks", FSYNC, "if (fsync(c->fd) && errno == ENOEXEC)"),
        ("no fsync of the folder", *NO_SYNC),
        ("a rename that nobody checks", RENAME, "if (rename(c->temp, c->path) && errno == ENOEXEC)"),
        ("outputs written in place", *IN_PLACE),
        ("an allocation that nobody checks", *NULL_CHECK),
    ],
    ("faults", "shuffleidx", COMMIT): [
        ("temporaries left behind", "if (!c->direct && c->slot >= 0)", "if (!c->direct && c->slot > MAX_OPEN)"),
        ("what was written is not read again", *NOT_AGAIN),
    ],
    ("faults", "detrend", "lib/io/seriesfile_seal.c"): [("tiles are not read again", "crc != tile->crc)", "false)")],
    ("faults", "detrend", COMMIT): [
        ("a close that nobody checks", "close(fd) && errno != EINTR", "close(fd) && errno == ENOEXEC"),
    ],
    ("faults", "detrend", "lib/io/seriesfile_write.c"): [("a failed close of HDF5 passed over", *H5_CLOSE)],
    ("power", "concat", COMMIT): [
        ("no fsync of the file", FSYNC, "if (c->fd < 0)"),
        ("no fsync of the folder", *NO_SYNC),
        ("a name before the fsync", *NAME_FIRST),
    ],
    ("power", "synthnsd", "lib/io/nsdtree.c"): [
        ("folders that are not synchronised", "return bm_commit_sync_folder(path, err);", "return 0;")
    ],
    ("power", "writes", "python/boldmill/files.py"): [
        ("a copy that is not synchronised", "            os.fsync(file.fileno())\n", ""),
        ("folders of copies that are not", "        sync(folder.parent)\n", ""),
    ],
    ("power", "writes", "rules/operate/whole.py"): [
        ("a summary that is not synchronised", "            os.fsync(file.fileno())\n", ""),
        (
            "its folder is not",
            "        os.replace(draft, path)\n        sync(folder)\n",
            "        os.replace(draft, path)\n",
        ),
    ],
    ("power", "writes", "rules/fetch/transfer.py"): [
        ("a download that is not synchronised", "os.fsync(fd)\n            return odd", "return odd")
    ],
    ("faults", "writes", "rules/operate/whole.py"): [
        ("a draft left behind", "            os.unlink(draft)\n", "            pass\n")
    ],
    ("damage", "maps", "lib/io/describe_json.c"): [
        (
            "maps without their checksum",
            'json_object_get(info, "maps"), file_crc, err)',
            'json_object_get(info, "carpet"), file_crc, err)',
        )
    ],
    ("damage", "json", "python/boldmill/description.py"): [
        ("descriptions that the package believes", "if not _is_sealed(text):", "if not text:")
    ],
    ("damage", "json", "lib/io/sealed.c"): [
        ("descriptions without their checksum", *SEAL),
    ],
    ("damage", "fmri", "lib/io/describe_json.c"): [
        ("arrays without their checksum", "strcmp(hex, crc) != 0", "strcmp(hex, crc) == 1000"),
    ],
    ("damage", "stream", "lib/io/stream.c"): [
        ("streams without their checksum", "!strcmp(crc, mine)", "strcmp(crc, mine) < 1000"),
    ],
    ("damage", "read-plain.h5", "lib/io/seriesfile_read.c"): [("tiles without their checksum", *TILE)],
    ("damage", "packed.h5", "lib/io/seriesfile_seal.c"): [("series files without their seal", *NO_SEAL)],
    ("damage", "bold", "lib/io/bytes.c"): [("gzip without its checksum", GZIP, GZIP.replace("!= ", "== ~"))],
    ("kills", "", COMMIT): [("outputs written in place", *IN_PLACE)],
}
SHORT = {
    "faults": "--most 0 --only ",
    "power": "--only ",
    "damage": "--flips 200 --cuts 20 --only ",
    "kills": "--kills 40",
}
PARTS = (
    "Makefile",
    "Snakefile",
    "config.yaml",
    "config",
    "envs",
    "make",
    "rules",
    "lib",
    "bin-src",
    "python",
    "tests",
    "bin",
    "build/release",
    "build/faults",
)


def misplaced():
    """(file, what) of mutations whose text is not there once: the code has moved on."""
    every = [(where[2], *what) for where, some in MUTANTS.items() for what in some]
    return [(name, what) for name, what, old, _ in every if (ROOT / name).read_text().count(old) != 1]


def make(folder, *words):
    command = ["make", "-C", str(folder), f"-j{os.cpu_count()}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def caught(folder, campaign, part, name, old, new):
    """(was it seen?, what the campaign said at the end)"""
    path = folder / name
    text = path.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"{name}: the text of a mutation is there {text.count(old)} times: {old!r}")
    path.write_text(text.replace(old, new))
    try:
        built = make(folder, "all")
        if built.returncode:
            raise SystemExit(built.stdout + built.stderr)
        done = make(folder, campaign, f"{campaign.upper()}={SHORT[campaign]}{part}")
    finally:
        path.write_text(text)
    said = [line for line in done.stdout.splitlines() if line.endswith(" failed")]
    if not said:  # it broke down: that is no finding
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode != 0, said[-1]


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--only", default="", help="campaigns or mutations whose name holds this text")
    args = args.parse_args()
    every = [(*where, *what) for where, some in MUTANTS.items() for what in some]
    chosen = [one for one in every if args.only in one[0] or args.only in one[3]]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / part, folder / part)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        for campaign, part, name, what, old, new in chosen:
            start = time.monotonic()
            seen, said = caught(folder, campaign, part, name, old, new)
            missed += not seen
            verdict, seconds = "seen" if seen else "MISSED", time.monotonic() - start
            print(f"{campaign:7} {what:40} {verdict:7} {seconds:4.0f} s   {said}", flush=True)
    print(f"{len(chosen) - missed} passed, {missed} failed")
    return int(missed > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
