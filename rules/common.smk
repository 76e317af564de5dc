# The configuration, and what the rules ask about the dataset.
#
# What makes a result stale: a change of its input files, of the list of them, or of the settings that it depends on,
# which all reach the programs through `params` (made from wildcards and config alone: Snakemake does not watch params
# that are made from input). The programs in bin/ are no inputs: rebuilding them would pack everything anew although
# packing is lossless. After an upgrade that changes results say so, with e.g. `-R arrays`. Designs are inputs of the
# arrays, whose labels they are; a packed session depends only on how many rows they have.
import os
import shlex
from functools import cache

import command
import layout
import settings
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import validate

with open(os.path.join(workflow.basedir, "config", "schema.yaml")) as schema:
    config.update(settings.typed(config, yaml.safe_load(schema)))
validate(config, "../config/schema.yaml")


def checked(function, *args):
    """What the function gives for these settings; its ValueError is the user's to mend."""
    try:
        return function(*args)
    except ValueError as error:
        raise WorkflowError(f"config: {error}")


ROOT = checked(layout.plain_root, config["root"])
CHOSEN = {key: checked(settings.numbers, key, config[key]) for key in ("sessions", "runs")}
SUBJECT = f"{config['cache']}/{config['layout']['folder']}"
LOG = f"{config['cache']}/log/{config['layout']['folder']}"
BENCHMARK = f"{config['cache']}/benchmark/{config['layout']['folder']}"
# Arrays without designs have no rows of metadata.
META = [f"{SUBJECT}/{{roi}}.meta.npy"] if config["layout"]["designs"] else []
ROWS = META or f"{SUBJECT}/{{roi}}.json"

BIN = os.path.abspath(config["bin"] or os.path.join(workflow.basedir, "bin"))
shell.prefix("set -euo pipefail; PATH={}:$PATH; ".format(shlex.quote(BIN).replace("{", "{{").replace("}", "}}")))


onstart:
    if not os.path.exists(os.path.join(BIN, "nifti2h5")):
        raise WorkflowError(f"{BIN}: the programs are not there; run make, or correct bin in the configuration")


wildcard_constraints:
    subject=layout.LABELS["subject"],
    session="[0-9][0-9]|[1-9][0-9][0-9]+",
    roi=r"(?:(?!\.(?:fmri|meta|shuffle|split)\b)[^/])+",


# The dataset


def pattern(name, **labels):
    """A pattern of the layout with the root in front, or None."""
    found = config["layout"][name]
    return found and os.path.join(ROOT, layout.fill(found, space=config["layout"]["space"], **labels))


@cache
def find(name, subject):
    """(pattern, files) of the subject's runs or designs, or None where there are none in this layout."""
    wanted = pattern(name, subject=subject)
    return wanted and (wanted, layout.find(wanted))


@cache
def subjects():
    every = pattern("runs")
    found = sorted({labels["subject"] for labels, _ in layout.find(every)})
    if not found:
        raise WorkflowError(f"{every}: no run is there; correct root or layout (now root: {ROOT})")
    return settings.labels_wanted(config["subjects"], found)


def complain(problems):
    """Ends the workflow, or warns where the configuration allows that something is missing."""
    if problems and not config["allow_missing"]:
        raise WorkflowError("\n".join(problems))
    for problem in problems:
        logger.warning(f"left out: {problem}")


@cache
def sessions(subject):
    """Numbers of the sessions in the subject's arrays."""
    wanted, files = find("runs", subject)
    found = layout.sessions(files)
    if not found:
        raise WorkflowError(f"{wanted}: no run of subject {subject} is there; correct root, layout or the subject")
    complain(layout.session_gaps(wanted, found, CHOSEN["sessions"]))
    return [number for number in CHOSEN["sessions"] or found if number in found]


@cache
def task_runs(subject, session):
    """The session's runs that present something."""
    runs, problems = layout.session_runs(find("runs", subject), find("designs", subject), session, CHOSEN["runs"])
    complain(problems)
    rest = [run.number for run in runs if run.design and layout.design_length(run.design)[1]]
    surprise = layout.rest_surprise(len(runs), rest, config["layout"]["expect_rest"])
    if surprise and not CHOSEN["runs"]:
        logger.warning(f"subject {subject}, session {session}: {surprise}")
    if len(rest) == len(runs):
        raise WorkflowError(
            f"subject {subject}, session {session}: no task run is there; correct the layout, or leave it out"
        )
    return [run for run in runs if run.number not in rest]


def all_runs(subject):
    return [run for session in sessions(subject) for run in task_runs(subject, session)]


def runs_of(wildcards):
    """The task runs of the session, or where the rule knows no session, of all."""
    if "session" in wildcards.keys():
        return task_runs(wildcards.subject, int(wildcards.session))
    return all_runs(wildcards.subject)


def run_files(wildcards):
    return [run.path for run in runs_of(wildcards)]


def design_files(wildcards):
    return [run.design for run in runs_of(wildcards) if run.design]


def label_files(wildcards):
    """The designs that the labels depend on: of events whose categories are not named, all of the subject's."""
    designs = design_files(wildcards)
    if config["labels"]["categories"] is None and any(layout.design_length(design)[0] is None for design in designs):
        return [run.design for run in all_runs(wildcards.subject)]
    return designs


def design_rows(wildcards):
    return [layout.design_length(design)[0] for design in design_files(wildcards)]


def mask_file(wildcards):
    return pattern("mask", subject=wildcards.subject) or []


def packed_sessions(wildcards):
    folder = layout.fill(SUBJECT, subject=wildcards.subject)
    return [f"{folder}/session_{session:02d}.h5" for session in sessions(wildcards.subject)]


# Regions of interest


def roi_entry(name):
    """What the configuration says about an ROI; an ROI it does not list is a volume of that name."""
    entry = config["rois"].get(name, name)
    return {"file": entry} if isinstance(entry, str) else entry


def roi_files(wildcards):
    return layout.roi_paths(roi_entry(wildcards.roi), ROOT, pattern("rois"), **roi_labels(wildcards))


def roi_table(wildcards):
    return layout.roi_table(roi_entry(wildcards.roi), ROOT, pattern("tables"), **roi_labels(wildcards)) or []


def roi_labels(wildcards):
    return {"subject": wildcards.subject, "space": config["layout"]["space"]}


# Command lines


def design_template(wildcards):
    designs = design_files(wildcards)
    return checked(layout.template, find("designs", wildcards.subject)[0], designs) if designs else None


def read_options(wildcards):
    """Options of nifti2h5 that both routes share."""
    subject, pack = wildcards.subject, config["pack"]
    return {
        "subject": int(subject) if subject.isdecimal() else None,
        "volumes": pack["volumes"],
        "design": None if pack["volumes"] else design_template(wildcards),
        "tr": pack["tr"],
    }


def pack_options(wildcards):
    return command.options(
        **read_options(wildcards),
        session=int(wildcards.session),
        mask=mask_file(wildcards),
        store=config["pack"]["store"],
    )


def roi_options(wildcards, option="roi"):
    """Options that select an ROI: of applymask, or as --mask of nifti2h5."""
    entry = roi_entry(wildcards.roi)
    return {
        option: roi_files(wildcards),
        "labels": layout.label_spec(entry) or None,
        "table": roi_table(wildcards) or None,
        "combine": entry.get("combine"),
    }


def cut_options(wildcards):
    """Options of applymask."""
    return command.options(**roi_options(wildcards), absent=roi_entry(wildcards.roi).get("absent"))


def reader_cuts(wildcards):
    """Whether nifti2h5 itself can cut the ROI; otherwise it reads the brain, and applymask cuts."""
    return not config["layout"]["mask"] and roi_entry(wildcards.roi).get("absent", "zero") == "zero"


def direct_options(wildcards):
    cut = roi_options(wildcards, "mask") if reader_cuts(wildcards) else {"mask": mask_file(wildcards)}
    return command.options(**read_options(wildcards), **cut)


def direct_stages(wildcards):
    cut = "" if reader_cuts(wildcards) else f"applymask --threads $threads {cut_options(wildcards)} - -"
    return " ".join(filter(None, [command.stages(cut), clean_stages(wildcards)]))


def clean_stages(wildcards, dtype=None):
    """The middle of a pipeline: detrend | zscore | hrfshift, as far as they are wanted. The number of threads is the
    shell's $threads and no part of this text: results do not depend on it."""
    clean, labels = config["clean"], config["labels"]
    numeric = []
    if clean["order"] is not None:
        numeric.append(("detrend", {"order": clean["order"]}))
    if clean["method"] != "none":
        ddof = clean["ddof"] if clean["method"] == "zscore" else None
        numeric.append(("zscore", {"method": clean["method"], "ddof": ddof}))
    if clean["method"] == "psc":  # needs the mean, which detrend takes away
        numeric.reverse()
    if numeric:
        numeric[-1][1]["dtype"] = dtype
    stages = [f"{name} --threads $threads {command.options(**given)} - -" for name, given in numeric]
    if config["layout"]["designs"]:
        stages.append(f"hrfshift {label_options(wildcards)} - -")
    return command.stages(*stages)


def label_options(wildcards):
    """Options of hrfshift."""
    labels = config["labels"]
    return command.options(
        design=design_template(wildcards),
        offset=labels["offset"],
        history=labels["history"],
        repeats=labels["repeats"],
        column=labels["column"],
        categories=",".join(labels["categories"] or []) or None,
    )


def join_options(wildcards):
    """Options of concat, which checks that these sessions are all there; gaps between runs have been judged here."""
    chosen = sessions(wildcards.subject)
    return command.options(
        dtype=config["arrays"]["dtype"],
        sessions=settings.ranges(chosen),
        allow_gaps=any(layout.gap(task_runs(wildcards.subject, session)) for session in chosen),
    )


# Targets


def roi_targets(subject, *endings):
    return [f"{layout.fill(SUBJECT, subject=subject)}/{roi}.{end}" for roi in config["rois"] for end in endings]


def session_targets(subject, ending):
    folder = layout.fill(SUBJECT, subject=subject)
    return [f"{folder}/session_{session:02d}{ending}" for session in sessions(subject)]


def index_files(stem, parts=None):
    """The files that shuffleidx writes."""
    shards = config["shuffle"]["shards"]
    pieces = [f"-{k}-of-{shards}" for k in range(1, shards + 1)] if shards > 1 else [""]
    return [f"{stem}{part}{piece}.npy" for part in [f".{name}" for name in parts or []] or [""] for piece in pieces]


def all_targets(wildcards):
    make = {
        "arrays": lambda subject: roi_targets(subject, "fmri.npy"),
        "shuffle": lambda subject: roi_targets(subject, "shuffle.json"),
        "split": lambda subject: roi_targets(subject, "split.json"),
        "packed": lambda subject: session_targets(subject, ".h5"),
        "clean": lambda subject: session_targets(subject, ".clean.h5"),
    }
    return [file for subject in subjects() for target in config["targets"] for file in make[target](subject)]
