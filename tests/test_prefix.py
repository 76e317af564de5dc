"""Building without root: libraries in a folder of one's own, or of modules; what make says of what is missing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT
from flow import ENV

HEADERS = {"hdf5": "H5*.h hdf5.h", "zlib": "zlib.h zconf.h", "jansson": "jansson*.h"}
SOURCES = ("Makefile", "make", "lib", "bin-src", "requirements.txt")
PC = "Name: {name}\nDescription: a copy\nVersion: 1\nCflags: -I{prefix}/include\nLibs: -L{prefix}/lib -l{library}\n"


def ask(*words):
    """Where the compiler has things: of a pkg-config module, the system's own folders too."""
    shown = ["pkg-config", "--keep-system-cflags", "--keep-system-libs", *words]
    return subprocess.check_output(shown, text=True).split()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Copies of the libraries and their headers, and what pkg-config should know of them."""
    prefix = tmp_path_factory.mktemp("prefix")
    for name in ("include", "lib/pkgconfig"):
        (prefix / name).mkdir(parents=True)
    for name, headers in HEADERS.items():
        for pattern in headers.split():
            for path in Path(ask("--cflags-only-I", name)[0][2:]).glob(pattern):
                shutil.copy(path, prefix / "include")
        library = ask("--libs-only-l", name)[0][2:]
        real = (Path(ask("--libs-only-L", name)[0][2:]) / f"lib{library}.so").resolve()
        shutil.copy(real, prefix / "lib" / re.match(r".*\.so\.\d+", real.name)[0])
        (prefix / f"lib/lib{library}.so").symlink_to(re.match(r".*\.so\.\d+", real.name)[0])
        text = PC.format(name=name, prefix=prefix, library=library)
        (prefix / f"lib/pkgconfig/{name}.pc").write_text(text)
    return prefix


@pytest.fixture
def sources(tmp_path):
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(folder, *words, **env):
    return subprocess.run(
        ["make", "-j2", *words],
        cwd=folder,
        env=ENV | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=600 * PATIENCE,
    )


@pytest.mark.parametrize("way", ["pkg-config", "modules", "options"])
def test_libraries_in_a_folder_of_ones_own(prefix, sources, way):
    """The headers and the libraries are those of the folder, though the system has them too."""
    where = {"CPATH": f"{prefix}/include", "LIBRARY_PATH": f"{prefix}/lib"}
    given = {
        "pkg-config": {"PKG_CONFIG_LIBDIR": f"{prefix}/lib/pkgconfig", "CC": shutil.which("gcc")},
        "modules": where | {"PKG_CONFIG_LIBDIR": "/nowhere"},
        "options": {
            "CPPFLAGS": f"-I{prefix}/include",
            "LDFLAGS": f"-L{prefix}/lib -Wl,-rpath,{prefix}/lib",
            "PKG_CONFIG_LIBDIR": "/nowhere",
        },
    }[way]
    done = make(sources, "bin/boldinfo", "CFLAGS=-O0 -U_FORTIFY_SOURCE", **given)
    assert done.returncode == 0, done.stderr
    used = "".join(path.read_text() for path in sources.rglob("*.d"))
    assert {name for name in ("hdf5", "zlib", "jansson") if f"{prefix}/include/{name}.h" in used} == set(HEADERS)
    at_run_time = {"LD_LIBRARY_PATH": f"{prefix}/lib"} if way == "modules" else {}
    linked = subprocess.check_output(["ldd", sources / "bin/boldinfo"], env=ENV | at_run_time, text=True)
    assert len(re.findall(rf"lib(?:hdf5\w*|z|jansson)\.so\.\d+ => {prefix}/lib/", linked)) == 3, linked


def no_root(folder):
    """A PATH in which nobody is root or may become it."""
    (folder / "tools").mkdir()
    for name, text in (("id", "echo 1000"), ("sudo", "exit 1")):
        (folder / "tools" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "tools" / name).chmod(0o755)
    return f"{folder}/tools:{ENV['PATH']}"


def test_what_make_says_where_a_library_is_missing(sources):
    """zlib and jansson lie where the compiler looks by itself, HDF5 does not."""
    done = make(sources, PATH=no_root(sources), PKG_CONFIG_LIBDIR="/nowhere")
    assert done.returncode and not (sources / "bin").exists()
    assert "apt-get install libhdf5-dev libisal-dev\n" in done.stderr
    said = re.search(r'docs/install\.md, "(.+)"\.', done.stderr)
    assert f"\n## {said[1]}\n" in (ROOT / "docs/install.md").read_text()


def test_what_make_says_of_an_old_python(sources):
    old = sources / "python3.9"
    old.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])' \"$2\"\n"
    )
    old.chmod(0o755)
    done = make(sources, ".venv/ready", f"PYTHON={old}")
    assert done.returncode and not (sources / ".venv").exists()
    assert f"make: {old} is Python 3.9, and 3.11 or newer is needed; give another: make PYTHON=" in done.stderr
