"""The report of a subject: one HTML page that holds all it shows. Snakemake's script of rule subject_report.

What was measured comes from boldqc's files, what was counted from boldinfo, motion from the tables beside the runs.
Nothing in the page depends on time, host or order of work: same inputs, same bytes.
"""

import os

import yaml

from operate import summary, whole
from report import pictures, tables
from report.markup import tag, text
from report.sessions import Session, charts, pictures_of

NOTE = """Slices from bottom to top, the right of the brain on the right, one scale for all sessions; voxels without a
value are left open. Time courses run from left to right through all runs of a session, and share their axes with the
other sessions; a line in them that touches the edge goes further."""
CHARTED = "A dot is a run, a line the median of a session’s runs. Below stand the numbers of the sessions."


ORDER = ("Overview", "All runs", "Missing runs", "Table of sessions", "Pictures", "Arrays", "Counts", "Settings")
ORDER += ("Provenance", "Definitions")


def sections_of(sessions, facts, settings, made):
    parts = told(sessions, facts, settings, made) | (measured(sessions, made) if sessions else {})
    return {name: parts[name] for name in ORDER if name in parts}


def told(sessions, facts, settings, made):
    """What is known without measurements, too."""
    return {
        "Overview": tag("p", text(facts["unmeasured"]), kind="warn"),
        "Missing runs": tables.missing(facts),
        "Table of sessions": tables.plain_sessions(facts),
        "Arrays": tables.arrays(made),
        "Counts": tables.counts(sessions, made),
        "Settings": tag("pre", text(yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=100))),
        "Provenance": tables.provenance(sessions, made),
    }


def measured(sessions, made):
    return {
        "Overview": tables.tiles(sessions),
        "All runs": tag("p", CHARTED, kind="note") + charts(sessions),
        "Table of sessions": tables.session_table(sessions, made),
        "Pictures": tag("p", NOTE, kind="note") + pictures_of(sessions),
        "Definitions": tables.definitions(sessions),
    }


def head(title):
    with open(os.path.join(os.path.dirname(pictures.__file__), "style.css"), encoding="utf-8") as file:
        style = file.read()
    start = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    return tag("head", start + tag("title", title) + '<link rel="icon" href="data:,">' + tag("style", style))


def page(subject, sessions, facts, settings, made):
    parts = {
        name: (name.lower().replace(" ", "-"), body)
        for name, body in sections_of(sessions, facts, settings, made).items()
    }
    title = f"Subject {text(subject)}"
    about = f"The runs below {text(settings['root'])}, preset {text(settings['layout']['preset'])}. Made by boldmill."
    whole = tag("header", tag("h1", title) + tag("p", about))
    whole += tag("nav", "".join(tag("a", name, href=f"#{key}") for name, (key, _) in parts.items()))
    whole += "".join(tag("section", tag("h2", name) + body, id=key) for name, (key, body) in parts.items())
    body = tag("body", tag("main", whole))
    return f'<!DOCTYPE html>\n<html lang="en">{head(f"boldmill: {title}")}{body}</html>\n'


def main(job):
    facts = job.params.facts
    numbers = {each["session"]: each for each in facts["sessions"]}
    measured = [pictures.Quality(str(path)) for path in job.input.quality]
    sessions = [Session(quality, numbers[quality.session]) for quality in measured]
    there = [path for path in job.params.packed if os.path.exists(path)]
    made = summary.describe(job.params.boldinfo, [*map(str, job.input.made), *there])
    whole.write(str(job.output[0]), page(job.params.subject, sessions, facts, job.params.settings, made))


if "snakemake" in globals():
    main(globals()["snakemake"])
