"""boldinfo's text form: every line of every kind of file, against what was put into the file."""

import gzip
import json
import os

import nibabel as nib
import numpy as np
import pytest
from conftest import bold, write_nifti
from oracle import make_run, rows_of_design, sealed, write_stream


def lines(run, *args, **how):
    """The lines without the name of the file and the blanks of the layout."""
    first, *others = run("boldinfo", *args, **how).text.splitlines()
    return [first.partition(": ")[2], *(" ".join(line.split()) for line in others)]


# Tables -------------------------------------------------------------------------------------------------------------

WORDS = "".join(f"w{k}\n" for k in range(80))
WIDE = [f"level_{k:02d}_of_a_column" for k in range(9)]
TABLES = {
    "words": ("name\tgap\n" + "".join(f"{w}\tn/a\n" for w in "abba"), [
        "table, 4 rows x 2 columns; 33 bytes",
        "column name is a: 2, b: 2",
        "column gap: no values; 4 n/a",
    ]),
    "one column": ("x\n1\n3\n", [
        "table of numbers (confounds, motion), 2 rows x 1 column; 6 bytes",
        "column x: 1 to 3, mean 2",
    ]),
    "many words": (f"word\n{WORDS}n/a\n", [
        f"table, 81 rows x 1 column; {len(WORDS) + 9} bytes",
        "column word: words, many different; 1 n/a",
    ]),
    "long list": ("".join(f"{w}\tx\n" for w in ["kind", *WIDE]), [
        f"table, 9 rows x 2 columns; {23 * 9 + 7} bytes",
        f"column kind is {', '.join(f'{w}: 1' for w in WIDE[:3])},",
        f"{', '.join(f'{w}: 1' for w in WIDE[3:7])},",
        f"{', '.join(f'{w}: 1' for w in WIDE[7:])}",
        "column x is x: 9",
    ]),
    "confounds": ("csf\tfd\n1\tn/a\n2\t0.5\n6\t1\n", [
        "table of numbers (confounds, motion), 3 rows x 2 columns; 23 bytes",
        "column csf: 1 to 6, mean 3",
        "column fd: 0.5 to 1, mean 0.75; 1 n/a",
    ]),
    "events": ("onset\tduration\ttrial_type\n0\t2\tface\n3.5\t1\tn/a\n", [
        "events, 2, the last ends at 4.5 s; 45 bytes",
        "column onset: 0 to 3.5, mean 1.75",
        "column duration: 1 to 2, mean 1.5",
        "column trial_type is face: 1; 1 n/a",
    ]),
    "names": ("1\tV1\n2\tV2\x7fb\n", [
        "label table, 2 names; 12 bytes",
        "labels value name",
        "1 V1",
        "2 V2?b",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables(run, tmp_path, name):
    text, wanted = TABLES[name]
    (tmp_path / "table.tsv").write_text(text)
    assert lines(run, tmp_path / "table.tsv") == wanted


def test_a_bids_table(run, tmp_path):
    path = tmp_path / "sub-01_task-rest_run-2_desc-confounds_timeseries.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n1\t2\n3\t4\n"))
    first, name, *columns = lines(run, path)
    assert first.startswith("table of numbers (confounds, motion), 2 rows x 2 columns; ")
    assert first.endswith(f"{path.stat().st_size} bytes, gzipped") and len(columns) == 2
    assert name == "BIDS name sub 01, task rest, run 2, desc confounds, timeseries"


def test_sidecar(run, tmp_path):
    fields = {"TaskName": "rest", "RepetitionTime": 2.0, "SliceTiming": [0, 1], "On": "a\x01\x02\x7f"}
    fields["Un\x1b[31mset"] = None
    path = tmp_path / "sub-01_task-rest_bold.json"
    path.write_text(json.dumps(fields))
    assert lines(run, path) == [
        f"BIDS sidecar, 5 fields; {path.stat().st_size} bytes",
        "BIDS name sub 01, task rest, bold",
        'field TaskName: "rest"',
        "field RepetitionTime: 2.0",
        "field SliceTiming: 2 items",
        'field On: "a???"',
        "field Un?[31mset: null",
    ]


# NIfTI --------------------------------------------------------------------------------------------------------------


def test_nifti(run, tmp_path):
    """A big-endian pair of NIfTI-2 with extensions, by a name that says session and run."""
    data = bold(volumes=3)
    write_nifti(tmp_path / "session05_run07.hdr", data, version=2, endian=">", slope=0.5, inter=2)
    first, by_name, grid, affine, tr, scaling = lines(run, tmp_path / "session05_run07.hdr")
    assert first == "NIfTI-2 pair, 3 volumes, int16, big-endian; 544 bytes"
    assert by_name == "by name session 5 run 7"
    assert grid == "grid 7x6x5, 1.8x1.8x1.8 mm, origin (70.0, -90.5, -72.2)"
    assert affine == "affine from the sform (sform code 1, qform code 0)"
    assert (tr, scaling) == ("TR 1.5 s", "scaling value = 0.5 * sample + 2")


@pytest.mark.parametrize(
    ("name", "says"), [("sub-03_bold.nii", "subject 3"), ("x_run-02.nii", "run 2"), ("scan.nii", None)]
)
def test_what_a_name_says(run, tmp_path, name, says):
    told = [line for line in lines(run, write_nifti(tmp_path / name, bold(volumes=2))) if line.startswith("by name")]
    assert told == ([f"by name {says}"] if says else [])


@pytest.mark.parametrize(("slope", "inter"), [(1, 5), (2, 0), (1, 0)])
def test_scaling(run, tmp_path, slope, inter):
    path = write_nifti(tmp_path / "v.nii", np.ones((7, 6, 5), "i2"), slope=slope, inter=inter)
    wanted = "scaling none" if (slope, inter) == (1, 0) else f"scaling value = {slope} * sample + {inter}"
    assert wanted in lines(run, path)


@pytest.mark.parametrize("n", [1, 2, 40])
def test_extensions(run, tmp_path, n):
    image = nib.Nifti1Image(bold(volumes=2), np.eye(4))
    image.header.extensions.extend(nib.nifti1.Nifti1Extension(4, b"x" * (8 + 16 * k)) for k in range(n))
    nib.save(image, tmp_path / "e.nii")
    text = run("boldinfo", tmp_path / "e.nii").text
    told = " ".join(text[text.index("  extension") :].split())
    shown = [f"code 4 ({e.get_sizeondisk()} bytes)" for e in nib.load(tmp_path / "e.nii").header.extensions]
    shown = shown[: told.count("code")]
    assert told.startswith(f"extension {', '.join(shown)}" + (", ..." if n > len(shown) else ""))
    assert len(shown) == n or (n == 40 and len(shown) >= 8)
    assert max(map(len, text.splitlines()[1:])) <= 125


def test_analyze(run, tmp_path):
    """No unit of time and no orientation: both are told as doubts."""
    image = nib.AnalyzeImage(bold(volumes=2), None)
    image.header.set_zooms((2, 2, 2, 3))
    nib.save(image, tmp_path / "a.img")
    first, *others = lines(run, tmp_path / "a.hdr")
    assert first == "Analyze 7.5 pair, 2 volumes, int16, little-endian; 348 bytes"
    assert "TR 3 s; Analyze 7.5 names no unit of time; seconds assumed" in others
    assert any(line.startswith("note ") and "Analyze" in line for line in others) and "scaling none" in others


def test_a_volume_with_a_doubtful_tr(run, tmp_path):
    """One volume has a line of its TR only where that is doubtful."""
    for dims, told in (((7, 6, 5, 1), True), ((7, 6, 5), False)):
        path = write_nifti(tmp_path / "v.nii", np.ones(dims, "i2"), tr=0)
        assert ("TR 0 s; pixdim[4] holds no repetition time" in lines(run, path)) == told


VOLUMES = {
    "finite": ([1, 2, 0, 0], ["values 0 to 2, mean 0.75; 2 voxels are 0"]),
    "none finite": ([np.nan] * 4, ["values none is finite; 4 of 4 samples in 4 voxels not finite; 0 voxels are 0"]),
    "some": ([np.inf, 0.5, 1, 1], ["values 0.5 to 1, mean 0.833333; 1 of 4 samples in 1 voxels not finite;"]),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_values_of_a_volume(run, tmp_path, name):
    values, wanted = VOLUMES[name]
    np.save(tmp_path / "v.npy", np.array(values, "f4").reshape(1, 2, 2))
    first, *others = lines(run, "--values", tmp_path / "v.npy")
    assert first == f"NPY array, 1 x 2 x 2, float32; {(tmp_path / 'v.npy').stat().st_size} bytes"
    for line in wanted:
        assert any(told.startswith(line) for told in others), (line, others)


@pytest.mark.parametrize(("size", "shown"), [(999, "999 bytes"), (1000, "1.0 kB"), (2_345_678, "2.3 MB")])
def test_sizes(run, tmp_path, size, shown):
    """Of an array whose header and data are so long together."""
    data = np.lib.format.header_data_from_array_1_0(np.zeros(size - 128, "u1"))
    with open(tmp_path / "a.npy", "wb") as f:
        np.lib.format.write_array_header_1_0(f, data)
        f.write(bytes(size - f.tell()))
    assert os.path.getsize(tmp_path / "a.npy") == size
    assert lines(run, tmp_path / "a.npy")[0].endswith(f"; {shown}")


def test_a_single_item(run, tmp_path):
    np.save(tmp_path / "one.npy", np.float64(3))
    assert lines(run, tmp_path / "one.npy")[0].startswith("NPY array, a single item, float64; ")


def test_labels_without_names_and_with_a_bad_table(run, tmp_path):
    volume = np.repeat(np.arange(5, dtype="i2"), 42).reshape(7, 6, 5)
    path = write_nifti(tmp_path / "sub-01_dseg.nii", volume)
    assert "ROIs 0: 42 voxels, 1: 42, 2: 42, 3: 42, 4: 42" in lines(run, path)
    (tmp_path / "sub-01_dseg.tsv").write_text("index\tname\n1\tV1\n1\tV2\n")
    told = lines(run, path)
    assert any(line.startswith("names none: ") and "sub-01_dseg.tsv" in line for line in told)
    assert "ROIs 0: 42 voxels, 1: 42, 2: 42, 3: 42, 4: 42" in told
    (tmp_path / "sub-01_dseg.tsv").write_text("index\tname\n2\tV2\n9\tfar\n")
    told = lines(run, path)
    assert any(line.startswith("names from ") for line in told)
    assert told[-6:] == ["0 42", "1 42", "2 42 V2", "3 42", "4 42", "9 0 far"]


# Series and what is made of them ------------------------------------------------------------------------------------


def made(session=1, run=1, rows=4, *, tr=2.0, subject=1, labels=False, **how):
    data = np.arange(rows * 3, dtype="f4").reshape(rows, 3)
    numbers = {"session": session, "run": run, "subject": subject}
    if labels:
        how["meta"] = rows_of_design([3, 0, 5, 0] * (rows // 4), tr=tr, offset=0, **numbers)
    return make_run(data, tr=tr, **numbers, **how)


RUNS = {
    "one": ([made()], "1 session, 1 run, 4", ["subject 1, session 1, run 1: rows 0 to 3 (1 x 4), TR 2 s"]),
    "in a row": (
        [made(run=k) for k in (1, 2, 3)],
        "1 session, 3 runs, 12",
        ["subject 1, session 1, run 1 to 3: rows 0 to 11 (3 x 4), TR 2 s"],
    ),
    "a gap": (
        [made(run=1), made(run=3)],
        "1 session, 2 runs, 8",
        [
            "subject 1, session 1, run 1: rows 0 to 3 (1 x 4), TR 2 s",
            "subject 1, session 1, run 3: rows 4 to 7 (1 x 4)",
        ],
    ),
    "lengths": (
        [made(), made(run=2, rows=6)],
        "1 session, 2 runs, 10",
        ["run 1: rows 0 to 3 (1 x 4)", "run 2: rows 4 to 9 (1 x 6)"],
    ),
    "times": ([made(), made(run=2, tr=1.5)], "1 session, 2 runs, 8", ["(1 x 4), TR 2 s", "(1 x 4), TR 1.5 s"]),
    "sessions": ([made(), made(session=2)], "2 sessions, 2 runs, 8", ["session 1, run 1", "session 2, run 1"]),
    "subjects": (
        [made(), made(subject=2)],
        "2 sessions, 2 runs, 8",
        ["subject 1, session 1", "subject 2, session 1"],
    ),
    "labelled": (
        [made(labels=True), made(run=2, labels=True)],
        "1 session, 2 runs, 8",
        ["run 1 to 2: rows 0 to 7 (2 x 4), TR 2 s"],
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_runs(run, name):
    runs, counted, wanted = RUNS[name]
    first, _, *told = lines(run, "-", stdin=write_stream(runs))
    assert first == f"tile stream, {counted} time points x 3 voxels, float32" + ", labelled" * ("labelled" in name)
    assert len([line for line in told if line.startswith("runs ")]) == len(wanted)
    for line, part in zip(told, wanted, strict=False):
        assert part in line


def test_values_and_volumes_of_a_run(run):
    data = np.array([[np.nan, 0, 5], [np.inf, 0, 5], [1, 0, 5]], "f4")
    text = lines(run, "--values", "-", stdin=write_stream([make_run(data, times=[0, 2, 7], session=4, run=9)]))
    assert "volumes session 4, run 9: 3 kept, the first is volume 0 and the last 7 (counted from 0)" in text
    values = "values session 4, run 9: 0 to 5, mean 2.28571; 2 of 9 samples in 1 voxels not finite;"
    assert f"{values} 1 voxels are 0 throughout, 1 constant" in text


def test_settings_are_shown_as_they_are_typed(run, tmp_path):
    """Options that were not given, or are flags, lists, numbers and words with blanks."""
    (tmp_path / "table.tsv").write_text("a\tb\n" + "1\t2\n" * 3 + "0\t5\n")
    (tmp_path / "in.npys").write_bytes(write_stream([made()]))
    args = ["--confounds", "table.tsv", "--columns", "b", "--censor", "a < 1", "--order", 0, "--keep-mean"]
    run("denoise", *args, "in.npys", "out.npys", cwd=tmp_path)
    (step,) = [line for line in lines(run, "out.npys", cwd=tmp_path) if line.startswith("made by denoise")]
    for part in (
        "--confounds table.tsv",
        "--columns b",
        "--censor 'a < 1'",
        "--order 0",
        "--keep-mean",
        "--filter cosine",
    ):
        assert f" {part}" in step, part
    assert "--expand" not in step and "--sample-mask" not in step and "null" not in step
    run("detrend", "in.npys", "plain.npys", cwd=tmp_path)
    (step,) = [line for line in lines(run, "plain.npys", cwd=tmp_path) if line.startswith("made by detrend")]
    assert "--keep-mean" not in step


def test_arrays_and_indices(run, tmp_path):
    blob = write_stream([made(run=k, labels=True, counts={"x.y": k}) for k in (1, 2)])
    run("concat", "-", "a.fmri.npy", stdin=blob, cwd=tmp_path)
    first, files, grid, runs, counted, made_by = lines(run, "--verify", "a.json", cwd=tmp_path)[:6]
    assert first == "arrays, 8 time points x 3 voxels, float32; 1 session, 2 runs"
    assert files == "files a.fmri.npy, a.meta.npy" and grid == "grid 7x6x5, 2x2x2 mm, origin (-6.0, -5.0, -4.0)"
    assert "run 1 to 2" in runs and counted == "counted x.y: 3" and made_by.startswith("made by concat")
    run("shuffleidx", "--split", "x=0.5,y=0.5", "--seed", 4, "--epoch", 2, "a.meta.npy", "i.npy", cwd=tmp_path)
    first, *others, verified = lines(run, "--verify", "i.json", cwd=tmp_path)
    assert first == "shuffled indices, seed 4, epoch 2, order full, of 8 rows"
    counts = [len(np.load(tmp_path / f"i.{part}.npy")) for part in "xy"]
    assert others[:2] == [f"file i.{part}.npy: {n} indices" for part, n in zip("xy", counts, strict=True)]
    assert others[2].startswith("made by shuffleidx") and others[3].startswith("read a.meta.npy (")
    assert verified == "verified complete, all checksums good"
    run("concat", "-", "b.fmri.npy", stdin=write_stream([made()]), cwd=tmp_path)
    assert "files b.fmri.npy, no metadata" in lines(run, "b.json", cwd=tmp_path)


def test_metadata_rows(run, tmp_path):
    run("concat", "-", "a.fmri.npy", stdin=write_stream([made(labels=True)]), cwd=tmp_path)
    size = (tmp_path / "a.meta.npy").stat().st_size
    first, runs = lines(run, "a.meta.npy", cwd=tmp_path)
    assert first == f"metadata rows, 4 time points, history of 4, 2 different stimuli; {size} bytes"
    assert runs == "runs subject 1, session 1, run 1: rows 0 to 3 (1 x 4), 2 trials"
    two = [made(run=k, labels=True) for k in (1, 2)]
    run("concat", "-", "b.fmri.npy", stdin=write_stream(two), cwd=tmp_path)
    (runs,) = lines(run, "b.meta.npy", cwd=tmp_path)[1:]
    assert runs.endswith("run 1 to 2: rows 0 to 7 (2 x 4), 2 trials in the first")


def test_ground_truth_and_summaries(run, tmp_path):
    settings = {"dims": "6,6,6", "decoys": True, "scale": 1.0, "pictures": None, "fine": False, "more": ["a", "b;c"]}
    step = {"program": "synthnsd", "version": "9.9", "settings": settings, "inputs": []}
    (tmp_path / "t.json").write_text(json.dumps({"boldmill": "synthetic", "seed": 7, "step": step}))
    assert lines(run, tmp_path / "t.json") == [
        "ground truth of a synthetic dataset, seed 7",
        "made by synthnsd 9.9 --dims 6,6,6 --decoys --scale 1.0 --more a --more 'b;c'",
    ]
    files = [{"file": "a.h5", "kind": "series", "rows": 4, "voxels": 3}, {"file": "b.json", "rows": 8, "voxels": 1}]
    (tmp_path / "s.json").write_bytes(sealed({"boldmill": "summary", "schema": 1, "bytes": 77, "files": files}))
    assert lines(run, "--verify", tmp_path / "s.json") == [
        "summary of a call, 77 bytes written",
        "file a.h5: 4 rows x 3 voxels",
        "file b.json: 8 rows x 1 voxels",
        "verified complete, all checksums good",
    ]


def test_members_that_are_not_there(run, tmp_path):
    """A description by others, sealed, with hardly anything in it, is shown with question marks."""
    (tmp_path / "s.json").write_bytes(sealed({"boldmill": "shuffle", "steps": [{}]}))
    assert lines(run, tmp_path / "s.json") == ["shuffled indices, seed 0, epoch 0, order ?, of 0 rows", "made by ? ?"]
    (tmp_path / "a.json").write_bytes(sealed({"boldmill": "arrays", "fmri": {}, "runs": []}))
    assert lines(run, tmp_path / "a.json")[0] == "arrays, 0 time points x 0 voxels, ?; 0 sessions, 0 runs"


# Several files, and none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_cannot_be_read_among_others(run, tmp_path, form):
    np.save(tmp_path / "a.npy", np.zeros(3))
    done = run.fails("boldinfo", *form, "none.npy", "a.npy", cwd=tmp_path, says="none.npy: cannot open: No such file")
    assert json.loads(done.out)[0]["file"] == "a.npy" if form else done.text.startswith("a.npy: NPY array")
    assert run.fails("boldinfo", *form, "none.npy", "no.npy", cwd=tmp_path, says="no.npy").out == b""
    assert run.fails("boldinfo", *form, "none.npy", cwd=tmp_path).out == b""


def test_nothing_to_say_and_nowhere_to_say_it(run, tmp_path):
    """Standard output is closed, but there was nothing for it."""
    done = run.fails("boldinfo", tmp_path / "none", stdout=None, preexec_fn=lambda: os.close(1), says="No such file")
    assert "standard output" not in done.err


def test_a_table_of_names_that_is_none(run, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 2), "i2"))
    (tmp_path / "t.ctab").write_text("1 V1\n1 V2\n")
    done = run.fails("boldinfo", "--table", tmp_path / "t.ctab", tmp_path / "a.npy", says=["t.ctab", "twice"])
    assert done.out == b""


def test_verified_says_so_where_nothing_vouches(run, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert "no checksum vouches for what is in it" in lines(run, "--verify", tmp_path / "a.npy")[-1]
