"""ROIs and descriptions against numpy and nibabel, in numbers: rows for docs/fidelity.md.

rois(run, folder, cases) makes random volumes, tables and conditions, cuts a series with applymask, and compares with
numpy's data[mask] on what nibabel reads. Each row is (name, cases, largest absolute, largest relative difference) of
the values of all columns; a wrong voxel counts as infinitely different. For the range and the mean the relative
difference is that to the largest value.
"""

import json

import nibabel as nib
import numpy as np
from conftest import AFFINE, write_nifti
from oracle import make_run, read_stream, write_stream

SHAPE = (9, 8, 7)
NAMES = ["V1v", "V1d", "V2v", "V2d", "left hippocampus", "8-9", "hV4"]
OPS = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal, "!=": np.not_equal}


def volume(path, rng, labels):
    """A random label or statistic volume of a random type, byte order, scaling and form; its values, by nibabel."""
    if labels:
        data = rng.integers(-1, len(NAMES) + 1, SHAPE).astype(rng.choice(["i1", "i2", "i4", "f4", "f8", "i8"]))
    elif rng.random() < 0.5:
        data = rng.normal(0, 0.5, SHAPE).astype(rng.choice(["f4", "f8"]))
        data[rng.random(SHAPE) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    else:
        data = rng.integers(-100, 100, SHAPE).astype("i2")
    how = {"endian": str(rng.choice(["<", ">"])), "version": int(rng.integers(1, 3))}
    if not labels and data.dtype.kind == "i":
        how |= {
            "slope": float(np.float32(rng.uniform(0.001, 0.01))),
            "inter": float(np.float32(rng.uniform(-0.5, 0.5))),
        }
    write_nifti(path, data, **how)
    return np.asarray(nib.load(path).get_fdata(dtype=np.float64))


def tables(folder, stem):
    """The same names as a FreeSurfer colour table, beside the volume as BIDS has it, and as two columns."""
    named = list(enumerate(NAMES, 1))
    plain = [(k, name) for k, name in named if " " not in name]
    (folder / f"{stem}.ctab").write_text("# names\n" + "".join(f"{k:3d}  {n:<12} {k} 0 255 0\n" for k, n in plain))
    (folder / f"{stem}_dseg.tsv").write_text("index\tname\tcolor\n" + "".join(f"{k}\t{n}\t#fff\n" for k, n in named))
    (folder / f"{stem}.txt").write_text("".join(f"{k}\t{n}\n" for k, n in named))


def some_labels(rng, by_name):
    chosen = rng.choice(len(NAMES), rng.integers(1, 4), replace=False) + 1
    words = [NAMES[k - 1] if by_name and rng.random() < 0.8 else str(k) for k in chosen]
    return ",".join(words), np.asarray(chosen)


def condition(rng, values, labels, by_name=False):
    """(text, flags by numpy) of a random condition; NaN fulfils none."""
    if labels:
        op = str(rng.choice(["=", "=", "!="]))
        text, chosen = some_labels(rng, by_name)
        held = np.isin(values, chosen)
        return f"{op} {text}", held if op == "=" else ~held & ~np.isnan(values)
    op = str(rng.choice(list(OPS)))
    finite = values[np.isfinite(values)]
    number = float(rng.choice(finite)) if rng.random() < 0.3 else float(rng.normal(0, 0.2))
    with np.errstate(invalid="ignore"):
        return f"{op} {number!r}", OPS[op](values, number) & ~np.isnan(values)


def label_condition(rng, folder, stem, how):
    """(spec, options, flags) of labels by number, or by name with one of the tables."""
    name = f"{stem}_dseg.nii.gz" if how == "dseg.tsv" else f"{stem}.nii"
    values = volume(folder / name, rng, True)
    if how in ("numbers", "--labels"):
        text, flags = condition(rng, values, True)
        while how == "--labels" and text.startswith("!"):
            text, flags = condition(rng, values, True)
        if how == "--labels":
            return str(folder / name), ["--labels", text[2:]], flags
        return f"{folder / name} {text}", [], flags
    text, flags = condition(rng, values, True, by_name=True)
    if how == "colour table":
        while "hippocampus" in text:
            text, flags = condition(rng, values, True, by_name=True)
        return f"{folder / name} {text}", ["--table", folder / f"{stem}.ctab"], flags
    return f"{folder / name} {text}", ["--table", folder / f"{stem}.txt"] if how == "two columns" else [], flags


def arguments(rng, folder, stem, kind):
    """A random call of applymask, and the mask that numpy says; None where a --roi alone selects nothing."""
    if kind in ("numbers", "--labels", "colour table", "dseg.tsv", "two columns"):
        spec, options, mask = label_condition(rng, folder, stem, kind)
        return ["--roi", spec, *options], mask
    stat = volume(folder / f"{stem}_stat.nii.gz", rng, False)
    text, mask = condition(rng, stat, False)
    spec = f"{folder / f'{stem}_stat.nii.gz'} {text}"
    if kind == "thresholds":
        return ["--roi", spec], mask
    other = rng.random(SHAPE) < 0.7
    np.save(folder / f"{stem}.npy", np.asfortranarray(other) if rng.random() < 0.5 else other)
    if kind in ("union", "intersection"):
        args = ["--roi", folder / f"{stem}.npy", "--roi", spec, "--combine", kind]
        both = other | mask if kind == "union" else other & mask
        return args, both if mask.any() else None
    label_spec, options, labelled = label_condition(rng, folder, stem, "dseg.tsv")
    args = ["--roi", folder / f"{stem}.npy", *options, "--minus", label_spec, "--where", spec]
    return args, other & ~labelled & mask


def difference(got, wanted, voxels, mask):
    if not np.array_equal(voxels, np.flatnonzero(mask)) or got.shape != wanted.shape:
        return np.inf, np.inf
    off = np.abs(got - wanted)
    return off.max(initial=0), (off / np.maximum(np.abs(wanted), np.finfo(float).tiny)).max(initial=0)


def compare_cut(run, folder, rng, kind, k, series):
    """One call of applymask; None where nothing is selected, which must be an error."""
    blob, data = series
    stem = f"{k}"
    tables(folder, stem)
    args, mask = arguments(rng, folder, stem, kind)
    if mask is None or not mask.any():
        run.fails("applymask", *args, "-", "-", stdin=blob)
        return None
    (cut,) = read_stream(run("applymask", *args, "-", "-", stdin=blob).out)
    return difference(cut.values, data[mask].T.astype(float), cut.voxels, mask)


def compare_counts(run, folder, rng, k):
    """Voxels of each label, and names, as boldinfo lists them."""
    tables(folder, f"{k}")
    path = folder / f"{k}_dseg.nii.gz"
    values = volume(path, rng, True)
    info = json.loads(run("boldinfo", "--json", path).text)
    found = {(label["value"], label.get("name")): label["voxels"] for label in info["labels"]}
    names = dict(enumerate(NAMES, 1))
    wanted = {(v, names.get(v)): int((values == v).sum()) for v in {*map(int, np.unique(values)), *names}}
    off = 0.0 if found == wanted else np.inf
    return off, off


def compare_values(run, folder, rng, k):
    """Smallest, largest and mean value, and what is not finite, as --values tells them."""
    path = folder / f"{k}_stat.nii.gz"
    values = volume(path, rng, False)
    told = json.loads(run("boldinfo", "--json", path).text)["values"]
    finite = values[np.isfinite(values)]
    if told["nonfinite_samples"] != values.size - finite.size or told["zero_voxels"] != (values == 0).sum():
        return np.inf, np.inf
    wanted = np.array([finite.min(), finite.max(), finite.mean()])
    off = np.abs(np.array([told["min"], told["max"], told["mean"]]) - wanted)
    return off.max(), (off / np.abs(finite).max()).max()


KINDS = ["numbers", "--labels", "colour table", "dseg.tsv", "two columns", "thresholds"]
KINDS += ["union", "intersection", "difference and threshold"]


def rois(run, folder, cases=40, seed=0):
    """The rows. `run` is conftest's Runner, `folder` an empty directory."""
    rng = np.random.default_rng(seed)
    data = rng.integers(-1000, 1000, (*SHAPE, 12)).astype(np.int16)
    series = (
        write_stream(
            [
                make_run(
                    data.reshape(-1, 12).T,
                    voxels=np.arange(data[..., 0].size),
                    dims=list(SHAPE),
                    affine=AFFINE[:3].tolist(),
                )
            ]
        ),
        data,
    )
    rows = []
    for kind in KINDS:
        found = [compare_cut(run, folder, rng, kind, k, series) for k in range(cases)]
        rows.append((f"ROI: {kind}", [f for f in found if f]))
    rows.append(("boldinfo: voxels of each label", [compare_counts(run, folder, rng, k) for k in range(cases)]))
    rows.append(("boldinfo: range and mean", [compare_values(run, folder, rng, k) for k in range(cases)]))
    return [(name, len(found), *np.max(found, axis=0).tolist()) for name, found in rows]
