"""`make dist`: the tarball builds and works where there is no git; `make install` and `uninstall` leave nothing."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
from conftest import PATIENCE, PROGRAMS, ROOT
from flow import ENV, Flow

GENERAL = "cache/subj01/general.fmri.npy"
VERSION = next(line.split()[-1] for line in (ROOT / "Makefile").read_text().splitlines() if "VERSION :=" in line)


def make(folder, *words, ok=True, **env):
    done = subprocess.run(
        ["make", "-j2", *words], cwd=folder, env=ENV | env, capture_output=True, text=True, check=False, timeout=600
    )
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The unpacked tarball, built without optimisation, which is what takes long."""
    folder = tmp_path_factory.mktemp("dist")
    known = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False)
    if known.returncode:
        pytest.skip("this is no clone: the tarball is made from one")
    sums = []
    for k in (1, 2):
        make(ROOT, "dist", f"BUILD={folder / str(k)}")
        made = folder / str(k) / f"dist/boldmill-{VERSION}.tar.gz"
        sums.append(hashlib.sha256(made.read_bytes()).hexdigest())
        assert sums[-1] in made.with_name(made.name + ".sha256").read_text()
    assert sums[0] == sums[1]
    with tarfile.open(made) as tar:
        tar.extractall(folder)
    tree = folder / f"boldmill-{VERSION}"
    make(tree, "all", "ISAL=auto", "CFLAGS=-O0 -U_FORTIFY_SOURCE")
    return tree


def everything(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_what_is_in_the_tarball(tree):
    names = [name for name in everything(tree) if not name.startswith(("bin/", "build/"))]
    assert {
        "Makefile",
        "Snakefile",
        "README.md",
        "LICENSE",
        "Dockerfile",
        "config/schema.yaml",
        "docs/formats.md",
    } <= set(names)
    assert not [name for name in names if name.startswith((".ci", ".git/", ".venv", "cache/", "tests/fuzz/found"))]
    assert sum((tree / name).stat().st_size for name in names) < 8 << 20


def test_the_workflow_of_the_tarball(tree, tmp_path):
    """A synthetic session to arrays, with nothing from this clone."""
    program = {name: str(tree / "bin" / name) for name in PROGRAMS}
    size = ["--runs", "2", "--volumes", "40", "--dims", "12,13,11", "--quiet"]
    subprocess.run([program["synthnsd"], *size, tmp_path / "nsd"], check=True)
    command = Flow(tmp_path, {"root": str(tmp_path / "nsd")}, bin=tree / "bin").command(GENERAL)
    command[command.index("-s") + 1] = str(tree / "Snakefile")
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, check=False, timeout=180 * PATIENCE)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([program["boldinfo"], "--verify", tmp_path / "cache/subj01/general.json"], check=False)
    assert done.returncode == 0


def test_no_tarball_outside_a_clone(tree):
    done = make(tree, "dist", ok=False, GIT_CEILING_DIRECTORIES=str(tree.parent))
    assert done.returncode and "this is no clone" in done.stderr
    assert not (tree / "build/dist").exists()


def test_install_and_uninstall(tree, tmp_path):
    where = [f"DESTDIR={tmp_path}", "PREFIX=/opt/bm"]
    build = ["ISAL=auto", "CFLAGS=-O0 -U_FORTIFY_SOURCE"]
    make(tree, "install", *where, *build)
    there = everything(tmp_path)
    assert {f"opt/bm/bin/{name}" for name in PROGRAMS} <= set(there)
    assert {f"opt/bm/share/man/man1/{name}.1" for name in PROGRAMS} <= set(there)
    assert {"opt/bm/lib/libboldmill.a", "opt/bm/lib/pkgconfig/boldmill.pc"} <= set(there)
    done = subprocess.run([tmp_path / "opt/bm/bin/boldinfo", "--version"], capture_output=True, text=True, check=True)
    assert VERSION in done.stdout
    keep = tmp_path / "opt/bm/bin/other"
    keep.write_text("not ours")
    make(tree, "uninstall", *where, *build)
    assert everything(tmp_path) == ["opt/bm/bin/other"]


def test_manual_pages(tree):
    """Each option of the help page is in the manual page; groff has nothing to say."""
    make(tree, "man")
    for name in PROGRAMS:
        page = next(tree.glob(f"build/*/man/{name}.1"))
        text = page.read_text()
        assert text.startswith(f'.TH {name.upper()} 1 "" "boldmill {VERSION}"')
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-z", page], capture_output=True, text=True, check=True)
            assert not done.stderr
            text = subprocess.run(
                ["groff", "-man", "-Tascii", "-P-cbou", page], capture_output=True, text=True, check=True
            ).stdout
            help_ = subprocess.run([tree / "bin" / name, "--help"], capture_output=True, text=True, check=True).stdout
            for option in {word for word in help_.split() if word.startswith("--") and word[2:].isalpha()}:
                assert option in text, (name, option)


def test_containers_hold_nothing_of_the_folder_that_was_made_there():
    """Neither recipe: runs in data/ may have many GB."""
    ignored = {line.partition("/")[0] for line in (ROOT / ".dockerignore").read_text().split() if line[0] not in "!*"}
    (removed,) = re.findall(r"^ +rm -rf (.*)$", (ROOT / "packaging/boldmill.def").read_text(), re.MULTILINE)
    assert ignored == set(removed.split())


def test_sdist(tmp_path):
    """The source package of pip holds what a wheel is built from."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("setuptools is too old for this pyproject.toml")
    build = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as tar:
        tar.extractall(tmp_path)
    tree = tmp_path / f"boldmill-{VERSION}"
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, tree]
    env = {k: v for k, v in os.environ.items() if k not in ("BOLDMILL_CORE", "PYTHONPATH")}
    done = subprocess.run(command, env=env | {"BOLDMILL_PROGRAMS": "no"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob(f"boldmill-{VERSION}-py3-none-*.whl"))
    for pattern in (
        "Makefile",
        "Snakefile",
        "make/*",
        "rules/*.smk",
        "rules/*/*.py",
        "config/presets/*.yaml",
        "bin-src/*.c",
        "lib/*/*.h",
    ):
        assert len(list(tree.glob(pattern))) == len(list(ROOT.glob(pattern))), pattern
