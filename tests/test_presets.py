"""Presets, what BIDS datasets say about themselves, entries of rois, and pipelines: the other pure functions."""

import json
import re
import textwrap

import pytest
import yaml
from conftest import ROOT

from configuration import presets, stages
from dataset import bids, rois
from dataset.patterns import Pattern

BUILTIN = ROOT / "config/presets"
NAMES = sorted(path.stem for path in BUILTIN.glob("*.yaml"))


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.fixture(scope="module")
def schema():
    return yaml.safe_load((ROOT / "config/schema.yaml").read_text())


# Presets


def read(name, beside="."):
    return presets.combined(presets.read(name, str(BUILTIN), str(beside)))


def test_what_is_above_wins():
    below = {"a": 1, "b": {"c": 2, "d": [3]}, "rois": {"x": "y"}, "layout": {"entities": {"space": "s", "task": "t"}}}
    above = {"b": {"d": [4]}, "rois": {"z": "w"}, "layout": {"entities": {"space": None}, "expect_rest": {}}}
    assert presets.merged(below, above) == {
        "a": 1,
        "b": {"c": 2, "d": [4]},
        "rois": {"z": "w"},
        "layout": {"entities": {"space": None, "task": "t"}, "expect_rest": {}},
    }


@pytest.mark.parametrize("name", NAMES)
def test_presets_fit_the_schema(name, schema):
    import jsonschema

    for _, content in presets.read(name, str(BUILTIN)):
        jsonschema.Draft202012Validator(schema).validate(content)
    layout = read(name)["layout"]
    for key in ("runs", "designs", "confounds", "sidecars", "mask", "rois", "stats", "tables"):
        for text in presets_listed(layout.get(key)):
            pattern = Pattern.parse(text)
            assert " " not in text and (key not in ("runs", "confounds") or "run" in pattern.holes), text


@pytest.mark.parametrize("page, least", [("datasets", 7), ("cleaning", 6), ("workflow", 2), ("download", 4)])
def test_examples_of_the_pages_fit_the_schema(schema, page, least):
    import jsonschema

    text = (ROOT / f"docs/{page}.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    blocks += [
        textwrap.dedent(block) for block in re.findall(r"\n\n((?:    \w+:(?! {2}).*\n(?:      .*\n)*)+)", text)
    ]
    assert len(blocks) >= least
    for block in blocks:
        content = yaml.safe_load(block)
        content.pop("extends", None)
        jsonschema.Draft202012Validator(schema).validate(content)


def test_the_page_knows_all_presets_and_keys(schema):
    text = (ROOT / "docs/datasets.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", text.split("## Patterns")[0], re.M))
    assert named == set(NAMES)
    table = re.findall(r"^\| (`.*?) \|", text.split("## What a preset says")[1].split("##")[0], re.M)
    keys = set(re.findall(r"`(\w+)`", "".join(table)))
    assert keys - {"layout"} == set(schema["properties"]["layout"]["properties"]) - {"preset"}


def presets_listed(value):
    return value if isinstance(value, list) else [value] if value else []


def test_presets_extend_one_another(tmp_path):
    put(tmp_path / "a.yaml", "extends: nsd\nlayout: {folder: 'a{subject}'}\nlabels: {offset: 3}\n")
    put(tmp_path / "more/b.yaml", "extends: ../a.yaml\nlayout: {entities: {space: x}}\nlabels: {offset: 5}\n")
    whole = read("more/b.yaml", tmp_path)
    assert whole["layout"]["folder"] == "a{subject}" and whole["labels"]["offset"] == 5
    assert whole["layout"]["entities"] == {"space": "x"}
    assert whole["layout"]["runs"] == read("nsd")["layout"]["runs"] and "extends" not in whole


@pytest.mark.parametrize(
    "content, says",
    [
        (None, ["there is no such preset", "bids", "fmriprep", "nsd"]),
        ("extends: ./a.yaml", ["extends itself"]),
        ("extends: nothere", ["nothere.yaml: there is no such preset"]),
        ("root: here", ["root is no matter of a preset"]),
        ("scratch: /scratch", ["scratch is no matter of a preset"]),
        ("- a", ["holds sections"]),
        ("a: [", ["cannot be read"]),
    ],
)
def test_presets_that_are_none(tmp_path, content, says):
    if content:
        put(tmp_path / "a.yaml", content)
    with pytest.raises(ValueError) as error:
        read("./a.yaml", tmp_path)
    assert all(words in str(error.value) for words in ["a.yaml" if "nothere" not in says[0] else "", *says])


# BIDS

GOOD = {"Name": "x", "BIDSVersion": "1.8.0"}
MADE = {**GOOD, "GeneratedBy": [{"Name": "fMRIPrep", "Version": "24"}]}


@pytest.mark.parametrize(
    "about, standard, fmriprep",
    [
        (GOOD, "raw", False),
        ({**GOOD, "DatasetType": "raw"}, "raw", False),
        ({**MADE, "DatasetType": "derivative"}, "derivative", True),
        ({**GOOD, "PipelineDescription": {"Name": "fMRIPrep"}}, "derivative", True),
        ({**GOOD, "DatasetType": "derivative", "GeneratedBy": [{"Name": "xcp_d"}]}, "derivative", False),
    ],
)
def test_descriptions(tmp_path, about, standard, fmriprep):
    put(tmp_path / "dataset_description.json", about)
    assert bids.description(str(tmp_path), standard) == about
    assert bids.by_fmriprep(about) == fmriprep


@pytest.mark.parametrize(
    "about, standard, says",
    [
        (None, "raw", "is missing"),
        ("{", "raw", "cannot be read as JSON"),
        ("[]", "raw", "holds no JSON object"),
        ("[" * 100000, "raw", "cannot be read as JSON"),
        ('{"BIDSVersion": "1.8.0", "DatasetType": "raw", "DatasetType": "derivative"}', "raw", "is there twice"),
        ({"Name": "x"}, "raw", "BIDSVersion is None"),
        ({"BIDSVersion": 1.8}, "raw", "BIDSVersion is 1.8"),
        ({**GOOD, "BIDSVersion": "soon"}, "raw", "BIDSVersion is 'soon'"),
        ({**GOOD, "DatasetType": "derivative"}, "raw", "DatasetType is derivative, not raw"),
        (MADE, "raw", "DatasetType is derivative, not raw"),
        (GOOD, "derivative", "DatasetType is raw, not derivative"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path, about, standard, says):
    if about is not None:
        put(tmp_path / "dataset_description.json", about)
    with pytest.raises(ValueError, match="dataset_description.json: ") as error:
        bids.description(str(tmp_path), standard)
    assert says in str(error.value)


def test_sidecars_from_near_to_far(tmp_path):
    near = put(tmp_path / "near.json", {"StartTime": 0.5})
    far = put(tmp_path / "far.json", {"StartTime": 9, "RepetitionTime": 2})
    assert bids.repetition_time([near, far]) == 2
    assert bids.sampled([near, far]) == 0.25
    assert bids.sampled([near], tr=1) == 0.5
    assert bids.sampled([near]) is None and bids.repetition_time([near]) is None and bids.sampled([]) is None


@pytest.mark.parametrize(
    "content, says",
    [
        ({"RepetitionTime": 0}, "RepetitionTime is 0"),
        ({"RepetitionTime": "2"}, "RepetitionTime is '2'"),
        ({"RepetitionTime": True}, "RepetitionTime is True"),
        ({"RepetitionTime": 2, "StartTime": 3}, "StartTime is 3"),
        ({"RepetitionTime": 2, "StartTime": -1}, "StartTime is -1"),
    ],
)
def test_times_that_cannot_be(tmp_path, content, says):
    path = put(tmp_path / "x.json", content)
    with pytest.raises(ValueError, match=f"x.json: {says}"):
        bids.sampled([path])


def test_runs_must_agree():
    assert bids.agreed({"a": 2.0, "b": 2.0}, "TR", "pack: tr") == 2
    assert bids.agreed({"a": None}, "TR", "pack: tr") is None and bids.agreed({}, "TR", "pack: tr") is None
    with pytest.raises(ValueError, match=r"a: .* differ in TR \(1.5, 2\); give pack: tr"):
        bids.agreed({"a": 2.0, "b": 1.5}, "TR", "pack: tr")
    with pytest.raises(ValueError, match="none"):
        bids.agreed({"a": 2.0, "b": None}, "TR", "pack: tr")


# Entries of rois

ENTRIES = {
    "general": "nsdgeneral",
    "V1": {"file": "prf", "labels": ["V1v", "V1d"]},
    "V2": {"file": "prf", "labels": "3-4"},
    "early": ["V1", "V2"],
    "lh": {"file": "prf", "labels": 1, "hemi": "lh"},
    "good": {"file": "nsdgeneral", "where": "ncsnr > 0.2"},
    "better": {"file": "good", "where": ["R2 >= 5"], "minus": ["V1", "faces > 2.5"]},
    "both": {"file": ["nsdgeneral", "faces"], "combine": "intersection"},
    "own": {"file": "mine/s{subject}.npy"},
    "brain": "{mask}",
    "inside": {"file": "nsdgeneral", "where": "V2"},
    "cut": {"file": "nsdgeneral", "minus": "{mask}"},
    "self": {"file": "self"},
    "near": {"file": "ecc < 4"},
    # that cannot be
    "loop": ["loop2"],
    "loop2": {"file": "loop", "where": "R2 > 0"},
    "mix": ["good", "V1"],
    "less": {"file": "nsdgeneral", "minus": "good"},
    "and": {"file": ["early", "faces"], "combine": "intersection"},
    "in": {"file": "nsdgeneral", "where": "early"},
    "relabelled": {"file": "V1", "labels": 3},
    "tables": {"file": ["prf", "faces"], "labels": ["V1v"]},
}


@pytest.fixture
def volumes(tmp_path):
    for name in ("nsdgeneral", "prf", "lh.prf", "faces", "self"):
        put(tmp_path / f"roi/{name}.nii", "")
    for name in ("ncsnr", "R2", "ecc"):
        put(tmp_path / f"stat/{name}.nii", "")
    root = str(tmp_path)

    def pattern(text):
        return (Pattern.parse(text).under(root),)

    return rois.Volumes(
        root=root,
        rois=pattern("roi/[{hemi}.]{roi}.nii"),
        stats=pattern("stat/{stat}.nii"),
        tables=pattern("{roi}.ctab"),
        masks=(f"{root}/m1.nii", f"{root}/m2.nii"),
        entries=ENTRIES,
        labels={"subject": "01"},
    )


def options(volumes, name, option="roi"):
    """The options, without the root and those that are empty."""
    given = rois.options(rois.selection(name, volumes), option)
    text = json.dumps({key: value for key, value in given.items() if value})
    return json.loads(text.replace(volumes.root + "/", ""))


@pytest.mark.parametrize(
    "name, expected",
    [
        ("nsdgeneral", {"roi": ["roi/nsdgeneral.nii"]}),
        ("lh.prf", {"roi": ["roi/lh.prf.nii"]}),
        ("general", {"roi": ["roi/nsdgeneral.nii"]}),
        ("V1", {"roi": ["roi/prf.nii"], "labels": "V1v,V1d", "table": "prf.ctab"}),
        ("V2", {"roi": ["roi/prf.nii"], "labels": "3-4"}),
        ("lh", {"roi": ["roi/lh.prf.nii"], "labels": "1"}),
        (
            "early",
            {"roi": ["roi/prf.nii = V1v,V1d", "roi/prf.nii = 3-4"], "table": "prf.ctab", "combine": "union"},
        ),
        ("good", {"roi": ["roi/nsdgeneral.nii"], "where": ["stat/ncsnr.nii > 0.2"]}),
        (
            "better",
            {
                "roi": ["roi/nsdgeneral.nii"],
                "where": ["stat/ncsnr.nii > 0.2", "stat/R2.nii >= 5"],
                "minus": ["roi/prf.nii = V1v,V1d", "roi/faces.nii > 2.5"],
                "table": "prf.ctab",
            },
        ),
        ("both", {"roi": ["roi/nsdgeneral.nii", "roi/faces.nii"], "combine": "intersection"}),
        ("own", {"roi": ["mine/s01.npy"]}),
        ("brain", {"roi": ["m1.nii", "m2.nii"], "combine": "union"}),
        ("inside", {"roi": ["roi/nsdgeneral.nii"], "where": ["roi/prf.nii = 3-4"]}),
        ("cut", {"roi": ["roi/nsdgeneral.nii"], "minus": ["m1.nii", "m2.nii"]}),
        ("self", {"roi": ["roi/self.nii"]}),
        ("near", {"roi": ["stat/ecc.nii < 4"]}),
    ],
)
def test_entries_as_options(volumes, name, expected):
    assert options(volumes, name) == expected
    assert options(volumes, name, "mask") == {{"roi": "mask"}.get(key, key): v for key, v in expected.items()}


@pytest.mark.parametrize(
    "name, says",
    [
        ("loop", "made from itself"),
        ("mix", "good is a combination of its own, which cannot be one of several"),
        ("less", "good is a combination of its own, which cannot be taken away"),
        ("and", "early is a combination"),
        ("in", "early is several volumes"),
        ("relabelled", "has labels of its own"),
        ("nothere", "roi/nothere.nii"),
    ],
)
def test_entries_that_cannot_be(volumes, name, says):
    with pytest.raises(ValueError, match=says):
        rois.selection(name, volumes)


def test_names_of_labels_come_from_one_table(volumes):
    with pytest.raises(ValueError, match="several tables"):
        options(volumes, "tables")


def test_all_files_of_an_entry_are_known(volumes):
    files = rois.files(rois.selection("better", volumes))
    assert [path.removeprefix(volumes.root) for path in files] == [
        "/roi/nsdgeneral.nii",
        "/roi/prf.nii",
        "/roi/faces.nii",
        "/stat/ncsnr.nii",
        "/stat/R2.nii",
    ]


def test_which_entries_need_the_brain_mask(volumes):
    need = [name for name in ENTRIES if not name.startswith("loop") and rois.uses_mask(name, ENTRIES)]
    assert need == ["brain", "cut"]
    assert not rois.uses_mask("loop", ENTRIES)
    with pytest.raises(ValueError, match="give layout: mask"):
        rois.selection("brain", volumes._replace(masks=()))


def test_tables_of_labels(volumes, tmp_path):
    beside = put(tmp_path / "atlas_dseg.tsv", "")
    put(tmp_path / "atlas_dseg.nii.gz", "")
    entries = {
        "a": {"file": "atlas_dseg.nii.gz", "labels": "left"},
        "b": {"file": "atlas_dseg.nii.gz", "labels": "left", "table": "own{subject}.tsv"},
        "c": {"file": "lh.prf", "labels": "V1v"},
        "d": {"file": "roi/prf.nii", "labels": "V1v"},
        "e": {"file": "atlas_dseg.nii.gz", "labels": 1},
    }
    tables = {name: rois.table_of(rois.selection(name, volumes._replace(entries=entries))) for name in entries}
    root = volumes.root
    assert tables == {"a": beside, "b": f"{root}/own01.tsv", "c": f"{root}/prf.ctab", "d": None, "e": None}


# Pipelines


@pytest.fixture
def config(schema):
    def defaults(entry):
        if "properties" not in entry:
            return entry["default"]
        return {key: defaults(inner) for key, inner in entry["properties"].items()}

    return defaults(schema)


def chain(config, clean=None, labels=None, designs=("d",), confounds=("c",), masks=None, sampled=0, dtype=None):
    clean = presets.merged(config["clean"], clean or {})
    labels = {**config["labels"], **(labels or {})}
    every = stages.cleaning(clean, list(confounds), masks, dtype) + stages.labelling(labels, sampled, list(designs))
    return [
        (name, {key: value for key, value in given.items() if value not in (None, False, [])})
        for name, given in every
    ]


LABELS = ("hrfshift", {"design": ["d"], "offset": 4.6, "history": 4, "repeats": "count", "column": "trial_type"})
ZSCORE = ("zscore", {"method": "zscore", "ddof": 1})


@pytest.mark.parametrize(
    "clean, expected",
    [
        ({}, [("detrend", {"order": 1}), ZSCORE]),
        ({"order": None}, [ZSCORE]),
        ({"order": 2, "keep_mean": True, "method": "none"}, [("detrend", {"order": 2, "keep_mean": True})]),
        ({"method": "psc"}, [("zscore", {"method": "psc"}), ("detrend", {"order": 1})]),
        (
            {"nonfinite": "zero"},
            [("detrend", {"order": 1, "nonfinite": "zero"}), ("zscore", {**ZSCORE[1], "nonfinite": "zero"})],
        ),
        ({"high_pass": 0.01}, [("denoise", {"order": 1, "high_pass": 0.01, "filter": "cosine"}), ZSCORE]),
        (
            {"high_pass": 0.01, "low_pass": 0.1, "filter": "butterworth", "order": None},
            [
                (
                    "denoise",
                    {"order": -1, "high_pass": 0.01, "low_pass": 0.1, "filter": "butterworth", "filter_order": 5},
                ),
                ZSCORE,
            ],
        ),
        (
            {"confounds": {"columns": ["trans_*", "csf"], "expand": ["derivatives", "squares"], "missing": "mean"}},
            [
                (
                    "denoise",
                    {
                        "order": 1,
                        "confounds": ["c"],
                        "columns": "trans_*,csf",
                        "expand": "derivatives,squares",
                        "missing": "mean",
                    },
                ),
                ZSCORE,
            ],
        ),
        (
            {"confounds": {"columns": "1-6"}, "method": "psc"},
            [
                (
                    "denoise",
                    {
                        "order": 1,
                        "confounds": ["c"],
                        "columns": "1-6",
                        "missing": "start",
                        "keep_mean": True,
                        "dtype": "float64",
                    },
                ),
                ("zscore", {"method": "psc"}),
            ],
        ),
        (
            {
                "censor": {"conditions": ["fd > 0.5"], "before": 1, "after": 2, "min_segment": 5},
                "filter": "butterworth",
            },
            [
                (
                    "denoise",
                    {
                        "order": 1,
                        "confounds": ["c"],
                        "columns": "none",
                        "missing": "start",
                        "censor": ["fd > 0.5"],
                        "censor_before": 1,
                        "censor_after": 2,
                        "min_segment": 5,
                        "ends": "drop",
                    },
                ),
                ZSCORE,
            ],
        ),
    ],
)
def test_cleaning(config, clean, expected):
    assert chain(config, clean) == [*expected, LABELS]


def test_sample_masks_alone_take_denoise(config):
    assert chain(config, masks=["m"])[0] == ("denoise", {"order": 1, "sample_mask": ["m"]})


def test_labelling(config):
    assert chain(config, designs=())[1:] == [ZSCORE]
    assert chain(config, sampled=0.5)[-1][1] == {**LABELS[1], "sampled": 0.5}
    moved = {"shift": "sinc", "edges": "drop"}
    assert chain(config, labels=moved)[-1][1] == {**LABELS[1], **moved, "sinc_width": 8}
    alone = chain(config, labels={"shift": "linear"}, designs=())[-1]
    assert alone == ("hrfshift", {"offset": 4.6, "shift": "linear", "edges": "hold"})
    assert chain(config, labels={"categories": ["b", "a"]})[-1][1]["categories"] == "b,a"


def test_the_last_program_sets_the_type(config):
    assert [given.get("dtype") for _, given in chain(config, dtype="float16")] == [None, "float16", None]
    assert stages.labelling(config["labels"] | {"shift": "cubic"}, 0, [], "float16")[0][1]["dtype"] == "float16"
