"""What in a configuration does not fit the schema, in sentences: which key, what is wrong with it, what to write."""

import json

from jsonschema import Draft202012Validator

from configuration.values import first, likely, listed

MOST = 8  # sentences
KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section of keys",
    "null": "null",
}
LIMITS = {
    "minimum": "is below",
    "maximum": "is above",
    "exclusiveMinimum": "is not above",
    "exclusiveMaximum": "is not below",
}


def complaints(given, schema):
    """A sentence for each thing that does not fit, in the order of the file."""
    found = [text for error in Draft202012Validator(schema).iter_errors(given) for text in sentences(error, schema)]
    return first(found, MOST)


def sentences(error, schema):
    """Of one error; of an error in a choice, those of what the value was meant to be."""
    if error.validator == "oneOf" and (inner := meant(error)):
        return [text for each in inner for text in sentences(each, schema)]
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        return unknown_keys(error, schema)
    return [f"{place(error)}: {what(error, about(error.absolute_path, schema))}"]


def place(error):
    """clean: censor: before"""
    path = [key if isinstance(key, str) else f"entry {key + 1}" for key in error.absolute_path]
    return ": ".join(path) or "the configuration"


def meant(error):
    """The errors of those choices whose type is that of the value."""
    here = [each for each in error.context if not each.path]
    other = [each for each in here if each.validator == "type" or (each.validator == "oneOf" and not meant(each))]
    wrong = {each.schema_path[0] for each in other}
    return [each for each in error.context if each.schema_path[0] not in wrong]


def about(path, schema):
    """What the schema says of the key that the path leads to."""
    told = schema
    for key in path:
        inner = told.get("properties", {})
        told = inner.get(key, told)
    text = told.get("description") if told is not schema else None
    return ". " + " ".join(text.split()).rstrip(".") if text else "; config/schema.yaml has all keys"


def shown(value):
    return json.dumps(value, ensure_ascii=False, default=str)


def what(error, help):
    value, wanted, kind = error.instance, error.validator_value, error.validator
    if kind == "type":
        return no_such_type(value, listed(wanted), error.schema, help)
    if kind == "enum":
        return f"{shown(value)} is none of {', '.join(map(shown, wanted))}{likely(str(value), map(str, wanted))}"
    if kind in LIMITS:
        return f"{shown(value)} {LIMITS[kind]} {wanted}{help}"
    if kind == "required":
        return f"lacks {', '.join(name for name in wanted if name not in value)}; add it"
    return f"{shown(value)} does not fit{help}"


def no_such_type(value, wanted, schema, help):
    if value is None and "object" in wanted:
        return "is an empty section; give it keys, or leave it out"
    said = f"{shown(value)} is not {' or '.join(KINDS[name] for name in wanted)}"
    if wanted == ["array"] and isinstance(value, str):
        return f"{said}; write [{shown(value)}]"
    if "object" in wanted and (keys := schema.get("properties")):
        return f"{said}; the keys are {', '.join(keys)}"
    return said + help


# Keys that nobody knows


def unknown_keys(error, schema):
    """A sentence for each; it may be misspelt, or belong to another section."""
    here = list(error.schema.get("properties", {}))
    unknown = [key for key in error.instance if key not in here]
    before = "".join(f"{part}: " for part in error.absolute_path)
    return [
        f"{before}{key}: there is no such key{advice(key, here, list(error.absolute_path), schema)}"
        for key in unknown
    ]


def advice(key, here, path, schema):
    if close := likely(key, here):
        return close
    sections = [section for section in sections_with(key, schema) if section != path]
    if sections:
        return " here; it belongs " + " or ".join(f"under {': '.join(s)}" if s else "at the top" for s in sections)
    return f" here; there are {', '.join(here)}"


def sections_with(key, schema, path=()):
    """The sections that have this key, as lists of keys."""
    inner = schema.get("properties", {})
    found = [list(path)] if key in inner else []
    for name, section in inner.items():
        found += sections_with(key, section, (*path, name))
    return found
