"""Which files of a dataset belong together: runs, their designs and other companions, sessions and subjects.

Pure functions on what patterns find (patterns.py), without Snakemake. A label is what stands in a file's name ("01",
"test"); a number is what the programs and the arrays know (1). Problems are sentences, "file: what is wrong; what to
do", which the caller raises or prints.
"""

import os
import re
from itertools import product
from typing import NamedTuple

from configuration.values import ranges
from dataset.patterns import Found

MOST = 32767  # the largest number of a subject, session or run in the metadata rows
OWN = {"subject", "session", "run", "ext"}  # holes in which runs may differ; all others have one value
NO_ENTITIES = {"roi", "stat", "hemi", "derivatives"}


class Run(NamedTuple):
    session: int
    number: int
    path: str
    labels: dict
    design: Found | None = None


def plain_root(root):
    """The root in a form that no program takes for an option or a pattern."""
    if re.search("[{}]", root):
        raise ValueError(f"{root}: a folder with braces in its name cannot be told from a pattern; use a link to it")
    return os.path.abspath(os.path.expanduser(root)) if root[0] in "-~" else root


# Numbers of labels


def is_number(label):
    return label.isdecimal() and label.isascii() and 1 <= int(label) <= MOST


def numbers_of(labels, given=None):
    """{label: number}. A number keeps its value; other labels follow after the largest, in sorted order, unless
    `given` has a number for them. No label at all (None) is 1."""
    given = given or {}
    numbers = {label: int(label) for label in labels if label and is_number(label)} | {None: 1}
    numbers |= {label: given[label] for label in labels if label in given}
    named = sorted(label for label in labels if label and label not in numbers)
    first = max((number for label, number in numbers.items() if label), default=0) + 1
    numbers |= {label: number for number, label in enumerate(named, first)}
    for number in (taken := [numbers[label] for label in sorted(labels, key=str)]):
        if taken.count(number) > 1:
            twins = ", ".join(str(label) for label in sorted(labels, key=str) if numbers[label] == number)
            raise ValueError(f"layout: numbers: {twins} have the same number {number}; give one of them another")
    return numbers


def is_of_session(label, session, numbers):
    """Whether a file with this label is for a session. One without a label is for all, one of a session without scans
    is for none."""
    plain = int(label) if label and is_number(label) else None
    return label is None or numbers.get(label, plain) == session


def named(labels):
    """The labels that are no numbers, sorted."""
    return sorted(label for label in labels if label and not is_number(label))


def run_number(labels):
    """A run without a number in its name is run 1."""
    return int(labels.get("run") or 1)


# Entities


def entity_values(found):
    """{entity: its labels among the files}; None where a name does not have it."""
    names = dict.fromkeys(name for file in found for name in file.labels if name not in OWN)
    return {name: {file.labels.get(name) for file in found} for name in names}


def entity_problems(found):
    """What the layout leaves open although the files differ in it."""
    return [
        f"{found[0].pattern}: {{{name}}} is {listing(values)} in the files; choose with e.g. "
        f"layout: {{entities: {{{name}: {min(filter(None, values))}}}}}" + (" (or null for none)" * (None in values))
        for name, values in entity_values(found).items()
        if len(values) > 1
    ]


def listing(values):
    texts = sorted(value for value in values if value is not None)
    return ", ".join(texts + ["none"] * (None in values))


def unknown_entities(entities, patterns, rois=()):
    """What the layout fixes although no pattern has it, nor an entry of `rois`."""
    holes = {name for pattern in patterns for name in pattern.holes} | set(re.findall(r"\{(\w+)\}", str(rois)))
    known = sorted(holes - OWN - NO_ENTITIES)
    return [
        f"layout: entities: {name} stands in no pattern; the patterns have {', '.join(known) or 'none'}"
        for name in entities
        if name not in known
    ]


# Companions: designs, confounds, masks, ... of a run


def same(a, b):
    """Whether two labels are the same, by number where both are numbers."""
    return a == b or (a.isdecimal() and b.isdecimal() and int(a) == int(b))


def fits(labels, scan):
    """Whether a companion's name says nothing else than the scan's does. One without a run serves all runs."""
    wanted = {name: label for name, label in labels.items() if label is not None}
    known = {**scan, "run": scan.get("run") or "1"}
    return all(same(label, known.get(name) or "") for name, label in wanted.items())


def specific(file):
    """How much of the scan's name a companion repeats."""
    return sum(label is not None for label in file.labels.values())


def companions(found, scan):
    """The files that fit the scan, the nearest first as BIDS has it; those as near stay in the order of `found`."""
    return sorted((file for file in found if fits(file.labels, scan)), key=specific, reverse=True)


def nearest(found, scan):
    """The companion that says most, or None. Of several patterns the first is right, of one pattern none is."""
    fitting = companions(found, scan)
    for other in fitting[1:]:
        if specific(other) == specific(fitting[0]) and other.pattern == fitting[0].pattern:
            raise ValueError(f"{fitting[0].path}: fits the same run as {other.path}, and as well; keep one of them")
    return fitting[0] if fitting else None


def companion(found, scan, what, patterns):
    """The one companion of a scan, or a ValueError."""
    file = nearest(found, scan.labels)
    if not file:
        raise ValueError(
            f"{patterns[0].closed(**scan.labels)}: {what} of {os.path.basename(scan.path)} "
            "is not there; add the file, or leave the run out (runs, sessions)"
        )
    return file


def in_order(designs, numbers):
    """Designs that are numbered in a way of their own, given the numbers of the runs, in order."""
    ordered = sorted(designs, key=lambda file: run_number(file.labels))
    if len(ordered) != len(numbers):
        raise ValueError(
            f"{designs[0].pattern if designs else 'layout: designs'}: {len(designs)} designs for {len(numbers)} runs "
            f"({ranges(numbers)}), to be paired in order; name the runs (runs), or correct the layout"
        )
    return [
        file._replace(labels={**file.labels, "run": str(number)})
        for file, number in zip(ordered, numbers, strict=True)
    ]


# Runs of a session


def numbered(files):
    """{run number: file} of a session's scans, and the problems with them."""
    known, problems = {}, []
    for file in files:
        number = run_number(file.labels)
        if not 1 <= number <= MOST:
            problems.append(f"{file.path}: runs are numbered from 1 to {MOST}; rename it")
        elif number in known:
            problems.append(f"{file.path}: has the same session and run as {known[number].path}; keep one of them")
        else:
            known[number] = file
    return known, problems


def design_runs(designs, scans):
    """The runs that designs of these scans' kind speak of: those with other entities are not for them."""
    speaking = [file for file in designs if file.labels.get("run")]
    kinds = [{**scan.labels, "run": None} for scan in scans]
    return {
        run_number(file.labels)
        for file in speaking
        if any(fits({**file.labels, "run": None}, kind) for kind in kinds)
    }


def session_runs(scans, designs, session, wanted=None, is_rest=lambda design: False):
    """The runs of a session that are complete, and what is missing of the others. The scan of a rest run may be
    missing: nobody reads it.

    `scans` are the files of the session; `designs` are (patterns, files), or None where the dataset has none."""
    files, problems = numbered(scans)
    known = sorted(set(files) | (design_runs(designs[1], scans) if designs else set()))
    numbers = wanted or range(1, max(known, default=0) + 1)
    runs = []
    for number in numbers:
        file = files.get(number) or absent(scans[0], number)
        run = Run(session, number, file.path, file.labels)
        design = nearest(designs[1], run.labels) if designs else None
        if number not in files and not (design and design.labels.get("run") and is_rest(design)):
            problems.append(missing(scans[0].pattern, scans[0].labels, number, known, "run"))
        elif design or not designs:
            runs.append(run._replace(design=design))
        else:
            problems.append(missing(designs[0][0], run.labels, number, known, "design"))
    return runs, problems


def may_be_of(file, wanted):
    """Whether a companion may belong to one of these runs (None: all); one without a number may."""
    return wanted is None or not file.labels.get("run") or run_number(file.labels) in wanted


def absent(scan, number):
    """The file of a run that is not there, by another one of its session."""
    labels = numbered_labels(scan.labels, number)
    return scan._replace(labels=labels, path=scan.pattern.closed(**labels))


def numbered_labels(labels, number):
    """The labels of a file with another number of its run."""
    digits = len(labels.get("run") or "00")
    return {**labels, "run": f"{number:0{digits}d}"}


def missing(pattern, labels, number, known, what):
    """The sentence on a run or design that is not there; `labels` are those of another file of the session."""
    path = pattern.closed(**numbered_labels(labels, number))
    aside = "set layout: designs: null if the scans have none" if what == "design" else "name the runs (runs)"
    there = f"runs {ranges(known)} are known"
    return f"{path}: this {what} is missing ({there}); add the file, {aside}, or set allow_missing: true"


def session_gaps(pattern, found, chosen=None):
    """What is missing between the sessions found, or of those chosen; `found` are numbers, without those that stand
    for a name."""
    there = f"sessions {ranges(found)} are there" if found else "no session is there"
    return [
        f"{pattern.closed(session=f'{number:02d}')}: no run of session {number} is there ({there}); "
        "add its files, name the sessions, or set allow_missing: true"
        for number in chosen or range(1, max(found, default=0) + 1)
        if number not in found
    ]


def gap(runs):
    """Whether a number is missing between the runs."""
    return any(b.number != a.number + 1 for a, b in zip(runs, runs[1:], strict=False))


# Designs


def design_length(path):
    """(rows, whether it presents nothing) of a design with one number a line; (None, False) of an events table."""
    with open(path, "rb") as file:
        lines = file.read().split()
    if not lines or not re.fullmatch(rb"[+-]?[0-9]+", lines[0]):
        return None, False
    return len(lines), set(lines) == {b"0"}


def events_lines(path):
    """The fields of each line of an events table."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return [line.rstrip("\r\n").split("\t") for line in file if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8; save it as UTF-8") from None


def categories(paths, column):
    """The distinct names in a column of events tables, sorted by bytes as hrfshift does it; n/a is none."""
    found = set()
    for path in paths:
        rows = events_lines(path)
        if not rows or column not in rows[0]:
            there = ", ".join(rows[0]) if rows else "nothing"
            raise ValueError(f"{path}: has no column {column}, but {there}; correct labels: column")
        found |= {row[rows[0].index(column)].strip() for row in rows[1:] if len(row) == len(rows[0])}
    if wrong := sorted(name for name in found if "," in name):
        raise ValueError(
            f"{paths[0]}: a category with a comma in its name ({wrong[0]}) cannot be handed on; rename it"
        )
    return sorted(found - {"n/a", ""}, key=str.encode)


def rest_surprise(total, rest, expected):
    """A sentence where the rest runs are not those that a session of so many runs has as a rule, or None."""
    rule = expected.get(str(total), [])
    if sorted(rest) == sorted(rule):
        return None
    return (
        f"of {total} runs, {ranges(rest) or 'none'} is rest by the designs and {ranges(rule) or 'none'} by the rule "
        "(layout: expect_rest); the designs are followed"
    )


# How programs are given one file a run


def file_options(files, runs):
    """What names one file a run to the programs: one pattern where it says it all, with {session} and {run} for two
    digits or more and {session:d} and {run:d} for numbers without padding; else the paths in the order of runs."""
    paths = [file.path for file in files]
    if not files or any(file.pattern != files[0].pattern for file in files):
        return paths
    for forms in product(*([(name, f"{{{name}}}"), (name, f"{{{name}:d}}")] for name in ("session", "run"))):
        text = files[0].pattern.path(**{**files[0].labels, **dict(forms)})
        if "{" in text and all(filled(text, run) == path for run, path in zip(runs, paths, strict=True)):
            return [text]
    return paths


def filled(text, run):
    return text.format(session=TwoDigits(run.session), run=TwoDigits(run.number))


class TwoDigits(int):
    """A number that the programs write with two digits or more, and with :d as it is."""

    def __format__(self, spec):
        return f"{int(self):d}" if spec == "d" else f"{int(self):02d}"


def told(path):
    """(session, run) that nifti2h5 reads from the name of a scan by itself; 0 where it reads none."""
    name = os.path.basename(path)
    return tuple(last_number(name, keys) for keys in (("session", "ses-"), ("run", "run-")))


def last_number(name, keys):
    found = [[int(n) for n in re.findall(f"{key}([0-9]+)", name) if int(n) <= 9999] for key in keys]
    return next((numbers[-1] for numbers in found if numbers), 0)


def number_options(runs):
    """Sessions and runs as nifti2h5 takes them, where the scans' names do not tell it."""
    if [told(run.path) for run in runs] == [(run.session, run.number) for run in runs]:
        return {"session": None, "run": None}
    sessions = [str(run.session) for run in runs]
    return {
        "session": sessions[0] if len(set(sessions)) == 1 else ",".join(sessions),
        "run": ",".join(str(run.number) for run in runs),
    }
