"""Values in the configuration: their types, and lists of numbers."""

import re
from difflib import get_close_matches

import yaml


def typed(value, schema, definitions=None):
    """The value with the types that the schema wants. `--config key=value` gives text where it stands in braces, and
    YAML numbers where keys have no quotes."""
    definitions = definitions or schema.get("$defs", {})
    kinds = choices(schema, definitions)
    if isinstance(value, dict):
        known = {key: inner for kind in kinds for key, inner in kind.get("properties", {}).items()}
        other = next((kind["additionalProperties"] for kind in kinds if kind.get("additionalProperties")), {})
        return {name(key): typed(item, known.get(name(key), other), definitions) for key, item in value.items()}
    if isinstance(value, list):
        items = next((kind["items"] for kind in kinds if "items" in kind), {})
        return [typed(item, items, definitions) for item in value]
    types = {name for kind in kinds for name in listed(kind.get("type"))}
    if not isinstance(value, str) or not types:
        return value
    return value if "string" in types and not (value == "null" and "null" in types) else yaml.safe_load(value)


def name(key):
    """The text of a key, which YAML takes for a number or a date where it looks like one."""
    if key is None or isinstance(key, bool):
        raise ValueError(f'"{key}" is no name: YAML makes it of no, yes, on, off or null; put the name in quotes')
    return str(key)


def choices(schema, definitions):
    """All schemas that a schema offers, references followed."""
    if "$ref" in schema:
        return choices(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return [schema, *(inner for choice in schema.get("oneOf", []) for inner in choices(choice, definitions))]


def listed(item):
    return item if isinstance(item, list) else [] if item is None else [item]


def numbers(key, spec):
    """The numbers that 3, "1-3,5" or [1, "3-5"] names, ascending; None for "all". `key` opens the message."""
    if spec == "all":
        return None
    items = spec if isinstance(spec, list) else str(spec).split(",")
    chosen = set()
    for item in items:
        match = re.fullmatch("([0-9]+)(?:-([0-9]+))?", str(item).strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(f'{key}: "{item}" is neither a number nor a range; write e.g. "1-3,5", or all')
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def chosen(key, spec, known):
    """As `numbers`; what is a label in `known`, {label: number}, may be named by it."""
    items = spec if isinstance(spec, list) else str(spec).split(",")
    labels = [str(item).strip() for item in items if str(item).strip() in known and not str(item).strip().isdecimal()]
    rest = [item for item in items if str(item).strip() not in labels]
    if not labels or spec == "all":
        return numbers(key, spec)
    return sorted({known[label] for label in labels} | set(numbers(key, rest) if rest else []))


def ranges(chosen):
    """[1, 2, 3, 5] as "1-3,5"."""
    parts = []
    for number in sorted(chosen):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def labels_wanted(spec, found):
    """The labels of the subjects that `spec` names, of those found; by number where both are numbers."""
    if spec == "all":
        return list(found)
    items = spec if isinstance(spec, list) else str(spec).split(",")
    return [next((label for label in found if same_label(label, item)), str(item).strip()) for item in items]


def same_label(label, item):
    item = str(item).strip()
    return label == item or (label.isdecimal() and item.isdecimal() and int(label) == int(item))


def likely(word, words):
    """A part of a message: which of the words was meant, where one is like it."""
    close = get_close_matches(word, list(words), 1, 0.7)
    return f"; did you mean {close[0]}?" if close else ""


def some(names, most=12):
    """Names for a message: a, b, c and 40 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first(sentences, most=8):
    """The first of many sentences, and how many there are."""
    more = len(sentences) - most
    return [*sentences[:most], f"... and {more} more"] if more > 0 else list(sentences)
