"""The configuration as the workflow sees it: the user's own settings on top of a preset on top of the schema."""

import os

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from configuration import presets, values
from configuration.complaints import complaints

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # of this project
BASE = os.path.join(TREE, "config")
SCHEMA = os.path.join(BASE, "schema.yaml")


def complete(given):
    """All settings. Each file is checked by the schema, under its name; what is wrong is a WorkflowError."""
    with open(SCHEMA, encoding="utf-8") as file:
        schema = yaml.safe_load(file)
    try:
        own = values.typed(given, schema)
    except ValueError as error:
        raise WorkflowError(f"config: {error}") from None
    whole = with_preset(own, schema)
    validate(whole, SCHEMA)  # sets the defaults
    return whole


def check(name, content, schema):
    """What does not fit the schema is a WorkflowError, with the name in front of each sentence."""
    if found := complaints(content, schema):
        raise WorkflowError("\n".join(f"{name}: {text}" for text in found))


def with_preset(given, schema):
    """The configuration on top of the preset that it names."""
    check("config", given, schema)
    name = given.get("layout", {}).get("preset", schema["properties"]["layout"]["properties"]["preset"]["default"])
    try:
        files = presets.read(name, os.path.join(BASE, "presets"))
    except ValueError as error:
        raise WorkflowError(f"config: {error}") from None
    for path, content in files:
        check(path, content, schema)
    return presets.merged(presets.combined(files), given)
