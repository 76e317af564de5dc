"""The pure functions of the workflow: patterns, numbers, ROIs, command lines."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "rules"))

import command
import layout
import settings

RUNS = "ts/subj{subject}/timeseries_session{session}_run{run}.nii.gz"


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "spec, chosen",
    [
        ("all", None),
        (3, [3]),
        ("1-3,5", [1, 2, 3, 5]),
        ([2, "4-5", "01"], [1, 2, 4, 5]),
        (" 7 , 8", [7, 8]),
    ],
)
def test_numbers(spec, chosen):
    assert settings.numbers("sessions", spec) == chosen


@pytest.mark.parametrize("spec", ["", "a", "1-", "-1", "3-1", "1,,2", "1.5", [None], "²"])
def test_numbers_that_are_none(spec):
    with pytest.raises(ValueError, match="sessions"):
        settings.numbers("sessions", spec)


@pytest.mark.parametrize("chosen, text", [([], ""), ([4], "4"), ([1, 2, 3, 5, 7, 8], "1-3,5,7-8")])
def test_ranges(chosen, text):
    assert settings.ranges(chosen) == text


def test_subjects_are_matched_by_number_or_name():
    assert settings.labels_wanted("all", ["01", "02"]) == ["01", "02"]
    assert settings.labels_wanted([2, "01", 9], ["01", "02"]) == ["02", "01", "9"]
    assert settings.labels_wanted("pilot", ["01", "pilot"]) == ["pilot"]


def test_text_from_the_command_line_gets_its_type():
    schema = {
        "properties": {
            "offset": {"type": "number"},
            "mask": {"type": ["string", "null"]},
            "parts": {"additionalProperties": {"type": "number"}},
            "name": {"type": "string"},
        }
    }
    given = {"offset": "5.3", "mask": "null", "parts": {14: "0.5"}, "name": "1", "unknown": "1"}
    assert settings.typed(given, schema) == {
        "offset": 5.3,
        "mask": None,
        "parts": {"14": 0.5},
        "name": "1",
        "unknown": "1",
    }


def test_find_takes_only_what_fits(tmp_path):
    root = tmp_path / "a [odd] $(root) *"
    names = ["session01_run01", "session01_run02", "session10_run01", "prffloc_run01", "session01_run01b"]
    paths = [touch(root / f"ts/subj01/timeseries_{name}.nii.gz") for name in names]
    touch(tmp_path / "a [odd] $(root) x/ts/subj01/timeseries_session01_run01.nii.gz")
    found = layout.find(f"{root}/{RUNS}")
    assert [path for _, path in found] == paths[:3]
    assert found[2][0] == {"subject": "01", "session": "10", "run": "01"}
    assert layout.sessions(found) == [1, 10]


def test_a_hole_that_comes_twice_holds_the_same_twice(tmp_path):
    good = touch(tmp_path / "sub-01/sub-01_run-1_bold.nii")
    touch(tmp_path / "sub-01/sub-02_run-1_bold.nii")
    found = layout.find(f"{tmp_path}/sub-{{subject}}/sub-{{subject}}_run-{{run}}_bold.nii")
    assert found == [({"subject": "01", "run": "1"}, good)]
    assert layout.sessions(found) == [1]


def known(*runs):
    return [({"session": f"{s:02d}", "run": f"{r:02d}"}, f"s{s:02d}r{r:02d}") for s, r in runs]


def session_runs(runs, designs, wanted=None):
    return layout.session_runs(
        ("s{session}r{run}.nii", runs), designs and ("s{session}r{run}.tsv", designs), 1, wanted
    )


def test_runs_and_designs_are_paired():
    runs, problems = session_runs(known((1, 1), (1, 2), (2, 1)), known((1, 1), (1, 2)))
    assert not problems
    assert runs == [layout.Run(1, "s01r01", "s01r01"), layout.Run(2, "s01r02", "s01r02")]


@pytest.mark.parametrize(
    "runs, designs, wanted, complete, problem",
    [
        ([1, 3], [1, 2, 3], None, [1, 3], "s01r02.nii: this run is missing"),
        ([1, 2], [1, 2, 3], None, [1, 2], "s01r03.nii: this run is missing"),
        ([1, 3], None, None, [1, 3], "s01r02.nii: this run is missing"),
        ([1, 2], [1], None, [1], "s01r02.tsv: this design is missing"),
        ([1, 2], [1, 2], [2, 4], [2], "s01r04.nii: this run is missing (runs 1-2 are known)"),
        ([1, 1], [1], None, [1], "has the same session and run"),
    ],
)
def test_what_is_missing_is_named(runs, designs, wanted, complete, problem):
    paired = session_runs(
        known(*((1, r) for r in runs)), known(*((1, r) for r in designs)) if designs else None, wanted
    )
    assert [run.number for run in paired[0]] == complete
    assert len(paired[1]) == 1 and problem in paired[1][0]


def test_gaps_between_sessions():
    assert layout.session_gaps("s{session}", [1, 2, 3]) == []
    assert layout.session_gaps("s{session}", [1, 4], [1, 4]) == []
    assert [gap.split(":")[0] for gap in layout.session_gaps("s{session}", [1, 4])] == ["s02", "s03"]
    assert len(layout.session_gaps("s{session}", [1], [5])) == 1


def test_design_length(tmp_path):
    assert layout.design_length(touch(tmp_path / "task", "0\n0\n71\n")) == (3, False)
    assert layout.design_length(touch(tmp_path / "rest", "0\n0\n0")) == (3, True)
    assert layout.design_length(touch(tmp_path / "events", "onset\tduration\n0\t1\n")) == (None, False)
    assert layout.design_length(touch(tmp_path / "empty")) == (None, False)


def test_rest_runs_are_checked_against_the_rule():
    rule = {"14": [1, 14]}
    assert layout.rest_surprise(14, [1, 14], rule) is None
    assert layout.rest_surprise(12, [], rule) is None
    assert "none is rest by the designs and 1,14 by the rule" in layout.rest_surprise(14, [], rule)
    assert "3 is rest by the designs and none by the rule" in layout.rest_surprise(12, [3], rule)


@pytest.mark.parametrize(
    "names, form",
    [
        (["01", "12"], "run-{run}.tsv"),
        (["1", "12"], "run-{run:d}.tsv"),
        (["10", "12"], "run-{run}.tsv"),
    ],
)
def test_design_template(names, form):
    assert layout.template("run-{run}.tsv", [f"run-{name}.tsv" for name in names]) == form


def test_design_template_needs_one_way_of_writing():
    with pytest.raises(ValueError, match="several ways"):
        layout.template("run-{run}.tsv", ["run-01.tsv", "run-2.tsv"])


def test_roots_that_could_be_mistaken():
    assert layout.plain_root("data/a b") == "data/a b"
    assert layout.plain_root("-x").endswith("/-x") and layout.plain_root("-x")[0] == "/"
    with pytest.raises(ValueError, match="braces"):
        layout.plain_root("data/{x}")


def test_roi_files():
    entry = {"file": ["nsdgeneral", "mine/subj{subject}.npy", "/abs/x.nii.gz"]}
    assert layout.roi_paths(entry, "root", "root/s{subject}/{roi}.nii.gz", subject="01") == [
        "root/s01/nsdgeneral.nii.gz",
        "root/mine/subj01.npy",
        "/abs/x.nii.gz",
    ]


@pytest.mark.parametrize(
    "entry, table",
    [
        ({"file": "v"}, None),
        ({"file": "v", "labels": "1-3,5"}, None),
        ({"file": "lh.v", "labels": ["V1v", 2]}, "t/v.ctab"),
        ({"file": "v", "labels": "V1v", "table": "own.tsv"}, "root/own.tsv"),
    ],
)
def test_roi_table(entry, table):
    assert layout.roi_table(entry, "root", "t/{roi}.ctab", subject="01") == table


def test_options_are_quoted():
    text = command.options(block_rows=2, roi=["a b", "$(x)"], skip=None, no=False, yes=True, empty=[])
    assert text == "--block-rows=2 '--roi=a b' '--roi=$(x)' --yes"
    assert command.stages("a - -", "", "b - -") == "a - - | b - - |"
