"""Where the files of a dataset are: pure functions on paths and patterns, without Snakemake.

A pattern is a path with {subject}, {session}, {run} and {roi} where names differ. A label is what stands at such a
place in a file's name ("01"); a number is its value (1). Problems are sentences, "file: what is wrong; what to do",
which the caller raises or prints.
"""

import glob
import os
import re
from typing import NamedTuple

from settings import listed, ranges

HOLE = re.compile(r"\{(\w+)\}")
LABELS = {"subject": "[A-Za-z0-9]+", "session": "[0-9]+", "run": "[0-9]+", "roi": "[^/]+"}
VOLUME = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".npy")


class Run(NamedTuple):
    number: int
    path: str
    design: str | None


# Patterns


def plain_root(root):
    """The root in a form that no program takes for an option or a pattern."""
    if holes(root):
        raise ValueError(f"{root}: a folder with braces in its name cannot be told from a pattern; use a link to it")
    return os.path.abspath(os.path.expanduser(root)) if root[0] in "-~" else root


def fill(pattern, **labels):
    """The pattern with the labels put in; holes without a label stay."""
    return HOLE.sub(lambda hole: str(labels.get(hole[1], hole[0])), pattern)


def holes(pattern):
    return set(HOLE.findall(pattern))


def matcher(pattern):
    """A regular expression for the pattern, with a group a hole. A hole that comes twice must hold the same twice."""
    seen = set()

    def group(name):
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{LABELS[name]})"

    texts = HOLE.split(pattern)  # text, name, text, name, ..., text
    return re.compile("".join(group(part) if i % 2 else re.escape(part) for i, part in enumerate(texts)))


def find(pattern):
    """(labels, path) of each file that fits the pattern, in the order of their names. Only the folders on the way are
    listed, nothing else of a large dataset."""
    wanted = matcher(pattern)
    matches = map(wanted.fullmatch, sorted(glob.glob(HOLE.sub("*", glob.escape(pattern)))))
    return [(match.groupdict(), match[0]) for match in matches if match]


# Runs


def session_of(labels):
    """A dataset whose names know no sessions has one, 1."""
    return int(labels.get("session", 1))


def sessions(found):
    """The numbers of the sessions among the files that `find` found."""
    return sorted({session_of(labels) for labels, _ in found})


def numbered(found, session):
    """{run number: path} of the session's files, and the problems with them."""
    files, problems = {}, []
    for labels, path in found:
        if session_of(labels) != session:
            continue
        number = int(labels["run"])
        if number in files:
            problems.append(f"{path}: has the same session and run as {files[number]}; keep one of them")
        files.setdefault(number, path)
    return files, problems


def session_runs(runs, designs, session, wanted=None):
    """The runs of a session that are complete, and what is missing of the others.

    `runs` and `designs` are (pattern with the root in front, what `find` found for it); `designs` may be None."""
    files, problems = numbered(runs[1], session)
    labels, more = numbered(designs[1], session) if designs else ({}, [])
    problems += more
    known = sorted(set(files) | set(labels))
    expected = wanted or range(1, max(known, default=0) + 1)
    for number in expected:
        if number not in files:
            problems.append(missing(runs[0], session, number, known, "run"))
        elif designs and number not in labels:
            problems.append(missing(designs[0], session, number, known, "design"))
    complete = [n for n in expected if n in files and (n in labels or not designs)]
    return [Run(n, files[n], labels.get(n)) for n in complete], problems


def missing(pattern, session, number, known, what):
    path = fill(pattern, session=f"{session:02d}", run=f"{number:02d}")
    there = f"runs {ranges(known)} are known" if known else "no run of this session is known"
    return f"{path}: this {what} is missing ({there}); add the file, or set allow_missing: true"


def session_gaps(pattern, found, chosen=None):
    """What is missing between the sessions found, or of those chosen."""
    there = f"sessions {ranges(found)} are there" if found else "no session is there"
    return [
        f"{fill(pattern, session=f'{number:02d}')}: no run of session {number} is there ({there}); "
        "add its files, name the sessions, or set allow_missing: true"
        for number in chosen or range(1, max(found, default=1) + 1)
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


def rest_surprise(total, rest, expected):
    """A sentence where the rest runs are not those that a session of so many runs has as a rule, or None."""
    rule = expected.get(str(total), [])
    if sorted(rest) == sorted(rule):
        return None
    return (
        f"of {total} runs, {ranges(rest) or 'none'} is rest by the designs and {ranges(rule) or 'none'} by the rule "
        "(layout: expect_rest); the designs are followed"
    )


def template(pattern, paths):
    """The form in which nifti2h5 and hrfshift take the designs at `paths`: {session} and {run} for two digits,
    {session:d} and {run:d} for a number without padding."""
    found = [matcher(pattern).fullmatch(path).groupdict() for path in paths]
    forms = {name: label_form(name, {labels[name] for labels in found}, pattern) for name in holes(pattern)}
    return fill(pattern, **forms)


def label_form(name, labels, pattern):
    if all(label == f"{int(label):02d}" for label in labels):
        return f"{{{name}}}"
    if all(label == str(int(label)) for label in labels):
        return f"{{{name}:d}}"
    raise ValueError(f"{pattern}: the numbers for {{{name}}} are written in several ways; use two digits throughout")


# Regions of interest


def roi_paths(entry, root, pattern, **labels):
    """The volumes of an ROI. `file` is the name of one for the pattern, a path below the root, or a list of these."""
    return [
        os.path.join(root, fill(name, **labels)) if name.endswith(VOLUME) else fill(pattern, **labels, roi=name)
        for name in listed(entry["file"])
    ]


def roi_table(entry, root, pattern, **labels):
    """The table with the names of the labels, or None where no label is given by name."""
    if entry.get("table"):
        return os.path.join(root, fill(entry["table"], **labels))
    if not pattern or label_numbers(entry):
        return None
    return fill(pattern, **labels, roi=re.sub(r"^[lr]h\.", "", listed(entry["file"])[0]))


def label_numbers(entry):
    """Whether the labels are numbers only."""
    return not re.search("[^0-9, -]", label_spec(entry))


def label_spec(entry):
    """The labels as the programs take them: "1,3-5,V1v", or nothing."""
    return ",".join(str(item).strip() for item in listed(entry.get("labels")))
