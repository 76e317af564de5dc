"""boldmill: from scanned runs to the arrays that models train on, and from the arrays to batches.

    import boldmill

    points = boldmill.TimePoints("cache/subj01/general")
    for batch in boldmill.Loader(points, batch_size=4096, order="shuffled"):
        ...  # a float32 tensor [4096, voxels]

docs/python.md describes all of it. torch is imported only once tensors are asked for.
"""

from .arrays import Arrays
from .dataset import Dataset, collate
from .errors import DataError, Error, KindError, MissingError, RangeError, UsageError, WorkflowError
from .images import Images
from .loader import Loader
from .make import make_arrays
from .orders import Batches
from .points import Join, Subjects, TimePoints
from .windows import Windows

__all__ = [
    "Arrays",
    "Batches",
    "DataError",
    "Dataset",
    "Error",
    "Images",
    "Join",
    "KindError",
    "Loader",
    "MissingError",
    "RangeError",
    "Subjects",
    "TimePoints",
    "UsageError",
    "Windows",
    "WorkflowError",
    "collate",
    "make_arrays",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from . import installed

        return installed.version()
    raise AttributeError(f"module 'boldmill' has no attribute {name!r}")
