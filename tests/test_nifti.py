"""What NIfTI and Analyze files may hold: values as nibabel has them, doubts that are told, lies that are refused.

tests/niftiwitness.py makes the files of the wide comparison; tests/test_nifti2h5.py has the rest of that program.
"""

import gzip
import json
import os
import shutil
import struct
import subprocess

import nibabel as nib
import niftiwitness
import numpy as np
import pytest
from conftest import AFFINE, PATIENCE, bold, write_nifti
from oracle import make_run, read_stream, write_stream

wide = pytest.mark.skipif(not niftiwitness.WIDE, reason="numpy's long double has not 16 bytes here")


def stream_of(run, *args, **how):
    return read_stream(run("nifti2h5", *args, "-", **how).out)


def columns(data):
    mask = (data != 0).any(-1)
    return np.flatnonzero(mask.ravel()), data[mask].T


def patch(path, at, form, *values):
    """Writes fields over a file, gzipped or not."""
    blob = path.read_bytes()
    zipped = blob[:2] == b"\x1f\x8b"
    blob = bytearray(gzip.decompress(blob) if zipped else blob)
    struct.pack_into(form, blob, at, *values)
    path.write_bytes(gzip.compress(blob, 1, mtime=0) if zipped else blob)
    return path


def refused(run, path, *says, args=("--tr", 2)):
    target = path.parent / "out.h5"
    done = run.fails("nifti2h5", *args, path, target, says=[path.name, *says])
    assert not target.exists()
    return done


# Against nibabel ----------------------------------------------------------------------------------------------------


def check_rows(rows, cases):
    """Nothing differs: both sides work in double and in the same order."""
    assert sum(r[1] for r in rows) >= cases
    assert all(r[1] for r in rows) or PATIENCE > 1
    assert [r for r in rows if r[2] != 0 or r[3] != 0] == []


def test_generated_files(run, tmp_path):
    """All types, byte orders, versions, containers and scalings; a slow build takes every ninth of them."""
    part = 9 if PATIENCE > 1 else 1
    check_rows(niftiwitness.witness(run, tmp_path, part), 6000 // part)


def test_generated_lists(run, tmp_path):
    check_rows(niftiwitness.list_witness(run, tmp_path), 150)


def test_generated_headers(run, tmp_path):
    """Orientation, units and repetition time of 300 headers, as boldinfo tells them."""
    (name, cases, absolute, _), *_ = rows = niftiwitness.header_witness(run, tmp_path)
    assert cases >= 300 and absolute < 1e-4 and len(rows) == 2  # mm: qform is a quaternion in float32
    assert rows[1][3] < 1e-12


def test_conformance(run, shared, tmp_path):
    (row,) = rows = niftiwitness.conformance(run, tmp_path, shared)
    files = os.listdir(shared / "conformance")
    check_rows(rows, len(files) - len(niftiwitness.REFUSED))
    assert row[1] + len(niftiwitness.REFUSED) == len(files)


def test_conformance_types_and_affines(run, shared):
    for path in sorted((shared / "conformance").iterdir()):
        if path.name in niftiwitness.REFUSED:
            continue
        info = json.loads(run("boldinfo", "--json", path).text)
        if not path.name.startswith("minimal2"):  # nibabel wants both halves plain, or both gzipped
            image = nib.load(path)
            assert info["dtype"] == image.get_data_dtype().name
            if info["affine_from"] != "pixdim":  # there nibabel adds an origin of its own
                np.testing.assert_allclose(info["affine"], image.affine[:3], atol=1e-6)
            else:
                np.testing.assert_allclose(np.diag(np.array(info["affine"])[:, :3]), image.header.get_zooms()[:3])


def test_malformed(run, shared, tmp_path):
    """Inputs that crashed another reader: the first field, sizeof_hdr, is not that of a header."""
    files = sorted((shared / "malformed").iterdir())
    assert len(files) >= 5
    for path in files:
        (value,) = struct.unpack("<i", path.read_bytes()[:4])
        run.fails("nifti2h5", "--tr", 2, path, tmp_path / "out.h5", says=[path.name, f"sizeof_hdr is {value}"])
    assert os.listdir(tmp_path) == []


# float128 -----------------------------------------------------------------------------------------------------------


def write_wide(path, data, endian="<", version=1):
    """A float128 file from a long double array."""
    data = np.asarray(data, np.longdouble)
    case = niftiwitness.Case("float128", endian, version, "nii", 1, 0, data.shape[:3], 4, data.shape[3])
    case.samples = data
    head = {1: nib.nifti1.Nifti1Header, 2: nib.nifti2.Nifti2Header}[version](endianness=endian)
    head.set_data_shape(data.shape)
    head["datatype"], head["bitpix"], head["vox_offset"] = 1536, 128, head.single_vox_offset
    head.set_sform(AFFINE, code=1)
    niftiwitness.put(path, head.binaryblock + b"\0\0\0\0" + niftiwitness.stored(case))
    return path


@wide
@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("name", ["w.nii", "w.nii.gz"])
def test_float128_is_rounded_once(run, tmp_path, endian, name):
    """Also across the blocks in which it is read, and halfway cases to even."""
    rng = np.random.default_rng(1)
    data = rng.normal(0, 1, (11, 7, 9, 3)).astype(np.longdouble)
    data *= 1 + rng.integers(-3, 4, data.shape) * np.longdouble(2) ** -54
    data.flat[:6] = (
        0,
        np.nan,
        np.inf,
        np.longdouble(2) ** -1074,
        np.longdouble(2) ** -1076,
        -(np.longdouble(2) ** 1000),
    )
    (got,) = stream_of(run, "--tr", 2, write_wide(tmp_path / name, data, endian))
    want = data.astype(float)
    assert not np.array_equal(want.astype(np.longdouble), data, equal_nan=True)
    assert got.data.dtype == np.float64 and got.counted("nonfinite") == 2
    assert np.array_equal(got.data, columns(want)[1], equal_nan=True)


@wide
def test_float128_beyond_a_double_is_refused(run, tmp_path):
    data = np.ones((2, 2, 2, 2), np.longdouble)
    data[1, 1, 1, 1] = np.longdouble(2) ** 1024
    refused(run, write_wide(tmp_path / "w.nii", data), "sample 8 of volume 2", "float128", "float64")
    data[1, 1, 1, 1] = np.nextafter(np.longdouble(2) ** 1024, 0)  # rounds up to it
    refused(run, write_wide(tmp_path / "w.nii", data), "float128")


@wide
@pytest.mark.parametrize("name", ["w.nii", "w.nii.gz"])
def test_float128_volumes_that_are_not_kept(run, tmp_path, name):
    data = np.random.default_rng(2).normal(0, 1, (5, 4, 3, 6)).astype(np.longdouble)
    (got,) = stream_of(run, "--tr", 2, "--volumes", 2, write_wide(tmp_path / name, data))
    assert got.counted("dropped") == 4 and got.counted("trailing") is None
    assert np.array_equal(got.data, columns(data.astype(float))[1][:2])


def binary128(values):
    """Doubles as IEEE binary128: the exponent is rebased, the fraction begins further up."""
    bits = np.asarray(values, float).view("u8").astype(object)
    made = [(b >> 63) << 127 | ((b >> 52 & 0x7FF) - 1023 + 16383) << 112 | (b & (1 << 52) - 1) << 60 for b in bits]
    return b"".join(int(m).to_bytes(16, "little") for m in made)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="needs x86's long double")
@pytest.mark.parametrize("value", [1.0, -3.5, 0.1, 1e-30, "random", "float32"])
def test_float128_of_another_machine_is_refused(run, tmp_path, value):
    """IEEE binary128 would read as zeros or as noise."""
    path = write_wide(tmp_path / "w.nii", np.ones((2, 2, 2, 1)))
    blob = path.read_bytes()[:352]
    random = np.random.default_rng(3).normal(900, 50, 8)
    values = {"random": random, "float32": random.astype("f4").astype(float) * (random > 900)}
    path.write_bytes(blob + binary128(values.get(value, np.full(8, value))))
    refused(run, path, "of volume 1", "float128", "80-bit")


@wide
def test_padding_of_float128_means_nothing(run, tmp_path):
    """What writes long doubles may leave anything there, also beside zeros."""
    data = np.random.default_rng(3).normal(900, 50, (4, 3, 2, 5)).astype(np.longdouble)
    data[0] = 0
    path = write_wide(tmp_path / "w.nii", data)
    raw = np.frombuffer(path.read_bytes()[352:], "u1").reshape(-1, 16).copy()
    if np.finfo(np.longdouble).nmant == 63:
        raw[:, 10:] = np.random.default_rng(4).integers(0, 256, (len(raw), 6))
    path.write_bytes(path.read_bytes()[:352] + raw.tobytes())
    (got,) = stream_of(run, "--tr", 2, path)
    assert np.array_equal(got.data, columns(data.astype(float))[1])


@wide
def test_float128_cut_or_too_long(run, tmp_path):
    path = write_wide(tmp_path / "w.nii", np.ones((3, 3, 3, 2)))
    blob = path.read_bytes()
    path.write_bytes(blob[:-1])
    refused(run, path, "float128", f"{len(blob)}")
    path.write_bytes(blob + bytes(27 * 16))
    refused(run, path, "follow", "dim[4]")
    niftiwitness.put(tmp_path / "w.nii.gz", blob[:-8])
    refused(run, tmp_path / "w.nii.gz", "within volume 2")
    path.write_bytes(blob + bytes(27 * 16 - 1))
    assert stream_of(run, "--tr", 2, path)[0].counted("trailing") == 27 * 16 - 1


# Analyze 7.5 --------------------------------------------------------------------------------------------------------


def write_analyze(path, data, endian="<", **fields):
    head = nib.spm2analyze.Spm2AnalyzeHeader(endianness=endian)
    head.set_data_dtype(data.dtype)
    head.set_data_shape(data.shape)
    head["pixdim"][1:5] = 2, 2.5, 3, 1.5
    for name, value in fields.items():
        head[name] = value
    path.write_bytes(head.binaryblock)
    path.with_suffix(".img").write_bytes(data.astype(data.dtype.newbyteorder(endian)).tobytes(order="F"))
    return path


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("given", ["hdr", "img"])
def test_analyze_is_read_with_a_warning(run, tmp_path, endian, given):
    path = write_analyze(tmp_path / "a.hdr", bold(), endian, scl_slope=0.5, scl_inter=3)
    done = run("nifti2h5", path.with_suffix(f".{given}"), "-")
    (got,) = read_stream(done.out)
    image = nib.Spm2AnalyzeImage.from_filename(str(path))
    assert np.array_equal(got.values, columns(bold())[1] * 0.5 + 3)
    np.testing.assert_allclose(got.head["affine"], image.affine[:3], atol=1e-6)
    assert got.head["tr"] == 1.5
    warnings = done.err.splitlines()
    assert len(warnings) == 2 and "Analyze 7.5 has no orientation" in warnings[0] and "--tr" in warnings[1]
    assert run("nifti2h5", "--quiet", path, tmp_path / "out.h5").err == ""
    assert json.loads(run("boldinfo", "--json", path).text)["affine_from"] == "analyze"


def test_analyze_scaled_by_ranges_and_with_a_mat_says_so(run, tmp_path):
    ranges = {"scl_slope": 0, "cal_max": 8, "cal_min": -2, "glmax": 1010, "glmin": 10}
    path = write_analyze(tmp_path / "a.hdr", bold(), **ranges)
    (tmp_path / "a.mat").write_bytes(b"")
    done = run("nifti2h5", "--tr", 2, path, "-")
    (got,) = read_stream(done.out)
    want = nib.Spm2AnalyzeImage.from_filename(str(path)).get_fdata()
    assert np.array_equal(got.values, want.reshape(-1, 24)[got.voxels].T)
    assert "glmax" in done.err and "a.mat" not in done.err and ".mat beside it is not read" in done.err


def test_analyze_that_is_refused(run, tmp_path):
    path = write_analyze(tmp_path / "a.hdr", bold())
    refused(run, patch(path, 70, "<hh", 512, 16), "datatype is 512")
    refused(run, patch(path, 70, "<hh", 32, 64), "datatype is 32 (complex64)")
    refused(run, patch(path, 70, "<hh", 4, 8), "bitpix is 8")
    write_analyze(path, bold())
    refused(run, patch(path, 80, "<f", 0), "pixdim[1] is 0")
    write_analyze(path, bold(), scl_slope=0, cal_max=np.inf, glmax=3)
    refused(run, path, "cal_max is inf")
    write_analyze(path, bold())
    shutil.copy(path, tmp_path / "a.nii")
    refused(run, tmp_path / "a.nii", "magic is empty", "Analyze 7.5", ".hdr")
    (tmp_path / "a.img").unlink()
    refused(run, path, "a.img")


# Extensions and offsets ---------------------------------------------------------------------------------------------


def extension(size, content=b"", code=6, endian="<"):
    body = content.ljust(max(0, size - 8), b"x")[: max(0, size - 8)]
    return struct.pack(f"{endian}ii", size, code) + body


def with_extensions(path, parts, *, flag=1, version=1, endian="<", offset=None):
    """A file with `parts` between header and samples; `offset` where vox_offset is to be another."""
    plain = write_nifti(path.with_name("plain.nii"), bold(), version=version, endian=endian).read_bytes()
    size = {1: 348, 2: 540}[version]
    blob = bytearray(plain[:size]) + bytes([flag, 0, 0, 0]) + parts
    at, form = {1: (108, "f"), 2: (168, "q")}[version]
    struct.pack_into(endian + form, blob, at, len(blob) if offset is None else offset)
    niftiwitness.put(path, bytes(blob) + plain[size + 4 :])
    return path


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("name", ["e.nii", "e.nii.gz"])
def test_extensions(run, tmp_path, version, endian, name):
    parts = extension(32, endian=endian) + extension(9616, b"<a/>", 4, endian) + extension(16, endian=endian)
    for padding in (b"", bytes(7), bytes(64)):
        path = with_extensions(tmp_path / name, parts + padding, version=version, endian=endian)
        done = run("nifti2h5", "--tr", 2, path, "-")
        assert np.array_equal(read_stream(done.out)[0].data, columns(bold())[1]) and done.err == ""


def test_extension_of_an_odd_size_is_read_with_a_warning(run, tmp_path):
    path = with_extensions(tmp_path / "e.nii", extension(21) + bytes(11))
    done = run("nifti2h5", "--tr", 2, path, "-")
    assert np.array_equal(read_stream(done.out)[0].data, columns(bold())[1])
    assert "no multiple of 16" in done.err


LIES = {
    "none": (b"", {}, ["extension[0] is 1", "vox_offset is 352"]),
    "no room": (bytes(15), {"flag": 7}, ["extension[0] is 7", "vox_offset is 367"]),
    "zeros": (bytes(32), {}, ["extension[0] is 1", "vox_offset is 384"]),
    "zero size": (struct.pack("<ii", 0, 6) + bytes(24), {}, ["extension 1", "esize is 0"]),
    "too small": (extension(7) + bytes(24), {}, ["extension 1", "esize is 7"]),
    "negative": (extension(-16) + bytes(24), {}, ["esize is -16"]),
    "long": (extension(32) + extension(64)[:48], {}, ["extension 2", "esize is 64", "vox_offset"]),
    "huge": (extension(2**31 - 16), {"offset": 2**32}, ["extension 1", "esize is 2147483632", "ends"]),
    "swapped": (extension(32, endian=">"), {}, ["extension 1", "esize is 536870912"]),
}


@pytest.mark.parametrize("name", ["e.nii", "e.nii.gz"])
@pytest.mark.parametrize("lie", LIES)
def test_extensions_that_are_not_there(run, tmp_path, lie, name):
    parts, how, says = LIES[lie]
    if "offset" in how:
        parts = parts[:64]
    refused(run, with_extensions(tmp_path / name, parts, **how), *says)


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_extensions_of_a_pair(run, tmp_path, zipped):
    """They are in the header's file, up to its end."""
    path = write_nifti(tmp_path / "p.hdr", bold())
    header, target = path.read_bytes()[:348], tmp_path / f"p.hdr{zipped}"
    path.unlink()
    for tail in (b"", b"\0\0\0\0", b"\0\0\0\0junk", b"\1\0\0\0" + extension(32) + extension(48)):
        niftiwitness.put(target, header + tail)
        assert np.array_equal(stream_of(run, "--tr", 2, target)[0].data, columns(bold())[1])
    for tail, says in {
        b"\1\0\0\0": ["extension[0] is 1"],
        b"\1\0\0\0" + extension(32)[:20]: ["extension 1", "esize is 32", "ends"],
        b"\1\0\0\0" + extension(32) + b"\x10\0\0\0\6": ["extension 2", "esize is 16", "ends"],
        b"\1\0\0\0" + extension(32) + b"\x10\0": ["extension 2: the file ends within its esize"],
    }.items():
        niftiwitness.put(target, header + tail)
        refused(run, target, *says)


@pytest.mark.parametrize("offset", [352, 353, 365, 368, 999])
def test_odd_offsets(run, tmp_path, offset):
    path = with_extensions(tmp_path / "o.nii", b"\xff" * (offset - 352), flag=0)
    assert np.array_equal(stream_of(run, "--tr", 2, path)[0].data, columns(bold())[1])


@pytest.mark.parametrize(
    ("qform", "sform", "said"), [(1, 2, "sform"), (1, 0, "qform"), (0, 4, "sform"), (0, 0, "pixdim")]
)
def test_the_orientation_chosen_is_recorded(run, tmp_path, qform, sform, said):
    def codes(head):
        head.set_qform(np.diag([-2, 3, 2, 1]), code=qform)
        head["sform_code"] = sform

    path = write_nifti(tmp_path / "run.nii", bold(), header=codes)
    (got,) = stream_of(run, "--tr", 2, path)
    want = {"sform": AFFINE, "qform": np.diag([-2, 3, 2, 1]), "pixdim": np.diag([2, 3, 2, 1])}[said]
    assert got.head["steps"][0]["inputs"][0]["affine_from"] == said
    np.testing.assert_allclose(got.head["affine"], want[:3], atol=1e-5)


# Headers that lie: each field with its value ------------------------------------------------------------------------

MORE = "dim 7x6x5x25, datatype int16"
FIELDS = [
    (0, "<i", (349,), "sizeof_hdr is 349"),
    (40, "<h", (9,), "dim[0] is 9"),
    (42, "<h", (-7,), "dim[1] is -7"),
    (50, "<h", (2,), None),  # dim[5], which dim[0] does not count
    (40, "<6h", (5, 7, 6, 5, 24, 2), "dim[5] is 2"),
    (48, "<h", (25,), MORE),
    (70, "<hh", (32, 64), "datatype is 32 (complex64)"),
    (70, "<hh", (128, 24), "datatype is 128 (RGB24)"),
    (70, "<hh", (2304, 32), "datatype is 2304 (RGBA32)"),
    (70, "<hh", (1792, 128), "datatype is 1792 (complex128)"),
    (70, "<hh", (2048, 256), "datatype is 2048 (complex256)"),
    (70, "<hh", (1, 1), "datatype is 1 (binary)"),
    (70, "<hh", (3, 16), "datatype is 3"),
    (70, "<hh", (4, 32), "bitpix is 32"),
    (70, "<hh", (1536, 16), "bitpix is 16"),
    (70, "<hh", (8, 32), "datatype int32"),
    (108, "<f", (351,), "vox_offset is 351"),
    (108, "<f", (352.5,), "vox_offset is 352.5"),
    (108, "<f", (1e6,), "vox_offset"),
    (112, "<ff", (2, np.nan), "scl_inter is nan"),
    (284, "<f", (np.inf,), "srow_x[1] is inf"),
    (308, "<f", (np.nan,), "srow_y[3] is nan"),
    (252, "<hhf", (1, 0, np.nan), "quatern_b is nan"),
    (252, "<hh6f", (1, 0, 0, 0, 0, 1, np.inf, 1), "qoffset_y is inf"),
    (252, "<hh3f", (1, 0, 1, 1, 1), "quatern_b, c, d squared is 3"),
    (344, "<4s", (b"n-1",), 'magic is "n-1"'),
]


@pytest.mark.parametrize(("at", "form", "values", "says"), FIELDS)
@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
def test_header_fields_are_named(run, tmp_path, at, form, values, says, name):
    path = patch(write_nifti(tmp_path / name, bold()), at, form, *values)
    if says and not (name.endswith("gz") and says in (MORE, "datatype int32")):
        refused(run, path, says)
    elif not says:
        stream_of(run, path)
    else:  # only reading on can tell
        refused(run, path, "ends within volume", says)


def test_nifti2_line_ends(run, tmp_path):
    path = write_nifti(tmp_path / "run.nii", bold(), version=2)
    refused(run, patch(path, 8, "<4B", 10, 26, 10, 0), "magic[4..7] is 0a 1a 0a 00")


# What is doubtful ---------------------------------------------------------------------------------------------------


def test_doubts_are_told_of_every_run_once_each_kind(run, tmp_path):
    def units(name, tr, unit):
        return write_nifti(
            tmp_path / name, bold(seed=len(name)), tr=tr, header=lambda h: h.set_xyzt_units("mm", unit)
        )

    paths = [units(f"s_run-{k:02d}.nii", 1.5, "sec" if k in (1, 4) else None) for k in range(1, 7)]
    paths.append(units("s_run-07.nii", 1500, "sec"))
    done = run("nifti2h5", *paths, tmp_path / "out.npys")
    lines = done.err.splitlines()
    assert len(lines) == 2, done.err
    assert "s_run-02.nii and 3 more" in lines[0] and "no time unit" in lines[0] and "--tr" in lines[0]
    assert "s_run-07.nii:" in lines[1] and "no plausible" in lines[1]
    assert run("nifti2h5", "--tr", 1.5, *paths, tmp_path / "out.npys").err == ""


def test_doubts_about_standard_input(run, tmp_path):
    path = write_nifti(tmp_path / "run.nii", bold(), header=lambda h: h.set_xyzt_units("mm"))
    np.save(tmp_path / "mask.npy", np.ones((7, 6, 5), bool))
    for mask in ([], ["--mask", tmp_path / "mask.npy"]):
        done = run("nifti2h5", *mask, "-", "-", stdin=path.read_bytes())
        assert done.err.count("no time unit") == 1
        assert read_stream(done.out)[0].data.shape[0] == 24


# Lists of 3-D files -------------------------------------------------------------------------------------------------


def parts(folder, data, stem="vol_{:04d}.nii", **how):
    """One file a volume; a list in `how` holds a value for each."""
    made = []
    for t in range(data.shape[3]):
        mine = {k: v[t] if isinstance(v, list) else v for k, v in how.items()}
        volume = data[..., t].astype(mine.pop("dtype", data.dtype))
        made.append(write_nifti(folder / stem.format(t + 1), volume, **mine))
    return made


@pytest.mark.parametrize("store", ["-", "out.h5"])
def test_a_list_of_3d_files_is_one_run(run, tmp_path, store):
    files = parts(tmp_path, bold(), tr=0)
    whole = write_nifti(tmp_path / "whole_run-01.nii", bold())
    target = store if store == "-" else tmp_path / store
    done = run("nifti2h5", "--tr", 2, "--session", 3, *files, target)
    (got,) = read_stream(done.out if store == "-" else run("concat", target, "-").out)
    (want,) = stream_of(run, "--tr", 2, whole)
    assert np.array_equal(got.data, want.data) and got.data.dtype == np.int16
    assert np.array_equal(got.voxels, want.voxels)
    assert (got.head["label"], got.head["session"], got.head["run"], got.head["tr"]) == ("vol", 3, 1, 2)
    inputs = got.head["steps"][0]["inputs"]
    assert [i["path"] for i in inputs] == [str(f) for f in files]
    assert all(i["bytes"] == f.stat().st_size for i, f in zip(inputs, files, strict=True))
    assert len({i["crc32"] for i in inputs}) == len(files)
    assert {i["affine_from"] for i in inputs} == {"sform"}


@pytest.mark.parametrize("which", ["slope", "inter"])
def test_files_whose_scaling_differs_become_values(run, tmp_path, which):
    scaling = {"slope": 1.5, "inter": 2.0} | {which: [1.0 + t / 7 for t in range(24)]}
    files = parts(tmp_path, bold(), "v{:02d}.nii.gz", **scaling)
    (got,) = stream_of(run, "--tr", 2, *files)
    want = np.stack([nib.load(f).get_fdata() for f in files], -1)
    assert got.data.dtype == np.float64 and (got.head["slope"], got.head["inter"]) == (1, 0)
    assert np.array_equal(got.data, want.reshape(-1, 24)[got.voxels].T)


def test_files_whose_type_differs_become_values(run, tmp_path):
    files = parts(tmp_path, bold(), dtype=["i2", "f4", "f8", "u2"] * 6, endian=["<", ">", ">"] * 8)
    (got,) = stream_of(run, "--tr", 2, *files)
    assert got.data.dtype == np.float64 and np.array_equal(got.data, columns(bold())[1])


def test_lists_for_several_runs(run, tmp_path):
    """Names tell the runs apart."""
    made = {k: parts(tmp_path, bold(seed=k), f"sub-02_ses-04_run-{k:02d}_vol-" + "{:03d}.nii") for k in (1, 2)}
    for threads in (1, 3):
        got = stream_of(run, "--tr", 2, "--threads", threads, *made[1], *made[2])
        assert [(r.head["subject"], r.head["session"], r.head["run"]) for r in got] == [(2, 4, 1), (2, 4, 2)]
        mask = np.any([(bold(seed=k) != 0).any(-1) for k in (1, 2)], axis=0)
        assert all(np.array_equal(r.data, bold(seed=k)[mask].T) for k, r in enumerate(got, 1))
    run.fails("nifti2h5", "--tr", 2, *made[1], *made[2], made[1][0], tmp_path / "out.h5", says=["run 1", "twice"])


def test_lists_in_pairs_and_from_pipes(run, tmp_path):
    files = parts(tmp_path, bold(volumes=5), "p{}.hdr.gz")
    (got,) = stream_of(run, "--tr", 2, *files[:2], *(f.with_name(f.name.replace("hdr", "img")) for f in files[2:]))
    assert np.array_equal(got.data, columns(bold(volumes=5))[1])
    plain = parts(tmp_path, bold(volumes=3))
    pipe = tmp_path / "pipe.nii"
    os.mkfifo(pipe)
    feeder = subprocess.Popen(["sh", "-c", 'cat "$1" > "$2"', "sh", str(plain[1]), str(pipe)])
    try:
        (got,) = stream_of(run, "--tr", 2, plain[0], pipe, "-", stdin=plain[2].read_bytes())
        assert feeder.wait(20) == 0
    finally:
        feeder.kill()
    assert np.array_equal(got.data, columns(bold(volumes=3))[1])


def test_volumes_and_design_of_a_list(run, tmp_path):
    files = parts(tmp_path, bold())
    (got,) = stream_of(run, "--tr", 2, "--volumes", 20, *files)
    assert got.data.shape[0] == 20 and got.counted("dropped") == 4
    assert len(got.head["steps"][0]["inputs"]) == 24
    design = tmp_path / "design.tsv"
    design.write_text("1\n" * 22)
    assert stream_of(run, "--tr", 2, "--design", design, *files)[0].data.shape[0] == 22
    design.write_text("1\n" * 25)
    run.fails("nifti2h5", "--tr", 2, "--design", design, *files, tmp_path / "out.h5", says=["24", "25"])


def test_repetition_time_of_a_list(run, tmp_path):
    files = parts(tmp_path, bold(volumes=4), tr=0)
    run.fails("nifti2h5", *files, tmp_path / "out.h5", says=["pixdim[4]", "--tr"])
    done = run("nifti2h5", *parts(tmp_path, bold(volumes=4), tr=1.5), "-")
    assert read_stream(done.out)[0].head["tr"] == 1.5
    assert done.err.count("\n") == 1 and "no time axis" in done.err and "--tr" in done.err
    files = parts(tmp_path, bold(volumes=4), tr=[1.5, 1.5, 2.0, 1.5])
    run.fails("nifti2h5", *files, tmp_path / "out.h5", says=["pixdim[4] differs", "--tr"])
    assert stream_of(run, "--tr", 3, *files)[0].head["tr"] == 3


def test_lists_that_do_not_fit(run, tmp_path):
    files = parts(tmp_path, bold(volumes=5))
    whole = write_nifti(tmp_path / "whole.nii", bold())
    target = tmp_path / "out.h5"
    for order in ([*files, whole], [whole, *files]):
        run.fails("nifti2h5", "--tr", 2, *order, target, says=["vol_0001", "single volume", "whole.nii", "24"])
    write_nifti(files[3], bold((7, 6, 4), volumes=1)[..., 0])
    run.fails("nifti2h5", "--tr", 2, *files, target, says=["vol_0004", "7x6x4", "vol_0001", "7x6x5"])
    parts(tmp_path, bold(volumes=5))
    for damage in (lambda b: b[:-1], lambda b: b[:200], lambda b: b"", lambda b: b + bytes(420)):
        parts(tmp_path, bold(volumes=5))
        files[4].write_bytes(damage(files[4].read_bytes()))
        for keep in ([], ["--volumes", 2]):
            run.fails("nifti2h5", "--tr", 2, *keep, *files, target, says="vol_0005")
    assert not target.exists()


def test_a_flipped_bit_in_a_list(run, tmp_path):
    files = parts(tmp_path, bold(volumes=4), "v{}.nii.gz")
    blob = bytearray(files[2].read_bytes())
    blob[-6] ^= 4
    files[2].write_bytes(blob)
    for keep in ([], ["--volumes", 2]):
        run.fails("nifti2h5", "--tr", 2, *keep, *files, tmp_path / "out.h5", says="v3.nii.gz")
    assert not (tmp_path / "out.h5").exists()


# More than the header names -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zeros():
    """gzip of 65 MiB of zeros, whose checksum is wrong: who reads to its end complains of that."""
    packed = bytearray(gzip.compress(bytes(65 << 20), 1, mtime=0))
    packed[-6] ^= 1
    return bytes(packed)


def test_what_the_header_does_not_name_is_not_inflated(run, tmp_path, zeros):
    write_nifti(tmp_path / "x.nii", np.ones((2, 2, 2, 3), "<i2"))
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress((tmp_path / "x.nii").read_bytes()) + zeros)
    refused(run, tmp_path / "x.nii.gz", "bytes follow the 3 volumes")
    run.fails("boldinfo", "--verify", tmp_path / "x.nii.gz", says="bytes follow the 3 volumes")
    write_nifti(tmp_path / "x.hdr", np.ones((2, 2, 2, 3), "<i2"))
    (tmp_path / "x.hdr").write_bytes(gzip.compress((tmp_path / "x.hdr").read_bytes() + bytes(4)) + zeros)
    refused(run, tmp_path / "x.hdr", "more than 64 MiB follow the header")
    np.save(tmp_path / "m.npy", np.ones((2, 2, 2), "|u1"))
    (tmp_path / "m.npy").write_bytes(gzip.compress((tmp_path / "m.npy").read_bytes()) + zeros)
    run.fails("boldinfo", tmp_path / "m.npy", says="bytes follow the array")
    np.save(tmp_path / "r.npy", np.ones((2, 2), "<f4"))
    (tmp_path / "r.npy").write_bytes(gzip.compress((tmp_path / "r.npy").read_bytes()) + zeros)
    run.fails("boldinfo", "--verify", tmp_path / "r.npy", says="more data than the header says")
    (tmp_path / "s.npys").write_bytes(gzip.compress(write_stream([make_run(np.ones((4, 2), "<i2"))])) + zeros)
    run.fails("boldinfo", tmp_path / "s.npys", says="data follow the end record")
