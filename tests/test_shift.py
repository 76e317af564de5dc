"""hrfshift --shift, --sampled, --edges: data between two volumes, and labels by the volumes that rows are."""

import json

import h5py
import numpy as np
import pytest
from conftest import ROOT
from oracle import make_run, read_stream, rows_of_design, rows_of_events, write_stream
from shifting import DELAYS, WITNESSES, delay, difference, fidelity, noise, reach, shifted
from test_hrfshift import EVENTS, design, write_design

KINDS = tuple(WITNESSES)
EPS = np.finfo("<f4").eps


def wanted_rows(column, tr, offset, sampled, **how):
    """The rows of a design: its labels delayed by the nearest whole number of TRs, which may be negative."""
    whole = delay(tr, offset, sampled)[0]
    if whole < 0:  # as many rows earlier: a design that began before the run, seen from row -whole on
        rows = rows_of_design([*column, *[0] * -whole], tr=1, offset=0, **how)[-whole:]
        rows["time"] -= -whole
        return rows
    return rows_of_design(column, tr=1, offset=whole, **how)


def pieces(times):
    """Slices of rows whose volumes follow each other."""
    cuts = [0, *(np.flatnonzero(np.diff(times) != 1) + 1), len(times)]
    return [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def is_edge(how, rest, times, width=None):
    before, behind = reach(how, rest, width)
    edge = np.zeros(len(times), bool)
    for piece in pieces(times):
        t = np.arange(piece.stop - piece.start)
        edge[piece] = (t < before) | (len(t) - 1 - t < behind)
    return edge


# Time ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tr", "offset", "sampled"), [*DELAYS, (2.0, 0, 1.0), (2.0, 1.0, 1.0), (1.0, 0, 0)])
def test_labels_are_delayed_by_whole_trs(run, tmp_path, tr, offset, sampled):
    path = write_design(tmp_path / "design.tsv", design())
    stream = write_stream([make_run(noise(0, 60, 3), tr=tr)])
    for how in ("none", "linear"):
        args = ("--design", path, "--offset", offset, "--sampled", sampled, "--shift", how)
        (got,) = read_stream(run("hrfshift", *args, "-", "-", stdin=stream).out)
        wanted = wanted_rows(design(), tr, offset, sampled)
        for field in wanted.dtype.names:
            assert np.array_equal(got.meta[field], wanted[field]), field


@pytest.mark.parametrize("sampled", [0, 0.5])
def test_events_with_sampling(run, tmp_path, sampled):
    EVENTS.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    stream = write_stream([make_run(noise(0, 32, 3), tr=2.5)])
    args = ("--design", tmp_path / "events.tsv", "--offset", 4, "--sampled", sampled)  # 1.6 or 1.1 TRs
    (got,) = read_stream(run("hrfshift", *args, "-", "-", stdin=stream).out)
    wanted = rows_of_events(EVENTS, volumes=32, tr=2.5, offset=2.5 * (2 if sampled == 0 else 1))
    assert np.array_equal(got.meta, wanted)


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize(("tr", "offset", "sampled"), DELAYS)
def test_a_response_lies_where_its_label_is(run, tmp_path, how, tr, offset, sampled):
    """A bump `offset` seconds after its stimulus, sampled as said: its top comes to the row with the label."""
    column, top, rows = np.zeros(60, int), 30, np.arange(60)
    column[top] = 77
    width = 3.0  # rows; slow enough for linear
    bump = 100 * np.exp(-(((rows + sampled) * tr - (top * tr + offset)) ** 2) / (2 * (width * tr) ** 2))
    path = write_design(tmp_path / "design.tsv", column)
    args = ("--design", path, "--offset", offset, "--sampled", sampled, "--dtype", "float64")
    got = shifted(run, bump[:, None] * [1.0, -2.0], how, *args, tr=tr)
    at = int(np.flatnonzero(got.meta["stimulus"] == 76)[0])
    off = 1 - got.data[at] / [100, -200]
    assert (np.abs(off) < {"linear": 2e-2, "cubic": 1e-3, "sinc": 1e-3}[how]).all()
    late = 1 - bump[at] / 100  # what rounding to whole TRs costs
    assert how == "linear" or abs(off[0]) <= late or late < 1e-3


# Data ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize(("tr", "offset", "sampled"), DELAYS)
def test_values_are_those_of_scipy(run, how, tr, offset, sampled):
    data, rest = noise(1, 40, 9), delay(tr, offset, sampled)[1]
    args = ("--offset", offset, "--sampled", sampled, "--dtype", "float64")
    got = shifted(run, data, how, *args, tr=tr)
    assert got.head["dtype"] == "<f8" and got.meta is None
    assert difference(got.data, WITNESSES[how](data, rest))[1] < 1e-12
    edges = sum(reach(how, rest))
    assert got.counts == {"hrfshift.shifted_edges": edges, "hrfshift.nonfinite_samples": 0}


def test_fidelity(run):
    """The bounds of the table in docs/fidelity.md."""
    bounds = {"float64": 1e-12, "float32": 2e-5}
    costs = {("linear", "0.1"): 0.1, ("cubic", "0.1"): 0.01, ("sinc", "0.1"): 0.003, ("sinc", "0.25"): 0.003}
    rows = fidelity(run)
    assert len({name for name, *_ in rows}) == 12 and all(cases > 40000 for _, cases, *_ in rows)
    for name, _, _, relative in rows:
        for word, bound in bounds.items():
            assert word not in name or relative < bound, name
        for (how, top), bound in costs.items():
            assert f" {how}:" not in name or f" {top} cycles" not in name or 1e-5 < relative < bound, name


@pytest.mark.parametrize("width", [2, 3, 12, 32])
def test_width_of_the_sinc(run, width):
    data = noise(2, 90, 5)
    args = ("--sinc-width", width, "--dtype", "float64", "--edges")
    got = shifted(run, data, "sinc", *args, "hold")
    wanted = WITNESSES["sinc"](data, 0.45, width)
    assert difference(got.data, wanted)[1] < 1e-12
    inner = slice(width - 1, len(data) - width)
    assert np.array_equal(shifted(run, data, "sinc", *args, "drop").data, got.data[inner])


@pytest.mark.parametrize("dtype", ["|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"])
def test_every_type_becomes_values(run, dtype):
    data = (np.random.default_rng(3).random((30, 7)) * 100).astype(dtype)
    for to, eps in (("float16", 2**-11), ("float32", EPS), ("float64", 1e-13)):
        got = shifted(run, data, "cubic", "--dtype", to, slope=0.5, inter=-3.0)
        wanted = WITNESSES["cubic"](data.astype(float) * 0.5 - 3, 0.45)
        assert got.data.dtype == to and (got.head["slope"], got.head["inter"]) == (1, 0)
        assert np.abs(got.data - wanted).max() <= eps * np.abs(wanted).max()


def test_too_large_for_float16(run, tmp_path):
    stream = write_stream([make_run(np.full((20, 3), 1e5))])
    args = ("--shift", "linear", "--dtype", "float16", "-", tmp_path / "out.h5")
    run.fails("hrfshift", *args, stdin=stream, says="float16")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("value", [0, 700, 1 / 3, -1e-7, 12345.678])
def test_constants_stay(run, how, value):
    data = np.full((40, 3), value)
    assert np.array_equal(shifted(run, data, how, "--dtype", "float64").data, data)
    assert np.array_equal(shifted(run, data.astype("<f4"), how).data, data.astype("<f4"))


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_samples_take_the_rows_that_reach_them(run, how, bad):
    data = noise(4, 60, 4)
    data[30, 2] = data[31, 2] = bad
    data[0, 3] = bad
    got = shifted(run, data, how)
    before, behind = reach(how, 0.45)
    lost = np.zeros(data.shape, bool)
    lost[30 - behind : 31 + before + 1, 2] = True
    lost[: 1 + before, 3] = True
    assert np.array_equal(np.isnan(got.data), lost) and np.isfinite(got.data[~lost]).all()
    assert got.counts["hrfshift.nonfinite_samples"] == 3


def test_counts_are_those_of_each_run(run):
    runs = [
        make_run(noise(k, 30 + 10 * k, 3), times=list(range(0, (k + 1) * (30 + 10 * k), k + 1)), run=k + 1)
        for k in range(2)
    ]
    runs[0].data[3, 1] = runs[0].data[5, 2] = runs[1].data[9, 0] = np.nan
    got = read_stream(run("hrfshift", "--shift", "linear", "-", "-", stdin=write_stream(runs)).out)
    assert [r.counts["hrfshift.nonfinite_samples"] for r in got] == [2, 1]
    assert [r.counts["hrfshift.shifted_edges"] for r in got] == [1, 40]


@pytest.mark.parametrize("how", KINDS)
def test_nothing_to_move(run, how):
    """A delay of whole TRs, as float32 headers have it: values as they are, whatever the edges."""
    data = np.rint(noise(5, 30, 4)).astype("<i2")
    for edges in ("hold", "drop", "mark"):
        args = ("--offset", 4, "--edges", edges)
        got = shifted(run, data, how, *args, tr=float(np.float32(4 / 3)))
        assert np.array_equal(got.data, data.astype("<f4")) and got.counts["hrfshift.shifted_edges"] == 0


def test_without_shift_nothing_is_touched(run, tmp_path):
    path = write_design(tmp_path / "design.tsv", design())
    data = np.rint(noise(6, 60, 4)).astype("<i2")
    args = ("--design", path, "--edges", "drop", "--dtype", "float64", "--sampled", 0.5)
    got = shifted(run, data, "none", *args, slope=0.25)
    assert np.array_equal(got.data, data) and got.data.dtype == "<i2" and got.head["slope"] == 0.25
    assert got.counts == {}


# Edges and gaps -----------------------------------------------------------------------------------------------------

TIMES = [*range(2, 30), *range(31, 40), 44, 45, *range(50, 90)]


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize(("tr", "offset"), [(4 / 3, 4.6), (1.0, 4.6)])
@pytest.mark.parametrize("gaps", [False, True])
def test_edges(run, tmp_path, how, tr, offset, gaps):
    """Dropped and marked rows are those whose kernel reaches past a piece; all other rows are those of hold."""
    times = np.array(TIMES) if gaps else np.arange(90)
    head = {"times": TIMES} if gaps else {}
    data, rest = noise(7, len(times), 20), delay(tr, offset)[1]
    column = design(rows=90)
    args = ("--design", write_design(tmp_path / "d.tsv", column), "--offset", offset, "--dtype", "float64")
    hold, drop, mark = (
        shifted(run, data, how, *args, "--edges", edges, tr=tr, **head) for edges in ("hold", "drop", "mark")
    )
    for piece in pieces(times):
        assert difference(hold.data[piece], WITNESSES[how](data[piece], rest))[0] < 1e-10
    edge = is_edge(how, rest, times)
    assert 0 < edge.sum() < len(edge)
    assert np.array_equal(drop.data, hold.data[~edge]) and np.array_equal(mark.data[~edge], hold.data[~edge])
    assert np.isnan(mark.data[edge]).all()
    wanted = wanted_rows(column, tr, offset, 0)[times]
    assert np.array_equal(hold.meta, wanted) and np.array_equal(mark.meta, wanted)
    assert np.array_equal(drop.meta, wanted[~edge]) and drop.head["times"] == times[~edge].tolist()
    assert hold.head.get("times") == mark.head.get("times") == head.get("times")
    assert {got.counts["hrfshift.shifted_edges"] for got in (hold, drop, mark)} == {edge.sum()}


def test_all_rows_are_edges(run, tmp_path):
    stream = write_stream([make_run(noise(8, 12, 3), label="short")])
    args = ("--shift", "sinc", "--edges", "drop")
    run.fails("hrfshift", *args, "-", tmp_path / "o.h5", stdin=stream, says=["short", "16", "12", "--edges hold"])
    assert not (tmp_path / "o.h5").exists()
    (got,) = read_stream(run("hrfshift", *args, "--sinc-width", 2, "-", "-", stdin=stream).out)
    assert got.head["rows"] == 9
    (got,) = read_stream(run("hrfshift", *args[:2], "--edges", "mark", "-", "-", stdin=stream).out)
    assert np.isnan(got.data).all() and got.counts["hrfshift.nonfinite_samples"] == 0


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("how", KINDS)
def test_very_short_runs(run, how, rows):
    data = noise(9, rows, 3)
    got = shifted(run, data, how, "--dtype", "float64")
    assert np.abs(got.data - WITNESSES[how](data, 0.45)).max() < 1e-10


def test_a_design_is_as_long_as_the_scan(run, tmp_path):
    """Volumes that have been left out stay in the design; one that ends before the last volume is another run's."""
    data, path = noise(10, len(TIMES), 3), tmp_path / "d.tsv"
    stream = write_stream([make_run(data, times=TIMES)])
    for rows in (90, 95):
        write_design(path, design(rows=rows))
        (got,) = read_stream(run("hrfshift", "--design", path, "-", "-", stdin=stream).out)
        assert np.array_equal(got.meta, rows_of_design(design(rows=rows), tr=1.5)[TIMES])
        assert got.head["times"] == TIMES and np.array_equal(got.data, data)
    write_design(path, design(rows=89))
    args = ("--design", path, "-", tmp_path / "out.h5")
    run.fails("hrfshift", *args, stdin=stream, says=["d.tsv", "89 rows", "volume 89", "left out"])
    assert not (tmp_path / "out.h5").exists()


def test_events_of_runs_with_gaps(run, tmp_path):
    EVENTS.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    times = [0, 1, 2, 5, 6, 7, 8, 14, 15, 16, 31]
    stream = write_stream([make_run(noise(11, len(times), 3), times=times, tr=2.5)])
    (got,) = read_stream(run("hrfshift", "--design", tmp_path / "events.tsv", "-", "-", stdin=stream).out)
    assert np.array_equal(got.meta, rows_of_events(EVENTS, volumes=32, tr=2.5, offset=4.6)[times])


def test_gaps_reach_the_arrays_and_the_windows(run, tmp_path):
    """--edges drop, concat, shuffleidx: times in NAME.json, and no window over what was dropped."""
    column, times = design(rows=90), TIMES
    runs = [make_run(noise(k, len(times), 3), times=times, tr=4 / 3, run=k + 1) for k in range(2)]
    args = ("--design", write_design(tmp_path / "d.tsv", column), "--design", tmp_path / "d.tsv")
    labelled = run("hrfshift", *args, "--shift", "linear", "--edges", "drop", "-", "-", stdin=write_stream(runs)).out
    run("concat", "-", tmp_path / "roi.fmri.npy", stdin=labelled)
    info, meta = json.loads((tmp_path / "roi.json").read_text()), np.load(tmp_path / "roi.meta.npy")
    left = np.array(times)[~is_edge("linear", 0.45, times)]
    assert all(r["times"] == left.tolist() for r in info["runs"]) and meta["time"].tolist() == [*left, *left]
    run("shuffleidx", "--unit", "presentation", "-w", 4, tmp_path / "roi.meta.npy", tmp_path / "i.npy")
    firsts = np.load(tmp_path / "i.npy")
    assert len(firsts) and (np.diff(meta["time"][firsts[:, None] + np.arange(4)], axis=1) == 1).all()


# Moving alone -------------------------------------------------------------------------------------------------------


def test_without_a_design_labels_stay(run, tmp_path):
    """Moving alone, before or after labelling, gives what both at once give."""
    data, column = noise(12, 60, 5), design()
    args = ("--design", write_design(tmp_path / "d.tsv", column))
    move = ("--shift", "cubic", "--edges", "drop")
    both = shifted(run, data, "cubic", "--edges", "drop", *args)
    plain = write_stream([make_run(data, tr=4 / 3)])
    for first, second in ((args, move), (move, args)):
        (got,) = read_stream(run.pipe(("hrfshift", *first, "-", "-"), ("hrfshift", *second, "-", "-"), stdin=plain))
        assert np.array_equal(got.data, both.data) and np.array_equal(got.meta, both.meta)
        assert got.head["times"] == both.head["times"] and len(got.head["steps"]) == 2


def test_provenance(run, tmp_path):
    got = shifted(run, noise(13, 30, 3), "sinc", "--sampled", 0.5)
    (step,) = got.head["steps"]
    said = {key: step["settings"][key] for key in ("shift", "sampled", "offset", "edges", "sinc-width")}
    assert said == {"shift": "sinc", "sampled": 0.5, "offset": 4.6, "edges": "hold", "sinc-width": 8}
    assert step["inputs"] == [] and "threads" not in step["settings"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], ["--design", "--shift"]),
        (["--shift", "none"], "--design"),
        (["--shift", "quintic"], "--shift"),
        (["--shift", "linear", "--edges", "cut"], "--edges"),
        (["--shift", "linear", "--sampled", "1.5"], "--sampled"),
        (["--shift", "linear", "--sampled", "-0.1"], "--sampled"),
        (["--shift", "linear", "--sampled", "mid"], "--sampled"),
        (["--shift", "sinc", "--sinc-width", "1"], "--sinc-width"),
        (["--shift", "sinc", "--sinc-width", "33"], "--sinc-width"),
        (["--shift", "sinc", "--dtype", "int16"], "--dtype"),
    ],
)
def test_usage(run, tmp_path, args, says):
    stream = write_stream([make_run(noise(0, 30, 3))])
    run.fails("hrfshift", *args, "-", tmp_path / "out.h5", stdin=stream, status=2, says=says)
    assert list(tmp_path.iterdir()) == []


# The page -----------------------------------------------------------------------------------------------------------


def page_table(first):
    """Rows of the table in docs/timing.md whose header begins with `first`, as lists of cells."""
    text = (ROOT / "docs/timing.md").read_text()
    lines = text.split(f"\n| {first} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_delays_of_the_page():
    for _, tr, sampled, offset, d, whole, rest, _ in page_table("dataset"):
        tr, offset = (4 / 3 if text == "4/3 s" else float(text.removesuffix(" s")) for text in (tr, offset))
        assert delay(tr, offset, float(sampled)) == pytest.approx((int(whole), float(rest)))
        assert float(d) == pytest.approx(int(whole) + float(rest))


def test_amplitudes_of_the_page(run):
    t, phases = np.arange(2000), np.linspace(0, np.pi, 8)
    inner = slice(40, -40)
    for hz, *wanted in page_table("Hz"):
        omega = 2 * np.pi * float(hz) * 4 / 3
        waves = np.stack([np.sin(omega * t), np.cos(omega * t)], 1)[inner]
        for how, percent in zip(KINDS, wanted, strict=True):
            got = shifted(run, np.sin(omega * t[:, None] + phases), how, "--dtype", "float64").data[inner]
            left = np.hypot(*np.linalg.lstsq(waves, got, rcond=None)[0]).mean()
            assert 100 * left == pytest.approx(float(percent), abs=0.051), (hz, how)


def test_variances_of_the_page(run):
    white = np.random.default_rng(0).standard_normal((2250, 200))
    for rest, *wanted, what in page_table("f"):
        for how, percent in zip(KINDS, wanted, strict=True):
            if what == "white noise":
                got = shifted(run, white, how, "--dtype", "float64", "--offset", 2 + float(rest), tr=1.0).data
                assert 100 * got.var(0).mean() / white.var(0).mean() == pytest.approx(float(percent), abs=0.051)


def test_variances_of_real_scans(run, shared, tmp_path):
    haxby = shared / "haxby"
    if not haxby.is_dir():
        pytest.skip(f"{haxby} is missing: real data are not part of the project")
    scans = sorted(haxby.glob("*_bold.nii.gz"))
    run("nifti2h5", "--mask", haxby / "sub-01_mask.nii.gz", *scans, tmp_path / "packed.h5")
    clean = run.pipe(("detrend", tmp_path / "packed.h5", "-"), ("zscore", "-", "-"))
    for rest, *wanted, what in page_table("f"):
        for how, percent in zip(KINDS, wanted, strict=True):
            if what == "Haxby":
                args = ("--shift", how, "--offset", 2.5 * (2 + float(rest)))
                runs = read_stream(run("hrfshift", *args, "-", "-", stdin=clean).out)
                left = np.mean([r.data[:, r.data.any(0)].var(0, ddof=1, dtype=float).mean() for r in runs])
                assert 100 * left == pytest.approx(float(percent), abs=0.051), (rest, how)


# Bits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", KINDS)
def test_same_bits_for_any_tiles_threads_and_company(run, how):
    data = noise(14, 70, 150).astype("<f4")
    whole = shifted(run, data, how).data
    for tile_cols, threads in ((1, 1), (7, 3), (64, 2), (150, 4)):
        args = ("--threads", threads)
        assert np.array_equal(shifted(run, data, how, *args, tile_cols=tile_cols).data, whole)
    few = [0, 3, 77, 149]
    assert np.array_equal(shifted(run, data[:, few], how).data, whole[:, few])


def test_series_files_are_the_same_for_any_threads(run, tmp_path):
    stream = write_stream([make_run(noise(k, 70, 80), run=k + 1) for k in range(2)])
    for threads in (1, 3):
        out = tmp_path / f"{threads}.h5"
        run("hrfshift", "--shift", "sinc", "--edges", "drop", "--threads", threads, "-", out, stdin=stream)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "3.h5").read_bytes()
    with h5py.File(tmp_path / "1.h5") as f:
        assert f["fmri"].shape == (2 * 55, 80)
