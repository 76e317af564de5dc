"""The examples, run as a user would, at their small settings, on arrays that the package makes."""

import re
import subprocess
import sys

import boldmill
import pytest
from conftest import PATIENCE, ROOT

SMALL = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def arrays(nsd, tmp_path_factory):
    return boldmill.make_arrays(nsd, 1, "nsdgeneral", tmp_path_factory.mktemp("cache"), config={"sessions": [1, 21]})


def example(name, *args):
    import os

    command = [sys.executable, str(ROOT / "examples" / name), *map(str, args), "--small"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | SMALL, timeout=300 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numpy_use(arrays):
    said = example("numpy_use.py", arrays.name)
    assert "2700 time points in shuffled batches" in said and "750 windows" in said
    same, other = re.search(r"by ([\d.]+) if to the same image, by ([-+][\d.]+) if not", said).groups()
    assert float(same) > 0.05 > abs(float(other)) + 0.02


def test_readout(arrays, nsd):
    pytest.importorskip("torch", reason="torch is not installed")
    said = example("readout.py", arrays.name, nsd)
    found = re.findall(r"features (\d\.\d+) .*other images ([-+]\d\.\d+)", said)
    assert len(found) == 2 and all(float(score) > 0.3 and abs(float(chance)) < 0.1 for score, chance in found)
    assert float(found[1][0]) > float(found[0][0])  # 6 TRs tell more than one


def test_topk_sae(arrays):
    pytest.importorskip("torch", reason="torch is not installed")
    said = [float(r2) for r2 in re.findall(r"R\^2 ([-+]\d\.\d+)", example("topk_sae.py", arrays.name))]
    assert len(said) == 4 and said == sorted(said) and said[-1] > said[0] + 0.02 and said[-1] > 0.1


def test_lightning_module(arrays):
    pytest.importorskip("lightning", reason="lightning is not installed: pip install -r requirements-train.txt")
    said = example("lightning_module.py", arrays.name)
    epochs = re.findall(r"epoch (\d): (\d+) rows in (\d+) batches, (\d+) different", said)
    assert [int(e) for e, *_ in epochs] == [0, 1, 2]
    assert all(int(rows) == int(other) == 100 * int(batches) == 2700 for _, rows, batches, other in epochs)
    assert len(re.findall("loss", said)) == 2


def test_examples_without_arrays(tmp_path):
    command = [sys.executable, str(ROOT / "examples/numpy_use.py"), str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "is not there; correct the name, or make the arrays" in done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["a", "b", "c"]])
def test_a_first_look_says_how_it_is_called(words):
    command = [sys.executable, str(ROOT / "examples/look.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "python examples/look.py cache/subj01/general" in done.stderr
