"""Reads arrays through the Python package, for the fault campaign: python read_arrays.py ARRAYS RESULT

RESULT gets checksums of all that was read. An error is one line "python: ..." and status 1.
"""

import sys
import zlib
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "python"), str(Path(__file__).resolve().parent)]
import boldmill  # noqa: E402
import numpy as np  # noqa: E402
import server  # noqa: E402


def read(name):
    arrays = boldmill.Arrays(name)
    arrays.verify()
    values = zlib.crc32(np.ascontiguousarray(arrays.fmri))
    rows = zlib.crc32(arrays.meta.tobytes())
    points = boldmill.TimePoints(arrays, output="numpy")
    loader = boldmill.Loader(points, batch_size=7, order="shuffled", seed=1, threads=1)
    batches = [zlib.crc32(np.ascontiguousarray(batch)) for batch in loader]
    return f"{values} {rows} {batches}\n"


if __name__ == "__main__":
    server.wait_for_faults()
    try:
        Path(sys.argv[2]).write_text(read(sys.argv[1]))
    except (OSError, MemoryError, boldmill.Error) as error:
        sys.exit(f"python: {error}")
