"""The pure functions of the workflow: patterns, numbers, ROIs, command lines."""

import re

import pytest

from configuration import command, values
from dataset import layout
from dataset.patterns import Found, Pattern

RUNS = "ts/subj{subject}/timeseries_session{session}_run{run}.nii.gz"
PATTERN = "s{session}r{run}.nii"


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
    assert values.numbers("sessions", spec) == chosen


@pytest.mark.parametrize("spec", ["", "a", "1-", "-1", "3-1", "1,,2", "1.5", [None], "²"])
def test_numbers_that_are_none(spec):
    with pytest.raises(ValueError, match="sessions"):
        values.numbers("sessions", spec)


@pytest.mark.parametrize("chosen, text", [([], ""), ([4], "4"), ([1, 2, 3, 5, 7, 8], "1-3,5,7-8")])
def test_ranges(chosen, text):
    assert values.ranges(chosen) == text


def test_subjects_are_matched_by_number_or_name():
    assert values.labels_wanted("all", ["01", "02"]) == ["01", "02"]
    assert values.labels_wanted([2, "01", 9], ["01", "02"]) == ["02", "01", "9"]
    assert values.labels_wanted("pilot", ["01", "pilot"]) == ["pilot"]


def test_text_from_the_command_line_gets_its_type():
    schema = {
        "properties": {
            "offset": {"type": "number"},
            "mask": {"type": ["string", "null"]},
            "parts": {"additionalProperties": {"type": "number"}},
            "name": {"type": "string"},
            "number": {"oneOf": [{"$ref": "#/$defs/number"}, {"type": "null"}]},
            "names": {"$ref": "#/$defs/names"},
        },
        "$defs": {
            "number": {"type": "integer"},
            "names": {"oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        },
    }
    given = {"offset": "5.3", "mask": "null", "parts": {14: "0.5"}, "name": "1", "unknown": "1"}
    given |= {"number": "3", "names": ["1", "null"]}
    assert values.typed(given, schema) == {
        "number": 3,
        "names": ["1", "null"],
        "offset": 5.3,
        "mask": None,
        "parts": {"14": 0.5},
        "name": "1",
        "unknown": "1",
    }


def find(root, text, **labels):
    return Pattern.parse(text).fill(**labels).under(str(root)).find()


def test_find_takes_only_what_fits(tmp_path):
    root = tmp_path / "a [odd] $(root) *"
    names = ["session01_run01", "session01_run02", "session10_run01", "prffloc_run01", "session01_run01b"]
    paths = [touch(root / f"ts/subj01/timeseries_{name}.nii.gz") for name in names]
    touch(tmp_path / "a [odd] $(root) x/ts/subj01/timeseries_session01_run01.nii.gz")
    found = find(root, RUNS)
    assert [file.path for file in found] == paths[:3]
    assert found[2].labels == {"subject": "01", "session": "10", "run": "01"}


def test_a_hole_that_comes_twice_holds_the_same_twice(tmp_path):
    good = touch(tmp_path / "sub-01/sub-01_run-1_bold.nii")
    touch(tmp_path / "sub-01/sub-02_run-1_bold.nii")
    found = find(tmp_path, "sub-{subject}/sub-{subject}_run-{run}_bold.nii")
    assert [(file.labels, file.path) for file in found] == [({"subject": "01", "run": "1"}, good)]


# Optional parts

BIDS = "sub-{subject}/[ses-{session}/]func/sub-{subject}[_ses-{session}]_task-{task}[_acq-{acq}][_run-{run}]_bold.nii"
NAMES = {
    "sub-01/func/sub-01_task-x_bold.nii": (None, "x", None, None),
    "sub-01/func/sub-01_task-x_run-2_bold.nii": (None, "x", None, "2"),
    "sub-01/ses-test/func/sub-01_ses-test_task-x_acq-y_run-01_bold.nii": ("test", "x", "y", "01"),
}
OTHERS = [
    "sub-01/func/sub-01_ses-test_task-x_bold.nii",  # a session in the name and no folder for it
    "sub-01/ses-test/func/sub-01_task-x_bold.nii",  # a folder for it, and none in the name
    "sub-01/ses-test/func/sub-01_ses-retest_task-x_bold.nii",
    "sub-01/func/sub-01_task-x_rec-y_bold.nii",
    "sub-01/func/sub-01_task-x_run-2_acq-y_bold.nii",
    "sub-01/func/sub-01_task-x_run-b_bold.nii",
    "sub-01/anat/func/sub-01_task-x_bold.nii",
    "sub-01/func/sub-01_task-_bold.nii",
]


def test_optional_parts(tmp_path):
    for name in [*NAMES, *OTHERS]:
        touch(tmp_path / name)
    found = {file.path: file.labels for file in find(tmp_path, BIDS)}
    assert found == {
        str(tmp_path / name): dict(zip(("subject", "session", "task", "acq", "run"), ("01", *labels), strict=True))
        for name, labels in NAMES.items()
    }


@pytest.mark.parametrize(
    "labels, chosen",
    [({"acq": "y"}, [2]), ({"acq": None}, [0, 1]), ({"session": None, "run": "2"}, [1]), ({"task": "z"}, [])],
)
def test_fixed_labels_choose(tmp_path, labels, chosen):
    for name in NAMES:
        touch(tmp_path / name)
    paths = [str(tmp_path / name) for name in NAMES]
    assert sorted(file.path for file in find(tmp_path, BIDS, **labels)) == sorted(paths[i] for i in chosen)


def test_patterns_as_paths():
    pattern = Pattern.parse(BIDS).fill(subject="01", task="x")
    assert (
        str(pattern) == "sub-01/[ses-{session}/]func/sub-01[_ses-{session}]_task-x[_acq-{acq}][_run-{run}]_bold.nii"
    )
    assert pattern.holes == ["session", "acq", "run"]
    assert pattern.closed(run="3") == "sub-01/func/sub-01_task-x_run-3_bold.nii"
    assert pattern.closed(run=None) == "sub-01/func/sub-01_task-x_bold.nii"
    assert str(Pattern.parse("/abs/{run}").under("root")) == "/abs/{run}"
    assert str(Pattern.parse("{run}").under("root")) == "root/{run}"
    assert str(Pattern.parse("[{run}/]x").under("root")) == "root/[{run}/]x"
    # brackets and braces that a label brings are text
    assert Pattern.parse("{where}/[{run}]").fill(where="/a[b]").closed(run="1") == "/a[b]/1"


def test_scans_with_and_without_gzip(tmp_path):
    for name in ("run-1.nii", "run-2.nii.gz", "run-3.nii.bz2"):
        touch(tmp_path / name)
    files = find(tmp_path, "run-{run}.{ext}")
    assert [file.labels["ext"] for file in files] == ["nii", "nii.gz"]
    assert layout.entity_problems(files) == []


@pytest.mark.parametrize("text", ["a[b]c", "a[{run}", "a{run", "a}b", "[a[{run}]]", "a]"])
def test_patterns_that_are_none(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Pattern.parse(text)


def test_a_label_that_must_be_there():
    with pytest.raises(ValueError, match="{task} is none"):
        Pattern.parse(BIDS).fill(task=None)


# Numbers


@pytest.mark.parametrize(
    "labels, given, numbers",
    [
        ({"01", "10"}, None, {"01": 1, "10": 10}),
        ({None}, None, {}),
        ({"test", "retest"}, None, {"retest": 1, "test": 2}),
        ({"test", "retest"}, {"test": 1, "retest": 2}, {"test": 1, "retest": 2}),
        ({"02", "b", "a"}, None, {"02": 2, "a": 3, "b": 4}),
        ({"02", "b", "a"}, {"b": 9}, {"02": 2, "b": 9, "a": 10}),
        ({"0", "20260101", "3"}, None, {"3": 3, "0": 4, "20260101": 5}),
    ],
)
def test_labels_get_numbers(labels, given, numbers):
    assert layout.numbers_of(labels, given) == {None: 1, **numbers}


@pytest.mark.parametrize("labels, given", [({"1", "01"}, None), ({"01", "test"}, {"test": 1}), ({None, "1"}, None)])
def test_numbers_that_two_labels_have(labels, given):
    with pytest.raises(ValueError, match="have the same number 1"):
        layout.numbers_of(labels, given)


@pytest.mark.parametrize(
    "label, there", [(None, True), ("b", True), ("a", False), ("02", True), ("2", True), ("03", False), ("x", False)]
)
def test_files_of_a_session(label, there):
    assert layout.is_of_session(label, 2, {None: 1, "01": 1, "02": 2, "a": 3, "b": 2}) == there


def test_sessions_by_name():
    known = {"retest": 1, "test": 2, "03": 3}
    assert values.chosen("sessions", "all", known) is None
    assert values.chosen("sessions", "test, 3", known) == [2, 3]
    assert values.chosen("sessions", ["retest", "2-3"], known) == [1, 2, 3]
    with pytest.raises(ValueError, match="tset"):
        values.chosen("sessions", "tset", known)


# Runs


def known(*runs, pattern=PATTERN):
    """Files with two digits for session and run."""
    return [scan(pattern, session=f"{s:02d}", run=f"{r:02d}") for s, r in runs]


def scan(pattern, **labels):
    parsed = Pattern.parse(pattern)
    return Found({name: labels.get(name) for name in parsed.holes}, parsed.closed(**labels), parsed)


def session_runs(runs, designs, wanted=None):
    pattern = "s{session}r{run}.tsv"
    given = designs and ((Pattern.parse(pattern),), known(*designs, pattern=pattern))
    return layout.session_runs(known(*runs), given, 1, wanted)


def test_runs_and_designs_are_paired():
    runs, problems = session_runs([(1, 1), (1, 2)], [(1, 1), (1, 2)])
    assert not problems
    told = [(run.session, run.number, run.path, run.design.path) for run in runs]
    assert told == [(1, 1, "s01r01.nii", "s01r01.tsv"), (1, 2, "s01r02.nii", "s01r02.tsv")]


@pytest.mark.parametrize(
    "runs, designs, wanted, complete, problem",
    [
        ([1, 3], [1, 2, 3], None, [1, 3], "s01r02.nii: this run is missing"),
        ([1, 2], [1, 2, 3], None, [1, 2], "s01r03.nii: this run is missing"),
        ([1, 3], None, None, [1, 3], "s01r02.nii: this run is missing"),
        ([1, 2], [1], None, [1], "s01r02.tsv: this design is missing"),
        ([1, 2], [1, 2], [2, 4], [2], "s01r04.nii: this run is missing (runs 1-2 are known)"),
        ([1, 1], [1], None, [1], "has the same session and run"),
        ([0, 1], [1], None, [1], "s01r00.nii: runs are numbered from 1"),
    ],
)
def test_what_is_missing_is_named(runs, designs, wanted, complete, problem):
    paired = session_runs([(1, r) for r in runs], [(1, r) for r in designs] if designs else None, wanted)
    assert [run.number for run in paired[0]] == complete
    assert len(paired[1]) == 1 and problem in paired[1][0]


def test_a_run_without_a_number_is_run_1():
    pattern = "sub-{subject}_task-{task}[_run-{run}]_bold.nii"
    runs, problems = layout.session_runs([scan(pattern, subject="01", task="x")], None, 1)
    assert not problems and [(run.number, run.path) for run in runs] == [(1, "sub-01_task-x_bold.nii")]


# What belongs to a run, with names that leave parts out

SCAN = {"subject": "01", "session": "a", "task": "x", "acq": "y", "run": "2"}
EVENTS = "[sub-{subject}][_ses-{session}]_task-{task}[_acq-{acq}][_run-{run}]_events.tsv"


@pytest.mark.parametrize(
    "labels, fits",
    [
        (SCAN, True),
        ({"task": "x"}, True),
        ({**SCAN, "acq": None}, True),
        ({**SCAN, "run": "02"}, True),
        ({**SCAN, "run": "1"}, False),
        ({**SCAN, "task": "z"}, False),
        ({**SCAN, "dir": "AP"}, False),
    ],
)
def test_companions_say_nothing_else_than_the_scan(labels, fits):
    assert layout.fits(labels, SCAN) == fits


def test_a_companion_of_a_run_without_a_number():
    assert layout.fits({"task": "x", "run": "1"}, {"task": "x", "run": None})
    assert not layout.fits({"task": "x", "run": "2"}, {"task": "x", "run": None})


def test_the_nearest_companion_comes_first():
    far, near = scan(EVENTS, task="x"), scan(EVENTS, **{**SCAN, "run": None})
    other = scan(EVENTS, task="z")
    assert layout.companions([far, other, near], SCAN) == [near, far]
    run = layout.Run(1, 2, "there/bold.nii", SCAN)
    assert layout.companion([far, other], run, "the confounds", (far.pattern,)) == far
    with pytest.raises(ValueError, match="sub-01_ses-a_task-x_acq-y_run-2_events.tsv: the table of bold.nii is not"):
        layout.companion([other], run, "the table", (far.pattern,))


def test_companions_as_near_as_each_other():
    first, second = scan(EVENTS, task="x", acq="y"), scan(EVENTS, task="x", run="2")
    with pytest.raises(ValueError, match="task-x_acq-y_events.tsv: fits the same run as _task-x_run-2_events.tsv"):
        layout.nearest([first, second], SCAN)
    elsewhere = scan("more/" + EVENTS, task="x", run="2")
    assert layout.nearest([first, elsewhere], SCAN) == first and layout.nearest([elsewhere, first], SCAN) == elsewhere
    assert layout.nearest([], SCAN) is None
    near = scan(EVENTS, **SCAN)  # what is farther away need not be told apart
    assert layout.nearest([first, second, near], SCAN) == near


def test_designs_of_another_task_are_no_runs():
    scans = [scan(EVENTS, task="x", run="1")]
    designs = [scan(EVENTS, task=task, run=run) for task, run in (("x", "1"), ("z", "1"), ("z", "2"))]
    runs, problems = layout.session_runs(scans, ((designs[0].pattern,), designs), 1)
    assert not problems and [run.design.path for run in runs] == [designs[0].path]


def test_designs_in_order_of_their_own():
    designs = known((1, 2), (1, 1), pattern="s{session}r{run}.tsv")
    renamed = layout.in_order(designs, [3, 8])
    assert [(file.path, file.labels["run"]) for file in renamed] == [("s01r01.tsv", "3"), ("s01r02.tsv", "8")]
    with pytest.raises(ValueError, match="2 designs for 3 runs"):
        layout.in_order(designs, [3, 4, 8])


# Entities


def test_entities_must_be_settled():
    pattern = "task-{task}[_space-{space}]_run-{run}.nii"
    files = [scan(pattern, task="x", space=space, run=run) for space in (None, "MNI", "T1w") for run in "12"]
    assert layout.entity_values(files) == {"task": {"x"}, "space": {None, "MNI", "T1w"}}
    (problem,) = layout.entity_problems(files)
    assert "{space} is MNI, T1w, none in the files" in problem and "null" in problem
    assert layout.entity_problems(files[:2]) == []


def test_entities_that_no_pattern_has():
    patterns = [Pattern.parse("{derivatives}/sub-{subject}_task-{task}[_space-{space}]_{roi}.nii")]
    assert layout.unknown_entities({"task": "x", "space": None, "atlas": "a"}, patterns, {"v": "{atlas}.nii"}) == []
    (problem,) = layout.unknown_entities({"tsak": "x"}, patterns)
    assert problem == "layout: entities: tsak stands in no pattern; the patterns have space, task"


# Sessions


def test_gaps_between_sessions():
    pattern = Pattern.parse("s{session}[_r{run}]")
    assert layout.session_gaps(pattern, [1, 2, 3]) == []
    assert layout.session_gaps(pattern, []) == []
    assert layout.session_gaps(pattern, [1, 4], [1, 4]) == []
    assert [gap.split(":")[0] for gap in layout.session_gaps(pattern, [1, 4])] == ["s02", "s03"]
    assert len(layout.session_gaps(pattern, [1], [5])) == 1


# Designs


def test_design_length(tmp_path):
    assert layout.design_length(touch(tmp_path / "task", "0\n0\n71\n")) == (3, False)
    assert layout.design_length(touch(tmp_path / "rest", "0\n0\n0")) == (3, True)
    assert layout.design_length(touch(tmp_path / "events", "onset\tduration\n0\t1\n")) == (None, False)
    assert layout.design_length(touch(tmp_path / "empty")) == (None, False)


def test_categories(tmp_path):
    one = touch(tmp_path / "1", "onset\tduration\ttrial_type\n0\t1\tface\n2\t1\tn/a\n")
    two = touch(tmp_path / "2", "\ufeffonset\tduration\ttrial_type\r\n0\t1\tZebra\r\n2\t1\tcat\r\n")
    assert layout.categories([one, two], "trial_type") == ["Zebra", "cat", "face"]
    with pytest.raises(ValueError, match="has no column kind, but onset, duration, trial_type"):
        layout.categories([one], "kind")
    odd = touch(tmp_path / "3", "onset\tduration\ttrial_type\n0\t1\ta,b\n")
    with pytest.raises(ValueError, match="comma"):
        layout.categories([one, odd], "trial_type")
    with open(odd, "wb") as file:
        file.write(b"onset\tduration\ttrial_type\n0\t1\tr\xeave\n")
    with pytest.raises(ValueError, match="3: is not UTF-8; save it as UTF-8"):
        layout.categories([one, odd], "trial_type")
    with pytest.raises(ValueError, match="has no column trial_type, but nothing"):
        layout.categories([touch(tmp_path / "4")], "trial_type")


def test_rest_runs_are_checked_against_the_rule():
    rule = {"14": [1, 14]}
    assert layout.rest_surprise(14, [1, 14], rule) is None
    assert layout.rest_surprise(12, [], rule) is None
    assert "none is rest by the designs and 1,14 by the rule" in layout.rest_surprise(14, [], rule)
    assert "3 is rest by the designs and none by the rule" in layout.rest_surprise(12, [3], rule)


# How programs are told of files and numbers


def labelled(pattern, runs):
    """Files of a pattern for runs given as (session label, its number, run label)."""
    files = [scan(pattern, session=s, run=r) for s, _, r in runs]
    return files, [
        layout.Run(n, int(r or 1), file.path, file.labels) for (_, n, r), file in zip(runs, files, strict=True)
    ]


@pytest.mark.parametrize(
    "runs, form",
    [
        ([("01", 1, "01"), ("02", 2, "12")], "ses-{session}_run-{run}.tsv"),
        ([("01", 1, "1"), ("02", 2, "12")], "ses-{session}_run-{run:d}.tsv"),
        ([("1", 1, "01"), ("2", 2, "12")], "ses-{session:d}_run-{run}.tsv"),
        ([("10", 10, "10")], "ses-{session}_run-{run}.tsv"),
        ([("test", 1, "01"), ("retest", 2, "01")], None),
        ([("01", 1, "01"), ("02", 2, "2")], None),
        ([("001", 1, "01")], None),
    ],
)
def test_one_pattern_or_one_file_a_run(runs, form):
    files, told = labelled("ses-{session}_run-{run}.tsv", runs)
    assert layout.file_options(files, told) == ([form] if form else [file.path for file in files])


def test_files_that_serve_several_runs_are_named_for_each():
    files, runs = labelled("ses-{session}[_run-{run}].tsv", [("01", 1, "1"), ("01", 1, "2")])
    one = scan("all.tsv")
    assert layout.file_options([one, one], runs) == ["all.tsv", "all.tsv"]
    assert layout.file_options([files[0], one], runs) == [files[0].path, "all.tsv"]
    assert layout.file_options([], []) == []


@pytest.mark.parametrize(
    "path, told",
    [
        ("subj01/timeseries_session02_run13.nii.gz", (2, 13)),
        ("ses-09/sub-1_ses-3_task-x_run-4_bold.nii", (3, 4)),
        ("timeseries_prffloc_run03.nii.gz", (0, 3)),
        ("sub-1_ses-test_bold.nii", (0, 0)),
        ("sub-1_task-run5_bold.nii", (0, 5)),  # so nifti2h5 reads it; the workflow then gives the number
    ],
)
def test_what_nifti2h5_reads_from_a_name(path, told):
    assert layout.told(path) == told


def test_numbers_are_given_where_names_do_not_tell():
    def numbers(*runs):
        return layout.number_options([layout.Run(session, run, path, {}) for session, run, path in runs])

    assert numbers((2, 3, "session02_run03"), (2, 4, "session02_run04")) == {"session": None, "run": None}
    assert numbers((1, 1, "ses-a_run-1"), (2, 1, "ses-b_run-1")) == {"session": "1,2", "run": "1,1"}
    assert numbers((1, 3, "run-3"), (1, 5, "run-5")) == {"session": "1", "run": "3,5"}


def test_roots_that_could_be_mistaken():
    assert layout.plain_root("data/a b") == "data/a b"
    assert layout.plain_root("-x").endswith("/-x") and layout.plain_root("-x")[0] == "/"
    with pytest.raises(ValueError, match="braces"):
        layout.plain_root("data/{x}")


def test_options_are_quoted():
    text = command.options(block_rows=2, roi=["a b", "$(x)"], skip=None, no=False, yes=True, empty=[])
    assert text == "--block-rows=2 '--roi=a b' '--roi=$(x)' --yes"
    assert command.stages("a - -", "", "b - -") == "a - - | b - - |"
