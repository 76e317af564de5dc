# The configuration, and where results go. What the rules ask about the dataset is in dataset.smk, the options that they
# give to the programs in options.smk.
#
# What makes a result stale: a change of its input files (also to older ones: states_of), of the list of them, or of
# the settings that it depends on, which all reach the programs through `params` (made from wildcards and config alone:
# Snakemake does not watch params that are made from input). The programs in bin/ are no inputs: rebuilding them would
# pack everything anew although packing is lossless. After an upgrade that changes results say so, with e.g. `-R
# arrays`. Designs are inputs of the arrays, whose labels they are; a packed session depends only on how many rows they
# have.
import json
import os
import re
import shlex
import sys

from configuration import command, schema, stages, values
from dataset import files, layout, patterns, rois
from dataset.dataset import Dataset
from fetch import listing, needs
from operate import asks, progress
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger


def checked(function, *args, **named):
    """What the function gives for these settings; its ValueError is the user's to mend."""
    try:
        return function(*args, **named)
    except ValueError as error:
        raise WorkflowError(f"config: {error}")


if not workflow.output_settings.verbose:
    progress.say_plainly(logger)
config.update(schema.complete(config))


ROOT = checked(layout.plain_root, config["root"])
SUBJECT = f"{config['cache']}/{config['layout']['folder']}"
LOG = f"{config['cache']}/log/{config['layout']['folder']}"
BENCHMARK = f"{config['cache']}/benchmark/{config['layout']['folder']}"
# What boldqc measures, for the report.
QUALITY = f"{config['cache']}/quality/{config['layout']['folder']}"
# Arrays without designs have no rows of metadata.
META = [f"{SUBJECT}/{{roi}}.meta.npy"] if config["layout"]["designs"] else []
ROWS = META or f"{SUBJECT}/{{roi}}.json"

# The folder of this project: the first Snakefile may be another's, or workflow/Snakefile.
TREE = schema.TREE
PYTHON = [sys.executable, os.path.join(TREE, "rules")]  # with the name of a program: rules/__main__.py
BIN = os.path.abspath(config["bin"] or os.path.join(TREE, "bin"))
# Each job reads this on its own node, so that the variables in `scratch` are that node's.
SCRATCH = os.path.expandvars(config["scratch"] or "")
shell.prefix(
    "set -euo pipefail; PATH={}:$PATH; export BOLDMILL_SCRATCH={}; ".format(
        *(shlex.quote(folder).replace("{", "{{").replace("}", "}}") for folder in (BIN, SCRATCH))
    )
)


wildcard_constraints:
    subject=patterns.LABELS["subject"],
    session="[0-9][0-9]|[1-9][0-9][0-9]+",
    roi=r"(?:(?!\.(?:fmri|meta|shuffle|split)\b)[^/])+",
