"""`pip install .`: what is in the wheel, and that it works without the source tree."""

import os
import subprocess
import sys
import zipfile

from conftest import PATIENCE, PROGRAMS, ROOT
from samples import make_arrays

CHECK = """
import sys, boldmill, boldmill.installed, numpy as np
assert not boldmill.__file__.startswith(sys.argv[2]), boldmill.__file__
assert boldmill.__version__.count(".") == 2, boldmill.__version__
points = boldmill.TimePoints(sys.argv[1], output="numpy")
whole = np.concatenate(list(boldmill.Loader(points, 16)))
assert np.array_equal(whole, points.arrays.fmri)
try:
    print(boldmill.installed.workflow())
except boldmill.MissingError as error:
    print(error)
"""


def wheel(folder, **env):
    """Builds the wheel and unpacks it as pip does (which makes programs executable); (names in it, its name)."""
    how = ["--no-deps", "--quiet", "--disable-pip-version-check"]
    try:
        import setuptools

        how += ["--no-build-isolation"] if int(setuptools.__version__.split(".")[0]) >= 77 else []
    except ImportError:
        pass
    command = [sys.executable, "-m", "pip", "wheel", *how, "-w", str(folder), str(ROOT)]
    env = {k: v for k, v in os.environ.items() if k not in ("BOLDMILL_CORE", "PYTHONPATH")} | env
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=600 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--no-index", "--target"]
    subprocess.run([*install, str(folder / "site"), str(path)], check=True, env=env, capture_output=True)
    return zipfile.ZipFile(path).namelist(), path.name


def says(folder, stem):
    """What a program prints that knows the unpacked wheel alone."""
    env = {k: v for k, v in os.environ.items() if k != "BOLDMILL_CORE"} | {"PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-c", CHECK, stem, str(ROOT)]
    done = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_wheel(run, tmp_path):
    names, name = wheel(tmp_path)
    assert "-py3-none-" in name and "-any" not in name
    assert {f"boldmill/workflow/bin/{p}" for p in PROGRAMS} <= set(names)
    for wanted in (
        "_core.so",
        "py.typed",
        "workflow/Snakefile",
        "workflow/config/schema.yaml",
        "workflow/config/presets/nsd.yaml",
        "workflow/rules/dataset/layout.py",
    ):
        assert f"boldmill/{wanted}" in names
    assert not [n for n in names if "test" in n or n.endswith((".c", ".h", ".pyc"))]
    folder = says(tmp_path, make_arrays(run, tmp_path))
    assert folder == str(tmp_path / "site/boldmill/workflow")
    done = subprocess.run([f"{folder}/bin/boldinfo", "--version"], capture_output=True, text=True, check=True)
    assert "boldinfo" in done.stdout


def test_wheel_where_the_programs_cannot_be_built(run, tmp_path):
    """A machine without the libraries' descriptions: loading works, and what to do is said."""
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    names, _ = wheel(tmp_path, PKG_CONFIG_LIBDIR=str(nothing), PKG_CONFIG_PATH="")
    assert "boldmill/_core.so" in names and not [n for n in names if "/bin/" in n]
    text = says(tmp_path, make_arrays(run, tmp_path))
    assert "libhdf5-dev" in text and "pip install" in text
