"""Head motion as the tables beside the runs have it."""

import gzip

import numpy as np

SPHERE = 50.0  # mm: rotations count as arcs on a sphere of this radius
NAMES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
READY = "framewise_displacement"


MOST = 1 << 26  # characters of a table, as in the programs; what is gzipped may inflate without end


def fields(path):
    """Lines of fields; n/a is NaN."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8-sig") as file:
        whole = file.read(MOST + 1)
    if len(whole) > MOST:
        raise ValueError(f"{path}: is larger than 64 MB, too large for a table; name another file")
    return [line.split() for line in whole.split("\n") if line.strip()]


def value(field):
    try:
        return float(field)
    except ValueError:
        return np.nan


def displacement(moves):
    """Framewise displacement of Power et al. (2012): sum of the absolute changes of three translations (mm) and three
    rotations (radians, as arcs); NaN for the first volume."""
    change = np.abs(np.diff(moves, axis=0)) * np.array([1, 1, 1, SPHERE, SPHERE, SPHERE])
    return np.concatenate([[np.nan], change.sum(1)])


def read(path):
    """(framewise displacement, where it is from) of a run, or (None, why not)."""
    lines = fields(path)
    named = bool(lines) and any(np.isnan(value(field)) and field.lower() not in ("n/a", "nan") for field in lines[0])
    table = np.array([[value(field) for field in line] for line in lines[named:]], float)
    columns = {name: i for i, name in enumerate(lines[0])} if named else {}
    if READY in columns:
        return table[:, columns[READY]], f"column {READY}"
    if all(name in columns for name in NAMES):
        return displacement(table[:, [columns[name] for name in NAMES]]), "columns trans_* (mm) and rot_* (radians)"
    if not named and table.ndim == 2 and table.shape[1] >= 6:
        return displacement(table[:, :6]), "columns 1 to 3 taken as mm, 4 to 6 as radians"
    return None, "no columns of motion"


def of_rows(moved, run):
    """One value for each row of a run whose volumes may be fewer than the table's; NaN beyond the table's end."""
    times = np.array(run.get("times") or range(run["rows"]))
    found = np.full(len(times), np.nan)
    known = times < len(moved)
    found[known] = moved[times[known]]
    return found
