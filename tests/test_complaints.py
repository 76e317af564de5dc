"""What is said of a configuration that does not fit: the key, what is wrong with it, and what to write."""

import jsonschema
import pytest
import yaml
from conftest import ROOT

from configuration.complaints import MOST, complaints

SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text())
CASES = {
    "clena: {order: 2}": "clena: there is no such key; did you mean clean?",
    "clean: {ordr: 2}": "clean: ordr: there is no such key; did you mean order?",
    "censor: {before: 1}": "censor: there is no such key here; it belongs under clean",
    "preset: bids": "preset: there is no such key here; it belongs under layout",
    "clean: {before: 1}": "clean: before: there is no such key here; it belongs under clean: censor",
    "clean: {root: /data}": "clean: root: there is no such key here; it belongs at the top",
    "pack: {xyz: 1}": "pack: xyz: there is no such key here; there are volumes, tr, store",
    "clean:": "clean: is an empty section; give it keys, or leave it out",
    "route: pack": 'route: "pack" is none of "packed", "direct"; did you mean packed?',
    "targets: [arrays, splits]": 'targets: entry 2: "splits" is none of "arrays", "shuffle", "split", "packed",'
    ' "clean"; did you mean split?',
    "targets: arrays": 'targets: "arrays" is not a list; write ["arrays"]',
    "clean: {order: two}": 'clean: order: "two" is not a whole number or null. Degree of the polynomial',
    "clean: {order: 25}": "clean: order: 25 is above 20. Degree of the polynomial",
    "pack: {tr: 0}": "pack: tr: 0 is not above 0. Seconds",
    "allow_missing: 3": "allow_missing: 3 is not true or false. Whether a run",
    "root:": "root: null is not text. Folder of the dataset",
    "clean: {confounds: 1-6}": 'clean: confounds: "1-6" is not a section of keys; the keys are',
    "subjects: {a: 1}": 'subjects: {"a": 1} does not fit. The subjects that',
    "rois: {V1: {fil: a, file: b}}": "rois: V1: fil: there is no such key; did you mean file?",
    "rois: {V1: {labels: 1}}": "rois: V1: lacks file; add it",
    "rois: {V1: [a, 3]}": "rois: V1: entry 2: 3 is not text. ROIs with a name",
    "[root, data]": 'the configuration: ["root", "data"] is not a section of keys; the keys are root, cache,',
}


@pytest.mark.parametrize("text", list(CASES))
def test_complaint(text):
    (said,) = complaints(yaml.safe_load(text), SCHEMA)
    assert said.startswith(CASES[text]) and len(said) < 400, said


def test_all_that_is_wrong_is_told_at_once_but_not_endlessly():
    assert len(complaints({"clena": 1, "route": "x"}, SCHEMA)) == 2
    many = complaints({f"key{k}": 1 for k in range(30)}, SCHEMA)
    assert len(many) == MOST + 1 and many[-1] == f"... and {30 - MOST} more"


VALUES = [
    None,
    True,
    -1,
    1,
    2.5,
    "x",
    "arrays",
    [],
    [1],
    ["arrays"],
    {},
    {"file": "x"},
    {"order": 2},
    {"preset": "x"},
]
SECTIONS = {name: inner["properties"] for name, inner in SCHEMA["properties"].items() if "properties" in inner}


def test_what_jsonschema_refuses_has_a_complaint_and_nothing_else_has():
    given = [{key: value} for key in SCHEMA["properties"] for value in VALUES]
    given += [{name: {key: value}} for name, keys in SECTIONS.items() for key in keys for value in VALUES]
    right = [each for each in given if not complaints(each, SCHEMA)]
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert right == [each for each in given if validator.is_valid(each)]
    assert len(right) > 150 and len(given) - len(right) > 500
