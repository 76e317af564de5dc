"""nifti2h5: samples as nibabel reads them, columns as numpy's data[mask], and nothing where an input is not whole."""

import gzip
import os
import re
import shutil
import struct
import subprocess
import zlib

import h5py
import nibabel as nib
import numpy as np
import pytest
from conftest import AFFINE, bold, write_nifti
from oracle import read_stream

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
TYPES = (*INTEGERS, "float32", "float64")


def samples(dtype, seed=0, volumes=20):
    """Values over the whole range of the type, with a background of zeros."""
    data = bold(volumes=volumes, seed=seed)
    if dtype in INTEGERS:
        info, rng = np.iinfo(dtype), np.random.default_rng(seed)
        wide = rng.integers(info.min, info.max, data.shape, dtype=dtype, endpoint=True)
        wide[data == 0] = 0
        wide[3, 3, 2, :2] = info.min, info.max
        return wide
    return (data * np.float64(1.1)).astype(dtype)


def columns(data, mask=None):
    """(voxel indices, T x V) in C order of (x, y, z)."""
    mask = (data != 0).any(-1) if mask is None else mask
    return np.flatnonzero(mask.ravel()), data[mask].T


def stream_of(run, *args, **how):
    return read_stream(run("nifti2h5", *args, "-", **how).out)


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("version", [1, 2])
def test_samples_as_scanned(run, tmp_path, dtype, endian, version):
    name = "timeseries_session02_run05" + (".nii.gz" if version == 1 else ".nii")
    path = write_nifti(tmp_path / name, samples(dtype), endian=endian, version=version)
    (got,) = stream_of(run, path)
    raw = nib.load(path).dataobj.get_unscaled()
    voxels, wanted = columns(raw)
    assert 0 < len(voxels) < raw[..., 0].size
    assert np.array_equal(got.voxels, voxels)
    assert got.data.dtype == np.dtype(dtype).newbyteorder("<")
    assert np.array_equal(got.data, wanted)
    assert (got.head["slope"], got.head["inter"]) == (1, 0)
    assert (got.head["session"], got.head["run"], got.head["tr"]) == (2, 5, 1.5)
    assert got.head["dims"] == [7, 6, 5] and got.head["absent"] == "zero"
    assert np.allclose(got.head["affine"], AFFINE[:3], atol=1e-5)


@pytest.mark.parametrize("slope", [0.0754, -2.0, 1.0])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
def test_scaling_is_kept_beside_the_samples(run, tmp_path, slope, dtype):
    data = samples(dtype)
    path = write_nifti(tmp_path / "run.nii", data, slope=slope, inter=3100.75)
    (got,) = stream_of(run, path, "--tr", 2)
    assert np.array_equal(got.data, columns(data)[1])
    assert np.float32(got.head["slope"]) == np.float32(slope) and got.head["inter"] == 3100.75
    np.testing.assert_allclose(got.values, columns(nib.load(path).get_fdata(), (data != 0).any(-1))[1], rtol=1e-7)
    assert got.head["tr"] == 2


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_slope_that_means_no_scaling(run, tmp_path, slope):
    path = write_nifti(tmp_path / "run.nii", bold(), slope=slope, inter=17)
    (got,) = stream_of(run, path)
    assert (got.head["slope"], got.head["inter"]) == (1, 0)


@pytest.mark.parametrize("name", ["run.hdr", "run.hdr.gz"])
@pytest.mark.parametrize("given", ["hdr", "img"])
@pytest.mark.parametrize("version", [1, 2])
def test_pairs(run, tmp_path, name, given, version):
    path = write_nifti(tmp_path / name, bold(), version=version)
    (got,) = stream_of(run, path.with_name(name.replace("hdr", given)))
    assert np.array_equal(got.data, columns(bold())[1])


def test_pair_without_its_image(run, tmp_path):
    path = write_nifti(tmp_path / "run.hdr", bold())
    (tmp_path / "run.img").unlink()
    run.fails("nifti2h5", path, tmp_path / "out.h5", says="run.img")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
def test_from_a_pipe(run, tmp_path, name):
    path = write_nifti(tmp_path / name, bold())
    (got,) = stream_of(run, "--session", 3, "--run", 4, "-", stdin=path.read_bytes())
    assert np.array_equal(got.data, columns(bold())[1])
    assert (got.head["session"], got.head["run"]) == (3, 4)


def test_gzip_in_several_members_with_a_long_header(run, tmp_path):
    """As bgzip and `cat a.gz b.gz` make them, with name, comment and extra fields in the member's header."""
    whole = write_nifti(tmp_path / "run.nii", bold()).read_bytes()
    parts = [whole[:100], whole[100:5000], b"", whole[5000:]]
    blob = b"".join(gzip.compress(p, mtime=0) for p in parts)
    flags = b"\x1f\x8b\x08" + bytes([4 | 8 | 16]) + blob[4:10] + struct.pack("<H", 300) + bytes(300) + b"name\0note\0"
    (tmp_path / "many.nii.gz").write_bytes(flags + blob[10:])
    (got,) = stream_of(run, tmp_path / "many.nii.gz")
    assert np.array_equal(got.data, columns(bold())[1])


def test_extension_and_vox_offset(run, tmp_path):
    plain = write_nifti(tmp_path / "run.nii", bold()).read_bytes()
    moved = bytearray(plain[:348]) + b"\1\0\0\0" + struct.pack("<ii", 64, 6) + b"x" * 56 + plain[352:]
    struct.pack_into("<f", moved, 108, 352 + 64)
    (tmp_path / "ext.nii").write_bytes(moved)
    (got,) = stream_of(run, tmp_path / "ext.nii")
    assert np.array_equal(got.data, columns(bold())[1])


def test_qform_and_pixdim_affines(run, tmp_path):
    def only_qform(head):
        head.set_qform(AFFINE, code=1)
        head["sform_code"] = 0

    def neither(head):
        head["sform_code"] = head["qform_code"] = 0

    for change in (only_qform, neither):
        path = write_nifti(tmp_path / "run.nii", bold(), header=change)
        (got,) = stream_of(run, path)
        affine = np.array(got.head["affine"])
        if change is only_qform:
            np.testing.assert_allclose(affine, nib.load(path).affine[:3], atol=1e-4)
        else:
            np.testing.assert_allclose(np.abs(np.diag(affine)), [1.8] * 3, atol=1e-5)


@pytest.mark.parametrize(("unit", "number"), [("msec", 1500), ("usec", 1.5e6), ("sec", 1.5)])
def test_units_of_time(run, tmp_path, unit, number):
    path = write_nifti(tmp_path / "run.nii", bold(), header=lambda h: h.set_xyzt_units("mm", unit), tr=number)
    (got,) = stream_of(run, path)
    assert got.head["tr"] == pytest.approx(1.5, rel=1e-6)


def test_no_tr_is_an_error_until_one_is_given(run, tmp_path):
    path = write_nifti(tmp_path / "run.nii", bold(), tr=0)
    run.fails("nifti2h5", path, tmp_path / "out.h5", says=["run.nii", "--tr"])
    assert stream_of(run, "--tr", 1.25, path)[0].head["tr"] == 1.25


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_non_finite_samples_are_kept_and_counted(run, tmp_path, dtype):
    data = samples(dtype)
    data[3, 3, 2, 4:6] = np.nan
    data[3, 2, 2, 7] = -np.inf
    (got,) = stream_of(run, write_nifti(tmp_path / "run.nii.gz", data))
    assert np.array_equal(got.data, columns(data)[1], equal_nan=True)
    assert got.counted("finite") == 3


# Which voxels -------------------------------------------------------------------------------------------------------


def late_runs(folder):
    """Three runs; some voxels are zero until late in the last one, one wakes for one volume only."""
    made = []
    for k in (1, 2, 3):
        data = bold(seed=k)
        data[2, :, 2] = 0
        if k == 3:
            data[2, 1, 2, -1] = 1
            data[2, 4, 2, 5:] = 900
        made.append((write_nifti(folder / f"timeseries_session01_run{k:02d}.nii.gz", data), data))
    return made


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["-", ".h5"])
def test_automatic_mask_is_ever_non_zero_over_all_runs(run, tmp_path, threads, kind):
    made = late_runs(tmp_path)
    target = "-" if kind == "-" else tmp_path / "out.h5"
    done = run("nifti2h5", "--threads", threads, *[p for p, _ in made], target)
    blob = done.out if kind == "-" else run("concat", target, "-").out
    mask = np.any([(data != 0).any(-1) for _, data in made], axis=0)
    assert mask[2, 1, 2] and mask[2, 4, 2] and not mask[2, 2, 2]
    for got, (_, data) in zip(read_stream(blob), made, strict=True):
        voxels, wanted = columns(data, mask)
        assert np.array_equal(got.voxels, voxels)
        assert np.array_equal(got.data, wanted)


WAKES = {
    "<i2": [1, 256, -32768],
    "<i4": [256, 65536, -(2**31)],
    "<f4": [1.0, 1e-45],
    "<f8": [-2.0, 5e-324],
    "|u1": [128],
}


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize(("dtype", "value"), [(t, v) for t, values in WAKES.items() for v in values])
@pytest.mark.parametrize("when", [0, 13])
def test_one_sample_wakes_a_voxel(run, tmp_path, dtype, value, endian, when):
    """Be it a single bit anywhere in the number, late in the run; but -0.0 is zero."""
    data = bold().astype(dtype)
    empty = [tuple(place) for place in np.argwhere((data == 0).all(-1))]
    data[empty[5]][when] = value
    data[empty[8]] = -0.0 if dtype[1] == "f" else 0
    (got,) = stream_of(run, write_nifti(tmp_path / "run.nii", data, endian=endian))
    voxels, wanted = columns(data)
    assert np.array_equal(got.voxels, voxels) and np.array_equal(got.data, wanted)


def test_a_named_pipe_as_output_gets_every_run_once(run, tmp_path):
    """What was written to a pipe cannot be taken back when a later run wakes another voxel."""
    made = late_runs(tmp_path)
    pipe = tmp_path / "out.npys"
    os.mkfifo(pipe)
    command = [run.path("nifti2h5"), *(str(p) for p, _ in made), str(pipe)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    blob = pipe.read_bytes()
    try:
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.communicate()
    assert [r.head["run"] for r in read_stream(blob)] == [1, 2, 3]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("piped", [0, 1])
def test_inputs_that_are_named_pipes(run, tmp_path, masked, piped):
    """Wherever they stand among the runs: they are read once, and the result is that of files."""
    names = [f"timeseries_session01_run{k:02d}.nii" for k in (1, 2)]
    for k, name in enumerate(names):
        write_nifti(tmp_path / name, bold(seed=k))
    np.save(tmp_path / "mask.npy", np.arange(210) % 3 == 0)
    mask = ["--mask", tmp_path / "mask.npy"] if masked else []
    want = stream_of(run, *mask, *(tmp_path / n for n in names))
    (tmp_path / "pipes").mkdir()
    pipe = tmp_path / "pipes" / names[piped]
    os.mkfifo(pipe)
    paths = [pipe if k == piped else tmp_path / n for k, n in enumerate(names)]
    feeder = subprocess.Popen(["sh", "-c", 'cat "$1" > "$2"', "sh", str(tmp_path / names[piped]), str(pipe)])
    try:
        got = stream_of(run, *mask, *paths)
        assert feeder.wait(20) == 0
    finally:
        feeder.kill()
    for a, b in zip(got, want, strict=True):
        assert np.array_equal(a.data, b.data) and np.array_equal(a.voxels, b.voxels)


def test_progress_of_a_pair_stays_within_bounds(run, tmp_path):
    """The header's file is small and the data's is not: no more than all of it can have been read."""
    nib.save(nib.Nifti1Pair(bold((20, 20, 20)), np.eye(4)), tmp_path / "run.hdr")
    done = run("nifti2h5", "--progress", "--tr", 2, tmp_path / "run.hdr", tmp_path / "out.h5")
    assert "read" in done.err
    assert all(int(percent) <= 100 for percent in re.findall(r"(\d+) %", done.err))


def test_standard_input_leaves_no_trace_of_the_process(run, tmp_path):
    blob = write_nifti(tmp_path / "run.nii", bold()).read_bytes()
    made = [run("nifti2h5", "-", "-", stdin=blob).out for _ in range(2)]
    assert made[0] == made[1]
    assert read_stream(made[0])[0].head["steps"][0]["inputs"][0]["path"] == "-"


def test_voxels_that_wake_past_the_volumes_kept(run, tmp_path):
    """`ever non-zero` is said of what is stored, or of the whole file; either way no stored sample is lost."""
    data = bold()
    data[0, 0, 0, 21] = 5
    (got,) = stream_of(run, "--volumes", 20, write_nifti(tmp_path / "run.nii", data))
    kept = columns(data[..., :20])[0]
    assert set(kept) <= set(got.voxels) <= set(columns(data)[0])
    assert np.array_equal(got.data, data.reshape(-1, 24)[got.voxels, :20].T)


@pytest.mark.parametrize("kind", ["nii", "npy", "npy-int", "npy-flat", "npy-fortran"])
def test_mask(run, tmp_path, kind):
    data = bold()
    mask = np.random.default_rng(3).random((7, 6, 5)) < 0.4
    path = tmp_path / ("mask.nii.gz" if kind == "nii" else "mask.npy")
    if kind == "nii":
        write_nifti(path, np.where(mask, 2, -1).astype(np.int16))
    else:
        forms = {"npy": mask, "npy-int": mask.astype("i4"), "npy-flat": mask.ravel()}
        np.save(path, forms.get(kind, np.asfortranarray(mask)))
    (got,) = stream_of(run, "--mask", path, write_nifti(tmp_path / "run.nii", data))
    voxels, wanted = columns(data, mask)
    assert np.array_equal(got.voxels, voxels) and np.array_equal(got.data, wanted)
    assert got.head["absent"] == "unknown"


def test_mask_by_labels(run, tmp_path):
    volume = np.random.default_rng(3).integers(-1, 6, (7, 6, 5)).astype(np.int16)
    write_nifti(tmp_path / "rois.nii.gz", volume)
    write_nifti(tmp_path / "run.nii", bold())
    (got,) = stream_of(run, "--mask", tmp_path / "rois.nii.gz", "--labels", "1,3-4", tmp_path / "run.nii")
    assert np.array_equal(got.voxels, np.flatnonzero(np.isin(volume, [1, 3, 4]).ravel()))


@pytest.mark.parametrize("what", ["dims", "affine", "shape", "empty"])
def test_mask_that_does_not_fit(run, tmp_path, what):
    shape = (7, 6, 4) if what == "dims" else (7, 6, 5)
    mask = np.zeros(shape, np.uint8) if what == "empty" else np.ones(shape, np.uint8)
    path = tmp_path / ("mask.npy" if what == "shape" else "mask.nii")
    if what == "shape":
        np.save(path, np.ones((6, 7, 5), bool))
    else:
        write_nifti(path, mask, affine=AFFINE + np.eye(4) * (0.5 if what == "affine" else 0))
    write_nifti(tmp_path / "run.nii", bold())
    says = ["mask"] + {"dims": ["7x6x4", "7x6x5"], "affine": ["1.3x2.3x2.3", "1.8x1.8x1.8"]}.get(what, [])
    run.fails("nifti2h5", "--mask", path, tmp_path / "run.nii", tmp_path / "out.h5", says=says)
    assert not (tmp_path / "out.h5").exists()


# Which volumes, which runs ------------------------------------------------------------------------------------------


def test_volumes_are_the_first_ones_and_the_dropped_are_counted(run, session):
    for got, (_, data) in zip(stream_of(run, "--volumes", 20, *[p for p, _ in session]), session, strict=True):
        assert np.array_equal(got.data, data.reshape(-1, 24)[got.voxels, :20].T)
        assert got.counted("dropped") == 4


def test_more_volumes_than_there_are(run, session, tmp_path):
    run.fails("nifti2h5", "--volumes", 25, session[0][0], tmp_path / "out.h5", says=["run01", "24", "25"])
    assert not (tmp_path / "out.h5").exists()


def write_designs(folder, lengths):
    for k, rows in lengths.items():
        text = "".join(f"{7 * (t % 3 == 0)}\n" for t in range(rows))
        (folder / f"design_session04_run{k:02d}.tsv").write_text(text if k != 2 else "0\n" * rows)
    return folder / "design_session{session}_run{run}.tsv"


def test_design_sets_the_length_run_by_run(run, session, tmp_path):
    template = write_designs(tmp_path, {1: 20, 2: 22, 3: 24})
    got = stream_of(run, "--design", template, *[p for p, _ in session])
    assert [r.data.shape[0] for r in got] == [20, 22, 24]
    assert [(r.head["subject"], r.head["session"], r.head["run"]) for r in got] == [(3, 4, k) for k in (1, 2, 3)]


def test_skip_rest_leaves_out_runs_without_a_stimulus(run, session, tmp_path):
    template = write_designs(tmp_path, {1: 20, 2: 20, 3: 20})
    done = run("nifti2h5", "--skip-rest", "--design", template, *[p for p, _ in session], "-")
    assert [r.head["run"] for r in read_stream(done.out)] == [1, 3]
    assert "run02" in done.err


def test_design_that_is_longer_than_its_run_or_missing(run, session, tmp_path):
    template = write_designs(tmp_path, {1: 20, 2: 25})
    paths = [p for p, _ in session]
    run.fails("nifti2h5", "--design", template, *paths[:2], tmp_path / "out.h5", says=["run02", "25", "24"])
    run.fails(
        "nifti2h5", "--design", template, paths[0], paths[2], tmp_path / "out.h5", says="design_session04_run03"
    )
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("subj05/func1mm/timeseries_session37_run14.nii", (5, 37, 14)),
        ("sub-07/ses-12/func/sub-07_ses-12_task-nsd_run-03_bold.nii", (7, 12, 3)),
        ("sub-04_task-objectviewing_run-11_bold.nii.gz", (4, 1, 11)),
    ],
)
def test_numbers_in_names(run, tmp_path, name, numbers):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (got,) = stream_of(run, write_nifti(path, bold()))
    assert (got.head["subject"], got.head["session"], got.head["run"]) == numbers
    (told,) = stream_of(run, "--subject", 8, "--session", 9, "--run", 2, path)
    assert (told.head["subject"], told.head["session"], told.head["run"]) == (8, 9, 2)


def test_run_counts_up(run, session):
    got = stream_of(run, "--session", 2, "--run", 5, *[p for p, _ in session])
    assert [(r.head["session"], r.head["run"]) for r in got] == [(2, 5), (2, 6), (2, 7)]


def test_numbers_one_a_run(run, session):
    paths = [p for p, _ in session]
    got = stream_of(run, "--session", "1,1,7", "--run", "2,3,2", *paths)
    assert [(r.head["session"], r.head["run"]) for r in got] == [(1, 2), (1, 3), (7, 2)]
    got = stream_of(run, "--run", "0,9,0", *paths)
    assert [(r.head["session"], r.head["run"]) for r in got] == [(4, 1), (4, 9), (4, 3)]


@pytest.mark.parametrize(
    "given, says",
    [
        (["--session", "1,2"], ["--session", "2 numbers for 3 runs"]),
        (["--run", "1,x,3"], ["--run", "'1,x,3'", "list of numbers"]),
        (["--run", "1,2,3,"], ["list of numbers"]),
        (["--run", 32766], ["run 3 would be number 32768"]),
        (["--session", "40000"], ["from 0 to 32767"]),
    ],
)
def test_numbers_that_do_not_fit(run, session, tmp_path, given, says):
    run.fails("nifti2h5", *given, *[p for p, _ in session], tmp_path / "out.h5", status=2, says=says)
    assert not (tmp_path / "out.h5").exists()


def test_order_given_is_kept(run, session):
    order = [2, 0, 1]
    for threads in (1, 4):
        got = stream_of(run, "--threads", threads, *[session[k][0] for k in order])
        assert [r.head["run"] for r in got] == [3, 1, 2]
        for r, k in zip(got, order, strict=True):
            assert np.array_equal(r.data, session[k][1].reshape(-1, 24)[r.voxels].T)


# Input that is not whole --------------------------------------------------------------------------------------------


def test_every_cut_of_a_gzip_file_is_refused(run, tmp_path):
    blob = write_nifti(tmp_path / "run.nii.gz", bold(volumes=8)).read_bytes()
    whole = read_stream(run("nifti2h5", tmp_path / "run.nii.gz", "-").out)[0].data
    ends = sorted({1, 2, 9, 10, 100, len(blob) // 2, *range(len(blob) - 12, len(blob))})
    for end in ends:
        (tmp_path / "cut.nii.gz").write_bytes(blob[:end])
        run.fails("nifti2h5", tmp_path / "cut.nii.gz", tmp_path / "out.h5", says="cut.nii.gz")
        assert sorted(os.listdir(tmp_path)) == ["cut.nii.gz", "run.nii.gz"], end
    (tmp_path / "pad.nii.gz").write_bytes(blob + bytes(512))
    assert np.array_equal(stream_of(run, tmp_path / "pad.nii.gz")[0].data, whole)
    (tmp_path / "junk.nii.gz").write_bytes(blob + b"junk")
    run.fails("nifti2h5", tmp_path / "junk.nii.gz", tmp_path / "out.h5", says="junk.nii.gz")


@pytest.mark.parametrize("volumes", [None, 2])
def test_flipped_bits_of_a_gzip_file_are_refused(run, tmp_path, volumes):
    """Also where only the first volumes are kept: the rest is read and checked all the same."""
    blob = write_nifti(tmp_path / "run.nii.gz", bold(volumes=8)).read_bytes()
    deflate = 10 + (blob.index(b"\0", 10) - 9 if blob[3] & 8 else 0)
    rng = np.random.default_rng(5)
    bits = [*rng.integers(deflate * 8, (len(blob) - 8) * 8, 40), *rng.integers((len(blob) - 8) * 8, len(blob) * 8, 8)]
    keep = ["--volumes", volumes] if volumes else []
    harmless = 0
    for bit in map(int, bits):
        bad = bytearray(blob)
        bad[bit // 8] ^= 1 << bit % 8
        (tmp_path / "bad.nii.gz").write_bytes(bad)
        done = run.any("nifti2h5", *keep, tmp_path / "bad.nii.gz", tmp_path / "out.h5")
        # A few bits carry nothing (padding, codes that are never used): with them the data are as they were.
        harmless += done.status == 0
        if done.status == 0:
            assert gzip.decompress(bad) == gzip.decompress(blob), f"bit {bit} of {len(blob) * 8}"
            (tmp_path / "out.h5").unlink()
        else:
            assert done.status == 1 and "bad.nii.gz" in done.err
        assert not (tmp_path / "out.h5").exists()
    assert harmless < 5


def test_damage_in_a_later_run_leaves_nothing(run, session, tmp_path):
    paths = [p for p, _ in session]
    paths[2].write_bytes(paths[2].read_bytes()[:-6])
    for target in ("out.h5", "out.npys"):
        run.fails("nifti2h5", *paths, tmp_path / target, says=paths[2].name)
        assert not (tmp_path / target).exists()
    done = run.fails("nifti2h5", *paths, "-")
    with pytest.raises((ValueError, EOFError, AssertionError)):
        read_stream(done.out)


@pytest.mark.parametrize("what", ["dims", "affine", "type"])
def test_runs_that_do_not_belong_together(run, session, tmp_path, what):
    data = bold((7, 6, 4)) if what == "dims" else bold()
    odd = session[0][0].parent / "timeseries_session04_run09.nii"  # of the same subject
    write_nifti(odd, data, affine=AFFINE * (1.2 if what == "affine" else 1))
    if what == "type":
        write_nifti(odd, data.astype(np.float32))
        done = run.any("nifti2h5", session[0][0], odd, tmp_path / "out.h5")
        if done.status == 0:
            with h5py.File(tmp_path / "out.h5") as f:
                voxels = f["voxels"][...]
                both = [d.reshape(-1, 24)[voxels].T for d in (session[0][1], data)]
                assert np.array_equal(f["fmri"][...], np.vstack(both))
            return
    says = [odd.name] + (["7x6x4", "7x6x5"] if what == "dims" else [])
    run.fails("nifti2h5", session[0][0], odd, tmp_path / "out.h5", says=says)
    assert not (tmp_path / "out.h5").exists()


def test_the_same_run_twice(run, session, tmp_path):
    run.fails("nifti2h5", session[0][0], session[0][0], tmp_path / "out.h5", says="run01")
    assert not (tmp_path / "out.h5").exists()


CLAIMS = {
    "volumes": lambda h: h["dim"].__setitem__(4, 32767),
    "grid": lambda h: h["dim"].__setitem__(slice(1, 4), 32767),
    "all": lambda h: h["dim"].__setitem__(slice(1, 5), 32767),
    "negative": lambda h: h["dim"].__setitem__(2, -6),
    "zero": lambda h: h["dim"].__setitem__(3, 0),
    "ndim": lambda h: h["dim"].__setitem__(0, 9),
    "fifth": lambda h: (h["dim"].__setitem__(0, 5), h["dim"].__setitem__(5, 2)),
    "bitpix": lambda h: h.__setitem__("bitpix", 8),
    "datatype": lambda h: h.__setitem__("datatype", 12345),
    "offset": lambda h: h.__setitem__("vox_offset", 1e9),
    "offset-nan": lambda h: h.__setitem__("vox_offset", np.nan),
    "offset-low": lambda h: h.__setitem__("vox_offset", 8),
    "magic": lambda h: h.__setitem__("magic", b"n+7"),
}


@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_headers_that_lie(run, tmp_path, name, claim):
    """Refused, and cheaply: a claim of a petabyte must not make the program ask for memory."""
    path = write_nifti(tmp_path / name, bold(), header=CLAIMS[claim])
    target = tmp_path / "out.h5"
    run.fails("nifti2h5", path, target, says=name, preexec_fn=None if sanitized(run) else limit_memory)
    assert not target.exists()


def sanitized(run):
    return b"__asan_init" in open(run.path("nifti2h5"), "rb").read()


def limit_memory():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def test_plain_file_cut_short(run, tmp_path):
    path = write_nifti(tmp_path / "run.nii", bold())
    path.write_bytes(path.read_bytes()[:-1])
    run.fails("nifti2h5", path, tmp_path / "out.h5", says="run.nii")
    assert not (tmp_path / "out.h5").exists()


# The file -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["deflate", "plain"])
def test_session_file(run, session, tmp_path, store):
    target = tmp_path / "session_04.h5"
    run("nifti2h5", "--store", store, *[p for p, _ in session], target)
    mask = np.any([(d != 0).any(-1) for _, d in session], axis=0)
    with h5py.File(target) as f:
        assert f["fmri"].dtype == np.int16
        assert np.array_equal(f["fmri"][...], np.vstack([d[mask].T for _, d in session]))
        assert np.array_equal(f["voxels"][...], np.flatnonzero(mask.ravel()))
        one = f["runs/0001/fmri"]
        assert one.chunks[0] == one.shape[0]
        assert (one.compression, one.shuffle) == (("gzip", True) if store == "deflate" else (None, False))


def test_provenance_names_program_settings_and_inputs(run, session):
    """The checksum is that of the inflated file, so that it does not depend on who compressed it."""
    got = stream_of(run, "--volumes", 20, *[p for p, _ in session])
    for r, (path, _) in zip(got, session, strict=True):
        (step,) = r.head["steps"]
        plain = gzip.decompress(path.read_bytes())
        assert step["program"] == "nifti2h5" and step["version"] and step["settings"]["volumes"] == 20
        (source,) = step["inputs"]
        assert source["path"].endswith(path.name)
        assert (source["bytes"], source["crc32"]) == (len(plain), f"{zlib.crc32(plain):08x}")


# gzip ---------------------------------------------------------------------------------------------------------------


def test_inflates_as_gzip_does(run, tmp_path):
    """Every level and strategy of a real deflater, stored blocks included."""
    if not shutil.which("gzip"):
        pytest.skip("gzip is missing")
    plain = write_nifti(tmp_path / "run.nii", bold())
    want = columns(bold())[1]
    for level in (1, 6, 9):
        packed = subprocess.run(["gzip", f"-{level}c", plain], check=True, stdout=subprocess.PIPE).stdout
        (tmp_path / "z.nii.gz").write_bytes(packed)
        assert np.array_equal(stream_of(run, tmp_path / "z.nii.gz")[0].data, want)
    (tmp_path / "z.nii.gz").write_bytes(gzip.compress(plain.read_bytes(), 0))
    assert np.array_equal(stream_of(run, tmp_path / "z.nii.gz")[0].data, want)
