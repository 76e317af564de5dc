"""boldqc against numpy, nibabel and nilearn; its files against damage."""

import json
import zlib

import nibabel as nib
import numpy as np
import pytest
from conftest import bold, write_nifti
from oracle import make_run, write_stream


def measured(path):
    """Description, maps, carpet; the checksums are good."""
    info = json.loads(path.read_text())
    for key in ("maps", "carpet"):
        whole = (path.parent / info[key]["file"]).read_bytes()
        assert info[key]["crc32"] == f"{zlib.crc32(whole):08x}"
    maps, carpet = (np.load(path.parent / info[key]["file"]) for key in ("maps", "carpet"))
    assert maps.dtype == np.float32 and carpet.dtype == np.float16
    assert info["maps"]["shape"] == list(maps.shape) and info["carpet"]["shape"] == list(carpet.shape)
    return info, maps, carpet


def trendless(values, order):
    """numpy's own least squares."""
    t = np.linspace(-1, 1, len(values))
    return values - np.polynomial.legendre.legval(t, np.polynomial.legendre.legfit(t, values, order)).T


def expected(runs, order):
    """(mean, sd, tSNR over runs, [tSNR of each run]) of runs as matrices, by the page's definitions."""
    means = [run.mean(0) for run in runs]
    sds = [trendless(run, order).std(0) for run in runs]
    flat = [sd < 1e-9 * np.abs(run).max(0, initial=1) for sd, run in zip(sds, runs, strict=True)]
    sds = [np.where(f, 0, sd) for f, sd in zip(flat, sds, strict=True)]
    tsnr = [np.where(sd > 0, m / np.where(sd > 0, sd, 1), 0) for m, sd in zip(means, sds, strict=True)]
    return np.mean(means, 0), np.sqrt(np.mean(np.square(sds), 0)), np.mean(tsnr, 0), tsnr, flat


@pytest.mark.parametrize("order", [0, 1, 3])
def test_scans(run, session, tmp_path, order):
    """Three runs of integers, with a constant and an exactly linear voxel in each."""
    paths = [path for path, _ in session]
    out = tmp_path / "q.json"
    run.pipe(["nifti2h5", *paths, "-"], ["boldqc", "--order", order, "-", out])
    info, maps, carpet = measured(out)
    images = [np.asarray(nib.load(path).dataobj).astype(float) for path in paths]
    brain = np.any([np.any(image, -1) for image in images], 0)
    matrices = [image[brain].T for image in images]
    mean, sd, tsnr, each, flat = expected(matrices, order)
    ranges = info["voxel_ranges"]
    voxels = np.concatenate([np.arange(a, a + n) for a, n in zip(ranges[::2], ranges[1::2], strict=True)])
    assert np.array_equal(voxels, np.flatnonzero(brain))
    assert np.allclose(maps[0], mean, rtol=1e-6) and np.allclose(maps[1], sd, rtol=1e-6, atol=1e-9)
    assert np.allclose(maps[2], tsnr, rtol=1e-5)
    assert info["carpet"]["columns"] == list(range(voxels.size))  # fewer than 300 voxels: all
    for told, matrix, f, snr in zip(info["runs"], matrices, flat, each, strict=True):
        assert np.array_equal(told["signal"], matrix.sum(1) / voxels.size)  # whole numbers: exact
        change = np.sqrt(np.square(np.diff(matrix, axis=0)).mean(1))
        assert told["dvars"][0] is None and np.allclose(told["dvars"][1:], change, rtol=1e-14)
        assert told["counts"]["boldqc.constant_voxels"] == f.sum() == {0: 1, 1: 2, 3: 2}[order]
        assert told["counts"]["boldqc.nonfinite_samples"] == 0
        assert np.isclose(told["mean"], matrix.mean(), rtol=1e-13)
        assert np.isclose(told["tsnr"], np.median(snr[~f]), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_carpet_and_deviations_are_nilearns(run, tmp_path):
    from nilearn import signal

    data = bold(volumes=60, seed=5)
    path = write_nifti(tmp_path / "run-1_bold.nii.gz", data, slope=0.25, inter=-3)
    run.pipe(["nifti2h5", path, "-"], ["boldqc", "--voxels", 20, "-", tmp_path / "q.json"])
    info, maps, carpet = measured(tmp_path / "q.json")
    values = nib.load(path).get_fdata()[np.any(data, -1)].T
    kept = signal.clean(values, detrend=True, standardize=None, ensure_finite=False)
    assert np.allclose(info["runs"][0]["signal"], values.mean(1), rtol=1e-13)
    assert np.allclose(maps[1], np.where(kept.std(0) > 1e-9, kept.std(0), 0), rtol=1e-5)
    columns = info["carpet"]["columns"]
    assert columns == [int((k + 0.5) * values.shape[1] // 20) for k in range(20)]
    clean = signal.clean(values[:, columns], detrend=True, standardize="zscore", ensure_finite=False)
    varying = kept[:, columns].std(0) > 1e-9
    assert varying.sum() > 15 and np.abs(carpet - clean)[:, varying].max() < 2e-3  # float16
    assert not carpet[:, ~varying].any()


def test_not_finite_and_gaps(run, tmp_path):
    """A voxel with NaN takes no part; a time point behind a gap has no DVARS."""
    rng = np.random.default_rng(1)
    data = rng.normal(100, 5, (12, 40)).astype("<f4")
    data[3, 7], data[4, 7], data[0, 33] = np.nan, np.inf, -np.inf
    times = [0, 1, 2, 5, 6, 7, 8, 9, 10, 12, 13, 14]
    out = tmp_path / "q.json"
    run("boldqc", "-", out, stdin=write_stream([make_run(data, times=times)]))
    info, maps, carpet = measured(out)
    (told,) = info["runs"]
    good = np.isfinite(data).all(0)
    assert good.sum() == 38 and np.array_equal(np.isfinite(maps).all(0), good)
    assert np.allclose(told["signal"], data[:, good].astype(float).mean(1))
    assert [t for t, v in enumerate(told["dvars"]) if v is None] == [0, 3, 9] and told["times"] == times
    change = np.square(np.diff(data[:, good].astype(float), axis=0)).mean(1)
    assert np.isclose(told["dvars"][1], np.sqrt(change[0]))
    assert told["counts"]["boldqc.nonfinite_samples"] == 3
    assert np.array_equal(np.isfinite(carpet).all(0), good) and "nan" not in out.read_text().lower()


def test_nothing_finite(run, tmp_path):
    out = tmp_path / "q.json"
    run("boldqc", "-", out, stdin=write_stream([make_run(np.full((5, 3), np.nan, "<f4"))]))
    info, maps, _ = measured(out)
    (told,) = info["runs"]
    assert told["mean"] is None and told["tsnr"] is None and told["signal"] == [None] * 5 and np.isnan(maps).all()


@pytest.mark.parametrize("cols", [1, 63, 64, 65, 300, 2500])
def test_bytes_do_not_depend_on_threads_or_tiles(run, tmp_path, cols):
    rng = np.random.default_rng(cols)
    data = rng.integers(0, 2000, (30, cols)).astype("<i2")
    whole = [make_run(data, tile_cols=1024, dims=[20, 20, 20])]
    parts = [make_run(data, tile_cols=7, dims=[20, 20, 20])]
    made = []
    for name, runs, threads in (("a", whole, 1), ("b", whole, 5), ("c", parts, 3)):
        folder = tmp_path / name
        folder.mkdir()
        run("boldqc", "--threads", threads, "-", folder / "q.json", stdin=write_stream(runs))
        made.append([(folder / f"q.{end}").read_bytes() for end in ("json", "maps.npy", "carpet.npy")])
    assert made[0] == made[1] == made[2]


def test_packed_and_direct_agree(run, session, tmp_path):
    paths = [path for path, _ in session]
    run("nifti2h5", *paths, tmp_path / "packed.h5")
    run("boldqc", tmp_path / "packed.h5", tmp_path / "a.json")
    run.pipe(["nifti2h5", *paths, "-"], ["boldqc", "-", tmp_path / "b.json"])
    for end in ("maps.npy", "carpet.npy"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()


@pytest.mark.parametrize(
    ("runs", "options", "says"),
    [
        ([make_run(np.ones((2, 3), "<f4"))], ["--order", 2], "too few for order 2"),
        ([make_run(np.ones((9, 3), "<f4")), make_run(np.ones((9, 4), "<f4"), run=2)], [], "give one session"),
        ([make_run(np.ones((9, 3), "<f4")), make_run(np.ones((9, 3), "<f4"), voxels=[1, 2, 9], run=2)], [], "voxel"),
        ([make_run(np.full((9, 3), 1e300))], [], "too large for float32"),
        ([], [], "no run"),
    ],
)
def test_refused(run, tmp_path, runs, options, says):
    run.fails("boldqc", *options, "-", tmp_path / "q.json", stdin=write_stream(runs), says=says)
    assert not list(tmp_path.iterdir())


def test_names(run, session, tmp_path):
    source = session[0][0]
    run("nifti2h5", source, tmp_path / "a.h5")
    run.fails("boldqc", tmp_path / "a.h5", tmp_path / "q.txt", status=2, says=".json")
    run.fails("boldqc", tmp_path / "a.h5", "-", status=2, says=".json")
    run.fails("boldqc", tmp_path / "none.h5", tmp_path / "q.json", says="no such file")
    cut = (tmp_path / "a.h5").read_bytes()[:-100]
    (tmp_path / "cut.h5").write_bytes(cut)
    run.fails("boldqc", tmp_path / "cut.h5", tmp_path / "q.json")
    assert not list(tmp_path.glob("q*"))


def test_boldinfo_tells_and_verifies(run, session, tmp_path):
    out = tmp_path / "q.json"
    run.pipe(["nifti2h5", *(path for path, _ in session), "-"], ["boldqc", "-", out])
    text = run("boldinfo", "--verify", out).text
    assert "quality of 3 runs, 72 time points" in text and "boldqc.constant_voxels" in text and "verified" in text
    for name in ("q.json", "q.maps.npy", "q.carpet.npy"):
        good = (tmp_path / name).read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 4
        (tmp_path / name).write_bytes(bad)
        run.fails("boldinfo", "--verify", out)
        (tmp_path / name).write_bytes(good)
    (tmp_path / "q.maps.npy").unlink()
    run.fails("boldinfo", "--verify", out, says="q.maps.npy")
