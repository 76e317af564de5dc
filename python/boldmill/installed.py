"""Where the programs and the workflow are that came with this package."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from .errors import MissingError

HERE = Path(__file__).resolve().parent


def workflow() -> Path:
    """The folder with the Snakefile, and the programs in its bin/: inside an installed package, or the source tree.

    MissingError where the package was built without the programs.
    """
    folder = next((p for p in (HERE / "workflow", HERE.parent.parent) if (p / "Snakefile").exists()), None)
    if folder is None or not (folder / "bin" / "nifti2h5").exists():
        raise MissingError(
            "boldmill: the programs that make arrays are not there; install libhdf5-dev, zlib1g-dev, libjansson-dev, "
            "pkg-config and make, then run `pip install .` again (in a source tree: `make`)"
        )
    return folder


def version() -> str:
    """Of this package: the source tree's, or that of what is installed."""
    makefile = HERE.parent.parent / "Makefile"
    found = makefile.exists() and re.search(r"^VERSION := (\S+)$", makefile.read_text(), re.M)
    return found[1] if found else metadata.version("boldmill")
