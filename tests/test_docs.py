"""What the pages say is there: files that they link to, make targets, programs and options in their commands."""

import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import PROGRAMS, ROOT

AWAY = {"build", "bin", ".venv", "cache", "data", "node_modules", ".snakemake", ".pytest_cache"}
PAGES = sorted(
    p for p in ROOT.rglob("*.md") if not AWAY & set(p.relative_to(ROOT).parts[:-1]) or p == ROOT / "data/README.md"
)
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n(.*?)^\1\s*$", re.M | re.S)


def name(page):
    return str(page.relative_to(ROOT))


def prose(text):
    """The page without its blocks of code."""
    return FENCE.sub("", text)


def slug(heading):
    """The anchor that a heading gets."""
    words = re.sub(r"`|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@cache
def anchors(page):
    return {slug(m) for m in re.findall(r"^#+ +(.*)$", prose(page.read_text()), re.M)}


def broken_links(page, text):
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"{target}: there is no such file"
        elif not there.is_relative_to(ROOT):
            yield f"{target}: lies outside"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{target}: {there.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page):
    assert list(broken_links(page, page.read_text())) == []


def test_links_that_lead_nowhere_are_seen():
    page = ROOT / "docs/workflow.md"
    text = "[a](nowhere.md) [b](formats.md#no-such-heading) [c](../../out.md) [d](formats.md) [e](#targets) [f](#x)"
    found = list(broken_links(page, text))
    assert [f.split(":")[0] for f in found] == [
        "nowhere.md",
        "formats.md#no-such-heading",
        "../../out.md",
        "#x",
    ]


# Commands


@cache
def targets():
    """All that make knows by name."""
    rules = [ROOT / "Makefile", *(ROOT / "make").glob("*.mk")]
    found = set()
    for line in "\n".join(p.read_text() for p in rules).splitlines():
        if match := re.match(r"([A-Za-z][A-Za-z0-9 _/%-]*):(?!=)", line):
            found |= set(match[1].split())
    return found


def workflow_programs():
    """What `python rules` knows by name."""
    return runpy.run_path(str(ROOT / "rules/__main__.py"))["PROGRAMS"]


@cache
def options(program):
    """All options in the help of one of our programs, or of Snakemake."""
    command = [sys.executable, "-m", "snakemake"] if program == "snakemake" else [ROOT / "bin" / program]
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])(--?[A-Za-z][\w-]*)", text))


def code(text):
    """Lines of code: fenced, indented by four, or between backticks; with what a backslash continues."""
    fenced = [
        block for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if kind in ("", "sh", "bash")
    ]
    rest = prose(text)
    fenced += re.findall(r"^ {4}(\S.*)$", rest, re.M)
    fenced += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^ {4}.*$", "", rest, flags=re.M))
    return "\n".join(fenced).replace("\\\n", " ").splitlines()


def commands(line):
    """[words] of each command of a line of shell; nothing where it is not one."""
    try:
        words = list(shlex.shlex(line.strip(), posix=True, punctuation_chars="|&;()<>"))
    except ValueError:
        return
    part = []
    for word in [*words, ";"]:
        if re.fullmatch(r"[|&;()]+", word):
            if part:
                yield part
            part = []
        else:
            part.append(word)


def wrong(words):
    """What is not there in a command."""
    while words and re.fullmatch(r"[A-Z_]+=.*|\$|exec|time|nice|sudo", words[0]):
        words = words[1:]
    if not words:
        return
    program, rest = Path(words[0]).name, words[1:]
    if program == "make":
        for word in rest:
            known = word in targets() or word.startswith(("-", "cache/", ".venv/")) or "=" in word
            known = known or not word.islower()
            if not known:
                yield f"make {word}: no such target"
    elif program in (*PROGRAMS, "snakemake"):
        for word in rest:
            if word == "--":
                return
            option = word.partition("=")[0]
            if re.fullmatch(r"--[a-z][\w-]+", option) and option not in options(program):
                yield f"{program} {option}: no such option"
    elif program.startswith("python") or program.endswith((".py", ".sh")):
        script = words[0] if program.endswith((".py", ".sh")) else rest[0] if rest else ""
        whole = (
            script.endswith((".py", ".sh"))
            and "/" in script
            and not set(script) & set("*{<")
            and "NAME" not in script
        )
        if whole and not (ROOT / script).exists():
            yield f"{script}: there is no such file"
        if script == "rules" and not set(rest[1:2]) <= set(workflow_programs()):
            yield f"rules {rest[1]}: no such program"


def wrong_in(text):
    lines = [line for line in code(text) if re.match(r"[\w./$]", line.strip())]
    return [fault for line in lines for words in commands(line) for fault in wrong(words)]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=name)
def test_commands(page, run):
    assert wrong_in(page.read_text()) == []


def test_commands_that_are_not_there_are_seen(run):
    text = """
    make no-such-target
    make check CHECK='--only style'
    detrend --odrer 2 - - | zscore --method psc - -
    X=1 snakemake -j8 --no-such-option --config root=/x -- --after
    python3 rules/none.py
    python rules none --help

Say `make demonstration`.
"""
    found = wrong_in(text)
    assert [fault.partition(":")[0] for fault in found] == [
        "make no-such-target",
        "detrend --odrer",
        "snakemake --no-such-option",
        "rules/none.py",
        "rules none",
        "make demonstration",
    ]


def test_make_help_names_every_target_once_the_first_ones_first():
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    told = re.findall(r"^  (\S.*?)  +\S", done.stdout, re.M)
    makefiles = "".join(path.read_text() for path in [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))])
    assert sorted(told) == sorted(re.findall(r"^([a-zA-Z_%/ .-]+):.*## ", makefiles, re.M))
    assert told[:4] == ["all", "demo", "fetch", "workflow"] and told.index("install") < told.index("check")
    assert re.findall(r"^\S.*$", done.stdout, re.M) == [
        "To use it",
        "To install it, and to clean up",
        "To work on it",
    ]
