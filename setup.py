"""Builds the Python package: the C core as boldmill/_core.so, and the programs with their workflow beside it.

The core needs a C compiler and nothing else; it is plain C that Python loads with ctypes, so that one wheel serves
every Python 3 of a platform. The programs need what `make` needs (hdf5, zlib, jansson). Where that is missing the
package is built without them: it reads and loads arrays, and says what to do when it is asked to make some.
BOLDMILL_PROGRAMS=no leaves them out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MAKEFILE = (ROOT / "Makefile").read_text()
VERSION = re.search(r"^VERSION := (\S+)$", MAKEFILE, re.M)[1]
PROGRAMS = re.search(r"^PROGRAMS := (.+)$", MAKEFILE, re.M)[1].split()
FLAGS = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-O3",
    "-ffp-contract=off",
    "-fPIC",
    "-pthread",
    "-shared",
    "-Ilib",
    "-D_FORTIFY_SOURCE=2",
]
# What the workflow consists of; the programs go into its bin/.
WORKFLOW = (
    "Snakefile",
    "config.yaml",
    "config/**/*.yaml",
    "rules/*.smk",
    "rules/**/*.py",
    "rules/*/*.css",
    "envs/*.yaml",
    "profiles/*/*.yaml",
)


def compiler():
    return os.environ.get("CC", "").split() or [
        shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or ""
    ]


def build_core(target):
    sources = sorted(
        str(p.relative_to(ROOT)) for d in ("core", "ops", "load") for p in (ROOT / "lib" / d).glob("*.c")
    )
    cc = compiler()
    if not cc[0]:
        sys.exit("boldmill: no C compiler is there; install one (Debian: apt-get install gcc libc6-dev)")
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [*cc, *FLAGS, f'-DBM_VERSION="{VERSION}"', "-o", str(target), *sources, "-lm"]
    subprocess.run(command, cwd=ROOT, check=True)


def lacks(*libraries):
    """What `make` would need and does not find."""
    wanted = ["make:make", *(f"{name}.pc:{name}" for name in libraries)]
    ask = {"cwd": ROOT, "env": os.environ | {"NEED": "ask"}, "stdout": subprocess.PIPE, "text": True}
    return subprocess.run(["sh", "make/need.sh", *wanted], check=True, **ask).stdout.split()


def build_programs(folder):
    """Makes the programs and puts them into `folder`; says why where that cannot be."""
    if os.environ.get("BOLDMILL_PROGRAMS") == "no":
        return
    if lacking := lacks("hdf5", "zlib", "jansson"):
        print(f"boldmill: {', '.join(lacking)} not found: the package is built without the programs", file=sys.stderr)
        return
    # Without ISA-L make would try to install it; a package's build does not.
    isal = "no" if lacks("libisal") else "auto"
    where = ROOT / ("bin" if isal == "auto" else "build/release-zlib/bin")
    targets = [str((where / name).relative_to(ROOT)) for name in PROGRAMS]
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "MAKEFLAGS")}
    command = ["make", f"-j{os.cpu_count() or 1}", f"ISAL={isal}", *targets]
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        shutil.copy2(where / name, folder / name)


def copy_workflow(folder):
    for pattern in WORKFLOW:
        for path in sorted(ROOT.glob(pattern)):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


class Build(build_py):
    """The modules, and what is compiled. An editable install has the core in the tree, which is the workflow, too."""

    def run(self):
        if self.editable_mode:
            super().run()
            build_core(ROOT / "python" / "boldmill" / "_core.so")
            return
        package = Path(self.build_lib) / "boldmill"
        shutil.rmtree(package, ignore_errors=True)
        super().run()
        build_core(package.resolve() / "_core.so")
        copy_workflow(package / "workflow")
        build_programs(package / "workflow" / "bin")


class Wheel(bdist_wheel):
    """Not for one Python, but for one platform."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class Binary(Distribution):
    def has_ext_modules(self):
        return True


(ROOT / "build").mkdir(exist_ok=True)
setup(
    version=VERSION,
    distclass=Binary,
    cmdclass={"build_py": Build, "bdist_wheel": Wheel},
    options={"egg_info": {"egg_base": "build"}},
)
