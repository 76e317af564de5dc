"""The workflow's own programs: `python rules fetch`, `python rules tidy` and `python rules verify`, each with --help.

Python takes this folder for the place of all packages, as Snakemake does for the rules beside it.
"""

import importlib
import sys

PROGRAMS = {"fetch": "fetch.program", "tidy": "operate.tidy", "verify": "operate.verify"}


def main(argv):
    if not argv or argv[0] not in PROGRAMS:
        print(f"usage: python rules {{{','.join(PROGRAMS)}}} [OPTIONS]", file=sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return importlib.import_module(PROGRAMS[argv[0]]).main(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
