"""Datasets that presets describe: the workflow on NSD's other experiments, on BIDS, on what fMRIPrep leaves, and on
made-up data with a preset of their own."""

import json
import shlex
import shutil
from pathlib import Path

import makebids
import nibabel as nib
import numpy as np
import pytest
import yaml
from conftest import ROOT, bold, write_nifti
from flow import Flow

from dataset import layout

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

NSD = "nsddata_timeseries/ppdata/subj01/func1pt8mm"
ARRAYS = ("fmri.npy", "meta.npy")


def write(path, text="x"):
    return makebids.write(path, text)


def dry(flow, *targets, **config):
    """What a dry run says, commands included."""
    return flow(*targets, options=["-n", "-p"], **config).text


def command(text, name):
    """The words of the first command with a program of this name."""
    line = next(line for line in text.splitlines() if "Shell command" in line and f"{name} " in line)
    return shlex.split(line)


def given(words, option):
    return [word.removeprefix(f"--{option}=") for word in words if word.startswith(f"--{option}=")]


# NSD: plans on empty files


@pytest.fixture(scope="module")
def nsd_names(tmp_path_factory):
    """The names of NSD: sessions 1 (12 runs) and 21 (14) of subject 3, prffloc and nsdsynthetic, in both spaces."""
    root = tmp_path_factory.mktemp("nsd")
    for space in ("func1pt8mm", "func1mm"):
        place = root / f"nsddata_timeseries/ppdata/subj03/{space}"
        for session, runs in ((1, 12), (21, 14)):
            for run in range(1, runs + 1):
                rest = runs == 14 and run in (1, 14)
                put_run(place, f"session{session:02d}_run{run:02d}", "0" if rest else "7")
        for run in range(1, 13):
            put_run(place, f"prffloc_run{run:02d}")
        for run in range(1, 7):
            write(place / f"design/design_floc_run{run:02d}.tsv", f"0\n{run}\n")
        for run in range(1, 9):
            put_run(place, f"nsdsynthetic_run{run:02d}", "5")
        for roi in ("nsdgeneral", "lh.prf-visualrois", "prf-visualrois", "floc-faces"):
            write(root / f"nsddata/ppdata/subj03/{space}/roi/{roi}.nii.gz")
        write(root / f"nsddata/ppdata/subj03/{space}/prf_R2.nii.gz")
        write(root / f"nsddata_betas/ppdata/subj03/{space}/betas_fithrf_GLMdenoise_RR/ncsnr.nii.gz")
    write(root / "nsddata/freesurfer/subj03/label/prf-visualrois.mgz.ctab", "1 V1v 0 0 0 0\n")
    return root


def put_run(place, name, design=None):
    write(place / f"timeseries/timeseries_{name}.nii.gz")
    write(place / f"motion/motion_{name}.tsv", "0 0 0 0 0 0\n")
    if design:
        write(place / f"design/design_{name}.tsv", f"0\n{design}\n")


@pytest.fixture
def nsd_flow(nsd_names, tmp_path):
    return Flow(tmp_path, {"root": str(nsd_names), "sessions": "1,21"})


@pytest.mark.parametrize(
    "preset, space, folder", [("nsd", "func1pt8mm", "subj03"), ("nsd1mm", "func1mm", "subj03_func1mm")]
)
def test_nsd_at_both_resolutions(nsd_flow, preset, space, folder):
    """A subject that the public loaders do not know to have rest runs: 12 and 12 task runs, and no warning."""
    text = dry(nsd_flow, f"cache/{folder}/general.fmri.npy", layout={"preset": preset}, route="direct")
    words = command(text, "nifti2h5")
    runs = [word.rsplit("/")[-1] for word in words if word.endswith(".nii.gz") and "timeseries_session" in word]
    task = [f"timeseries_session01_run{run:02d}.nii.gz" for run in range(1, 13)]
    assert runs == task + [f"timeseries_session21_run{run:02d}.nii.gz" for run in range(2, 14)]
    assert all(space in word for word in words if "nsddata" in word) and "by the rule" not in text
    assert (
        given(words, "design")
        == [
            f"{nsd_flow.config['root']}/nsddata_timeseries/ppdata/subj03/{space}/design/design_session{{session}}_run{{run}}.tsv"
        ]
        * 2
    )  # of nifti2h5 and hrfshift
    assert given(words, "session") == [] and given(words, "subject") == ["3"]


def test_nsdsynthetic(nsd_flow):
    text = dry(
        nsd_flow, "cache/subj03_nsdsynthetic/general.fmri.npy", layout={"preset": "nsdsynthetic"}, sessions="all"
    )
    words = command(text, "nifti2h5")
    assert [word.rsplit("_")[-1] for word in words if "timeseries_nsdsynthetic" in word] == [
        f"run{run:02d}.nii.gz" for run in range(1, 9)
    ]
    assert given(words, "design")[0].endswith("design_nsdsynthetic_run{run}.tsv")


def test_floc_runs_get_their_designs_in_order(nsd_flow):
    words = command(
        dry(nsd_flow, "cache/subj03_floc/general.fmri.npy", layout={"preset": "nsdfloc"}, sessions="all"), "nifti2h5"
    )
    assert [word[-9:-7] for word in words if "timeseries_prffloc" in word] == ["03", "04", "07", "08", "11", "12"]
    assert [design[-6:-4] for design in given(words, "design")] == ["01", "02", "03", "04", "05", "06"]


def test_prf_runs_have_no_designs(nsd_flow):
    text = dry(nsd_flow, "cache/subj03_prf/general.fmri.npy", layout={"preset": "nsdprf"}, sessions="all")
    words = command(text, "nifti2h5")
    assert [word[-9:-7] for word in words if "timeseries_prffloc" in word] == ["01", "02", "05", "06", "09", "10"]
    assert given(words, "design") == [] and "hrfshift" not in text and "meta.npy" not in text


def test_rois_by_hemisphere_statistic_and_difference(nsd_flow):
    entries = {
        "lhV1": {"file": "prf-visualrois", "labels": ["V1v"], "hemi": "lh"},
        "good": {"file": "nsdgeneral", "where": ["ncsnr > 0.2", "prf_R2 > 10"], "minus": ["lhV1", "floc-faces > 3"]},
    }
    for route, option in (("packed", "roi"), ("direct", "mask")):
        text = dry(nsd_flow, "cache/subj03/good.fmri.npy", rois=entries, route=route)
        words = text.replace("'", "")
        roi = f"{nsd_flow.config['root']}/nsddata/ppdata/subj03/func1pt8mm/roi"
        assert f"--{option}={roi}/nsdgeneral.nii.gz " in words
        assert f"--minus={roi}/lh.prf-visualrois.nii.gz = V1v --minus={roi}/floc-faces.nii.gz > 3" in words
        assert "betas_fithrf_GLMdenoise_RR/ncsnr.nii.gz > 0.2" in words and "func1pt8mm/prf_R2.nii.gz > 10" in words
        assert "--table=" in words and "prf-visualrois.mgz.ctab" in words
    nsd_flow.fails("cache/subj03/x.fmri.npy", options=["-n"], says="no volume nothere", rois={"x": "nothere"})


def test_motion_files_are_confounds(nsd_flow):
    clean = {"confounds": {"columns": "1-6", "expand": ["derivatives"]}}
    text = dry(nsd_flow, "cache/subj03/general.fmri.npy", clean=clean)
    words = command(text, "denoise")
    assert given(words, "confounds")[0].endswith("motion/motion_session{session}_run{run}.tsv")
    assert given(words, "columns") == ["1-6"] and given(words, "expand") == ["derivatives"]
    assert (
        "detrend" not in words and "motion_session21_run13.tsv" in text and "motion_session21_run14.tsv" not in text
    )
    plain = command(dry(nsd_flow, "cache/subj03/general.fmri.npy"), "detrend")
    assert "denoise" not in plain and not any("motion" in word for word in plain)


# BIDS: plans


@pytest.fixture
def raw(tmp_path):
    root = makebids.raw(tmp_path / "ds", ("01", "control01"), ("retest", "test"), scans=False)
    (tmp_path / "work").mkdir()
    write(root / "derivatives/rois/V1.nii.gz")
    return Flow(tmp_path / "work", {"root": str(root), "layout": {"preset": "bids"}, "rois": {"V1": "V1"}})


def root_of(flow):
    return Path(flow.config["root"])


def test_names_get_numbers(raw):
    text = dry(raw)
    assert "retest is 1, test is 2" in text and "control01 is 2" in text
    assert "cache/sub-control01/session_02.h5" in text
    direct = command(dry(raw, "cache/sub-control01/V1.fmri.npy", route="direct"), "nifti2h5")
    assert given(direct, "session") == ["1,1,2,2"] and given(direct, "run") == ["1,2,1,2"]
    assert given(direct, "subject") == ["2"] and given(direct, "tr") == ["1.5"]
    chosen = {"preset": "bids", "numbers": {"session": {"test": 1, "retest": 2}}}
    text = dry(raw, "cache/sub-01/V1.fmri.npy", layout=chosen, sessions="test")
    words = command(text, "nifti2h5")
    assert given(words, "session") == ["1"] and "ses-test" in text and "ses-retest" not in text.split("Job stats")[1]


def test_events_are_inherited(raw, tmp_path):
    root = root_of(raw)
    for path in root.rglob("*_events.tsv"):
        path.unlink()
    write(root / "task-look_events.tsv", makebids.events_text(makebids.events(1)))
    write(
        root / "sub-01/ses-test/sub-01_ses-test_task-look_run-2_events.tsv", makebids.events_text(makebids.events(2))
    )
    words = command(dry(raw, "cache/sub-01/V1.fmri.npy"), "hrfshift")
    assert [design.removeprefix(f"{root}/") for design in given(words, "design")] == [
        "task-look_events.tsv",
        "task-look_events.tsv",
        "task-look_events.tsv",
        "sub-01/ses-test/sub-01_ses-test_task-look_run-2_events.tsv",
    ]
    assert given(words, "categories") == ["cat,face,house"]


def test_events_that_hold_ids(raw):
    """No session needs the events of others, as names do."""
    number = {name: str(7 * i) for i, name in enumerate(makebids.NAMES)}
    for path in root_of(raw).rglob("*_events.tsv"):
        text = path.read_text().replace("trial_type", "image")
        for name, digits in number.items():
            text = text.replace(name, digits)
        path.write_text(text)
    labels = {"column": "image", "ids": "numbers"}
    words = command(dry(raw, "cache/sub-01/V1.fmri.npy", labels=labels), "hrfshift")
    assert given(words, "ids") == ["numbers"] and given(words, "categories") == []


@pytest.mark.parametrize(
    "change, config, says",
    [
        ("task", {}, ["{task} is look, other in the files", "layout: {entities: {task: look}}"]),
        ("no description", {}, ["dataset_description.json: is missing"]),
        ("no events", {}, ["run-2_events.tsv: this design is missing", "layout: designs: null"]),
        ("tr", {}, ["differ in RepetitionTime (1.5, 3)", "pack: tr"]),
        (None, {"labels": {"ids": "numbers", "categories": ["a"]}}, ["ids that are numbers have no categories"]),
        (None, {"layout": {"preset": "bidz"}}, ["bidz.yaml: there is no such preset", "fmriprep"]),
        (None, {"clean": {"confounds": {"columns": "csf"}}}, ["give layout: confounds"]),
        (None, {"rois": {"V1": {"file": "V1", "where": "ncsnr > 0.2"}}}, ["ncsnr", "no volume ncsnr is there"]),
    ],
)
def test_mistakes_are_named(raw, change, config, says):
    root = root_of(raw)
    first = root / "sub-01/ses-test/func/sub-01_ses-test_task-look_run-1_bold.nii.gz"
    about = root / "dataset_description.json"
    if change == "task":
        write(first.parent / "sub-01_ses-test_task-other_run-1_bold.nii.gz")
    elif change == "no description":
        about.unlink()
    elif change == "no events":
        (first.parent / "sub-01_ses-test_task-look_run-2_events.tsv").unlink()
    elif change == "tr":
        write(first.parent / first.name.replace(".nii.gz", ".json"), {"RepetitionTime": 3})
    config = {**config, "layout": {**raw.config["layout"], **config.get("layout", {})}}
    raw.fails("cache/sub-01/V1.fmri.npy", options=["-n"], says=says, **config)


def test_an_entity_that_is_chosen(raw):
    folder = root_of(raw) / "sub-01/ses-test/func"
    write(folder / "sub-01_ses-test_task-other_run-1_bold.nii.gz")
    text = dry(raw, "cache/sub-01/V1.fmri.npy", layout={"preset": "bids", "entities": {"task": "look"}})
    assert "task-other" not in text


def test_runs_left_out_when_allowed(raw):
    (root_of(raw) / "sub-01/ses-test/func/sub-01_ses-test_task-look_run-2_events.tsv").unlink()
    done = raw("cache/sub-01/V1.fmri.npy", options=["-n", "-p"], allow_missing=True)
    assert "left out: " in done.text and "ses-test_task-look_run-2_bold.nii.gz" not in done.text


# fMRIPrep: plans


@pytest.mark.parametrize(
    "how, config, expected",
    [
        ({}, {}, ["0.5"]),  # StartTime 0.75 of a TR of 1.5
        ({"start": None}, {}, ["0.5"]),
        ({"start": 0.6}, {"pack": {"tr": 2}}, ["0.3"]),
        ({"start": 0.6}, {"labels": {"sampled": 0}}, []),
    ],
)
def test_when_volumes_were_sampled(tmp_path, how, config, expected):
    root = makebids.fmriprep(tmp_path / "ds", scans=False, **how)
    flow = Flow(tmp_path, {"root": str(root), "layout": {"preset": "fmriprep"}})
    text = dry(flow, "cache/sub-01/brain.fmri.npy", **config)
    assert given(command(text, "hrfshift"), "sampled") == expected
    assert ("in the middle of their TR" in text) == (how == {"start": None})


def test_spaces_are_chosen(tmp_path):
    root = makebids.fmriprep(tmp_path / "ds", spaces=(None, "MNI", "T1w"), scans=False)
    flow = Flow(tmp_path, {"root": str(root)})
    says = "{space} is MNI, T1w, none in the files"
    flow.fails("cache/sub-01/brain.fmri.npy", options=["-n"], says=says, layout={"preset": "fmriprep"})
    for space in (None, "T1w"):
        chosen = {"preset": "fmriprep", "entities": {"space": space}}
        words = command(dry(flow, "cache/sub-01/brain.fmri.npy", layout=chosen), "nifti2h5")
        scans = [word for word in words if word.endswith("_bold.nii.gz")]
        assert len(scans) == 2 and all(("_space-T1w" in word) == (space == "T1w") for word in scans)
        assert all("_space-T1w" in word for word in given(words, "mask")) == (space == "T1w")


def test_derivatives_may_be_anywhere(tmp_path):
    root = makebids.fmriprep(tmp_path / "ds", scans=False)
    (tmp_path / "else where").mkdir()
    shutil.move(root / "derivatives/fmriprep", tmp_path / "else where/out [1]")
    flow = Flow(tmp_path, {"root": str(root)})
    moved = {"preset": "fmriprep", "derivatives": str(tmp_path / "else where/out [1]")}
    assert "out [1]/sub-01/func/sub-01_task-look_run-2_space-MNI" in dry(flow, layout=moved)
    flow.fails(options=["-n"], says="derivatives/fmriprep/dataset_description.json", layout={"preset": "fmriprep"})


# Real runs


@pytest.fixture(scope="module")
def prepared(run, tmp_path_factory):
    """What fMRIPrep would leave of two subjects, one of them without a number, and of sessions with names."""
    root = makebids.fmriprep(tmp_path_factory.mktemp("prepared") / "ds", ("01", "control01"), ("retest", "test"))
    return root


def arrays(flow, name):
    fmri, meta = (np.load(flow.path(f"cache/{name}.{what}")) for what in ARRAYS)
    return fmri, meta, json.loads(flow.bytes(f"cache/{name}.json"))


def folded(path):
    return nib.load(path).get_fdata()


def runs_of(subject):
    """(session number, run number, seed) in the order of the arrays; seeds are those of the writer."""
    first = {"01": 0, "control01": 4}[subject]
    return [(s, r, first + 2 * (s - 1) + r - 1) for s in (1, 2) for r in (1, 2)]


def test_fmriprep_to_arrays(prepared, tmp_path):
    config = {"root": str(prepared), "layout": {"preset": "fmriprep"}, "clean": {"order": None, "method": "none"}}
    packed, direct = (Flow(tmp_path / route, {**config, "route": route}) for route in ("packed", "direct"))
    for flow in (packed, direct):
        flow.folder.mkdir()
        flow("cache/sub-control01/brain.fmri.npy")
    assert all(
        packed.bytes(f"cache/sub-control01/brain.{w}") == direct.bytes(f"cache/sub-control01/brain.{w}")
        for w in ARRAYS
    )
    fmri, meta, about = arrays(packed, "sub-control01/brain")

    # values: those of the union of all masks, as scanned
    out = prepared / "derivatives/fmriprep/sub-control01"
    mask = np.any([folded(path) > 0 for path in sorted(out.rglob("*brain_mask.nii.gz"))], axis=0)
    scans = [folded(path) for path in sorted(out.rglob("*_bold.nii.gz"))]
    assert np.array_equal(fmri, np.concatenate([data[mask].T for data in scans]).astype(np.float32))

    # numbers and labels: by the formula, from the events
    assert about["categories"] == list(makebids.NAMES) and about["tr"] == 1.5
    told = list(zip(meta["session"].tolist(), meta["run"].tolist(), strict=True))
    assert told == [(s, r) for s, r, _ in runs_of("control01") for _ in range(24)]
    assert (meta["subject_idx"] == 2).all()
    delay = round(4.6 / 1.5 - 0.5)
    for s, r, seed in runs_of("control01"):
        rows = meta[(meta["session"] == s) & (meta["run"] == r)]
        shown = np.full(24, -1)
        for onset, duration, name in makebids.events(seed):
            first, last = (int(np.floor(x / 1.5 + 0.5)) + delay for x in (onset, onset + duration))
            shown[max(first, 0) : max(last, 0)] = makebids.NAMES.index(name)
        assert np.array_equal(rows["stimulus"], shown), (s, r)


def test_confounds_and_censoring(prepared, tmp_path):
    """The chain against nilearn, run by run."""
    from nilearn.signal import clean

    cleaning = {
        "confounds": {"columns": ["trans_*", "csf"]},
        "censor": {"conditions": ["framewise_displacement > 0.5"]},
        "high_pass": 0.02,
    }
    flow = Flow(tmp_path, {"root": str(prepared), "layout": {"preset": "fmriprep"}, "clean": cleaning})
    flow("cache/sub-01/brain.fmri.npy", "cache/sub-01/session_01.clean.h5")
    fmri, meta, _ = arrays(flow, "sub-01/brain")
    out = prepared / "derivatives/fmriprep/sub-01"
    mask = np.any([folded(path) > 0 for path in sorted(out.rglob("*brain_mask.nii.gz"))], axis=0)
    for s, r, seed in runs_of("01"):
        name = f"ses-{['retest', 'test'][s - 1]}/func/sub-01_ses-{['retest', 'test'][s - 1]}_task-look_run-{r}"
        data = folded(out / f"{name}_space-MNI_desc-preproc_bold.nii.gz")[mask].T
        table = makebids.confounds(seed)[:, [2, 3, 0]]
        keep = np.delete(np.arange(24), 12)
        how = {"t_r": 1.5, "filter": "cosine", "high_pass": 0.02, "standardize": "zscore_sample", "sample_mask": keep}
        expected = clean(data, confounds=table, detrend=True, **how)
        rows = (meta["session"] == s) & (meta["run"] == r)
        assert meta["time"][rows].tolist() == keep.tolist()
        varied = data.std(axis=0) > 0
        assert np.abs(fmri[rows][:, varied] - expected[:, varied]).max() < 1e-4, (s, r)

    import h5py

    with h5py.File(flow.path("cache/sub-01/session_01.clean.h5")) as file:
        first = np.isin(meta["session"], 1)
        assert np.array_equal(file["metadata"]["stimulus"], meta["stimulus"][first])
        assert np.array_equal(file["fmri"][...][:, : fmri.shape[1]], fmri[first])


@pytest.fixture(scope="module")
def synthetic(run, tmp_path_factory):
    """NSD as synthnsd writes it: one subject, sessions 1 and 2 of two runs, 226 volumes and motion a run."""
    root = tmp_path_factory.mktemp("synthetic") / "nsd"
    run("synthnsd", "--sessions", "1-2", "--runs", "2", "--dims", "12,13,11", "--seed", "3", root)
    return root


def test_motion_is_taken_out_of_nsd(synthetic, tmp_path):
    """225 rows and 226 lines of motion; a delay whose rest moves the data; both routes."""
    from nilearn.signal import clean

    config = {"root": str(synthetic), "sessions": 1, "clean": {"confounds": {"columns": "1-6"}}}
    packed, direct = (Flow(tmp_path / route, {**config, "route": route}) for route in ("packed", "direct"))
    for flow in (packed, direct):
        flow.folder.mkdir()
        flow("cache/subj01/general.fmri.npy")
    assert all(packed.bytes(f"cache/subj01/general.{w}") == direct.bytes(f"cache/subj01/general.{w}") for w in ARRAYS)
    fmri, meta, _ = arrays(packed, "subj01/general")
    mask = folded(synthetic / "nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz") > 0
    for number in (1, 2):
        name = f"session01_run{number:02d}"
        data = folded(synthetic / NSD / f"timeseries/timeseries_{name}.nii.gz")[mask].T[:225]
        motion = np.loadtxt(synthetic / NSD / f"motion/motion_{name}.tsv")
        assert len(motion) == 226
        expected = clean(data, confounds=motion[:225], detrend=True, standardize="zscore_sample", filter=False)
        rows, varied = meta["run"] == number, data.std(axis=0) > 0
        assert np.abs(fmri[rows][:, varied] - expected[:, varied]).max() < 1e-4

    moved = {"shift": "linear", "edges": "hold"}
    for flow in (packed, direct):
        flow("cache/subj01/general.fmri.npy", labels=moved)
    assert packed.bytes("cache/subj01/general.fmri.npy") == direct.bytes("cache/subj01/general.fmri.npy")
    rest = 4.6 / (4 / 3) - 3  # of the delay in TRs
    late = np.load(packed.path("cache/subj01/general.fmri.npy"))[:224]
    assert np.abs(late - ((1 - rest) * fmri[:224] + rest * fmri[1:225])).max() < 1e-4


def test_combinations_of_rois(synthetic, tmp_path):
    place = synthetic / "nsddata/ppdata/subj01/func1pt8mm"
    volumes = {
        name: folded(place / f"roi/{name}.nii.gz") for name in ("nsdgeneral", "prf-visualrois", "lh.prf-visualrois")
    }
    mean = folded(place / "mean.nii.gz")
    level = float(np.median(mean[volumes["nsdgeneral"] > 0]))
    entries = {
        "V1": {"file": "prf-visualrois", "labels": ["V1v", "V1d"]},
        "early": ["V1", "V2"],
        "V2": {"file": "prf-visualrois", "labels": "3-4"},
        "late": {"file": "nsdgeneral", "minus": "early"},
        "loud": {"file": "late", "where": f"mean > {level:g}"},
        "lhV1": {"file": "prf-visualrois", "labels": "1-2", "hemi": "lh"},
        "inside": {"file": "nsdgeneral", "where": ["V1", f"mean <= {level:g}"]},
    }
    general, prf = volumes["nsdgeneral"] > 0, volumes["prf-visualrois"]
    limit = float(f"{level:g}")
    expected = {
        "early": np.isin(prf, [1, 2, 3, 4]),
        "late": general & ~np.isin(prf, [1, 2, 3, 4]),
        "loud": general & ~np.isin(prf, [1, 2, 3, 4]) & (mean > limit),
        "lhV1": np.isin(volumes["lh.prf-visualrois"], [1, 2]),
        "inside": general & np.isin(prf, [1, 2]) & (mean <= limit),
    }
    config = {"root": str(synthetic), "sessions": 1, "rois": entries}
    for route in ("packed", "direct"):
        flow = Flow(tmp_path / route, {**config, "route": route})
        flow.folder.mkdir()
        flow(*(f"cache/subj01/{name}.fmri.npy" for name in expected))
        for name, mask in expected.items():
            about = json.loads(flow.bytes(f"cache/subj01/{name}.json"))
            assert 0 < mask.sum() < general.sum() + (prf > 0).sum()
            assert about["voxels"] == np.flatnonzero(mask).tolist(), (route, name)


MINE = """\
extends: bids
layout:
  standard: null
  sidecars: null
  runs: "{subject}/visit_{session}/[{task}-]run{run}.nii.gz"
  designs: "logs/{subject}_{session}_{run}.txt"
  confounds: "{subject}/visit_{session}/[{task}-]run{run}.par"
  sample_masks: "{subject}/visit_{session}/keep{run}.txt"
  rois: "masks/{roi}.nii.gz"
  folder: "{subject}"
rois:
  half: {file: half, minus: "corner = 2"}
clean:
  order: 0
  confounds: {columns: "1-2"}
labels: {offset: 3, sampled: 0}
"""


def test_a_dataset_of_ones_own(run, tmp_path):
    """A dataset unlike any other, described by a preset that lies beside the user's configuration; rules and schema
    are the project's."""
    root, rng = tmp_path / "data", np.random.default_rng(5)
    write(tmp_path / "mine.yaml", MINE)
    shape, volumes, tables, scans = (7, 6, 5), 20, {}, {}
    for k, (visit, n) in enumerate([("before", 1), ("before", 2), ("then", 1)]):
        scans[k] = bold(shape, volumes, seed=k)
        path = root / f"anna/visit_{visit}/look-run{n}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, scans[k], tr=1.5)
        tables[k] = rng.normal(size=(volumes, 6))
        np.savetxt(root / f"anna/visit_{visit}/look-run{n}.par", tables[k])
        np.savetxt(root / f"anna/visit_{visit}/keep{n}.txt", np.arange(volumes) != 4 + k, fmt="%d")
        write(root / f"logs/anna_{visit}_{n}.txt", "\n".join(str(3 * (t % 5 == 0)) for t in range(volumes)) + "\n")
    half, corner = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    half[1:4, 1:-1, 1:-1], corner[1, 1, 1:4] = 1, 2
    (root / "masks").mkdir()
    for name, volume in (("half", half), ("corner", corner)):
        write_nifti(root / f"masks/{name}.nii.gz", volume)

    flow = Flow(
        tmp_path, {"root": str(root), "layout": {"preset": "./mine.yaml", "numbers": {"session": {"then": 7}}}}
    )
    flow(targets=["arrays", "split"], split={"parts": {"a": 0.5, "b": 0.5}, "by": "run"})
    fmri, meta, _ = arrays(flow, "anna/half")
    from nilearn.signal import clean

    inside = (half == 1) & (corner != 2)
    rows = 0
    for k, (session, number) in enumerate([(8, 1), (8, 2), (7, 1)]):
        keep = np.delete(np.arange(volumes), 4 + k)
        rows = (meta["session"] == session) & (meta["run"] == number)
        assert meta["time"][rows].tolist() == keep.tolist()
        data = scans[k][inside].T.astype(float)
        how = {"sample_mask": keep, "detrend": False, "standardize": "zscore_sample", "filter": False}
        expected = clean(data, confounds=tables[k][:, :2], **how)
        varied = data[keep].std(axis=0) > 0
        assert np.abs(fmri[rows][:, varied] - expected[:, varied]).max() < 1e-4
        onset = [2 if t - 2 >= 0 and (t - 2) % 5 == 0 else -1 for t in keep]
        assert meta["stimulus"][rows].tolist() == onset
    assert len(meta) == 3 * (volumes - 1) and flow.path("cache/anna/half.split.json").exists()


def test_what_nifti2h5_reads_from_names(run, tmp_path):
    """The workflow leaves numbers to nifti2h5 where the names tell them, so both must read them alike."""
    names = ["ses-09_ses-3_run-4_bold", "session2_ses-5_run-run7", "timeseries_prffloc_run03", "ses-test_x_run-12345"]
    for name in names:
        path = write_nifti(tmp_path / f"{name}.nii", bold(volumes=3))
        out = tmp_path / f"{name}.h5"
        run("nifti2h5", path, out)
        told = json.loads(run("boldinfo", "--json", out).text)["runs"][0]
        session, number = layout.told(str(path))
        assert (told["session"], told["run"]) == (session or 1, number or 1), name


def test_the_example_of_haxby_is_a_use_of_a_preset():
    config = yaml.safe_load((ROOT / "config/haxby.yaml").read_text())
    assert config["layout"]["preset"] == "bids"
