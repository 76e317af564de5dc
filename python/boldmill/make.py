"""Makes arrays that are not there yet, by the workflow (Snakemake) that came with this package."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import installed
from .arrays import Arrays
from .errors import DataError, MissingError, UsageError, WorkflowError
from .files import make_folder

VOLUME = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".npy")  # as rules/dataset/layout.py has it
# What is shown of all that Snakemake says: jobs by their outputs, how far it is, and the warnings of our own rules.
OUTPUT = re.compile(r"    output: ([^,]+)")
SHOWN = re.compile(r"boldmill: |left out: |subject \S+, session \S+: ")
HOUSEKEEPING = re.compile(r"Using |Assuming |Building |Wildcards:|Traceback|  \w+=|  File |\[\w+ \w+ ")
LOG, LINE = re.compile(r"Logfile .*:$"), "=" * 80
KEPT = 20  # lines of what was said last


def make_arrays(
    root: str | os.PathLike[str],
    subject: int | str,
    roi: str | os.PathLike[str] | Mapping[str, Any],
    cache: str | os.PathLike[str] = "cache",
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    cores: int | None = None,
    show: bool = True,
) -> Arrays:
    """The arrays of one region of one subject, made by the workflow as far as they are missing or out of date.

        arrays = boldmill.make_arrays("/data/nsd", 1, "general", config={"labels": {"offset": 5.3}})

    root: folder of the dataset; nothing is written into it, unless `config` names a bucket (below). subject: its
        number, or its label in file names.
    roi: "general" (NSD's nsdgeneral) or another name of `rois` in the configuration; name of a volume of the dataset
        ("lh.streams"); path of a NIfTI file or a .npy mask; or an entry for `rois` as docs/workflow.md has it, for
        example {"file": "prf-visualrois", "labels": ["V1v", "V1d"]}.
    cache: folder of all results; packed sessions stay there and serve other regions.
    name: of the arrays; by default that of the volume. The arrays are CACHE/subj01/NAME.
    config: other settings of the workflow (config/schema.yaml); those that are left out have their defaults.
        Of {"remote": {"url": "s3://..."}} what is missing in root is downloaded first; with "stream": True besides,
        runs are read from the bucket and not stored (docs/download.md).
    cores: for all jobs together; None: all there are. show: tell on standard error how far it is.

    One process at a time works in a cache, others wait. Raises MissingError where Snakemake or the programs are not
    there, WorkflowError with what was said last where a job or the download fails; the next call goes on where it
    stopped.
    """
    folder = Path(cache).absolute()
    with alone(folder, show):
        return make(root, subject, roi, folder, name=name, config=config, cores=cores, show=show)


def make(
    root: str | os.PathLike[str],
    subject: int | str,
    roi: str | os.PathLike[str] | Mapping[str, Any],
    cache: Path,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    cores: int | None = None,
    show: bool = True,
) -> Arrays:
    """make_arrays, for a caller that is alone in the cache (an absolute path)."""
    settings = dict(config or {})
    remote = settings.get("remote") or {}
    if not remote.get("url") and not Path(root).is_dir():
        raise MissingError(f"{root}: there is no such folder; give that of the dataset")
    name = name or _name_of(roi)
    label = f"{subject:02d}" if isinstance(subject, int) else subject
    pattern = settings.get("layout", {}).get("folder", "subj{subject}")
    own: dict[str, Any] = {"root": os.path.abspath(root), "cache": str(cache)}
    if name != roi:
        own["rois"] = {**settings.get("rois", {}), name: _entry(roi)}
    if remote.get("url"):
        own["subjects"] = [subject]
    if remote.get("stream"):
        settings.setdefault("route", "direct")
    settings |= own
    stem = cache / pattern.replace("{subject}", label) / name
    file = cache / "config" / f"{stem.parent.name}-{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings, indent=1) + "\n"
    # What was made with these settings needs no bucket any more, unless Snakemake misses something.
    fetched = bool(remote.get("url")) and not (_reads(file, text) and os.path.exists(f"{stem}.json"))
    file.write_text(text)
    if fetched:
        fetch(file, name, show)
    try:
        run([f"{stem}.fmri.npy"], file, cache, cores, show)
    except _NotBegun:
        if fetched or not remote.get("url"):
            raise
        fetch(file, name, show)
        run([f"{stem}.fmri.npy"], file, cache, cores, show)
    return Arrays(stem)


class _NotBegun(WorkflowError):
    """Snakemake did not get so far as to begin a job."""


def _reads(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


def _name_of(roi: Any) -> str:
    if isinstance(roi, Mapping):
        raise UsageError("roi: an entry with settings has no name; give one as name=")
    text = os.fspath(roi)
    ending = next((end for end in sorted(VOLUME, key=len, reverse=True) if text.endswith(end)), "")
    return os.path.basename(text.removesuffix(ending))


def _entry(roi: Any) -> Any:
    """What stands under `rois` in the configuration. A path counts from the present folder."""
    if isinstance(roi, Mapping):
        return dict(roi)
    text = os.fspath(roi)
    if not text.endswith(VOLUME):
        return text
    if not os.path.exists(text):
        raise MissingError(f"{text}: there is no such ROI; correct the path, or give the name of one of the dataset")
    return {"file": os.path.abspath(text)}


@contextmanager
def alone(folder: Path, show: bool = True) -> Iterator[None]:
    """Waits until no other process works in this cache, which is made if it is not there."""
    try:
        make_folder(folder)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise MissingError(f"{folder}: cannot be written ({error.strerror}); name another folder as cache") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if show:
                print(f"boldmill: another process is making arrays in {folder}; waiting", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def run(targets: Sequence[str], config: Path, cache: Path, cores: int | None = None, show: bool = True) -> None:
    """One call of Snakemake with a configuration file, for a caller that is alone in the cache."""
    if importlib.util.find_spec("snakemake") is None:
        raise MissingError("snakemake: is not installed, and arrays are made by it; run `pip install 'snakemake>=9'`")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(installed.workflow() / "Snakefile")]
    command += ["--directory", str(cache), "--cores", str(cores or "all"), "--nolock", "--quiet", "host", "reason"]
    command += ["--configfile", str(config), "--", *targets]
    said = _Said(cache, show)
    if _call(command, said.hear):
        kind = WorkflowError if said.begun else _NotBegun
        raise kind(f"{', '.join(targets)}: could not be made; mend what is said below and call again\n{said}")


def fetch(config: Path, roi: str, show: bool = True) -> None:
    """Downloads what arrays of an ROI need and what is not there yet, by the settings in a configuration file."""
    if importlib.util.find_spec("boto3") is None:
        raise MissingError("boto3: is not installed, and buckets are read by it; run `pip install 'boto3>=1.36'`")
    command = [sys.executable, str(installed.workflow() / "rules"), "fetch", "--settings", str(config), "--roi", roi]
    command += ["--wait", "--every", "2" if sys.stderr.isatty() else "10"]
    said: deque[str] = deque(maxlen=KEPT)

    def hear(line: str) -> None:
        said.append(line.removeprefix("fetch: "))
        _tell(said[-1], show)

    if _call(command, hear):
        words = "\n".join(said)
        raise WorkflowError(f"{roi}: its files could not be fetched; mend what is said below and call again\n{words}")


def _call(command: Sequence[str], hear: Callable[[str], None]) -> int:
    """Runs a command and hands over each line that it says; its status."""
    # a session of its own: an interrupt reaches all of its programs once, through us
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            hear(line.rstrip("\n"))
        return child.wait()
    finally:
        _end(child)


def _tell(text: str, show: bool) -> None:
    if show:
        print(f"boldmill: {text.removeprefix('boldmill: ')[:300]}", file=sys.stderr, flush=True)


def _end(child: subprocess.Popen[str]) -> None:
    """Nothing for a child that has ended; otherwise its programs remove what is half done and end."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


class _Said:
    """What Snakemake and the programs say: shown as far as it matters, and kept for the case that it fails."""

    def __init__(self, cache: Path, show: bool) -> None:
        self._cache, self._show = cache, show
        self.begun = False
        self._last: deque[str] = deque(maxlen=KEPT)
        self._logs: deque[str] = deque(maxlen=KEPT)  # what programs said that failed
        self._lines = 0  # of the log that is being shown: 0: none, 1: its title was, 2: it is

    def hear(self, line: str) -> None:
        self._last.append(line)
        if LOG.match(line):
            self._lines = 1
        elif line == LINE:
            self._lines = 2 if self._lines == 1 else 0
        elif self._lines == 2:
            self._logs.append(line)
        elif made := OUTPUT.match(line):
            self.begun = True
            _tell(f"making {os.path.relpath(made[1], self._cache)}", self._show)
        elif SHOWN.match(line):
            _tell(line, self._show)

    def __str__(self) -> str:
        """The programs' own words, or where no program failed, Snakemake's."""
        programs = [line for line in self._logs if not line.endswith("its writer failed, see its message")]
        snakemake = [line for line in self._last if line.strip() and not HOUSEKEEPING.match(line)]
        return "\n".join(programs or snakemake)


def grid_of(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Shape (X, Y, Z) of a NIfTI file's volumes; DataError where it is none."""
    program = installed.workflow() / "bin" / "boldinfo"
    done = subprocess.run([program, "--json", "--", os.fspath(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(
            done.stderr.strip().removeprefix("boldinfo: ") or f"{path}: cannot be read; name a NIfTI file"
        )
    found = json.loads(done.stdout)
    if found["kind"] != "nifti":
        raise DataError(f"{path}: is no NIfTI file ({found['kind']}); name one")
    x, y, z = found["dims"]
    return x, y, z
