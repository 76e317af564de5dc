"""Regions of interest: what an entry of `rois` selects, as the programs take it. Pure functions but for asking which
files there are.

A term is one volume and what of it is meant: "FILE", "FILE = V1v,V1d" or "FILE > 0.2". An entry selects the union (or
intersection) of its terms, less what `minus` selects, where all of `where` hold.
"""

import re
from collections.abc import Callable
from typing import NamedTuple
from unicodedata import normalize

from configuration.values import likely, listed, some
from dataset.patterns import DISK, Pattern

VOLUME = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".npy")
CONDITION = re.compile(r"(.*?\S)\s+(=|!=|>=|<=|>|<)\s+(\S.*)", re.DOTALL)
MASK = "{mask}"


class Term(NamedTuple):
    path: str
    operator: str = ""
    value: str = ""
    table: str | None = None

    @property
    def spec(self):
        return f"{self.path} {self.operator} {self.value}" if self.operator else self.path


class Selection(NamedTuple):
    terms: tuple
    combine: str = "union"
    minus: tuple = ()
    where: tuple = ()

    @property
    def plain(self):
        """Whether it is no more than volumes side by side."""
        return not self.minus and not self.where and (self.combine == "union" or len(self.terms) == 1)

    @property
    def everything(self):
        return (*self.terms, *self.minus, *self.where)


class Volumes(NamedTuple):
    """Where the volumes of a subject are. Patterns have the subject and the entities filled in."""

    root: str
    rois: tuple = ()
    stats: tuple = ()
    tables: tuple = ()
    masks: tuple = ()
    entries: dict = {}
    labels: dict = {}  # what fills the patterns that entries hold
    there: Callable = DISK.exists
    names: Callable = tuple  # of the volumes that there are, for messages


def normal(entry):
    """An entry with all its keys; a name or a list of names is short for its files."""
    given = entry if isinstance(entry, dict) else {"file": entry}
    return {"labels": None, "table": None, "combine": "union", "hemi": None, "minus": [], "where": [], **given}


def selection(name, volumes, inside=()):
    """What an entry selects; a name that is no entry is a volume."""
    if name in inside:
        raise ValueError(f"rois: {name} is made from itself, by way of {inside[-1]}; correct the entries")
    entry = normal(volumes.entries.get(name, name))
    inside = (*inside, name)
    files = listed(entry["file"])
    parts = [chosen(file, entry, volumes, inside) for file in files]
    if len(parts) == 1:
        terms, combine, minus, where = parts[0]
        combine = combine if len(terms) > 1 else entry["combine"]
    else:
        terms, combine, minus, where = joined(name, files, parts, entry["combine"]), entry["combine"], (), ()
    less = [term for item in listed(entry["minus"]) for term in terms_of(item, entry, volumes, inside)]
    kept = [term for item in listed(entry["where"]) for term in one_term(item, entry, volumes, inside)]
    return Selection(tuple(terms), combine, (*minus, *less), (*where, *kept))


def uses_mask(name, entries, inside=()):
    """Whether the layout's brain mask is part of what an entry selects."""
    entry = normal(entries.get(name, name))
    names = [str(item) for key in ("file", "minus", "where") for item in listed(entry[key])]
    inner = [item for item in names if item in entries and item not in (*inside, name)]
    return MASK in names or any(uses_mask(item, entries, (*inside, name)) for item in inner)


def joined(name, files, parts, combine):
    """The terms of several files; each must be simple enough to stand beside the others."""
    for file, part in zip(files, parts, strict=True):
        if not part.plain or (combine == "intersection" and len(part.terms) > 1):
            raise ValueError(
                f"rois: {name}: {file} is a combination of its own, which cannot be one of several; {HOW}"
            )
    return [term for part in parts for term in part.terms]


HOW = "write its volumes out, or make its arrays first and use them as a mask"


def chosen(file, entry, volumes, inside):
    """The selection of one file of an entry: another entry, or a volume with the entry's labels."""
    if file in volumes.entries and file != inside[-1]:
        if entry["labels"] is not None:
            raise ValueError(f"rois: {inside[-1]}: {file} is an entry, which has labels of its own; name a volume")
        return selection(file, volumes, inside)
    if file == MASK:
        return Selection(tuple(Term(path) for path in masks(volumes)))
    return Selection((term(file, entry, volumes),))


def masks(volumes):
    if not volumes.masks:
        raise ValueError("rois: {mask} needs a brain mask; give layout: mask")
    return volumes.masks


def terms_of(item, entry, volumes, inside):
    """The terms that `minus` names."""
    if item not in volumes.entries or item == inside[-1]:
        return (
            [Term(path) for path in masks(volumes)]
            if item == MASK
            else [term(item, {**entry, "labels": None}, volumes)]
        )
    other = selection(item, volumes, inside)
    if not other.plain:
        raise ValueError(f"rois: {inside[-1]}: {item} is a combination of its own, which cannot be taken away; {HOW}")
    return other.terms


def one_term(item, entry, volumes, inside):
    """The term that a condition of `where` is."""
    found = terms_of(item, entry, volumes, inside)
    if len(found) > 1:
        raise ValueError(f"rois: {inside[-1]}: {item} is several volumes, which cannot be one condition; {HOW}")
    return found


def term(text, entry, volumes):
    """A volume by its name or path, with a condition of its own or the labels of the entry."""
    match = CONDITION.fullmatch(text)
    name, operator, value = match.groups() if match else (text, "", "")
    labels = label_spec(entry)
    if not operator and labels:
        operator, value = "=", labels
    path = volume(name, entry["hemi"], volumes)
    named = operator in ("=", "!=") and re.search(r"[^0-9eE+., -]", value)
    return Term(path, operator, value, label_table(name, path, entry, volumes) if named else None)


def volume(name, hemi, volumes):
    """The path of a volume: a path or pattern below the root, or a name in layout: rois or layout: stats."""
    if "/" in name or name.endswith(VOLUME):
        return Pattern.parse(name).fill(**volumes.labels).under(volumes.root).closed(hemi=hemi)
    tries = [pattern.closed(roi=name, stat=name, hemi=hemi) for pattern in (*volumes.rois, *volumes.stats)]
    if not tries:
        raise ValueError(f"rois: {name}: the layout does not say where volumes are; give layout: rois, or a path")
    for path in tries:
        if volumes.there(path):
            return path
    places = ", ".join(dict.fromkeys(tries))
    raise ValueError(f"{places}: no volume {name} is there; {correction(name, volumes.names())}")


def correction(name, names):
    """What to do about a volume that is not there."""
    for twin in names:
        if normalize("NFC", twin) == normalize("NFC", name):
            return f'one that looks the same is, in other Unicode characters; write "{ascii(twin)[1:-1]}"'
    if close := likely(name, names):
        return close.removeprefix("; ")
    there = f" (there are {some(names)})" if names else ""
    return f"correct rois, or where the layout looks for it{there}"


def label_table(name, path, entry, volumes):
    """The table with the names of a volume's labels, or None where the programs are left to find it."""
    if entry["table"]:
        return Pattern.parse(entry["table"]).fill(**volumes.labels).under(volumes.root).closed()
    beside = re.sub(r"_dseg\.nii(\.gz)?$", "_dseg.tsv", path)
    if beside != path and volumes.there(beside):
        return beside
    if "/" in name or name.endswith(VOLUME) or not volumes.tables:
        return None
    tries = [pattern.closed(roi=re.sub(r"^[lr]h\.", "", name)) for pattern in volumes.tables]
    return next((path for path in tries if volumes.there(path)), tries[0])


def label_spec(entry):
    """The labels as the programs take them: "1,3-5,V1v", or nothing."""
    return ",".join(str(item).strip() for item in listed(entry["labels"]))


def table_of(chosen):
    """The one table of a selection, or None."""
    tables = sorted({term.table for term in chosen.everything if term.table})
    if len(tables) > 1:
        raise ValueError(f"rois: label names come from several tables ({', '.join(tables)}); give numbers for some")
    return tables[0] if tables else None


def options(chosen, option="roi"):
    """Options of applymask, or with "mask" of nifti2h5, that select the ROI."""
    common = {(term.operator, term.value) for term in chosen.terms}
    labels = common.pop()[1] if len(common) == 1 and {term.operator for term in chosen.terms} == {"="} else None
    return {
        option: [term.path if labels else term.spec for term in chosen.terms],
        "labels": labels,
        "table": table_of(chosen),
        "combine": chosen.combine if len(chosen.terms) > 1 else None,
        "minus": [term.spec for term in chosen.minus],
        "where": [term.spec for term in chosen.where],
    }


def files(chosen):
    """All volumes that the selection reads, each once."""
    return list(dict.fromkeys(term.path for term in chosen.everything))
