"""What holds for every program: help, version, exit status, form of errors, and what a failure leaves behind."""

import os
import re
import resource
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import BIN, PATIENCE, PROGRAMS, bold, last_line, write_nifti
from oracle import make_run, read_stream, write_stream

OPTIONS = {
    "nifti2h5": "mask labels volumes design subject session run tr store skip-rest threads",
    "detrend": "order keep-mean nonfinite dtype threads",
    "denoise": "order high-pass low-pass filter filter-order confounds columns expand missing censor sample-mask "
    "censor-before censor-after min-segment ends keep-mean nonfinite dtype threads",
    "zscore": "ddof method nonfinite dtype threads",
    "hrfshift": "design offset history repeats column categories",
    "applymask": "roi minus where labels table combine absent threads",
    "concat": "dtype sessions allow-gaps threads",
    "shuffleidx": "seed mode block-rows split by window lag shards epoch",
    "synthnsd": "subjects sessions scale dims space volumes runs seed pictures threads",
    "boldinfo": "json verify",
    "boldqc": "order voxels threads",
}
DEFAULTS = {
    "detrend": ["1"],
    "denoise": ["1", "5", "cosine", "start", "drop", "voxel"],
    "zscore": ["zscore", "1"],
    "hrfshift": ["4.6", "4", "count"],
    "shuffleidx": ["4096", "full"],
    "nifti2h5": ["deflate"],
    "boldqc": ["1", "300"],
}
SANITIZED = "asan" in BIN.parts or "tsan" in BIN.parts
STREAMERS = ("nifti2h5", "detrend", "denoise", "zscore", "hrfshift", "applymask", "concat")
READERS = ("detrend", "denoise", "zscore", "hrfshift", "applymask", "concat")
ROWS = 30


@pytest.fixture
def inputs(tmp_path):
    """One small valid input of every kind."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = bold(volumes=ROWS)
    write_nifti(folder / "run.nii.gz", data)
    panel = data.reshape(-1, ROWS).T[:, 60:140]
    made = make_run(panel, voxels=np.arange(60, 140))
    (folder / "run.npys").write_bytes(write_stream([made]))
    np.save(folder / "roi.npy", np.arange(210) % 3 == 1)
    (folder / "design.tsv").write_text("".join(f"{(k % 3 == 0) * (k + 5)}\n" for k in range(ROWS)))
    return folder


def arguments(name, folder, output, source=None):
    """The arguments of a small valid call."""
    stream = source or folder / "run.npys"
    return {
        "nifti2h5": [source or folder / "run.nii.gz", output],
        "detrend": [stream, output],
        "denoise": [stream, output],
        "zscore": [stream, output],
        "hrfshift": ["--design", folder / "design.tsv", stream, output],
        "applymask": ["--roi", folder / "roi.npy", stream, output],
        "concat": [stream, output],
        "shuffleidx": [source or 100000, output],
        "synthnsd": ["--subjects", 1, "--sessions", 1, "--dims", "6,6,6", "--runs", 2, "--pictures", 4, output],
        "boldinfo": [stream],
        "boldqc": [stream, output],
    }[name]


def target_of(name, stem="out"):
    """A target that the program takes for a file to write."""
    return stem + {"shuffleidx": ".npy", "synthnsd": "", "boldqc": ".json"}.get(name, ".h5")


def names_in(folder):
    return sorted(os.listdir(folder))


def temporaries(folder):
    return [str(path) for path in folder.rglob("*") if path.name.startswith(".") or path.name.endswith(".tmp")]


every_program = pytest.mark.parametrize("name", PROGRAMS)
every_streamer = pytest.mark.parametrize("name", STREAMERS)


# Help and the command line ------------------------------------------------------------------------------------------


@every_program
def test_help_names_every_option_and_shows_defaults(run, name):
    done = run(name, "--help")
    assert done.err == ""
    for option in [*OPTIONS[name].split(), "help", "version", "quiet", "progress"]:
        assert re.search(rf"--{option}\b", done.text), f"--{option} is not in the help of {name}"
    for default in DEFAULTS.get(name, []):
        assert re.search(rf"\[{re.escape(default)}[];]", done.text), f"default {default} is not shown"
    assert re.search(r"^ *\$? *" + name + r" \S", done.text.split("xample", 1)[1], re.MULTILINE), "no example"
    assert max(map(len, done.text.splitlines())) <= 120


@every_program
def test_the_page_has_every_line_of_the_help(run, name):
    """docs/tools is made of it: the same options with the same words, in tables."""
    page, text = run(name, "--help-markdown").text, " ".join(run(name, "--help").text.split())
    rows = [line for line in page.splitlines() if line.startswith("| `--")]
    assert page.startswith(f"# {name}\n") and len(rows) == len(
        set(re.findall(r"--[\w-]+(?= |$)", text)) & named(rows)
    )
    for row in rows:
        option, meaning = re.fullmatch(r"\| `(--[^`]*)`(?:, `-.`)? \| (.*) \|", row).groups()
        assert option.replace("\\|", "|") in text and " ".join(meaning.split()) in text, row


def named(rows):
    return {re.match(r"\| `(--[\w-]+)", row)[1] for row in rows}


@every_program
def test_version(run, name):
    done = run(name, "--version")
    assert re.match(rf"{name} .*\d+\.\d+", done.text)
    assert done.err == ""


@every_program
def test_unknown_option(run, name):
    done = run.fails(name, "--no-such-option", status=2, says=["--no-such-option", "--help"])
    assert done.out == b""


@every_program
def test_no_arguments(run, name):
    run.fails(name, status=2, says="--help")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("detrend", ["--order", "1x"]),
        ("detrend", ["--order", "-1"]),
        ("detrend", ["--order", ""]),
        ("detrend", ["--order", "1e1"]),
        ("detrend", ["--order", "99999999999999999999"]),
        ("detrend", ["--dtype", "int16"]),
        ("zscore", ["--ddof", "nan"]),
        ("zscore", ["--ddof", "-1"]),
        ("zscore", ["--method", "median"]),
        ("zscore", ["--threads", "-1"]),
        ("hrfshift", ["--offset", "inf"]),
        ("hrfshift", ["--offset", "4,6"]),
        ("hrfshift", ["--history", "0"]),
        ("hrfshift", ["--history", "100000"]),
        ("hrfshift", ["--repeats", "both"]),
        ("applymask", ["--combine", "xor"]),
        ("applymask", ["--absent", "maybe"]),
        ("concat", ["--dtype", "int8"]),
        ("concat", ["--sessions", "3-1x"]),
        ("concat", ["--sessions", "0"]),
        ("nifti2h5", ["--store", "lz4"]),
        ("nifti2h5", ["--volumes", "0x10"]),
        ("nifti2h5", ["--tr", "-2"]),
        ("nifti2h5", ["--tr", "1001"]),
        ("shuffleidx", ["--seed", "-1.5"]),
        ("shuffleidx", ["--split", "train=0.8,val=lots"]),
        ("synthnsd", ["--dims", "1,2"]),
        ("synthnsd", ["--scale", "nan"]),
    ],
)
def test_bad_value(run, inputs, tmp_path, name, args):
    target = tmp_path / target_of(name)
    run.fails(name, *arguments(name, inputs, target), *args, status=2, says=args[0])
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("detrend", ["--keep-mean=yes"], "--keep-mean takes no value"),
        ("detrend", ["-qj2"], "--quiet takes no value"),
        ("detrend", ["--order"], "--order needs a value (K)"),
        ("zscore", ["--method"], "--method needs a value (zscore|demean|psc)"),
        ("detrend", ["-j"], "--threads needs a value (N)"),
        ("detrend", ["-%"], "unknown option '-%'"),
        ("detrend", ["--ord", "1"], "unknown option '--ord'"),
        ("applymask", [], "give a mask with --roi SPEC"),
        ("applymask", ["--where", "a.npy > 0"], "say more of a --roi"),
        ("hrfshift", [], "--design"),
        ("nifti2h5", ["--skip-rest"], "--skip-rest needs --design"),
        ("nifti2h5", ["--labels", "1"], "say more of a --mask"),
        ("denoise", ["--expand", "derivativez", "--confounds", "x"], "'derivativez' is not one of"),
        ("denoise", ["--expand", "squares,", "--low-pass", "1"], "--low-pass needs"),
        ("denoise", ["--expand", ",squares"], "'' is not one of"),
        ("denoise", ["--censor-before", "1"], "--censor-before needs --censor"),
        ("denoise", ["--censor-after", "1"], "--censor-after needs --censor"),
        ("synthnsd", ["--volumes", "1"], "a run needs 2 or more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_mistakes_on_the_command_line(run, tmp_path, name, args, says):
    """Told before any file is looked at."""
    files = [tmp_path / "none", tmp_path / target_of(name)][name == "synthnsd" :]
    done = run.fails(name, *files, *args, status=2, says=[says, f"try '{name} --help'"])
    assert done.out == b"" and names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["detrend", "hrfshift", "shuffleidx"])
def test_too_many_arguments(run, inputs, tmp_path, name):
    extra = arguments(name, inputs, tmp_path / target_of(name)) + [tmp_path / "b.npy"]
    run.fails(name, *extra, status=2)
    assert names_in(tmp_path) == ["in"]


def test_option_value_forms_are_the_same(run, inputs):
    joined, apart = (run("detrend", *form, inputs / "run.npys", "-") for form in (["--order=2"], ["--order", "2"]))
    ended = run("detrend", "--order", "2", "--", inputs / "run.npys", "-")
    data = [read_stream(done.out)[0].data for done in (joined, apart, ended)]
    assert np.array_equal(data[0], data[1]) and np.array_equal(data[0], data[2])
    assert not np.array_equal(data[0], read_stream(run("detrend", inputs / "run.npys", "-").out)[0].data)


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [p for p in PROGRAMS if p != "synthnsd"])
def test_missing_input(run, inputs, tmp_path, name):
    missing = tmp_path / "nowhere.meta.npy"
    done = run.fails(name, *arguments(name, inputs, tmp_path / target_of(name), missing), says=[missing, "; "])
    assert re.fullmatch(rf"{name}: {re.escape(str(missing))}: .+; .+", last_line(done.err))
    assert len(done.err.splitlines()) == 1
    assert names_in(tmp_path) == ["in"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("what", ["directory", "empty", "text", "zeros"])
def test_input_of_no_kind(run, inputs, tmp_path, name, what):
    bad = tmp_path / "bad.npys"
    if what == "directory":
        bad.mkdir()
    else:
        bad.write_bytes({"empty": b"", "text": b"not a stream\n" * 99, "zeros": bytes(4096)}[what])
    run.fails(name, *arguments(name, inputs, tmp_path / "out.h5", bad), says=bad.name)
    assert names_in(tmp_path) == ["bad.npys", "in"]


def test_control_characters_in_a_name_stay_off_the_terminal(run, tmp_path):
    done = run.fails("detrend", tmp_path / "a\x1b[31m\nb.h5", tmp_path / "out.h5")
    assert "\x1b" not in done.err and len(done.err.splitlines()) == 1


def test_control_characters_in_a_note_or_a_file_stay_off_the_terminal(run, tmp_path):
    """Those beyond ASCII too: U+009B begins a command as ESC [ does."""
    odd = "a\x1b[31m\n\u009b31mb"
    write_nifti(tmp_path / f"{odd}.nii.gz", bold())
    (tmp_path / "rest.tsv").write_text("0\n" * 24)
    (tmp_path / "task.tsv").write_text("0\n1\n" * 12)
    write_nifti(tmp_path / "task.nii.gz", bold())
    designs = [f"--design={tmp_path / name}" for name in ("rest.tsv", "task.tsv")]
    scans = [tmp_path / f"{odd}.nii.gz", tmp_path / "task.nii.gz"]
    done = run("nifti2h5", "--skip-rest", *designs, *scans, tmp_path / "out.h5")
    assert "left out as a rest run" in done.err and len(done.err.splitlines()) == 1
    made = make_run(bold(volumes=ROWS).reshape(-1, ROWS).T[:, 60:80].copy())
    made.head["label"], made.head["categories"] = odd, [odd]
    made.head["steps"] = [{"program": odd, "version": odd, "settings": {odd: odd}, "inputs": []}]
    done.err += run("boldinfo", "-", stdin=write_stream([made])).text
    assert "made by" in done.err and not {"\x1b", "\u009b"} & set(done.err)


@pytest.mark.parametrize("name", [p for p in PROGRAMS if p not in ("boldinfo", "synthnsd")])
@pytest.mark.parametrize("what", ["nodir", "folder"])
def test_target_that_cannot_be(run, inputs, tmp_path, name, what):
    """In a folder that is not there, or a folder itself."""
    target = tmp_path / target_of(name, stem="nodir/out" if what == "nodir" else "out")
    if what == "folder":
        target.mkdir()
    run.fails(name, *arguments(name, inputs, target), says=target)
    assert names_in(tmp_path) == (["in"] if what == "nodir" else ["in", target.name])
    assert what == "nodir" or names_in(target) == []


def test_synthnsd_into_a_file(run, inputs, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    run.fails("synthnsd", *arguments("synthnsd", inputs, tmp_path / "file"), says=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"mine"


# Output that cannot be written --------------------------------------------------------------------------------------


@every_program
@pytest.mark.parametrize("args", [["--help"], ["--version"]])
@pytest.mark.parametrize("how", ["full", "closed"])
def test_help_that_cannot_be_written(run, name, args, how):
    with open("/dev/full", "wb") as full:
        kind = {"full": {"stdout": full}, "closed": {"stdout": None, "preexec_fn": close_stdout}}[how]
        run.fails(name, *args, **kind, says="standard output")


def close_stdout():
    os.close(1)


@pytest.mark.parametrize("name", [*STREAMERS, "boldinfo"])
@pytest.mark.parametrize("how", ["full", "closed"])
def test_standard_output_that_cannot_be_written(run, inputs, name, how):
    with open("/dev/full", "wb") as full:
        kind = {"full": {"stdout": full}, "closed": {"stdout": None, "preexec_fn": close_stdout}}[how]
        run.fails(name, *arguments(name, inputs, "-"), **kind, says="standard output")


@every_streamer
def test_device_that_is_full(run, inputs, tmp_path, name):
    """A target that is no regular file is written as it is, and never replaced."""
    target = tmp_path / "out.npys"
    target.symlink_to("/dev/full")
    run.fails(name, *arguments(name, inputs, target), says=[target, "; "])
    assert names_in(tmp_path) == ["in", "out.npys"] and target.is_char_device()


@every_streamer
@pytest.mark.parametrize("kind", [".h5", ".npys"])
def test_closed_standard_output_does_not_touch_a_file(run, inputs, tmp_path, name, kind):
    """The target could get descriptor 1 and with it whatever the program prints."""
    target = tmp_path / f"out{kind}"
    run(name, *arguments(name, inputs, target))
    wanted = target.read_bytes()
    target.unlink()
    run(name, *arguments(name, inputs, target), stdout=None, preexec_fn=close_stdout)
    assert target.read_bytes() == wanted


FILE_WRITERS = [(name, kind) for name in STREAMERS for kind in (".h5", ".npys")]
FILE_WRITERS += [("concat", ".fmri.npy"), ("shuffleidx", ".npy"), ("boldqc", ".json")]


@pytest.mark.parametrize(("name", "kind"), FILE_WRITERS)
@pytest.mark.parametrize("closed", [(2,), (0, 1, 2), "stdin"])
def test_closed_descriptors_do_not_touch_a_file(run, inputs, tmp_path, name, kind, closed):
    """The target could get the descriptor of the messages, and they would stand in it."""
    target, source = tmp_path / f"out{kind}", None
    if closed == "stdin":  # the input is open already, so the target is the first to be opened
        if name not in READERS:
            pytest.skip("reads no standard input")
        closed, source = (2,), "-"
    data = (inputs / "run.npys").read_bytes() if source else None
    outputs = []
    for how in ({}, {"preexec_fn": lambda: [os.close(fd) for fd in closed]}):
        run(name, "--progress", *arguments(name, inputs, target, source), stdin=data, **how)
        made = [path for path in tmp_path.iterdir() if path.is_file()]
        outputs.append({path.name: path.read_bytes() for path in made})
        for path in made:
            path.unlink()
    assert outputs[0] and outputs[0] == outputs[1]


def small_files():
    """The disk is full after 3000 bytes, for whoever writes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


@pytest.mark.parametrize(("name", "kind"), FILE_WRITERS)
@pytest.mark.parametrize("old", [None, b"what was there before"])
def test_full_disk(run, inputs, tmp_path, name, kind, old):
    target = tmp_path / f"out{kind}"
    args = arguments(name, inputs, target)
    if name == "concat" and kind == ".fmri.npy":
        cleaned = tmp_path / "in" / "clean.npys"
        run("hrfshift", *arguments("hrfshift", inputs, cleaned))
        args = [cleaned, target]
    if old:
        target.write_bytes(old)
    run.fails(name, *args, preexec_fn=small_files, says=target.with_suffix(""))
    assert names_in(tmp_path) == (["in", target.name] if old else ["in"])
    assert not old or target.read_bytes() == old


def test_full_disk_synthnsd(run, inputs, tmp_path):
    run.fails("synthnsd", *arguments("synthnsd", inputs, tmp_path / "tree"), preexec_fn=small_files, says="tree")
    assert temporaries(tmp_path) == []
    big = [p for p in (tmp_path / "tree").rglob("*") if p.is_file() and p.stat().st_size >= 3000]
    assert big == []


@every_streamer
@pytest.mark.parametrize("kind", [".h5", ".npys"])
def test_success_leaves_only_the_target(run, inputs, tmp_path, name, kind):
    target = tmp_path / f"out{kind}"
    target.write_bytes(b"old")
    done = run(name, *arguments(name, inputs, target), "--quiet")
    assert done.out == b"" and done.err == ""
    assert names_in(tmp_path) == ["in", target.name]
    assert target.read_bytes() != b"old"
    assert target.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("kind", [".h5", ".npys"])
def test_input_as_its_own_output(run, inputs, tmp_path, kind):
    both = tmp_path / f"both{kind}"
    run("concat", inputs / "run.npys", both)
    before = both.read_bytes()
    wanted = read_stream(run("detrend", both, "-").out)[0].data
    done = run.any("detrend", both, both)
    if done.status:
        assert both.read_bytes() == before
    else:
        assert np.array_equal(read_stream(run("concat", both, "-").out)[0].data, wanted)


# Interrupts and broken pipes ----------------------------------------------------------------------------------------


SENT = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
CRASHES = [
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGQUIT,
    signal.SIGALRM,
]


@pytest.mark.parametrize("sent", CRASHES)
def test_a_crash_leaves_nothing(run, inputs, tmp_path, sent):
    """As when the HDF5 library finds no memory."""
    if SANITIZED and sent in CRASHES[:5]:
        pytest.skip("sanitizers have these")
    test_interrupt_leaves_nothing(run, inputs, tmp_path, "concat", ".fmri.npy", sent)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", [".h5", ".npys"])
@pytest.mark.parametrize("sent", SENT)
def test_interrupt_leaves_nothing(run, inputs, tmp_path, name, kind, sent):
    """Half a stream comes, then nothing more; the program waits with its temporary open."""
    blob = (inputs / "run.npys").read_bytes()
    folder = tmp_path / "out"
    folder.mkdir()
    command = [run.path(name), *map(str, arguments(name, inputs, folder / f"out{kind}", "-"))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdin.write(blob[: len(blob) * 3 // 4])
    child.stdin.flush()
    wait_for(lambda: names_in(folder))
    time.sleep(0.05)
    child.send_signal(sent)
    child.wait(20 * PATIENCE)  # its input stays open until then
    err = child.communicate()[1].decode()
    assert child.returncode in (-sent, 128 + sent), err
    assert "Sanitizer" not in err and "runtime error" not in err
    assert names_in(folder) == []


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never began to write"
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_synthnsd_leaves_no_temporary(run, tmp_path, sent):
    tree = tmp_path / "tree"
    command = [run.path("synthnsd"), "--subjects", "1", "--sessions", "1-40", "--dims", "30,30,30", str(tree)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_for(lambda: list(tree.rglob("timeseries_*")))
    child.send_signal(sent)
    child.communicate(timeout=20 * PATIENCE)
    assert child.returncode in (-sent, 128 + sent)
    assert temporaries(tree) == []


@every_streamer
@pytest.mark.parametrize("ignored", [False, True])
def test_broken_pipe(run, inputs, tmp_path, name, ignored):
    """Nobody reads: no message, no success. A parent may have SIGPIPE ignored, as Python has."""
    handling = signal.SIG_IGN if ignored else signal.SIG_DFL
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        how = {"stdout": write_end, "restore_signals": False}
        done = run.any(
            name, *arguments(name, inputs, "-"), preexec_fn=lambda: signal.signal(signal.SIGPIPE, handling), **how
        )
    finally:
        os.close(write_end)
    assert done.status in (141, -signal.SIGPIPE)
    assert done.err == ""


def test_quiet_and_progress(run, inputs, tmp_path):
    quiet = run("detrend", "--quiet", inputs / "run.npys", tmp_path / "a.h5")
    plain = run("detrend", inputs / "run.npys", tmp_path / "b.h5")
    shown = run("detrend", "--progress", inputs / "run.npys", tmp_path / "c.h5")
    assert quiet.err == ""
    assert "\r" not in plain.err
    assert re.search(r"\rdetrend: |\r\x1b\[Kdetrend: ", shown.err)
    assert quiet.out == plain.out == shown.out == b""


def letters_between(one, other):
    """Letters to change, add or take away (Levenshtein), by recursion."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return letters_between(one[1:], other[1:])
    return 1 + min(
        letters_between(one[1:], other), letters_between(one, other[1:]), letters_between(one[1:], other[1:])
    )


def test_an_option_that_does_not_exist_is_told_with_the_one_that_was_meant(run):
    options = ["order", "keep-mean", "nonfinite", "dtype", "store", "threads", "progress", "quiet", "help", "version"]
    words = [
        "odrer",
        "ord",
        "or",
        "dtpe",
        "dtyp=float32",
        "dtp",
        "thr",
        "hlep",
        "qiet",
        "kep-maen",
        "xyzzy",
        "help-mark",
    ]
    words += [
        "noninfinite",
        "stare",
        "stroe",
        "versions",
        "orderly",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv",
    ]
    for word in words:
        name = word.partition("=")[0]
        near = 2 if len(name) > 3 else 1
        meant = [
            o
            for o in options
            if len(name) > 2 and (o.startswith(name) or (len(name) < 20 and letters_between(name, o) <= near))
        ]
        said = run.any("detrend", f"--{word}", "a.h5", "b.h5")
        advice = f"; did you mean --{meant[0]}?" if meant else ""
        assert said.status == 2 and said.err.splitlines()[0] == f"detrend: unknown option '--{word}'{advice}"
    assert run.any("detrend", "-x", "a.h5", "b.h5").err.splitlines()[0] == "detrend: unknown option '-x'"
