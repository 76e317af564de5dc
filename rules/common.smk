# The configuration, and where results go. What the rules ask about the dataset is in dataset.smk, the options that they
# give to the programs in options.smk.
#
# What makes a result stale: a change of its input files, of the list of them, or of the settings that it depends on,
# which all reach the programs through `params` (made from wildcards and config alone: Snakemake does not watch params
# that are made from input). The programs in bin/ are no inputs: rebuilding them would pack everything anew although
# packing is lossless. After an upgrade that changes results say so, with e.g. `-R arrays`. Designs are inputs of the
# arrays, whose labels they are; a packed session depends only on how many rows they have.
import copy
import os
import shlex
from functools import cache

import asks
import bids
import command
import layout
import patterns
import presets
import rois
import settings
import stages
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import validate


def checked(function, *args, **named):
    """What the function gives for these settings; its ValueError is the user's to mend."""
    try:
        return function(*args, **named)
    except ValueError as error:
        raise WorkflowError(f"config: {error}")


def with_preset(given, schema):
    """The configuration on top of the preset that it names. Both are checked by the schema, each under its name."""
    validate(copy.deepcopy(given), "../config/schema.yaml", set_default=False)
    name = given.get("layout", {}).get("preset", schema["properties"]["layout"]["properties"]["preset"]["default"])
    files = checked(presets.read, name, os.path.join(workflow.basedir, "config", "presets"))
    for path, content in files:
        try:
            validate(content, "../config/schema.yaml", set_default=False)
        except WorkflowError as error:
            raise WorkflowError(f"{path}: {error}")
    return presets.merged(presets.combined(files), given)


with open(os.path.join(workflow.basedir, "config", "schema.yaml")) as file:
    schema = yaml.safe_load(file)
config.update(with_preset(settings.typed(config, schema), schema))
validate(config, "../config/schema.yaml")


ROOT = checked(layout.plain_root, config["root"])
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
    subject=patterns.LABELS["subject"],
    session="[0-9][0-9]|[1-9][0-9][0-9]+",
    roi=r"(?:(?!\.(?:fmri|meta|shuffle|split)\b)[^/])+",
