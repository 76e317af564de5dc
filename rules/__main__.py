"""The workflow's own programs: `python rules fetch`, `python rules tidy` and `python rules verify`, each with --help.

Python takes this folder for the place of all packages, as Snakemake does for the rules beside it.
"""

import importlib
import os
import sys

PROGRAMS = {"fetch": "fetch.program", "tidy": "operate.tidy", "verify": "operate.verify"}


def main(argv):
    if not argv or argv[0] not in PROGRAMS:
        print(f"usage: python rules {{{','.join(PROGRAMS)}}} [OPTIONS]", file=sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return importlib.import_module(PROGRAMS[argv[0]]).main(argv[1:])


def occupy_closed_streams():
    """Of standard streams that are closed no file of ours gets the number. As in the programs, output to such a place
    is an error; messages are lost."""
    for fd, how in enumerate((os.O_RDONLY, os.O_PATH, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, how)  # the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


if __name__ == "__main__":
    occupy_closed_streams()
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(141)  # nobody reads any more
    except OSError as error:
        print(f"{sys.argv[1]}: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        os._exit(1)
    sys.exit(status)
