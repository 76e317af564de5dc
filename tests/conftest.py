"""What all tests share: the programs, small inputs, one synthetic NSD tree.

Programs are taken from $BOLDMILL_BIN, or bin/ beside this directory. Every run through `run` fails the test when a
sanitizer has something to say, whatever the exit status was.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("BOLDMILL_BIN", ROOT / "bin")).resolve()
SHARED = ROOT.parent / "shared" / "data"
# The Python package as it stands in the tree, with the core that make built; also for child processes.
# The same of the workflow's packages.
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "rules")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "python"), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("BOLDMILL_CORE", str(ROOT / "build/release/_core.so"))
# Under nohup or in a background shell these are ignored, and programs would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
# A sanitizer build or valgrind is slower; the factor stretches every time limit.
PATIENCE = float(os.environ.get("BOLDMILL_TEST_PATIENCE", "1"))
PROGRAMS = ("nifti2h5", "detrend", "denoise", "zscore", "hrfshift", "applymask", "concat")
PROGRAMS += ("shuffleidx", "synthnsd", "boldinfo", "boldqc")
SANITIZERS = re.compile(r"ERROR: \w+Sanitizer|runtime error: |WARNING: ThreadSanitizer|ERROR SUMMARY: [1-9]")


@dataclass
class Result:
    status: int
    out: bytes
    err: str

    @property
    def text(self):
        return self.out.decode()


class Runner:
    """`run(name, args...)` must succeed, `run.fails(...)` must not, `run.any(...)` may do either."""

    bin = BIN

    def path(self, name):
        return str(BIN / name)

    def any(self, name, *args, stdin=None, timeout=60, **popen):
        command = [self.path(name), *map(str, args)]
        popen.setdefault("stdout", subprocess.PIPE)
        source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": bytes(stdin)}
        done = subprocess.run(
            command, check=False, stderr=subprocess.PIPE, timeout=timeout * PATIENCE, **source, **popen
        )
        err = done.stderr.decode(errors="replace")
        assert not SANITIZERS.search(err), f"{shlex.join(command)}\n{err}"
        return Result(done.returncode, done.stdout or b"", err)

    def __call__(self, name, *args, **how):
        done = self.any(name, *args, **how)
        assert done.status == 0, f"{name} {args}: status {done.status}\n{done.err}"
        return done

    def fails(self, name, *args, status=1, says=(), **how):
        """The program must end with `status` and one line `NAME: ...` that holds every word of `says`."""
        done = self.any(name, *args, **how)
        assert done.status == status, f"{name} {args}: status {done.status}, not {status}\n{done.err}"
        line = last_line(done.err)
        assert line.startswith(f"{name}: "), done.err
        for word in says if isinstance(says, list | tuple) else [says]:
            assert str(word).lower() in done.err.lower(), f"{word!r} is not in: {done.err}"
        return done

    def pipe(self, *stages, stdin=b"", ok=True):
        """Runs stages `(name, args...)` joined by pipes; the output of the last one."""
        running, source = [], subprocess.PIPE
        for name, *args in stages:
            command = [self.path(name), *map(str, args)]
            child = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if running:
                running[-1].stdout.close()
            running.append(child)
            source = child.stdout
        if stdin:
            running[0].stdin.write(stdin)
        running[0].stdin.close()
        out = running[-1].stdout.read()
        for (name, *_), child in zip(stages, running, strict=True):
            err = child.stderr.read().decode(errors="replace")
            status = child.wait(60 * PATIENCE)
            child.stderr.close()
            assert not SANITIZERS.search(err), f"{name}\n{err}"
            assert status == 0 or not ok, f"{name}: status {status}\n{err}"
        running[-1].stdout.close()
        return out


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


@pytest.fixture(scope="session")
def run():
    missing = [name for name in PROGRAMS if not (BIN / name).exists()]
    if len(missing) == len(PROGRAMS):
        pytest.fail(f"{BIN}: no programs there; run make, or set BOLDMILL_BIN")
    return Runner()


@pytest.fixture(scope="session")
def shared():
    """The folder of real data that is not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is missing: real data are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def nsd(run, tmp_path_factory):
    """A small synthetic NSD tree: subject 1, session 1 (12 runs) and session 21 (14 runs, the outer two at rest)."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    what = ["--subjects", "1", "--sessions", "1,21", "--dims", "12,13,11", "--seed", "7", "--decoys"]
    run("synthnsd", *what, "--quiet", root)
    return root


@pytest.fixture(scope="session")
def two_sessions(run, tmp_path_factory):
    """A small synthetic NSD tree: subject 1, sessions 1 and 2 with runs 1 to 3, decoys."""
    root = tmp_path_factory.mktemp("synth") / "nsd"
    run("synthnsd", "--sessions", "1-2", "--runs", 3, "--dims", "14,15,12", "--seed", 5, "--decoys", "--quiet", root)
    return root


@pytest.fixture(scope="session")
def reported(two_sessions, tmp_path_factory):
    """The workflow's whole course on it: arrays, then the report. No test changes it."""
    from flow import Flow

    flow = Flow(tmp_path_factory.mktemp("flow"), {"root": str(two_sessions)})
    flow.first = flow("cache/subj01/general.fmri.npy")
    flow.listed = sorted(path.name for path in flow.path("cache").iterdir())
    flow.summary = flow.path("cache/summary.json").read_text()
    flow.second = flow("report")
    return flow


AFFINE = np.array([[-1.8, 0, 0, 70], [0, 1.8, 0, -90.5], [0, 0, 1.8, -72.25], [0, 0, 0, 1]])


def write_nifti(path, data, *, tr=1.5, slope=np.nan, inter=np.nan, endian="<", version=1, affine=AFFINE, header=None):
    """Writes samples as they are, with nibabel's header classes but none of its scaling.

    `path` decides: .nii, .nii.gz, or .hdr / .hdr.gz (with .img / .img.gz beside it). `header` may change the header.
    """
    path, data = Path(path), np.asarray(data)
    pair = path.name.removesuffix(".gz").endswith(".hdr")
    kinds = {(1, False): nib.nifti1.Nifti1Header, (1, True): nib.nifti1.Nifti1PairHeader}
    kinds |= {(2, False): nib.nifti2.Nifti2Header, (2, True): nib.nifti2.Nifti2PairHeader}
    head = kinds[version, pair](endianness=endian)
    head.set_data_dtype(data.dtype)
    head.set_data_shape(data.shape)
    head.set_sform(affine, code=1)
    head["pixdim"][1:4] = nib.affines.voxel_sizes(affine)
    head["pixdim"][4] = tr
    head.set_xyzt_units("mm", "sec")
    head["scl_slope"], head["scl_inter"] = slope, inter
    if not pair:
        head["vox_offset"] = head.single_vox_offset
    if header:
        header(head)
    samples = data.astype(data.dtype.newbyteorder(endian)).tobytes(order="F")
    first = head.binaryblock + b"\0\0\0\0"
    opened = nib.openers.Opener
    with opened(str(path), "wb") as f:
        f.write(first if pair else first + samples)
    if pair:
        with opened(str(path).replace(".hdr", ".img"), "wb") as f:
            f.write(samples)
    return path


def bold(shape=(7, 6, 5), volumes=24, seed=0, dtype=np.int16):
    """Samples like a scan: a brain in a background of zeros, drifts, noise, and a few odd voxels.

    Inside the brain: one voxel constant, one zero throughout, one exactly linear.
    """
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    brain = x**2 + y**2 + z**2 < 1.1
    t = np.arange(volumes)
    level = rng.integers(600, 1400, shape)[..., None]
    drift = rng.normal(0, 40, (*shape, 1)) * (t / volumes - 0.5)
    data = np.rint(level + drift + rng.normal(0, 15, (*shape, volumes)))
    inside = np.argwhere(brain)
    data[tuple(inside[3])] = 700
    data[tuple(inside[8])] = 0
    data[tuple(inside[12])] = 300 + 3 * t
    data[~brain] = 0
    return data.astype(dtype)


@pytest.fixture
def session(tmp_path):
    """Three runs of one session with names as NSD has them: a list of (path, samples)."""
    folder = tmp_path / "subj03" / "func1pt8mm"
    folder.mkdir(parents=True)
    made = []
    for k in (1, 2, 3):
        data = bold(seed=k)
        made.append((write_nifti(folder / f"timeseries_session04_run{k:02d}.nii.gz", data), data))
    return made
