"""applymask: the columns that numpy's data[mask] gives, from masks and label volumes of every form."""

import gzip
import zlib

import numpy as np
import pytest
from conftest import AFFINE, bold, write_nifti
from oracle import make_run, read_stream, write_stream

SHAPE = (7, 6, 5)
TABLE = {1: "V1v", 2: "V1d", 3: "V2v", 5: "hV4"}


@pytest.fixture
def rois(tmp_path):
    """A label volume as NSD has them: -1 outside cortex, 0 unlabelled, 1.. labels; with both kinds of table."""
    volume = np.random.default_rng(2).integers(-1, 6, SHAPE).astype(np.int16)
    write_nifti(tmp_path / "rois.nii.gz", volume)
    ctab = "".join(f"{k:3d}  {name:<10} {k * 20} 10 30 0\n" for k, name in TABLE.items())
    (tmp_path / "rois.mgz.ctab").write_text("# a comment\n  0  Unknown  0 0 0 0\n" + ctab)
    dseg = "".join(f"{k}\t{name}\t#0000ff\n" for k, name in TABLE.items())
    (tmp_path / "rois_dseg.tsv").write_text("index\tname\tcolor\n" + dseg)
    return volume


def brain(absent="zero", **head):
    """A run whose columns are the voxels of a brain, as a stream and as a full (X, Y, Z, T) array."""
    data = bold(SHAPE)
    mask = (data != 0).any(-1)
    how = {"voxels": np.flatnonzero(mask.ravel()), "affine": AFFINE[:3].tolist(), "absent": absent}
    return make_run(data[mask].T, **(how | head)), data


def cut(run, made, *args):
    return read_stream(run("applymask", *args, "-", "-", stdin=write_stream([made])).out)[0]


def expect(got, data, mask):
    assert np.array_equal(got.voxels, np.flatnonzero(mask.ravel()))
    assert np.array_equal(got.data, data[mask].T)
    assert got.data.dtype == data.dtype


def save_mask(path, mask, form):
    if form.endswith((".nii", ".nii.gz")):
        write_nifti(path / form, mask.astype(np.float32 if form == "f.nii" else np.int16))
    else:
        forms = {"bool.npy": mask, "flat.npy": mask.ravel(), "int.npy": mask * 3, "u8.npy": mask.astype("u1")}
        np.save(path / form, forms.get(form, np.asfortranarray(mask)))
    return path / form


@pytest.mark.parametrize(
    "form", ["m.nii", "m.nii.gz", "f.nii", "bool.npy", "flat.npy", "int.npy", "u8.npy", "fort.npy"]
)
def test_forms_of_masks(run, tmp_path, form):
    """Voxels of the mask that are no columns are known to be zero: they come as zeros, as in data[mask]."""
    made, data = brain()
    mask = np.random.default_rng(1).random(SHAPE) < 0.5
    assert (mask & (data == 0).all(-1)).any()
    expect(cut(run, made, "--roi", save_mask(tmp_path, mask, form)), data, mask)


def test_more_than_zero_selects(run, rois, tmp_path):
    made, data = brain()
    expect(cut(run, made, "--roi", tmp_path / "rois.nii.gz"), data, rois > 0)


@pytest.mark.parametrize(
    ("spec", "numbers", "table"),
    [
        ("1", [1], None),
        ("2,4-5", [2, 4, 5], None),
        ("1-3,2", [1, 2, 3], None),
        ("0", [0], None),
        ("V1v,V1d", [1, 2], "rois.mgz.ctab"),
        ("hV4,3", [3, 5], "rois_dseg.tsv"),
        ("V2v", [3], "rois_dseg.tsv"),
    ],
)
def test_labels(run, rois, tmp_path, spec, numbers, table):
    made, data = brain()
    extra = ["--table", tmp_path / table] if table else []
    got = cut(run, made, "--roi", tmp_path / "rois.nii.gz", "--labels", spec, *extra)
    expect(got, data, np.isin(rois, numbers))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("V9", ["V9", "V1v"]),
        ("7", ["rois.nii.gz", "no voxel is 7", "V1v (1): "]),
        ("1,7", ["7"]),
        ("4,6-9", ["6-9"]),
        ("3-1", ["3-1"]),
        ("1,,2", ["1,,2", "empty"]),
        ("1-", ["1-"]),
    ],
)
def test_labels_that_are_not_there(run, rois, tmp_path, spec, says):
    made, _ = brain()
    args = ["--roi", tmp_path / "rois.nii.gz", "--table", tmp_path / "rois_dseg.tsv", "--labels", spec]
    done = run.any("applymask", *args, "-", tmp_path / "out.h5", stdin=write_stream([made]))
    assert done.status in (1, 2) and all(s in done.err for s in says), done.err
    assert not (tmp_path / "out.h5").exists()


# SPECs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stats(tmp_path):
    """A statistic volume with odd values, as ncsnr.nii.gz would be."""
    volume = np.random.default_rng(5).normal(0.3, 0.3, SHAPE).astype(np.float32)
    volume[::3, 1, :] = np.nan
    volume[1, 2, 3], volume[2, 2, 3] = np.inf, -np.inf
    volume[3, :, 2] = 0.2
    write_nifti(tmp_path / "ncsnr.nii.gz", volume)
    return volume


def numpy_where(volume, op, value):
    """What a condition selects, in numpy's words: NaN fulfils none."""
    if isinstance(value, list):
        held = np.isin(volume, value)
        return held if op == "=" else ~held & ~np.isnan(volume)
    ops = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal}
    ops["!="] = np.not_equal
    return ops[op](volume, np.float64(value)) & ~np.isnan(volume)


@pytest.mark.parametrize("op", [">", ">=", "<", "<=", "=", "!="])
@pytest.mark.parametrize("value", ["0", "0.2", "-0.25", "1e-3", "0.20000000298023224"])
def test_conditions_on_a_statistic(run, stats, tmp_path, op, value):
    """0.2 as a double is not what the float32 volume holds: no voxel is = 0.2."""
    made, data = brain()
    mask = numpy_where(stats.astype(float), op, value)
    spec = f"{tmp_path / 'ncsnr.nii.gz'} {op} {value}"
    if mask.any():
        expect(cut(run, made, "--roi", spec), data, mask)
        return
    assert op == "="
    args = ["--roi", spec, "-", tmp_path / "o.h5"]
    run.fails("applymask", *args, stdin=write_stream([made]), says=["ncsnr.nii.gz", "no voxel is "])


LABELS = [("= 1", "=", [1]), ("= 1-3", "=", [1, 2, 3]), ("= V1v,V1d", "=", [1, 2]), ("!= 0,-1", "!=", [0, -1])]
LABELS += [("!= V1v-", None, None), ("> 2", ">", 2), ("= hV4,3", "=", [5, 3]), ("!= 40", "!=", [40])]


@pytest.mark.parametrize(("condition", "op", "value"), LABELS)
@pytest.mark.parametrize("table", ["rois.mgz.ctab", "beside"])
def test_conditions_on_labels(run, rois, tmp_path, condition, op, value, table):
    """With a table, or with the dseg.tsv beside the volume, which is found without being named."""
    made, data = brain()
    name, extra = "rois.nii.gz", ["--table", tmp_path / table]
    if table == "beside":
        name, extra = "rois_dseg.nii.gz", []
        (tmp_path / "rois.nii.gz").rename(tmp_path / name)
    args = ["--roi", f"{tmp_path / name} {condition}", *extra]
    if value is None:
        run.fails("applymask", *args, "-", "-", stdin=write_stream([made]), status=2, says=["V1v-", "V2v"])
        return
    expect(cut(run, made, *args), data, numpy_where(rois, op, value))


def test_labels_do_not_touch_conditions(run, rois, stats, tmp_path):
    """--labels is for --roi files without a condition, and for nothing else."""
    made, data = brain()
    args = ["--roi", tmp_path / "rois.nii.gz", "--labels", "1,2", "--roi", f"{tmp_path / 'rois.nii.gz'} = 5"]
    expect(cut(run, made, *args), data, np.isin(rois, [1, 2, 5]))
    args += ["--where", tmp_path / "ncsnr.nii.gz", "--minus", f"{tmp_path / 'ncsnr.nii.gz'} > 0.5"]
    with np.errstate(invalid="ignore"):
        expect(cut(run, made, *args), data, np.isin(rois, [1, 2, 5]) & (stats > 0) & ~(stats > 0.5))


@pytest.mark.parametrize("combine", ["union", "intersection"])
@pytest.mark.parametrize("how", ["minus", "where", "both", "many"])
def test_union_difference_and_threshold(run, rois, stats, tmp_path, combine, how):
    made, data = brain()
    rng = np.random.default_rng(9)
    other, hole = rng.random(SHAPE) < 0.7, rng.random(SHAPE) < 0.2
    np.save(tmp_path / "other.npy", other)
    np.save(tmp_path / "hole.npy", hole)
    volume, stat = tmp_path / "rois.nii.gz", tmp_path / "ncsnr.nii.gz"
    args = ["--roi", f"{volume} = 1-3", "--roi", tmp_path / "other.npy", "--combine", combine]
    mask = np.isin(rois, [1, 2, 3])
    mask = mask | other if combine == "union" else mask & other
    if how in ("minus", "both", "many"):
        args += ["--minus", tmp_path / "hole.npy"]
        mask &= ~hole
    if how in ("where", "both", "many"):
        args += ["--where", f"{stat} > 0.1"]
        mask &= numpy_where(stats, ">", 0.1)
    if how == "many":
        args += ["--minus", f"{volume} = 3", "--where", f"{stat} <= 0.8", "--where", f"{volume} != 2"]
        mask &= (rois != 3) & numpy_where(stats, "<=", 0.8) & (rois != 2)
    expect(cut(run, made, *args), data, mask)


def test_what_is_taken_away_need_not_be_there(run, rois, tmp_path):
    made, data = brain()
    np.save(tmp_path / "none.npy", np.zeros(SHAPE, bool))
    args = ["--roi", tmp_path / "rois.nii.gz", "--minus", tmp_path / "none.npy"]
    expect(cut(run, made, *args), data, rois > 0)


def test_a_file_whose_name_is_a_condition(run, rois, tmp_path):
    made, data = brain()
    for name in ("a > 1.nii.gz", "a"):
        write_nifti(tmp_path / "a.nii.gz", rois).rename(tmp_path / name)
    expect(cut(run, made, "--roi", tmp_path / "a > 1.nii.gz"), data, rois > 0)
    expect(cut(run, made, "--roi", f"{tmp_path / 'a > 1.nii.gz'} > 2"), data, rois > 2)


EMPTY = {
    "roi": (["--roi", "ncsnr.nii.gz = 77.5"], ["ncsnr.nii.gz", "= 77.5", "not finite"]),
    "nan": (["--roi", "nan.nii != 3"], ["nan.nii", "no finite value"]),
    "both": (["--roi", "rois.nii.gz = 1", "--roi", "rois.nii.gz = 2"], ["--combine union", "rois.nii.gz"]),
    "minus": (["--roi", "rois.nii.gz = 1", "--minus", "rois.nii.gz = 1-2"], ["--minus", "none of the"]),
    "where": (["--roi", "rois.nii.gz", "--where", "rois.nii.gz > 77"], ["--where", "rois.nii.gz > 77", "none of"]),
    "label": (["--roi", "rois.nii.gz", "--where", "rois.nii.gz = 1,8"], ["no voxel is 8", "1: "]),
    "minus-label": (["--roi", "rois.nii.gz", "--minus", "rois.nii.gz = 9"], ["no voxel is 9", "5: "]),
    "name": (["--roi", "rois.nii.gz = V7", "--table", "rois_dseg.tsv"], ["V7", "V1v, V1d, V2v, hV4"]),
    "no-table": (["--roi", "rois.nii.gz = V1v"], ["V1v", "--table"]),
    "no-number": (["--roi", "ncsnr.nii.gz > V1v"], ["V1v", "no number"]),
    "no-value": (["--roi", "ncsnr.nii.gz > "], ["nothing behind"]),
    "no-blank": (["--roi", "ncsnr.nii.gz>0.2"], ["blanks"]),
    "no-file": (["--roi", "other.nii.gz > 0.2"], ["other.nii.gz", "no such file"]),
    "no-roi": (["--where", "ncsnr.nii.gz > 0.2"], ["--roi"]),
    "bad-table": (["--roi", "bad_dseg.nii = 1"], ["bad_dseg.tsv", "line 2"]),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_specs_that_come_to_nothing(run, rois, stats, tmp_path, kind):
    """The error names the step, the condition and what the file holds."""
    made, _ = brain()
    write_nifti(tmp_path / "nan.nii", np.full(SHAPE, np.nan, np.float32))
    write_nifti(tmp_path / "bad_dseg.nii", rois)
    (tmp_path / "bad_dseg.tsv").write_text("index\tname\nx\ty\n")
    args, says = EMPTY[kind]
    combine = ["--combine", "intersection"] if kind == "both" else []
    done = run.any("applymask", *args, *combine, "-", "out.h5", stdin=write_stream([made]), cwd=tmp_path)
    assert done.status in (1, 2) and all(s.lower() in done.err.lower() for s in says), done.err
    assert not (tmp_path / "out.h5").exists()
    counts = {
        "both": [(rois == 1).sum(), (rois == 2).sum()],
        "minus": [(rois == 1).sum()],
        "where": [(rois > 0).sum()],
    }
    assert all(f" {n} voxels" in done.err or f"{n} that" in done.err for n in counts.get(kind, [])), done.err
    label = {"label": (1, 5), "minus-label": (5, 0)}
    for value in label.get(kind, ()):
        assert f"{value}: {(rois == value).sum()}" in done.err, done.err


def test_every_file_that_was_read_is_vouched_for(run, rois, stats, tmp_path):
    """Masks, conditions and tables, the one found beside its volume too, each once, in the order they were read."""
    made, _ = brain()
    (tmp_path / "rois.nii.gz").rename(tmp_path / "rois_dseg.nii.gz")
    np.save(tmp_path / "other.npy", np.ones(SHAPE, bool))
    args = ["--roi", "rois_dseg.nii.gz = V1v,2", "--roi", "rois_dseg.nii.gz = 5", "--minus", "ncsnr.nii.gz > 0.9"]
    args += ["--where", "ncsnr.nii.gz > 0", "--where", "other.npy"]
    (got,) = read_stream(run("applymask", *args, "-", "-", stdin=write_stream([made]), cwd=tmp_path).out)
    (step,) = got.head["steps"]
    names = ["rois_dseg.nii.gz", "rois_dseg.tsv", "ncsnr.nii.gz", "other.npy"]
    opened = {n: (tmp_path / n).read_bytes() for n in names}
    opened = {n: gzip.decompress(b) if n.endswith("gz") else b for n, b in opened.items()}
    assert step["inputs"] == [
        {"path": n, "bytes": len(b), "crc32": f"{zlib.crc32(b):08x}"} for n, b in opened.items()
    ]
    assert step["settings"]["where"] == ["ncsnr.nii.gz > 0", "other.npy"]
    (got,) = read_stream(
        run(
            "applymask", *args[:2], "--table", "rois.mgz.ctab", "-", "-", stdin=write_stream([made]), cwd=tmp_path
        ).out
    )
    assert [i["path"] for i in got.head["steps"][0]["inputs"]] == ["rois_dseg.nii.gz", "rois.mgz.ctab"]


def test_packing_takes_the_same_specs(run, rois, stats, tmp_path):
    """nifti2h5 --mask selects what applymask --roi does, and vouches for the run and for the mask's files."""
    data = bold(SHAPE)
    write_nifti(tmp_path / "run.nii.gz", data)
    (tmp_path / "rois.nii.gz").rename(tmp_path / "rois_dseg.nii.gz")
    args = [
        "--mask",
        "rois_dseg.nii.gz = V1v,V1d,5",
        "--minus",
        "rois_dseg.nii.gz = 5",
        "--where",
        "ncsnr.nii.gz > 0",
    ]
    (got,) = read_stream(run("nifti2h5", *args, "run.nii.gz", "-", cwd=tmp_path).out)
    expect(got, data, np.isin(rois, [1, 2]) & numpy_where(stats, ">", 0))
    names = ["run.nii.gz", "rois_dseg.nii.gz", "rois_dseg.tsv", "ncsnr.nii.gz"]
    assert [i["path"] for i in got.head["steps"][0]["inputs"]] == names
    run.fails("nifti2h5", *args[2:], "run.nii.gz", "-", cwd=tmp_path, status=2, says="--mask")


@pytest.mark.parametrize("combine", ["union", "intersection", None])
def test_several_masks(run, rois, tmp_path, combine):
    made, data = brain()
    others = [np.random.default_rng(k).random(SHAPE) < 0.6 for k in (1, 2)]
    args = ["--roi", tmp_path / "rois.nii.gz"]
    for k, mask in enumerate(others):
        np.save(tmp_path / f"{k}.npy", mask)
        args += ["--roi", tmp_path / f"{k}.npy"]
    masks = [rois > 0, *others]
    mask = np.all(masks, axis=0) if combine == "intersection" else np.any(masks, axis=0)
    expect(cut(run, made, *args, *(["--combine", combine] if combine else [])), data, mask)


@pytest.mark.parametrize("absent", ["zero", "error", "drop"])
@pytest.mark.parametrize("known", ["zero", "unknown"])
def test_voxels_that_are_not_among_the_columns(run, tmp_path, absent, known):
    made, data = brain(known)
    mask = np.random.default_rng(1).random(SHAPE) < 0.5
    inside = mask & (data != 0).any(-1)
    source = tmp_path / "in.npys"
    source.write_bytes(write_stream([made]))
    args = ["--absent", absent, "--roi", save_mask(tmp_path, mask, "bool.npy"), source]
    if absent == "error" or (absent, known) == ("zero", "unknown"):
        run.fails("applymask", *args, "-", says=[int((mask & ~inside).sum())])
        return
    (got,) = read_stream(run("applymask", *args, "-").out)
    expect(got, data, mask if absent == "zero" else inside)
    assert int((mask & ~inside).sum()) in got.counts.values()


def test_unknown_voxels_are_not_made_up(run, tmp_path):
    """Columns cut by a mask say nothing of the rest of the grid: that is an error, not zeros."""
    made, data = brain("unknown")
    mask = np.random.default_rng(1).random(SHAPE) < 0.5
    args = ["--roi", save_mask(tmp_path, mask, "bool.npy"), "-", tmp_path / "out.h5"]
    run.fails("applymask", *args, stdin=write_stream([made]), says="--absent")
    expect(
        cut(run, made, "--roi", save_mask(tmp_path, mask & (data != 0).any(-1), "bool.npy")),
        data,
        mask & (data != 0).any(-1),
    )


def test_what_was_cut_away_is_unknown_afterwards(run, tmp_path):
    made, data = brain()
    first = np.random.default_rng(1).random(SHAPE) < 0.5
    args = ["--roi", save_mask(tmp_path, first, "bool.npy")]
    assert cut(run, made, *args).head["absent"] == "unknown"
    again = first & (np.random.default_rng(2).random(SHAPE) < 0.5)
    np.save(tmp_path / "again.npy", again)
    stages = [("applymask", *args, "-", "-"), ("applymask", "--roi", tmp_path / "again.npy", "-", "-")]
    expect(read_stream(run.pipe(*stages, stdin=write_stream([made])))[0], data, again)


def test_zero_columns_carry_the_scaling(run, tmp_path):
    """A voxel outside is zero as a sample; its value is the intercept, as nibabel would show it."""
    made, data = brain(slope=0.5, inter=3.0)
    mask = np.ones(SHAPE, bool)
    got = cut(run, made, "--roi", save_mask(tmp_path, mask, "bool.npy"))
    assert np.array_equal(got.values, data[mask].T * 0.5 + 3.0)


@pytest.mark.parametrize("tile_cols", [1, 5, 16, 1024])
def test_width_of_tiles(run, tmp_path, tile_cols):
    made, data = brain(tile_cols=tile_cols)
    mask = np.random.default_rng(1).random(SHAPE) < 0.2
    expect(cut(run, made, "--roi", save_mask(tmp_path, mask, "bool.npy")), data, mask)


def test_metadata_and_the_rest_pass(run, tmp_path):
    from oracle import rows_of_design

    meta = rows_of_design([(k % 3 == 0) * (k + 1) for k in range(24)], tr=1.5)
    made, data = brain(meta=meta, session=7, run=3, subject=6, tr=0.8, label="here")
    mask = np.random.default_rng(1).random(SHAPE) < 0.4
    got = cut(run, made, "--roi", save_mask(tmp_path, mask, "bool.npy"))
    expect(got, data, mask)
    assert np.array_equal(got.meta, meta)
    same = ("label", "subject", "session", "run", "rows", "tr", "dims", "affine")
    assert {k: got.head[k] for k in same} == {k: made.head[k] for k in same}


@pytest.mark.parametrize("kind", ["dims", "affine", "npy", "flat", "4d"])
def test_another_grid_is_an_error_that_shows_both(run, tmp_path, kind):
    made, _ = brain()
    mask = np.ones(SHAPE, np.uint8)
    path = tmp_path / ("m.npy" if kind in ("npy", "flat") else "m.nii")
    if kind in ("npy", "flat"):
        np.save(path, mask.transpose(1, 0, 2) if kind == "npy" else mask.ravel()[:-1])
    elif kind == "affine":
        write_nifti(path, mask, affine=AFFINE @ np.diag([1.1, 1, 1, 1]))
    else:
        write_nifti(path, mask[:, :, 1:] if kind == "dims" else np.stack([mask, mask], -1))
    says = {"dims": ["7x6x4", "7x6x5"], "affine": ["1.98x1.8x1.8", "1.8x1.8x1.8"], "npy": ["6x7x5", "7x6x5"]}.get(
        kind, []
    )
    run.fails("applymask", "--roi", path, "-", tmp_path / "o.h5", stdin=write_stream([made]), says=[path.name, *says])
    assert not (tmp_path / "o.h5").exists()


def test_affines_that_differ_by_rounding_are_the_same(run, tmp_path):
    made, data = brain(affine=(AFFINE[:3] + 1e-6).tolist())
    mask = np.random.default_rng(1).random(SHAPE) < 0.4
    expect(cut(run, made, "--roi", save_mask(tmp_path, mask, "m.nii")), data, mask)


@pytest.mark.parametrize("what", ["empty", "outside", "object", "text", "cut", "float-nan"])
def test_masks_that_are_not_right(run, tmp_path, what):
    made, data = brain("unknown")
    path = tmp_path / "m.npy"
    mask = np.zeros(SHAPE, bool) if what == "empty" else (data == 0).all(-1)
    if what == "object":
        np.save(path, np.array([{"a": 1}, None], object), allow_pickle=True)
    elif what == "text":
        path.write_text("1 0 1\n")
    elif what == "float-nan":
        path = write_nifti(tmp_path / "m.nii", np.full(SHAPE, np.nan, np.float32))
    else:
        np.save(path, mask)
        if what == "cut":
            path.write_bytes(path.read_bytes()[:-1])
    args = ["--roi", path, *(["--absent", "drop"] if what == "outside" else [])]
    run.fails("applymask", *args, "-", tmp_path / "o.h5", stdin=write_stream([made]), says=path.name)
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize("kind", [".h5", ".npys", "-"])
def test_many_inputs_come_in_the_order_given(run, tmp_path, kind):
    mask = np.random.default_rng(1).random(SHAPE) < 0.4
    roi = save_mask(tmp_path, mask, "bool.npy")
    paths = []
    for k in (2, 1, 3):
        made, data = brain(session=k)
        paths.append(tmp_path / f"s{k}{'.h5' if k == 1 else '.npys'}")
        stream = write_stream([made])
        if k == 1:
            run("concat", "-", paths[-1], stdin=stream)
        else:
            paths[-1].write_bytes(stream)
    target = "-" if kind == "-" else tmp_path / f"out{kind}"
    done = run("applymask", "--roi", roi, *paths, target)
    out = done.out if kind == "-" else run("concat", target, "-").out
    got = read_stream(out)
    assert [r.head["session"] for r in got] == [2, 1, 3]
    for r in got:
        expect(r, data, mask)


@pytest.mark.parametrize("stages", [("detrend",), ("zscore",), ("detrend", "zscore")])
def test_masking_first_or_last_gives_the_same_bits(run, tmp_path, stages):
    made, _ = brain()
    roi = save_mask(tmp_path, np.random.default_rng(1).random(SHAPE) < 0.4, "bool.npy")
    work = [(name, "-", "-") for name in stages]
    mask = [("applymask", "--roi", roi, "-", "-")]
    first, last = (read_stream(run.pipe(*s, stdin=write_stream([made])))[0] for s in (mask + work, work + mask))
    assert first.data.tobytes() == last.data.tobytes()
    assert np.array_equal(first.voxels, last.voxels)
    assert first.data.any()


def test_runs_of_different_grids(run, tmp_path):
    """The ROI is looked at again where the grid changes, and does not fit."""
    data = np.arange(12, dtype="<f4").reshape(4, 3)
    runs = [make_run(data), make_run(data, run=2), make_run(data, run=3, dims=[6, 6, 6])]
    np.save(tmp_path / "roi.npy", np.ones((7, 6, 5), bool))
    args = ["--roi", tmp_path / "roi.npy", "-", tmp_path / "out.npys"]
    run.fails("applymask", *args, stdin=write_stream(runs), says=["roi.npy", "7x6x5", "6x6x6"])
    assert not (tmp_path / "out.npys").exists()


def test_an_output_that_fails_at_the_last_columns(run, tmp_path):
    """Voxels behind all that the series has are settled when the run ends; then the only tile is written."""
    np.save(tmp_path / "roi.npy", np.ones((7, 6, 5), bool))
    stream = write_stream([make_run(np.ones((400, 3), "<f4"))])
    with open("/dev/full", "wb") as full:
        run.fails(
            "applymask", "--roi", tmp_path / "roi.npy", "-", "-", stdin=stream, stdout=full, says="standard output"
        )


@pytest.mark.parametrize("option", [["--minus", "a.npy"], ["--table", "t.ctab"], ["--labels", "1"]])
def test_more_of_a_mask_that_is_not_there(run, tmp_path, option):
    run.fails(
        "applymask", *option, "in.npys", "out.npys", status=2, says="say more of a --roi; give one", cwd=tmp_path
    )


@pytest.mark.parametrize(("text", "says"), [("", "names no labels"), (None, "cannot open")])
def test_tables_of_names_that_are_none(run, tmp_path, text, says):
    np.save(tmp_path / "roi.npy", np.ones((7, 6, 5), bool))
    if text is not None:
        (tmp_path / "t.ctab").write_text(text)
    args = ["--roi", tmp_path / "roi.npy", "--table", tmp_path / "t.ctab", "-", tmp_path / "out.npys"]
    stream = write_stream([make_run(np.ones((4, 3), "<f4"))])
    run.fails("applymask", *args, stdin=stream, says=["t.ctab", says])
    assert not (tmp_path / "out.npys").exists()
