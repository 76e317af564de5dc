"""All that a user of h5py finds in a series file."""

import h5py


def content(file):
    """{name: bytes, or an attribute's text}; a text where h5py cannot read it. `file`: a path, or a file of bytes."""
    found = {}

    def look(name, item):
        found[name] = item[...].tobytes() if isinstance(item, h5py.Dataset) else ""
        found.update((f"{name} {key}", repr(value)) for key, value in item.attrs.items())

    try:
        with h5py.File(file, "r", locking=False) as series:
            look("", series)
            series.visititems(look)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        return f"cannot be read: {error}"
    return found
