"""boldmill: from scanned runs to the arrays that models train on, and from the arrays to batches.

    import boldmill

    points = boldmill.TimePoints("cache/subj01/general")
    for batch in boldmill.Loader(points, batch_size=4096, order="shuffled"):
        ...  # a float32 tensor [4096, voxels]

docs/python.md describes all of it. torch is imported only once tensors are asked for.
"""

from .arrays import Arrays
from .dataset import Dataset, collate
from .errors import DataError, Error, MissingError, RangeError, UsageError
from .loader import Loader
from .orders import Batches
from .points import Join, Subjects, TimePoints

__all__ = [
    "Arrays",
    "Batches",
    "DataError",
    "Dataset",
    "Error",
    "Join",
    "Loader",
    "MissingError",
    "RangeError",
    "Subjects",
    "TimePoints",
    "UsageError",
    "collate",
]
