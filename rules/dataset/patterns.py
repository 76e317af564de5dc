"""Patterns of file names: paths with holes, such as sub-{subject}/[ses-{session}/]sub-{subject}_run-{run}.nii.gz.

A hole stands for what differs between names; a hole that comes twice holds the same twice. A part in square brackets
is optional: it is there or not, and where its holes have been met before, it is there exactly if they were. What
stands in a hole is a label ("01"), and None where an optional part is not there.
"""

import glob
import os
import re
from itertools import product
from typing import NamedTuple

from dataset.files import Disk

DISK = Disk()
LABELS = {
    "subject": "[A-Za-z0-9]+",
    "session": "[A-Za-z0-9]+",
    "run": "[0-9]+",
    "roi": "[^/]+",
    "stat": "[^/]+",
    "ext": r"nii(?:\.gz)?",
}
ENTITY = "[A-Za-z0-9+]+"  # task, acq, space, ... of BIDS


class Hole(str):
    """The name of a hole, where text has its own characters."""


class Part(NamedTuple):
    optional: bool
    tokens: tuple  # of str and Hole

    @property
    def names(self):
        return [token for token in self.tokens if isinstance(token, Hole)]

    def filled(self, labels):
        tokens = tuple(labels.get(token, token) if isinstance(token, Hole) else token for token in self.tokens)
        if any(token is None for token in tokens):
            return None
        return Part(
            self.optional and any(isinstance(token, Hole) for token in tokens),
            tuple(token if isinstance(token, Hole) else str(token) for token in tokens),
        )


class Found(NamedTuple):
    labels: dict
    path: str
    pattern: "Pattern"


class Pattern(NamedTuple):
    parts: tuple

    @classmethod
    def parse(cls, text):
        pieces = re.split(r"(\[[^\[\]]*\])", text)
        parts = [Part(i % 2 == 1, tokens(piece.strip("[]") if i % 2 else piece)) for i, piece in enumerate(pieces)]
        for part in parts:
            if part.optional and not part.names:
                raise ValueError(
                    f"{text}: an optional part (in []) needs a {{hole}}; use a link to a file with brackets"
                )
            if any(set(token) & set("[]{}") for token in part.tokens if not isinstance(token, Hole)):
                raise ValueError(f"{text}: a bracket or brace has no partner, or holds another; write [_run-{{run}}]")
        return cls(tuple(part for part in parts if part.tokens))

    @property
    def holes(self):
        return list(dict.fromkeys(name for part in self.parts for name in part.names))

    def fill(self, **labels):
        """The pattern with labels put in. None takes the optional part that needs it away; other holes stay."""
        filled = [part.filled(labels) for part in self.parts]
        for part, done in zip(self.parts, filled, strict=True):
            if done is None and not part.optional:
                lost = next(name for name in part.names if labels.get(name, "") is None)
                raise ValueError(f"{self}: {{{lost}}} is none, and stands outside of []; give it a value")
        return Pattern(tuple(part for part in filled if part))

    def under(self, root):
        """The pattern with a folder in front, unless it is absolute."""
        first = self.parts[0]
        text = first.tokens[0] if not first.optional and not isinstance(first.tokens[0], Hole) else ""
        if text.startswith("/"):
            return self
        return Pattern((Part(False, (os.path.join(root, ""),)), *self.parts))

    def __str__(self):
        return "".join(f"[{text(part)}]" if part.optional else text(part) for part in self.parts)

    def path(self, **labels):
        """The path that the pattern makes with these labels; what is still open stays in braces."""
        return str(self.fill(**labels))

    def closed(self, **labels):
        """The path that the pattern makes with these labels, optional parts that they leave open left out."""
        optional = {name: None for part in self.parts if part.optional for name in part.names}
        return self.path(**{**optional, **{name: label for name, label in labels.items() if label is not None}})

    def regex(self):
        """A regular expression with a group for each hole."""
        seen = set()
        return re.compile("".join(expression(part, seen) for part in self.parts))

    def globs(self):
        """Patterns of the shell that no fitting path escapes. An optional folder makes two of one."""
        folders = [part for part in self.parts if part.optional and "/" in "".join(part.tokens)]
        for choice in product((True, False), repeat=len(folders)):
            there = {id(part): yes for part, yes in zip(folders, choice, strict=True)}
            texts = [star(part, there.get(id(part))) for part in self.parts]
            yield re.sub(r"\*\*+", "*", "".join(texts))

    def find(self, files=DISK):
        """What fits the pattern, in the order of names, of the files on the disk or others (files.py). Only the
        folders on the way are listed, nothing else of a large dataset."""
        wanted = self.regex()
        paths = sorted({path for shell in self.globs() for path in files.glob(shell)})
        matches = map(wanted.fullmatch, paths)
        return [Found(match.groupdict(), match[0], self) for match in matches if match]


def tokens(text):
    pieces = re.split(r"\{(\w+)\}", text)
    return tuple(Hole(piece) if i % 2 else piece for i, piece in enumerate(pieces) if piece)


def text(part):
    return "".join(f"{{{token}}}" if isinstance(token, Hole) else token for token in part.tokens)


def expression(part, seen):
    known = [name for name in part.names if name in seen]
    closed = len(known) == len(part.names)
    body = "".join(group(token, seen) if isinstance(token, Hole) else re.escape(token) for token in part.tokens)
    if not part.optional:
        return body
    return f"(?({known[0]}){body})" if closed else f"(?:{body})?"


def group(name, seen):
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>{LABELS.get(name, ENTITY)})"


def star(part, there):
    """The part for the shell; `there` says of an optional folder whether it is."""
    if part.optional and there is None:
        return "*"
    if part.optional and not there:
        return ""
    return "".join("*" if isinstance(token, Hole) else glob.escape(token) for token in part.tokens)
