"""The workflow on a small synthetic dataset: what it plans, what it makes, what it makes again."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import product

import numpy as np
import pytest
import yaml
from conftest import BIN, PATIENCE, ROOT
from flow import ENV, Flow

from configuration import presets

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")

SERIES = "nsddata_timeseries/ppdata/subj{:02d}/func1pt8mm/timeseries/timeseries_session{:02d}_run{:02d}.nii.gz"
DESIGN = "nsddata_timeseries/ppdata/subj{:02d}/func1pt8mm/design/design_session{:02d}_run{:02d}.tsv"
ROI = "nsddata/ppdata/subj{:02d}/func1pt8mm/roi/{}.nii.gz"
GENERAL = "cache/subj01/general.fmri.npy"
V1 = {"file": "prf-visualrois", "labels": ["V1v", "V1d"]}
ARRAYS = ("fmri.npy", "meta.npy")


# Settings


def schema_keys(schema, where=""):
    for key, entry in schema.get("properties", {}).items():
        yield f"{where}{key}", entry
        yield from schema_keys(entry, f"{where}{key}.")


def defaults(schema):
    if "properties" not in schema:
        return schema["default"]
    return {key: defaults(entry) for key, entry in schema["properties"].items()}


@pytest.fixture(scope="module")
def schema():
    return yaml.safe_load((ROOT / "config/schema.yaml").read_text())


def test_every_key_has_a_description_and_a_default(schema):
    for key, entry in schema_keys(schema):
        assert len(entry.get("description", "")) > 10 and "default" in entry, key


def uncommented(text):
    """config.yaml with the settings that stand there as comments; other comments begin with "# " or hold no key."""
    return re.sub(r"^#(?=(?:  )*\w+:|(?:  )+# )", "", text, flags=re.MULTILINE)


def test_config_yaml_holds_the_defaults(schema):
    text = (ROOT / "config.yaml").read_text()
    shown = yaml.safe_load(uncommented(text))
    preset = presets.combined(presets.read("nsd", str(ROOT / "config/presets")))
    expected = presets.merged(defaults(schema), preset)
    assert {**shown, "layout": None} == {**expected, "layout": None}
    assert shown["layout"].items() <= expected["layout"].items()


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "config/presets").glob("*.yaml")))
def test_config_yaml_leaves_presets_their_say(name):
    preset = presets.combined(presets.read(name, str(ROOT / "config/presets")))
    given = yaml.safe_load((ROOT / "config.yaml").read_text())
    whole = presets.merged(preset, given)
    del whole["layout"]["preset"]
    assert {key: whole[key] for key in preset} == preset


def test_profiles_know_only_options_that_there_are():
    from snakemake.cli import get_argument_parser

    known = {action.dest for action in get_argument_parser()._actions}
    for profile in ("default", "slurm", "generic"):
        settings = yaml.safe_load((ROOT / f"profiles/{profile}/config.yaml").read_text())
        assert {key.replace("-", "_") for key in settings} <= known, profile


def test_lint():
    lint = [sys.executable, "-m", "snakemake", "--lint"]
    done = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode == 0 and "Congratulations" in done.stderr + done.stdout, done.stderr


def test_format():
    pytest.importorskip("snakefmt", reason="snakefmt is not installed")
    check = [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "rules"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Plans, on empty files: no program runs


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A tree with the names of NSD and next to nothing in the files: subjects 1 (sessions 1, 2) and 2 (1 to 3).
    Session 2 of subject 1 begins and ends with rest."""
    root = tmp_path_factory.mktemp("names")
    for subject, sessions in ((1, (1, 2)), (2, (1, 2, 3))):
        for session, run in product(sessions, range(1, 5)):
            rest = (subject, session) == (1, 2) and run in (1, 4)
            write(root / SERIES.format(subject, session, run), "scan")
            write(root / DESIGN.format(subject, session, run), "0\n" * 4 + ("0\n" if rest else "7\n"))
        for odd in ("timeseries/timeseries_prffloc_run01.nii.gz", "timeseries/timeseries_nsdsynthetic_run01.nii.gz"):
            write(root / f"nsddata_timeseries/ppdata/subj{subject:02d}/func1pt8mm/{odd}", "other")
        for roi in ("nsdgeneral", "prf-visualrois", "lh.streams"):
            write(root / ROI.format(subject, roi), "roi")
        write(root / f"nsddata/freesurfer/subj{subject:02d}/label/prf-visualrois.mgz.ctab", "1 V1v 0 0 0 0\n")
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def plan(names, tmp_path):
    return Flow(tmp_path, {"root": str(names)})


def packs(*sessions):
    return [("pack", f"session_{session:02d}.h5") for session in sessions]


@pytest.mark.parametrize("route", ["packed", "direct"])
@pytest.mark.parametrize("sessions", ["all", "1-2", [2]])
@pytest.mark.parametrize("subjects", [[1], "1,2"])
def test_plan_of_everything(plan, route, sessions, subjects):
    rois = {"general": "nsdgeneral", "V1": V1}
    jobs = plan.plan(route=route, sessions=sessions, subjects=subjects, rois=rois)
    expected = []
    for subject in {"1,2": [1, 2]}.get(str(subjects), [1]):
        found = {"all": [1, 2, 3][: subject + 1], "1-2": [1, 2], "[2]": [2]}[str(sessions)]
        expected += packs(*found) if route == "packed" else []
        expected += [("arrays", f"{roi}.fmri.npy") for roi in rois]
    assert jobs == sorted(expected)


def test_plan_of_every_kind_of_target(plan):
    jobs = plan.plan(subjects=2, sessions=3, targets=["arrays", "shuffle", "split", "packed", "clean"])
    assert jobs == sorted(
        [
            *packs(3),
            ("clean", "session_03.clean.h5"),
            ("arrays", "general.fmri.npy"),
            ("shuffle", "general.shuffle.npy"),
            ("split", "general.split.train.npy"),
        ]
    )


def test_rest_runs_and_other_scans_are_left_out(plan, names):
    text = plan("cache/subj01/session_02.h5", options=["-n", "-p"]).text
    assert "1,4 is rest by the designs and none by the rule" in text
    command = next(line for line in text.splitlines() if "Shell command" in line)
    assert [f"run{run:02d}.nii" in command for run in range(1, 5)] == [False, True, True, False]
    assert "prffloc" not in text and "nsdsynthetic" not in text


def test_unlisted_rois_and_indices_by_name(plan):
    targets = [f"cache/subj02/lh.streams.{what}" for what in ("meta.npy", "shuffle.json", "split.val-2-of-2.npy")]
    jobs = plan.plan(*targets, route="direct", shuffle={"shards": 2})
    assert jobs == [
        ("arrays", "lh.streams.fmri.npy"),
        ("shuffle", "lh.streams.shuffle-1-of-2.npy"),
        ("split", "lh.streams.split.train-1-of-2.npy"),
    ]


@pytest.mark.parametrize(
    "target, config, says",
    [
        ("cache/subj01/nothere.fmri.npy", {}, ["subj01/func1pt8mm/roi/nothere.nii.gz"]),
        ("cache/subj09/general.fmri.npy", {}, ["no run of subject 09 is there"]),
        (GENERAL, {"sessions": "1-3"}, ["timeseries_session03", "no run of session 3 is there"]),
        (GENERAL, {"runs": "1-5"}, ["timeseries_session01_run05.nii.gz: this run is missing"]),
        (GENERAL, {"sessions": "1-x"}, ['sessions: "1-x" is neither a number nor a range']),
        (GENERAL, {"rout": "direct"}, ["rout: there is no such key; did you mean route?"]),
        (GENERAL, {"labels": {"offsett": 4}}, ["labels: offsett: there is no such key; did you mean offset?"]),
        (GENERAL, {"root": "nowhere"}, ["nowhere/nsddata_timeseries"]),
        ("", {"root": "nowhere"}, ["correct root or layout"]),
    ],
)
def test_mistakes_are_named(plan, target, config, says):
    plan.fails(*filter(None, [target]), options=["-n"], says=says, **config)


def test_names_that_yaml_takes_for_something_else(names, tmp_path):
    """no is false to YAML: an ROI of that name would come out as False.fmri.npy. A date is its text."""
    (tmp_path / "some.yaml").write_text("rois:\n  no: nsdgeneral\n")
    flow = Flow(tmp_path, {"root": str(names)}, tmp_path / "some.yaml")
    flow.fails(options=["-n"], says=['config: "False" is no name', "put the name in quotes"])
    (tmp_path / "some.yaml").write_text("subjects: 1\nrois:\n  'no': nsdgeneral\n  2020-01-02: nsdgeneral\n")
    assert [name for rule, name in flow.plan() if rule == "arrays"] == ["2020-01-02.fmri.npy", "no.fmri.npy"]


@pytest.mark.parametrize("lost", [SERIES, DESIGN])
def test_what_is_missing_is_an_error_or_left_out(plan, names, tmp_path, lost):
    root = tmp_path / "tree"
    shutil.copytree(names, root)
    (root / lost.format(2, 2, 3)).unlink()
    target = "cache/subj02/general.json"
    plan.fails(target, options=["-n"], root=str(root), says=f"{lost.format(2, 2, 3)}: this")
    done = plan(target, options=["-n"], root=str(root), allow_missing=True)
    assert "left out: " in done.text and done.jobs == [("arrays", "general.fmri.npy"), *packs(1, 2, 3)]


def test_make_asks_snakemake_once_for_all_goals():
    goals = ["cache/subj01/a.fmri.npy", "cache/subj01/b.fmri.npy"]
    done = subprocess.run(["make", "-n", *goals], cwd=ROOT, capture_output=True, text=True, env=ENV, check=False)
    calls = [line for line in done.stdout.splitlines() if "snakemake -j" in line]
    assert len(calls) == 1 and all(f"'{goal}'" in calls[0] for goal in goals), done.stdout + done.stderr


# Real runs


def synthesize(run, root, *options):
    run("synthnsd", "--sessions", "1-2", "--runs", "2", "--dims", "12,13,11", "--seed", "7", *options, root)


@pytest.fixture(scope="module")
def tree(run, tmp_path_factory):
    """Two subjects with two sessions of two runs."""
    root = tmp_path_factory.mktemp("tree") / "nsd"
    synthesize(run, root, "--subjects", "1,2")
    return root


@pytest.fixture(scope="module")
def made(tree, tmp_path_factory):
    """A cache where everything has been made from `tree`, by the packed route. Tests leave it as it is."""
    config = {"root": str(tree), "rois": {"general": "nsdgeneral", "V1": V1}}
    config["split"] = {"parts": {"train": 0.5, "test": 0.5}}
    flow = Flow(tmp_path_factory.mktemp("made"), config)
    flow(targets=["arrays", "shuffle", "split", "clean"])
    return flow


def test_everything_is_made(made):
    for subject, roi in product(("subj01", "subj02"), ("general", "V1")):
        fmri, meta = (np.load(made.path(f"cache/{subject}/{roi}.{what}")) for what in ARRAYS)
        assert fmri.dtype == np.float32 and len(fmri) == len(meta) == 4 * 225
        assert set(zip(meta["session"].tolist(), meta["run"].tolist(), strict=True)) == set(product((1, 2), (1, 2)))
        assert (meta["subject_idx"] == int(subject[4:])).all() and np.isfinite(fmri).all() and fmri.any()
        rows = np.load(made.path(f"cache/{subject}/{roi}.shuffle.npy"))
        assert sorted(rows) == list(range(900)) and (np.diff(rows) != 1).any()
        assert made.path(f"cache/{subject}/{roi}.split.train.npy").exists()
        assert json.loads(made.bytes(f"cache/{subject}/{roi}.json"))["fmri"]["shape"] == list(fmri.shape)
    assert made.path("cache/subj02/session_02.clean.h5").exists()
    for what in ("log/subj01/general.log", "benchmark/subj01/general.tsv", "benchmark/subj02/session_01.tsv"):
        assert made.path(f"cache/{what}").exists()


def test_cleaned_session_holds_the_same_values(made):
    import h5py

    about = json.loads(made.bytes("cache/subj01/general.json"))
    with h5py.File(made.path("cache/subj01/session_02.clean.h5")) as file:
        voxels, brain = file["voxels"][...], file["fmri"][...]
        rows = file["metadata"][...]
    first = about["sessions"][1]["first_row"]
    general = np.load(made.path(GENERAL))[first:]
    inside = np.isin(about["voxels"], voxels)
    assert np.array_equal(general[:, inside], brain[:, np.searchsorted(voxels, np.array(about["voxels"])[inside])])
    expected = np.load(made.path("cache/subj01/general.meta.npy"))[first:]
    assert all(np.array_equal(rows[name], expected[name]) for name in expected.dtype.names)


def test_direct_route_gives_the_same_bytes(made, tmp_path):
    direct = Flow(tmp_path, {**made.config, "route": "direct"})
    direct(subjects=1)
    assert not direct.path("cache/subj01/session_01.h5").exists()
    for roi, what in product(("general", "V1"), ARRAYS):
        name = f"cache/subj01/{roi}.{what}"
        assert direct.bytes(name) == made.bytes(name), name


def test_a_scratch_folder_of_the_node(made, tmp_path):
    """Outputs are made in it: without the folder jobs fail; with it the bytes are the same and nothing stays."""
    env = made.env | {"NEAR": str(tmp_path / "near")}
    flow = Flow(tmp_path, {**made.config, "scratch": "$NEAR/it's"}, env=env)
    flow.fails(GENERAL, sessions=1, says="near/it's: cannot be created")
    flow.path("near/it's").mkdir(parents=True)
    flow(GENERAL)
    assert all(flow.bytes(name) == made.bytes(name) for name in (GENERAL, "cache/subj01/session_01.h5"))
    assert list(flow.path("near/it's").iterdir()) == []


def test_half_precision(made, tmp_path):
    half = Flow(tmp_path, {**made.config, "route": "direct", "arrays": {"dtype": "float16"}})
    half(GENERAL)
    values = np.load(half.path(GENERAL))
    assert values.dtype == np.float16
    assert np.array_equal(values, np.load(made.path(GENERAL)).astype(np.float16))


def test_odd_names_are_no_commands(tree, made, tmp_path):
    root = tmp_path / 'it\'s $(touch hacked) `touch hacked` [a] "b";&'
    root.symlink_to(tree)
    for route in ("packed", "direct"):
        flow = Flow(tmp_path / f"work {route}", {**made.config, "root": str(root), "route": route, "sessions": 1})
        flow.folder.mkdir()
        flow("cache/subj01/V1.fmri.npy", "cache/subj01/V1.split.json")
        rows = np.load(made.path("cache/subj01/V1.fmri.npy"))[:450]
        assert np.array_equal(np.load(flow.path("cache/subj01/V1.fmri.npy")), rows)
    assert not list(tmp_path.rglob("hacked"))


def test_a_root_that_begins_with_a_dash(tree, tmp_path):
    (tmp_path / "-n").symlink_to(tree)
    flow = Flow(tmp_path, {"root": "-n", "cache": "the cache", "sessions": 1})
    flow("the cache/subj01/general.fmri.npy")


# What is made again


@pytest.fixture
def copy(made, tree, tmp_path):
    """A copy of the cache and of subject 1's data, with the times they had: nothing is to be done."""
    root = tmp_path / "nsd"
    for part in tree.rglob("subj01"):
        shutil.copytree(part, root / part.relative_to(tree))
    flow = Flow(tmp_path / "work", {**made.config, "root": str(root), "subjects": 1})
    flow.folder.mkdir()
    flow(targets=["arrays", "shuffle"])
    return flow, root


BOTH = [("arrays", "V1.fmri.npy"), ("arrays", "general.fmri.npy")]
ORDERS = [("shuffle", "V1.shuffle.npy"), ("shuffle", "general.shuffle.npy")]


def test_only_what_depends_on_a_change_is_made_again(copy):
    flow, root = copy
    everything = {"targets": ["arrays", "shuffle"]}
    assert flow.plan(**everything) == []

    # settings
    assert flow.plan(**everything, labels={"offset": 5.3}) == sorted(BOTH + ORDERS)
    assert flow.plan(**everything, clean={"order": 2}) == sorted(BOTH + ORDERS)
    assert flow.plan(**everything, shuffle={"seed": 1}) == ORDERS
    assert flow.plan(**everything, pack={"store": "plain"}) == sorted(packs(1, 2) + BOTH + ORDERS)
    assert flow.plan(**everything, threads={"pack": 1}) == []
    rois = {"general": "nsdgeneral", "V1": {**V1, "labels": "V1v"}}
    assert flow.plan(**everything, rois=rois) == [BOTH[0], ORDERS[0]]
    assert flow.plan(**everything, sessions=2) == sorted(BOTH + ORDERS)

    # files: what is made again is checked too, as it is the ground for the next change
    rewrite(root / ROI.format(1, "nsdgeneral"))
    assert flow(**everything).jobs == [BOTH[1], ORDERS[1]]
    rewrite(root / SERIES.format(1, 2, 1))
    assert flow(**everything).jobs == sorted(packs(2) + BOTH + ORDERS)
    design = root / DESIGN.format(1, 1, 2)
    design.write_text(design.read_text().replace("\n0\n", "\n9\n", 1))
    assert flow(**everything).jobs == sorted(BOTH + ORDERS)
    assert flow.plan(**everything) == []
    design.write_text("0\n" * 225)
    assert flow.plan(**everything) == sorted(packs(1) + BOTH + ORDERS)


def rewrite(path):
    """The same content in other bytes."""
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=12345))


def test_rebuilding_the_programs_makes_nothing_again(made, tmp_path):
    programs = tmp_path / "bin"
    shutil.copytree(BIN, programs)
    for program in programs.iterdir():
        os.utime(program)
    assert Flow(made.folder, made.config, bin=programs).plan() == []


# Interruptions and failures


@pytest.fixture
def slow(tree, tmp_path):
    """A flow whose nifti2h5 waits at session 2 while a file `wait` is there."""
    programs = tmp_path / "slow"
    shutil.copytree(BIN, programs, symlinks=True)
    (programs / "nifti2h5").rename(programs / "nifti2h5.real")
    (programs / "nifti2h5").write_text(
        f'#!/bin/sh\ncase "$*" in *session_02.h5*) while [ -e {tmp_path}/wait ]; do sleep 0.1; done ;; esac\n'
        f'exec {programs}/nifti2h5.real "$@"\n'
    )
    (programs / "nifti2h5").chmod(0o755)
    (tmp_path / "wait").touch()
    return Flow(tmp_path, {"root": str(tree), "threads": {"pack": 1}}, bin=programs)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_resumes(slow, made, how):
    log = slow.path("said")
    with log.open("wb") as said:
        child = subprocess.Popen(slow.command(GENERAL), stdout=said, stderr=said, env=ENV, start_new_session=True)
    until = time.monotonic() + 60 * PATIENCE
    while "Finished jobid" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(child.pid, how)
    child.wait(60 * PATIENCE)
    slow.path("wait").unlink()
    assert not slow.path(GENERAL).exists()
    if how == signal.SIGKILL:
        slow(options=["--unlock"])
    assert slow(GENERAL).jobs == [BOTH[1], *packs(2)]
    assert slow.bytes(GENERAL) == made.bytes(GENERAL)


@pytest.mark.parametrize("route", ["packed", "direct"])
def test_a_broken_run_stops_the_workflow_and_leaves_nothing(tree, tmp_path, route):
    root = tmp_path / "nsd"
    shutil.copytree(tree, root)
    broken = root / SERIES.format(1, 2, 1)
    broken.write_bytes(broken.read_bytes()[:-9])
    flow = Flow(tmp_path, {"root": str(root), "route": route})
    flow.fails(GENERAL, says=[broken.name, "nifti2h5: "])
    left = (
        {path.name for path in flow.path("cache/subj01").iterdir()} if flow.path("cache/subj01").exists() else set()
    )
    assert left <= {"session_01.h5"}
