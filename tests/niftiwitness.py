"""Generated NIfTI and Analyze files, read by nifti2h5 and by nibabel: does every value agree?

`rows(run, folder, shared)` returns rows (name, cases, largest absolute difference, largest relative difference); a
case is a file. `witness` makes more than 6,000 over all sample types, byte orders, versions, containers and scalings,
`list_witness` lists of 3-D files, `header_witness` orientations and times, `conformance` files by other writers.

The values are those that docs/formats.md promises of a stream, slope * sample + inter in double, against nibabel's
get_fdata(). Both round int64 and uint64 samples beyond 2^53 to the nearest double before they scale. float128, which
nibabel does not read on x86, is against numpy's long double, rounded to double before it is scaled.
"""

import gzip
import itertools
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from conftest import AFFINE
from nibabel.fileholders import FileHolder
from oracle import read_stream

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it logs what it mends in headers

WIDE = np.finfo(np.longdouble).nmant in (63, 112) and np.dtype(np.longdouble).itemsize == 16
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
TYPES += ["float128"] if WIDE else []
ANALYZE_TYPES = ["uint8", "int16", "int32", "float32", "float64"]
CONTAINERS = ["nii", "nii.gz", "hdr+img", "hdr.gz+img", "hdr+img.gz", "hdr.gz+img.gz"]
SCALINGS = [(1, 0), (0, 5), (0, np.inf), (np.nan, np.nan), (np.nan, 3), (np.inf, 0), (-np.inf, 1), (-0.5, 10)]
SCALINGS += [(0.0754, 3100.75), (1e-7, -1e3), (2.5e10, 1)]
# The grid of a batch, the numbers of dimensions that its headers may state, and how many volumes a file has.
BATCHES = [((4, 3, 2), [4, 5, 6, 7], 2), ((3, 4, 5), [3, 4, 5], 1), ((5, 1, 1), [4, 7], 3), ((7, 1, 1), [1, 2, 3], 1)]
ORIGINS = [(0, 0, 0), (2, 1, 2), (-20, 3, 300)]
FILES_A_CALL = 240
HEADERS = {(1, False): nib.nifti1.Nifti1Header, (1, True): nib.nifti1.Nifti1PairHeader}
HEADERS |= {(2, False): nib.nifti2.Nifti2Header, (2, True): nib.nifti2.Nifti2PairHeader}
IMAGES = {(1, False): nib.Nifti1Image, (1, True): nib.Nifti1Pair, (0, True): nib.Spm2AnalyzeImage}
IMAGES |= {(2, False): nib.Nifti2Image, (2, True): nib.Nifti2Pair}


@dataclass
class Row:
    name: str
    cases: int = 0
    absolute: float = 0.0
    relative: float = 0.0

    def add(self, got, wanted, what):
        """One more case; what is not finite must be the same."""
        wanted = np.asarray(wanted, float)
        assert got.shape == wanted.shape and got.dtype == np.float64, what
        finite = np.isfinite(wanted)
        assert np.array_equal(got[~finite], wanted[~finite], equal_nan=True), what
        assert np.isfinite(got[finite]).all(), what
        off = np.abs(got[finite] - wanted[finite])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(off == 0, 0, off / np.abs(wanted[finite]))
        self.cases += 1
        self.absolute = max(self.absolute, off.max(initial=0))
        self.relative = max(self.relative, ratio.max(initial=0))

    def tuple(self):
        return self.name, self.cases, float(self.absolute), float(self.relative)


@dataclass
class Case:
    """A file to be made, and what is in it."""

    dtype: str
    endian: str
    version: int  # 0: Analyze
    container: str
    slope: float
    inter: float
    shape: tuple
    ndim: int
    volumes: int
    path: Path = None
    origin: tuple = (0, 0, 0)  # of Analyze
    samples: np.ndarray = None

    @property
    def pair(self):
        return "+" in self.container

    @property
    def image_path(self):
        name = self.path.name.removesuffix(".gz").removesuffix(".hdr")
        return self.path.with_name(f"{name}.{self.container.split('+')[1]}") if self.pair else self.path


def random_samples(case, rng):
    """Over the type's whole range, its ends and what is odd about it among them."""
    shape = (*case.shape, case.volumes)
    if case.dtype.startswith(("int", "uint")):
        info = np.iinfo(case.dtype)
        data = rng.integers(info.min, info.max, shape, dtype=case.dtype, endpoint=True)
        data.flat[:4] = info.min, info.max, 0, 1
        return data
    most = 30 if case.dtype == "float32" else 200
    data = rng.normal(0, 1, shape) * 10.0 ** rng.integers(-most, most, shape)
    data.flat[:5] = np.nan, np.inf, -np.inf, -0.0, np.finfo("f4").tiny / 8
    if case.dtype != "float128":
        return data.astype(case.dtype)
    wide = data.astype(np.longdouble)
    return wide + wide * rng.random(shape) * np.longdouble(2) ** -53  # digits that a double has no room for


def stored(case):
    """The samples as bytes in the file's order. The padding of a long double is not left to chance."""
    data = np.asfortranarray(case.samples)
    if case.dtype != "float128":
        return data.astype(data.dtype.newbyteorder(case.endian)).tobytes(order="F")
    raw = np.frombuffer(data.tobytes(order="F"), "u1").reshape(-1, 16).copy()
    if np.finfo(np.longdouble).nmant == 63:
        raw[:, 10:] = 0
    return (raw if case.endian == "<" else raw[:, ::-1]).tobytes()


def header(case, offset, rng):
    head = HEADERS[case.version, case.pair](endianness=case.endian)
    if case.dtype == "float128":
        head["datatype"], head["bitpix"] = 1536, 128
    else:
        head.set_data_dtype(case.dtype)
    set_shape(head, case)
    head["scl_slope"], head["scl_inter"] = case.slope, case.inter
    head["vox_offset"] = offset
    way = rng.integers(3)
    if way < 2:  # the sform rules, whatever the qform says
        head.set_sform(AFFINE, code=int(rng.integers(1, 5)))
    if way > 0:
        head.set_qform(AFFINE if way == 2 else np.diag([3, 3, 3, 1]), code=1)
    if way == 2:
        head["sform_code"] = 0
    return head.binaryblock


def set_shape(head, case):
    head["dim"] = [case.ndim, *case.shape, case.volumes, 1, 1, 1]
    head["pixdim"][1:4] = nib.affines.voxel_sizes(AFFINE)


def filling(case, rng):
    """What stands between header and samples: nothing, extensions, or bytes that mean nothing; with its length."""
    kind = rng.integers(3)
    if kind == 0:
        return b"\0\0\0\0"
    if kind == 1:
        return b"\0\0\0\0" + rng.bytes(int(rng.integers(1, 40)))
    sizes = 16 * rng.integers(1, 4, rng.integers(1, 4))
    parts = [np.array([n, 6], f"{case.endian}i4").tobytes() + rng.bytes(int(n) - 8) for n in sizes]
    return b"\1\0\0\0" + b"".join(parts)


def put(path, blob):
    path.write_bytes(gzip.compress(blob, 1, mtime=0) if path.name.endswith(".gz") else blob)


def write(case, folder, name, rng):
    case.path = folder / f"{name}.{case.container.split('+')[0]}"
    case.samples = random_samples(case, rng)
    data, fill = stored(case), filling(case, rng)
    if case.version == 0:
        put(case.path, analyze_header(case))
        put(case.image_path, data)
    elif case.pair:
        gap = rng.bytes(int(rng.integers(0, 2) * 24))
        # An extension of a pair is in the header's file; what stands before the samples means nothing.
        put(case.path, header(case, len(gap), rng) + (fill if fill[0] else b""))
        put(case.image_path, gap + data)
    else:
        put(case.path, header(case, {1: 348, 2: 540}[case.version] + len(fill), rng) + fill + data)


def analyze_header(case):
    """A header as SPM2 has it. Slope 0 with an intercept stands for the ranges (cal, gl) that then scale."""
    head = nib.spm2analyze.Spm2AnalyzeHeader(endianness=case.endian)
    head.set_data_dtype(case.dtype)
    set_shape(head, case)
    head["scl_slope"], head["scl_inter"] = case.slope, case.inter
    if case.slope == 0:
        head["cal_max"], head["cal_min"], head["glmax"], head["glmin"] = 812.37, -0.0313, 1100, 7
    head["origin"][:3] = case.origin
    return head.binaryblock


def image_of(case):
    kind = IMAGES[case.version, case.pair]
    if not case.pair:
        return kind.from_filename(str(case.path))
    parts = {"header": case.path, "image": case.image_path, "mat": case.path.with_name("none.mat")}
    return kind.from_file_map({name: FileHolder(str(path)) for name, path in parts.items()})


def values(case):
    """(T, V) as the witness has them."""
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.dtype == "float128":
            slope, inter = (np.float64(v if case.version == 2 else np.float32(v)) for v in (case.slope, case.inter))
            data = case.samples.astype(float)
            data = data * slope + inter if slope and np.isfinite(slope) else data
        else:
            data = image_of(case).get_fdata()
    return data.reshape(-1, case.volumes).T


def read(run, cases, folder):
    """The runs that nifti2h5 makes of the cases, every voxel kept."""
    np.save(folder / "all.npy", np.ones(cases[0].shape, bool))
    files = [c.path.name for c in cases]
    command = ["nifti2h5", "--quiet", "--tr", 2, "--mask", "all.npy", *files, "-"]
    return read_stream(run(*command, timeout=120, cwd=folder).out)


def nifti_cases(shape, ndims, volumes):
    everything = itertools.product(TYPES, "<>", (1, 2), CONTAINERS, SCALINGS)
    for i, (dtype, endian, version, container, (slope, inter)) in enumerate(everything):
        ndim = ndims[(i // 7) % len(ndims)]
        yield Case(dtype, endian, version, container, slope, inter, shape, ndim, volumes)


def analyze_cases(origin):
    scalings = [(1, 0), (0, 0), (np.nan, 3), (-0.5, 10), (0.0754, np.nan), (2.5e10, 1)]
    for dtype, endian, container, (slope, inter) in itertools.product(ANALYZE_TYPES, "<>", CONTAINERS[2:], scalings):
        yield Case(dtype, endian, 0, container, slope, inter, (4, 3, 2), 4, 2, origin=origin)


def compare_batch(run, cases, folder, rows, rng):
    """One call for all of them: each is a run, with a type and a scaling of its own."""
    folder.mkdir()
    for i, case in enumerate(cases):
        write(case, folder, f"made_run-{i + 1:04d}", rng)
    runs = read(run, cases, folder)
    if cases[0].dtype != "float128":
        rows["affine"].add(np.array(runs[0].head["affine"]), image_of(cases[0]).affine[:3], folder.name)
    for case, got in zip(cases, runs, strict=True):
        what = f"{case.path.name} {case.dtype} {case.endian} {case.version} {case.slope} {case.inter}"
        with np.errstate(over="ignore", invalid="ignore"):
            rows[case.dtype if case.version else "analyze"].add(np.float64(got.values), values(case), what)


def witness(run, folder, part=1):
    """All rows; `part` > 1 takes only every so many-th file, for builds that are slow."""
    rng = np.random.default_rng(20)
    found = {t: Row(f"NIfTI {t}") for t in TYPES} | {"analyze": Row("Analyze 7.5, against nibabel's SPM2")}
    found["affine"] = Row("affine in mm, one file a call")
    groups = [list(nifti_cases(*batch))[k % 2 :: 2] for k, batch in enumerate(BATCHES)]
    groups += [list(analyze_cases(origin)) for origin in ORIGINS]
    for k, cases in enumerate(groups):
        cases = cases[::part]
        for i in range(0, len(cases), FILES_A_CALL):
            compare_batch(run, cases[i : i + FILES_A_CALL], folder / f"made{k}_{i}", found, rng)
    return [row.tuple() for row in found.values()]


def rows(run, folder, shared=None):
    """All that this file compares; `shared` is the folder of real data, where there is one."""
    made = witness(run, folder) + list_witness(run, folder) + header_witness(run, folder)
    return made + (conformance(run, folder, shared) if shared else [])


# Lists of 3-D files -------------------------------------------------------------------------------------------------


def list_witness(run, folder, lists=40):
    """Runs of 3-D files: of one type and scaling, of one type and several scalings, of several types."""
    rng = np.random.default_rng(21)
    row = Row("lists of 3-D files")
    for k in range(lists):
        kind, shape, n = k % 3, (4, 3, 2), int(rng.integers(2, 9))
        place = folder / f"list{k}"
        place.mkdir()
        one = TYPES[k % len(TYPES)]
        types = [one if kind < 2 else TYPES[i] for i in rng.integers(0, len(TYPES), n)]
        scalings = [SCALINGS[-3] if kind == 0 else SCALINGS[i] for i in rng.integers(0, len(SCALINGS), n)]
        ways = [(["<", ">"][a], 1 if kind == 0 else 1 + b, CONTAINERS[c]) for a, b, c in rng.integers(0, 2, (n, 3))]
        cases = [Case(t, *w, *s, shape, 3, 1) for t, w, s in zip(types, ways, scalings, strict=True)]
        for i, case in enumerate(cases):
            write(case, place, f"vol_{i:03d}", rng)
        (got,) = read(run, cases, place)
        assert kind > 0 or got.data.dtype == ("f8" if one == "float128" else one)
        with np.errstate(over="ignore", invalid="ignore"):
            row.add(np.float64(got.values), np.vstack([values(c) for c in cases]), f"list {k}")
        row.cases += n - 1
    return [row.tuple()]


# Files by other writers ---------------------------------------------------------------------------------------------

REFUSED = {"complex32.nii": "complex64", "rgb24.nii": "RGB24"}


def conformance(run, folder, shared):
    """Every file in the folder: equal to nibabel's, or of a kind that is refused by name."""
    row = Row("files by other writers (conformance)")
    for path in sorted((shared / "conformance").iterdir()):
        if path.name in REFUSED:
            run.fails("nifti2h5", "--tr", 2, path, folder / "out.npys", says=[path.name, REFUSED[path.name]])
            continue
        names = {k: sorted(path.parent.glob(path.name.split(".")[0] + f".{k}*")) for k in ("hdr", "img")}
        if path.name.split(".")[1] == "nii":
            image = nib.load(path)
        else:
            holders = {"header": FileHolder(str(names["hdr"][0])), "image": FileHolder(str(names["img"][0]))}
            image = nib.Nifti1Pair.from_file_map(holders)
        data = image.get_fdata()
        grid = (*data.shape, 1, 1, 1)[:3]
        data = data.reshape(*grid, -1)
        np.save(folder / "all.npy", np.ones(grid, bool))
        (got,) = read_stream(run("nifti2h5", "-q", "--tr", 2, "--mask", folder / "all.npy", path, "-").out)
        row.add(np.float64(got.values), data.reshape(-1, data.shape[3]).T, path.name)
    return [row.tuple()]


# Headers ------------------------------------------------------------------------------------------------------------


def header_witness(run, folder, files=300):
    """Orientation and time of single headers, as boldinfo tells them: oblique, mirrored, by sform or qform."""
    rng = np.random.default_rng(22)
    orientation, time = Row("affine in mm (sform, qform)"), Row("repetition time in s")
    paths, images = [], []
    for i in range(files):
        version = 1 + i % 2
        head = HEADERS[version, False](endianness="<>"[i // 2 % 2])
        head.set_data_dtype("u1")
        head.set_data_shape((2, 3, 4, 5))
        turn, _ = np.linalg.qr(rng.normal(0, 1, (3, 3)))
        affine = np.eye(4)
        affine[:3, :3] = turn * rng.uniform(0.5, 4, 3) * rng.choice([-1, 1], 3)
        affine[:3, 3] = rng.uniform(-120, 120, 3)
        unit, factor = [("sec", 1), ("msec", 1e3), ("usec", 1e6)][i % 3]
        head["pixdim"][4] = rng.uniform(0.1, 9) * factor
        head.set_xyzt_units("mm", unit)
        if i % 5 < 3:
            head.set_sform(affine, code=1 + i % 4)
        if i % 5 > 1:  # where there is an sform too, it rules
            head.set_qform(affine if i % 5 > 2 else np.eye(4), code=1, strip_shears=True)
        head["vox_offset"] = head.single_vox_offset
        path = folder / f"head{i:03d}.nii"
        path.write_bytes(head.binaryblock + b"\0\0\0\0" + bytes(120))
        paths.append(path)
        images.append((IMAGES[version, False].from_filename(str(path)), factor))
    for told, (image, factor) in zip(json.loads(run("boldinfo", "--json", *paths).text), images, strict=True):
        orientation.add(np.array(told["affine"], float), image.affine[:3], told["file"])
        time.add(np.float64([told["tr"]]), [float(image.header["pixdim"][4]) / factor], told["file"])
    return [orientation.tuple(), time.tuple()]
