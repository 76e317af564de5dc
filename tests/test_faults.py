"""Disks, folders and inputs that misbehave: a full disk, no permission, files that change while they are read, odd
names; and how the programs were built. tests/faults/ has the campaigns."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, PATIENCE, PROGRAMS, ROOT, bold, last_line, write_nifti
from flow import ENV
from oracle import make_run, write_stream

sys.path.insert(0, str(ROOT / "tests/faults"))
import campaign  # noqa: E402

ROOT_USER = os.geteuid() == 0
SANITIZED = "asan" in BIN.parts or "tsan" in BIN.parts
FULL = re.compile("No space left|the disk is full")


@pytest.fixture(scope="module")
def cases(run, tmp_path_factory):
    """The calls of the programs in the fault campaign; {out} stands for the folder of the outputs."""
    found = campaign.cases(tmp_path_factory.mktemp("cases"), run.path)
    return [case for case in found if case.command[0] != "python"]


def call(case, out, **how):
    command = [str(BIN / case.command[0]), *(word.replace("{out}", str(out)) for word in case.command[1:])]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * PATIENCE, **how)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A disk that fills


@pytest.fixture
def disk(tmp_path):
    """mounts a file system of so many pages at a folder; it is gone afterwards"""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(pages):
        unmount()
        size = pages * os.sysconf("SC_PAGE_SIZE")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
        if done.returncode:
            pytest.skip(f"a small disk needs the right to mount: {done.stderr.decode().strip()}")
        return folder

    def unmount():
        if folder.is_mount():
            subprocess.run(["umount", folder], check=True)

    yield mount
    unmount()


def test_a_disk_that_fills(cases, disk, tmp_path):
    """With each page more, until the outputs fit: an error that names the disk and nothing left, or all of it."""
    if not ROOT_USER:
        pytest.skip("only root may mount a small disk")
    for case in [case for case in cases if "{out}" in case.command[-1]]:
        wanted, pages, full = contents_of(call, case, tmp_path), 1, 0
        step = max(1, sum(map(len, wanted.values())) // os.sysconf("SC_PAGE_SIZE") // 8)
        while (done := call(case, disk(pages))).returncode:
            left = contents(tmp_path / "disk")
            assert all(wanted.get(name) == data for name, data in left.items()), case.name
            assert last_line(done.stderr).startswith(f"{case.command[0]}: ") and FULL.search(done.stderr), done.stderr
            pages, full = pages + step, full + 1
            assert pages < 4096, case.name
        assert full > 0 and contents(tmp_path / "disk") == wanted, case.name


# A scratch folder


def test_outputs_by_way_of_a_scratch_folder(cases, disk, tmp_path):
    """The same bytes; nothing stays in the folder; when it is too small the error names it and nothing is left."""
    near = tmp_path / "near"
    near.mkdir()
    for case in [case for case in cases if "{out}" in case.command[-1]]:
        wanted, out = contents_of(call, case, tmp_path), tmp_path / "out"
        for folder in (near, near / "missing"):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            done = call(case, out, env=ENV | {"BOLDMILL_SCRATCH": str(folder)})
            assert (contents(out), done.returncode) == ((wanted, 0) if folder == near else ({}, 1)), done.stderr
            assert folder == near or "/missing: cannot be created" in done.stderr, done.stderr
            assert contents(near) == {}
        if ROOT_USER and sum(map(len, wanted.values())) > os.sysconf("SC_PAGE_SIZE"):
            done = call(case, out, env=ENV | {"BOLDMILL_SCRATCH": str(disk(1))})
            assert done.returncode == 1 and f"by way of {tmp_path / 'disk'}" in done.stderr, done.stderr
            assert contents(tmp_path / "disk") == contents(out) == {}


# A quota


@pytest.fixture
def quota(tmp_path):
    """`quota(pages)` gives a fresh folder in which so many pages may be filled: a subvolume of btrfs with a limit."""
    if not ROOT_USER or not shutil.which("mkfs.btrfs"):
        pytest.skip("a quota needs mkfs.btrfs (btrfs-progs)" if ROOT_USER else "only root may set a quota")
    image, mounted = tmp_path / "image", tmp_path / "btrfs"
    mounted.mkdir()
    with open(image, "wb") as f:
        f.truncate(128 << 20)

    def call(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a quota cannot be set here: {done.stderr.strip()}")

    call("mkfs.btrfs", "-q", image)
    call("mount", "-o", "loop", image, mounted)
    try:
        call("btrfs", "quota", "enable", mounted)
        numbers = iter(range(10000))

        def limit(pages):
            folder = mounted / f"limited{next(numbers)}"
            call("btrfs", "subvolume", "create", folder)
            call("btrfs", "qgroup", "limit", str(pages * os.sysconf("SC_PAGE_SIZE")), folder)
            return folder

        yield limit
    finally:
        subprocess.run(["umount", mounted], check=False)


def test_a_quota_that_is_used_up(cases, quota, tmp_path):
    """As for a disk that fills; the error names the quota. The first call of each program."""
    for case in {case.command[0]: case for case in reversed(cases) if "{out}" in case.command[-1]}.values():
        wanted, pages, over = contents_of(call, case, tmp_path), 5, 0
        while (done := call(case, folder := quota(pages))).returncode:
            left = contents(folder)
            assert all(wanted.get(name) == data for name, data in left.items()), case.name
            assert last_line(done.stderr).startswith(f"{case.command[0]}: "), done.stderr
            assert re.search("quota exceeded|the disk is full", done.stderr, re.IGNORECASE), done.stderr
            pages, over = 2 * pages, over + 1
            assert pages < 8192, case.name
        assert over > 0 and contents(folder) == wanted, case.name


# Without permission

OTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@pytest.fixture(scope="module")
def stranger(cases):
    """`stranger(case, out)` calls as a user who owns nothing; `stranger.folder` is where this user can reach it."""
    if not ROOT_USER or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    folder = Path(tempfile.mkdtemp(prefix="stranger"))
    folder.chmod(0o755)
    shutil.copytree(BIN, folder / "bin")
    inputs = Path(next(word for word in cases[0].command if word.endswith(".nii.gz"))).parent
    shutil.copytree(inputs, folder / "in")
    (folder / "in").chmod(0o755)

    def as_stranger(case, out, other=OTHER_USER):
        words = [word.replace("{out}", str(out)).replace(str(inputs), str(folder / "in")) for word in case.command]
        return subprocess.run(
            [*other, folder / "bin" / words[0], *words[1:]], capture_output=True, text=True, check=False, cwd=folder
        )

    as_stranger.folder = folder
    yield as_stranger
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("mode", "works"), [(0o777, True), (0o333, True), (0o555, False), (0o000, False), (0o1777, False)]
)
def test_a_target_without_permission(cases, stranger, tmp_path, mode, works):
    """All rights; one may write but not list; one may list but not write; nothing; others' files are theirs."""
    for case in [case for case in cases if "{out}" in case.command[-1] and case.command[0] != "synthnsd"]:
        wanted = contents_of(partial(stranger, other=()), case, tmp_path)
        out = stranger.folder / f"out{mode:o}"
        out.mkdir()
        before = {name: b"of somebody else" for name in wanted if mode & 0o1000 and "meta" not in name}
        for name, data in before.items():
            (out / name).write_bytes(data)
        out.chmod(mode)
        done = stranger(case, out)
        if works:
            assert done.returncode == 0 and contents(out) == wanted, done.stderr
        else:
            assert done.returncode and re.search("permitted|denied|not ours", done.stderr), done.stderr
            assert not before.items() - contents(out).items()
            assert all(wanted[name] == data for name, data in contents(out).items() - before.items())
        shutil.rmtree(out)


def contents_of(caller, case, folder):
    """The outputs where nothing is in the way."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        assert caller(case, out).returncode == 0
        return contents(Path(out))


def test_an_input_without_permission(cases, stranger, tmp_path):
    case = next(case for case in cases if case.command[0] == "detrend")
    packed = stranger.folder / "in/packed.h5"
    out = stranger.folder / "out"
    out.mkdir()
    out.chmod(0o777)
    packed.chmod(0o000)
    done = stranger(case, out)
    packed.chmod(0o644)
    assert done.returncode == 1 and "packed.h5" in done.stderr and "denied" in done.stderr
    assert not contents(out)
    shutil.rmtree(out)


# Inputs that change while they are read


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Stops a program before its nth read, so that its input can be changed under it."""
    if SANITIZED:
        pytest.skip("the shim replaces malloc, and so do sanitizers")
    return campaign.build_shim(tmp_path_factory.mktemp("shim"))


def scan(folder, name, seed, **kind):
    folder.mkdir()
    data = np.random.default_rng(seed).integers(1, 900, (30, 30, 20, 20)).astype(np.int16)
    return write_nifti(folder / name, data, **kind)


def run_file(folder, seed):
    return scan(folder, "sub-01_run-1_bold.nii", seed)


def gzipped(folder, seed):
    return scan(folder, "sub-01_run-1_bold.nii.gz", seed)


def tile_stream(folder, seed):
    folder.mkdir()
    data = np.random.default_rng(seed).normal(size=(40, 9000)).astype(np.float32)
    (folder / "run.npys").write_bytes(write_stream([make_run(data, voxels=np.arange(9000), dims=[9000, 1, 1])]))
    return folder / "run.npys"


def series_file(folder, seed):
    source = tile_stream(folder, seed)
    target = folder / "run.h5"
    subprocess.run([BIN / "concat", "--quiet", "--store", "plain", source, target], check=True)
    source.unlink()
    return target


def overwrite(path, other):
    with open(path, "r+b") as file:
        file.write(other)
        file.truncate()


def halves(path, other):
    with open(path, "r+b") as file:
        file.seek(len(other) // 2)
        file.write(other[len(other) // 2 :])


def replace(path, other):
    path.with_name("other").write_bytes(other)
    path.with_name("other").rename(path)


def empty(path, other):
    os.truncate(path, 0)


def longer(path, other):
    with open(path, "ab") as file:
        file.write(bytes(100000))


READS = {run_file: "nifti2h5", gzipped: "nifti2h5", tile_stream: "detrend", series_file: "detrend"}


@pytest.mark.parametrize("kind", READS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("change", [overwrite, halves, replace, empty, longer], ids=lambda change: change.__name__)
def test_an_input_that_changes_while_it_is_read(shim, tmp_path, kind, change):
    """An error and no output, or what one state of the file alone gives: never a mix of two. A file that is replaced
    meanwhile gives an error too, since an output made from the old one would be newer than the new one."""
    old, new = kind(tmp_path / "a", 1), kind(tmp_path / "b", 2).read_bytes()
    kept, out = old.read_bytes(), tmp_path / "out.npys"
    command = [str(BIN / READS[kind]), "--quiet", "-j1", str(old), str(out)]
    change(old, new)
    states = {"old": kept, "changed": old.read_bytes(), "new": new}
    pure = {name: undisturbed(command, old, data, out) for name, data in states.items()}
    assert pure["old"] != pure["new"]
    tally = dict.fromkeys(["refused", *states], 0)
    reads = count_reads(shim, command, tmp_path / "counts")
    out.unlink()
    for at in sorted({1 + k * (reads - 1) // 9 for k in range(10)}):
        fresh(old, kept)
        status, said = changed_at(shim, command, at, lambda: change(old, new))
        made = out.read_bytes() if out.exists() else None
        assert not status or (last_line(said).startswith(f"{READS[kind]}: ") and made is None), said
        tally[outcome(status, made, pure, f"read {at} of {reads}")] += 1
        out.unlink(missing_ok=True)
    assert tally["refused"] > 0 and (change is not replace or not tally["old"]), tally


def outcome(status, made, pure, when):
    found = "refused" if status else next((name for name, data in pure.items() if data == made), None)
    assert found, f"a mix, after {when}"
    return found


def fresh(path, data):
    path.unlink()
    path.write_bytes(data)
    os.utime(path, (1e9, 1e9))


def undisturbed(command, path, data, out):
    """What the program makes of the file in this state, or None."""
    fresh(path, data)
    status = subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode
    made = out.read_bytes() if status == 0 else None
    out.unlink(missing_ok=True)
    return made


def count_reads(shim, command, counts):
    env = os.environ | {"LD_PRELOAD": shim, "FAULT_COUNT": str(counts)}
    subprocess.run(command, env=env, check=True)
    return int(dict(line.split() for line in counts.read_text().splitlines())["read"])


def changed_at(shim, command, at, change):
    env = os.environ | {"LD_PRELOAD": shim, "FAULT_CALL": "read", "FAULT_AT": str(at), "FAULT_HOW": "stop"}
    child = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    _, state = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(state), state
    change()
    os.kill(child.pid, signal.SIGCONT)
    said = child.communicate(timeout=60 * PATIENCE)[1]
    return child.returncode, said


# Two writers of one target


def test_two_writers_with_the_same_number(shim, tmp_path):
    """Processes of two machines or containers may have the same number. Each writes a temporary of its own: the
    target is whole at any time, whatever the one does while the other is in the middle."""
    if not ROOT_USER or not shutil.which("unshare"):
        pytest.skip("only root may make processes of the same number, with unshare")
    source, target = tile_stream(tmp_path / "in", 1), tmp_path / "out.npys"
    command = [
        "unshare",
        "--pid",
        "--fork",
        "sh",
        "-c",
        '"$@"; exit $?',
        "sh",
        str(BIN / "concat"),
        "-q",
        str(source),
    ]
    subprocess.run([*command, str(target)], check=True)
    whole = target.read_bytes()
    first = stopped(shim, [*command, str(target)], "rename", 1)
    second = stopped(shim, [*command, str(target)], "write", 3)
    assert len(list(tmp_path.glob(".out.npys.*.tmp"))) == 2
    for child, pid in (first, second):
        os.kill(pid, signal.SIGCONT)
        assert child.wait(60 * PATIENCE) == 0
        assert target.read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.npys"}


def stopped(shim, command, call, at):
    """(process, number of the program in it), once the program has stopped before this call"""
    mark = f"FAULT_MARK={call}{at}"
    fault = {"LD_PRELOAD": shim, "FAULT_CALL": call, "FAULT_AT": str(at), "FAULT_HOW": "stop"}
    words = [f"{key}={value}" for key, value in fault.items()]
    where = command.index(str(BIN / "concat"))
    child = subprocess.Popen([*command[:where], "env", mark, *words, *command[where:]])
    for _ in range(int(600 * PATIENCE)):
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if "State:\tT" in status.read_text() and mark.encode() in (status.parent / "environ").read_bytes():
                    return child, int(status.parent.name)
            except OSError:  # it has ended
                continue
        time.sleep(0.1)
    raise AssertionError(f"does not stop before {call} {at}")


# Pipes that are copied, since they must be read twice


SPOOLS = {  # where the call that fails is, what fails, and what is said
    "the copy is not made": ("copies", "open", "EIO", "copies/boldmill-"),
    "the copy is not written": ("copies", "write", "ENOSPC", "No space left"),
    "the pipe is not opened": ("run.nii", "open", "EIO", "run.nii: cannot be opened"),
}


@pytest.mark.parametrize("why", SPOOLS)
def test_a_pipe_whose_copy_fails(shim, tmp_path, why):
    under, call, how, says = SPOOLS[why]
    (tmp_path / "copies").mkdir()
    os.mkfifo(tmp_path / "run.nii")
    blob = write_nifti(tmp_path / "real.nii", bold()).read_bytes()
    env = {"TMPDIR": str(tmp_path / "copies"), "LD_PRELOAD": shim, "FAULT_UNDER": str(tmp_path / under)}
    env |= {"FAULT_CALL": call, "FAULT_AT": "1", "FAULT_HOW": how}
    name = "run.nii" if under == "run.nii" else "-"
    command = [str(BIN / "nifti2h5"), str(tmp_path / name) if name != "-" else "-", str(tmp_path / "out.h5")]
    done = subprocess.run(command, input=blob, env=os.environ | env, capture_output=True, timeout=60, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1 and said.startswith("nifti2h5: ") and says in said, said
    assert sorted(os.listdir(tmp_path)) == ["copies", "real.nii", "run.nii"] and not os.listdir(tmp_path / "copies")


def test_memory_that_ends_while_a_pipe_is_copied(shim, tmp_path):
    """Each of the first allocations fails once: a message, and neither a copy nor an output stays."""
    blob = write_nifti(tmp_path / "real.nii", bold()).read_bytes()
    (tmp_path / "copies").mkdir()
    env = os.environ | {"TMPDIR": str(tmp_path / "copies"), "LD_PRELOAD": shim, "FAULT_CALL": "alloc"}
    env["FAULT_HOW"] = "ENOMEM"
    for at in range(1, 25):
        command = [str(BIN / "nifti2h5"), "-j1", "-", str(tmp_path / "out.h5")]
        env["FAULT_AT"] = str(at)
        done = subprocess.run(command, input=blob, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode in (1, 2) and b"memory" in done.stderr, (at, done.stderr)
        assert sorted(os.listdir(tmp_path)) == ["copies", "real.nii"] and not os.listdir(tmp_path / "copies")


def test_writes_that_fail_behind_the_last_columns_of_a_series(shim, tmp_path):
    """An ROI of voxels that the series does not hold is written when the run ends: each write fails once."""
    roi = np.ones(7 * 6 * 5, bool)
    roi[3:6] = False  # those that it holds
    np.save(tmp_path / "roi.npy", roi.reshape(7, 6, 5))
    (tmp_path / "in.npys").write_bytes(write_stream([make_run(np.ones((400, 3), "<f4"))]))
    env = os.environ | {"LD_PRELOAD": shim, "FAULT_CALL": "write", "FAULT_HOW": "ENOSPC"}
    paths = [str(tmp_path / name) for name in ("roi.npy", "in.npys", "out.npys")]
    for at in range(1, 100):
        command = [str(BIN / "applymask"), "-j1", "--roi", *paths]
        done = subprocess.run(command, env=env | {"FAULT_AT": str(at)}, capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 1 and b"No space left" in done.stderr, done.stderr
        assert sorted(os.listdir(tmp_path)) == ["in.npys", "roi.npy"]
    assert at > 3 and (tmp_path / "out.npys").exists()


# Odd names

ODD = [
    "a b",
    "it's",
    'a"b',
    "a\nb",
    "$(touch hacked)",
    "`touch hacked`",
    "-q",
    "--help",
    "a;touch hacked",
    "*",
    "..h",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_files(run, tmp_path, name):
    """Inputs and outputs are what they are called, wherever the name stands; nothing else appears."""
    scan_path = write_nifti(tmp_path / "run.nii.gz", bold())
    os.rename(scan_path, tmp_path / f"{name}.nii.gz")
    (tmp_path / f"{name}.tsv").write_text("1\n0\n" * 12)
    np.save(tmp_path / "roi.npy", np.arange(210) % 3 == 1)
    os.rename(tmp_path / "roi.npy", tmp_path / f"{name}.npy")
    stages = [
        ("nifti2h5", [f"{name}.nii.gz"], f"{name}.h5", []),
        ("denoise", [f"{name}.h5"], f"{name}.d.h5", []),
        ("hrfshift", [f"{name}.d.h5"], f"{name}.l.h5", [f"--design={name}.tsv"]),
        ("applymask", [f"{name}.l.h5"], f"{name}.npys", [f"--roi={name}.npy"]),
        ("concat", [f"{name}.npys"], f"{name}.fmri.npy", []),
        ("shuffleidx", [f"{name}.meta.npy"], f"{name}.order.npy", []),
    ]
    made = {f"{name}{end}" for end in (".nii.gz", ".tsv", ".npy", ".meta.npy", ".json", ".order.json")}
    for program, inputs, output, options in stages:
        run(program, "--quiet", *options, "--", *inputs, output, cwd=tmp_path)
        made.add(output)
    run("boldinfo", "--verify", "--", f"{name}.json", f"{name}.l.h5", f"{name}.npys", cwd=tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == made


@pytest.mark.parametrize(("name", "end"), [("concat", ".fmri.npy"), ("boldqc", ".json"), ("shuffleidx", ".npy")])
def test_names_that_a_description_cannot_hold(run, tmp_path, name, end):
    """Arrays whose description named another file could be read by nobody. Other files may be called so."""
    packed, output = (os.fsdecode(os.fsencode(tmp_path) + b"/r\xeave" + each.encode()) for each in (".h5", end))
    run("nifti2h5", write_nifti(tmp_path / "run.nii.gz", bold()), packed)
    done = run.any(name, "100" if name == "shuffleidx" else packed, output)
    assert done.status == 2 and "not UTF-8" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"run.nii.gz", os.path.basename(packed)}


# How the programs were built


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_hardened(name):
    """Position independent, no memory both writable and executable, addresses of functions fixed at the start and
    read-only from then on, guarded stacks, checked copies."""
    if SANITIZED or not shutil.which("readelf"):
        pytest.skip("sanitizer builds do without" if SANITIZED else "readelf is not installed (binutils)")

    def elf(what):
        command = ["readelf", what, "--wide", BIN / name]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=ENV | {"LC_ALL": "C"}).stdout

    dynamic, segments, symbols = elf("--dynamic"), elf("--program-headers"), elf("--dyn-syms")
    assert re.search(r"Elf file type is DYN", segments) and "INTERP" in segments
    assert re.search(r"FLAGS_1.*\bPIE\b", dynamic) and re.search(r"FLAGS_1.*\bNOW\b", dynamic)
    assert "GNU_RELRO" in segments and not re.search(r"TEXTREL|RPATH|RUNPATH", dynamic)
    stack = re.search(r"GNU_STACK.*", segments)[0]
    assert "RW " in stack and "E" not in stack.split()[-2]
    assert not [line for line in segments.splitlines() if re.search(r"LOAD.*RWE", line)]
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", ""))


# The campaigns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["faults", "fuzz"])
def test_mutations_of_the_campaigns_still_apply(which):
    """`make mutants` and `make fuzz-mutants` take long; that the code has moved away from them is told here."""
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tests" / which / "mutants.py")
    mutants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutants)
    assert len(mutants.MUTANTS) > 10 and mutants.misplaced() == []
