"""Files made by somebody who means harm: they are refused, with an error, soon, and in little memory.

Each item of docs/reliability.md, promise 5, has its test here; headers that claim too much are also fuzzed
(tests/fuzz/) and in tests/unit/.
"""

import gzip
import io
import re
import resource
import subprocess
import zlib

import boldmill
import h5py
import numpy as np
import pytest
from conftest import BIN, PATIENCE, ROOT, bold, write_nifti
from oracle import make_run, rows_of_design, write_stream

BOMB = 100 << 20  # bytes of one gzip member of zeros; 300 of them inflate for tens of seconds
FAST = 8 * PATIENCE  # seconds
MEMORY = 1 << 30  # bytes of address space, libraries and the arenas of threads included
SANITIZED = "asan" in BIN.parts or "tsan" in BIN.parts


def refused(run, name, *args, says, **how):
    """The program must end with an error, soon, and in little memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    if SANITIZED:  # they reserve terabytes
        run.fails(name, *args, says=says, **how)
    else:
        command = ["prlimit", f"--as={MEMORY}", run.path(name), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
        assert done.returncode == 1 and done.stderr.startswith(f"{name}: ") and says in done.stderr, done.stderr
        assert "memory" not in done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < FAST


def two_runs(rows=20):
    made = []
    for k in range(2):
        meta = rows_of_design([(t % 3 == 0) * (t + 1) for t in range(rows)], tr=1.5, history=3, run=k + 1)
        made.append(make_run(np.random.default_rng(k).normal(0, 30, (rows, 37)).astype("<f4"), meta=meta, run=k + 1))
    return made


@pytest.fixture
def series(run, tmp_path):
    run("concat", "-", tmp_path / "x.h5", stdin=write_stream(two_runs()))
    return tmp_path / "x.h5"


# HDF5 ---------------------------------------------------------------------

OBJECTS = [
    "run_table",
    "voxels",
    "runs/0002/header",
    "runs/0002/footer",
    "runs/0002/tile_crc32",
    "runs/0002/metadata",
]
OBJECTS += ["runs/0002/fmri"]
UNKNOWN_FILTER = 31999  # HDF5 would look for a plugin


def property_list(data, filter_id=None, chunk=None):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunk or (data.shape if data.ndim > 1 else (len(data),)))
    if filter_id:
        plist.set_filter(filter_id, h5py.h5z.FLAG_OPTIONAL)
    return plist


def put(f, name, data, plist, shape=None):
    space = h5py.h5s.create_simple(shape or data.shape)
    made = h5py.h5d.create(f.id, name.encode(), h5py.h5t.py_create(data.dtype), space, dcpl=plist)
    if shape is None:
        h5py.Dataset(made)[...] = data


def external_link(f, name, data, secret):
    f[name] = h5py.ExternalLink(str(secret), f"/{name}")


def soft_link(f, name, data, secret):
    f["elsewhere"] = data
    f[name] = h5py.SoftLink("/elsewhere")


def virtual(f, name, data, secret):
    layout = h5py.VirtualLayout(shape=data.shape, dtype=data.dtype)
    layout[...] = h5py.VirtualSource(str(secret), name, shape=data.shape)
    f.create_virtual_dataset(name, layout)


def external_storage(f, name, data, secret):
    f.create_dataset(name, shape=data.shape, dtype=data.dtype, external=[(str(secret), 0, data.nbytes)])


def plugin_filter(f, name, data, secret):
    put(f, name, data, property_list(data, UNKNOWN_FILTER))


def absurd_shape(f, name, data, secret):
    shape = (2**50,) if data.ndim == 1 else (data.shape[0], 2**40)
    put(f, name, data, property_list(data), shape=shape)


def absurd_chunk(f, name, data, secret):
    """One chunk of gigabytes, of which next to nothing is stored."""
    shape = (2**28,) if data.ndim == 1 else (data.shape[0], 2**24)
    put(f, name, data, property_list(data, chunk=shape), shape=shape)


def no_storage(f, name, data, secret):
    """As long as the file says, but nothing of it is stored: HDF5 would give zeros."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    put(f, name, data, plist, shape=data.shape)


def inflating(f, name, data, secret):
    """Filters that let a few bytes become many."""
    if data.ndim == 1:
        f.create_dataset(
            name, data=np.concatenate([data, np.zeros((1 << 24) // data.itemsize, data.dtype)]), compression="gzip"
        )
        return
    f.create_dataset(name, data=data, chunks=data.shape, compression="gzip", scaleoffset=3)


TRICKS = (
    external_link,
    soft_link,
    virtual,
    external_storage,
    plugin_filter,
    absurd_shape,
    absurd_chunk,
    no_storage,
    inflating,
)


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
@pytest.mark.parametrize("name", OBJECTS)
def test_series_files_that_reach_out_or_claim_too_much(run, series, tmp_path, name, trick):
    secret = tmp_path / "secret.h5"
    secret.write_bytes(series.read_bytes())
    with h5py.File(series, "r+") as f:
        data = f[name][...]
        del f[name]
        trick(f, name, data, secret)
    refused(run, "concat", series, tmp_path / "out.h5", says="x.h5")
    refused(run, "boldinfo", "--verify", series, says="x.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", [name for name in OBJECTS if not name.endswith(("fmri", "tile_crc32"))])
@pytest.mark.parametrize("what", ["short", "long", "item", "bare"])
def test_chunks_of_another_size_than_they_should_have(run, series, tmp_path, name, what):
    """HDF5 itself would read on behind the end of a chunk that is too small, and make room for any that is large."""
    with h5py.File(series, "r+") as f:
        data = f[name][...]
        del f[name]
        half = (len(data) + 1) // 2
        dtype = np.dtype(f"S{2 * data.itemsize}") if what == "item" else data.dtype
        made = f.create_dataset(name, data.shape, dtype, chunks=(half,), fletcher32=what != "bare")
        plain = half * data.itemsize
        sizes = {"short": (2 * plain + 8, 1), "long": (plain + 4, 2 * plain), "item": (plain + 4, plain + 4)}
        for at, stored in enumerate(sizes.get(what, (plain, plain))):
            made.id.write_direct_chunk((at * half,), bytes(stored), filter_mask=what != "bare")
    refused(run, "concat", series, tmp_path / "out.h5", says=f"{name} is not stored as a series file stores it")


@pytest.mark.parametrize("what", ["bomb", "short", "mask"])
def test_tiles_that_inflate_to_something_else(run, series, tmp_path, what):
    """The tile's own checksum is right; only what it inflates to is not a tile."""
    with h5py.File(series, "r+") as f:
        tiles = f["runs/0002/fmri"]
        wanted = int(np.prod(tiles.chunks)) * tiles.dtype.itemsize
        packed = zlib.compress(bytes({"bomb": BOMB, "short": wanted - 4, "mask": wanted}[what]))
        tiles.id.write_direct_chunk((0, 0), packed, filter_mask=4 if what == "mask" else 0)
        f["runs/0002/tile_crc32"][0] = zlib.crc32(packed)
    refused(run, "concat", series, tmp_path / "out.h5", says="x.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("trick", [t for t in TRICKS if t is not inflating], ids=lambda trick: trick.__name__)
def test_pictures_that_reach_out_or_claim_too_much(tmp_path, trick):
    path, secret = tmp_path / "pictures.hdf5", tmp_path / "secret.h5"
    data = np.random.default_rng(1).integers(0, 255, (4, 8, 8, 3), "u1")
    for each in (path, secret):
        with h5py.File(each, "w") as f:
            f["imgBrick"] = data
    assert np.array_equal(boldmill.Images(path, form="bytes")[[2]][0], data[2].transpose(2, 0, 1))
    with h5py.File(path, "r+") as f:
        del f["imgBrick"]
        if trick in (absurd_shape, absurd_chunk):
            shape = (4, 2**17, 2**17, 3) if trick is absurd_shape else (4, 2**13, 2**13, 3)
            put(f, "imgBrick", data, property_list(data, chunk=(1, 8, 8, 3)), shape=shape)
        elif trick is not no_storage:
            trick(f, "imgBrick", data, secret)
    with pytest.raises(boldmill.Error, match=r"pictures\.hdf5"):
        boldmill.Images(path)[[2]]


# gzip ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def bomb():
    """30 MB of gzip that inflate to 30 GB of zeros, to be put behind something else."""
    member = gzip.compress(bytes(BOMB), 9)
    return member * 300


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["run", "mask", "npy", "stream", "rows", "table", "header", "design"])
def test_gzip_that_inflates_without_end(run, bomb, series, tmp_path, kind):
    """Reading ends soon behind what the header declared."""
    scan = write_nifti(tmp_path / "plain.nii", bold()).read_bytes()
    volume = write_nifti(tmp_path / "volume.nii", np.ones((7, 6, 5), np.uint8)).read_bytes()
    rows = two_runs()[0].meta
    plain, command = {
        "run": (scan, ["nifti2h5", "{}", "out.h5"]),
        "mask": (volume, ["applymask", "--roi", "{}", series, "out.h5"]),
        "npy": (npy(np.ones((7, 6, 5), np.uint8)), ["applymask", "--roi", "{}", series, "out.h5"]),
        "stream": (write_stream(two_runs()), ["concat", "{}", "out.h5"]),
        "rows": (npy(rows), ["shuffleidx", "{}", "out.npy"]),
        "table": (b"a\tb\n" + b"1\t2\n" * 20, ["denoise", "--confounds", "{}", series, "out.h5"]),
        "header": (b"{", ["boldinfo", "{}"]),
        "design": (b"0\n" * 20, ["hrfshift", "--design", "{}", "--design", "{}", series, "out.h5"]),
    }[kind]
    path = tmp_path / {"run": "a.nii.gz", "mask": "m.nii.gz", "npy": "m.npy", "header": "a.json"}.get(kind, "a.gz")
    path.write_bytes(gzip.compress(plain) + bomb)
    refused(run, command[0], *[str(word).format(path) for word in command[1:]], says=path.name, cwd=tmp_path)
    refused(run, "boldinfo", "--verify", path, says=path.name)
    assert not list(tmp_path.glob("out.*"))


# NPY and Python ---------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fmri", "meta"])
def test_arrays_of_objects(run, series, tmp_path, which):
    """np.load could run what is in them; neither the programs nor the package unpickle anything."""
    run("concat", series, tmp_path / "roi.fmri.npy")
    marker = tmp_path / "ran"
    np.save(tmp_path / f"roi.{which}.npy", np.array([Harmful(str(marker))] * 40, object), allow_pickle=True)
    for path in (tmp_path / f"roi.{which}.npy", tmp_path / "roi.json"):
        run.fails("boldinfo", "--verify", path, says=f"roi.{which}.npy")
    with pytest.raises(boldmill.DataError):
        getattr(boldmill.Arrays(tmp_path / "roi"), which)
    assert not marker.exists()


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_unpickles_or_evaluates():
    """In all Python that comes with the project: no pickle files, no eval, no shell, no YAML that makes objects."""
    bad = re.compile(
        r"allow_pickle=True|pickle\.loads?\b|joblib|torch\.load\(|\beval\(|\bexec\(|shell=True|os\.system\(|yaml\.load\("
    )
    folders = ("python", "rules", "make", "examples", "bench", "profiles")
    files = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".smk")]
    found = [
        f"{p.relative_to(ROOT)}: {line}" for p in files for line in p.read_text().splitlines() if bad.search(line)
    ]
    assert len(files) > 20 and not found


@pytest.mark.parametrize(
    "text", ["[" * 100000, '{"boldmill": ' * 50000, '{"a": 1e999999}', "\0" * 5000, "{" + '"a":1,' * 9]
)
def test_descriptions_that_are_traps(run, tmp_path, text):
    (tmp_path / "roi.json").write_text(text)
    with pytest.raises(boldmill.DataError, match=r"roi\.json"):
        boldmill.Arrays(tmp_path / "roi")
    run.fails("boldinfo", tmp_path / "roi.json", says="roi.json")


@pytest.mark.parametrize("item", [b"[],", b"{},", b"1,"])
def test_json_that_is_large_in_memory(run, tmp_path, item):
    """A byte of it can take a hundred: what the text's size allows is not enough."""
    text = b'{"boldmill":"run","x":[' + item * ((60 << 20) // len(item)) + b"1]"
    sealed = text + b',"crc32":"%08x"}' % zlib.crc32(text)
    (tmp_path / "x.json").write_bytes(gzip.compress(sealed, 1))
    np.save(tmp_path / "x.npy", np.frombuffer(text + b"}", "u1"))
    refused(run, "boldinfo", tmp_path / "x.json", says="x.json: holds JSON that takes more than 512 MiB")
    refused(run, "shuffleidx", tmp_path / "x.json", tmp_path / "o.npy", says="x.json: holds JSON that takes more")
    refused(run, "detrend", tmp_path / "x.npy", tmp_path / "o.npys", says="x.npy: holds JSON that takes more")


def test_tables_with_many_names(run, series, tmp_path):
    """Each row's name is looked up among all: not one after the other."""
    names = "".join(f"{i % 20}\t0\tc{i}\n" for i in range(60000))
    (tmp_path / "events.tsv").write_text("onset\tduration\ttrial_type\n" + names * 4 + "x\t0\tc\n")
    refused(run, "hrfshift", "--design", tmp_path / "events.tsv", series, tmp_path / "o.h5", says='onset "x"')


def test_the_programs_load_no_plugins(run, series, tmp_path):
    """Not even where the environment names a folder of plugins."""
    if not subprocess.run(["which", "strace"], capture_output=True, check=False).stdout:
        pytest.skip("strace is not installed")
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "libh5filter.so").write_bytes(b"no library")
    with h5py.File(series, "r+") as f:
        data = f["runs/0002/header"][...]
        del f["runs/0002/header"]
        plugin_filter(f, "runs/0002/header", data, None)
    log = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=open,openat", "-o", log, "env", f"HDF5_PLUGIN_PATH={plugins}"]
    done = subprocess.run([*command, run.path("concat"), series, "-"], capture_output=True, check=False)
    assert done.returncode == 1 and "x.h5" in log.read_text() and "libh5filter" not in log.read_text()
