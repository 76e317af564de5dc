"""Presets: what a dataset looks like, as files that a configuration names. Pure functions on dictionaries and files.

A preset is a YAML file with sections of the configuration, above all `layout`; `extends` names another one that it
begins with. What the configuration itself says wins over the preset, and the preset over the schema's defaults.
"""

import os

import yaml

WHOLE = {"rois", "expect_rest", "parts", "numbers"}  # maps that one file gives as a whole
NEVER = {"root", "cache", "scratch", "bin", "subjects", "targets", "threads"}  # the user's own


def merged(below, above):
    """Two configurations as one, section by section; where both say something, the second is right."""
    both = dict(below)
    for key, value in above.items():
        inner = isinstance(value, dict) and isinstance(both.get(key), dict) and key not in WHOLE
        both[key] = merged(both[key], value) if inner else value
    return both


def preset_path(name, builtin, beside="."):
    """The file of a preset: a name is one of boldmill's own; a path with a slash or an ending begins at `beside`."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return os.path.join(beside, os.path.expanduser(name))
    return os.path.join(builtin, f"{name}.yaml")


def read(name, builtin, beside=".", seen=()):
    """[(path, content)] of a preset and those that it extends, the most general one first."""
    path = preset_path(name, builtin, beside)
    if os.path.realpath(path) in seen:
        raise ValueError(f"{path}: the preset extends itself, by way of others; correct extends")
    content = load(path, builtin)
    wrong = sorted(NEVER & set(content))
    if wrong:
        raise ValueError(f"{path}: {wrong[0]} is no matter of a preset; put it into your configuration")
    base = content.pop("extends", None)
    before = read(str(base), builtin, os.path.dirname(path), (*seen, os.path.realpath(path))) if base else []
    return [*before, (path, content)]


def load(path, builtin):
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except FileNotFoundError:
        own = ", ".join(sorted(name[:-5] for name in os.listdir(builtin) if name.endswith(".yaml")))
        raise ValueError(
            f"{path}: there is no such preset; boldmill has {own}, others are given by their path"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: this preset cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: a preset holds sections of the configuration, such as layout; see docs/datasets.md"
        )
    return content


def combined(files):
    """What the presets say together."""
    whole = {}
    for _, content in files:
        whole = merged(whole, content)
    return whole
