"""Arrays for the tests of the Python package: made by concat from runs with known values."""

import json
import zlib

import numpy as np
from oracle import make_run, rows_of_design, sealed, write_stream

RUNS = ((1, 1, 40), (1, 2, 55), (2, 1, 33), (2, 2, 47))  # session, run, rows


def make_arrays(run, folder, name="roi", *, runs=RUNS, voxels=37, subject=1, dtype="float32", seed=0, scale=1.0):
    """NAME.fmri.npy and its companions in `folder`; the path without endings. voxels: number or voxel indices."""
    rng = np.random.default_rng(seed)
    which = np.arange(3, 3 + voxels) if isinstance(voxels, int) else np.asarray(voxels)
    parts = []
    for session, number, rows in runs:
        data = (scale * rng.normal(0, 1, (rows, len(which)))).astype("<f4")
        design = [
            (k % 3 == 1) * int(np.random.default_rng(session * 100 + number + k).integers(1, 30)) for k in range(rows)
        ]
        meta = rows_of_design(design, tr=1.5, subject=subject, session=session, run=number)
        head = {"subject": subject, "session": session, "run": number, "label": f"s{session}r{number}"}
        parts.append(make_run(data, voxels=which, meta=meta, **head))
    stem = folder / name
    run("concat", "--dtype", dtype, "-", f"{stem}.fmri.npy", stdin=write_stream(parts))
    return str(stem)


def load(stem):
    """(values, rows, description) by numpy alone."""
    with open(f"{stem}.json") as f:
        return np.load(f"{stem}.fmri.npy"), np.load(f"{stem}.meta.npy"), json.load(f)


def replace_values(stem, values):
    """Other values under the same header, and the description's checksum with them."""
    fmri = np.load(f"{stem}.fmri.npy", mmap_mode="r+")
    fmri[:] = values
    fmri.flush()
    del fmri
    with open(f"{stem}.json") as f:
        info = json.load(f)
    with open(f"{stem}.fmri.npy", "rb") as f:
        info["fmri"]["crc32"] = f"{zlib.crc32(f.read()):08x}"
    with open(f"{stem}.json", "wb") as f:
        f.write(sealed(info))
