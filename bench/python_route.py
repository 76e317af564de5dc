"""The yardstick: the way of the public Python loaders from one NIfTI run to the arrays of an ROI.

    python_route.py RUN.nii.gz DESIGN.tsv ROI.nii.gz FOLDER

nibabel inflates and converts the whole grid, nilearn detrends and standardises it, h5py stores it as float16 with
gzip level 4 in chunks of 100 rows; a second step reads all of that back, keeps the columns of the ROI and saves them.
Imports are not counted. Prints one JSON object.
"""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from nilearn import signal


def store_run(run, rows, target):
    data = nib.load(run).get_fdata(dtype=np.float32)[..., :rows]
    values = data.reshape(-1, rows).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # voxels outside the brain are constant
        values = signal.clean(values, detrend=True, standardize="zscore_sample")
    with h5py.File(target, "w") as file:
        chunks = (min(100, rows), values.shape[1])
        file.create_dataset(
            "run", data=values.astype(np.float16), chunks=chunks, compression="gzip", compression_opts=4
        )


def cut_roi(source, roi, target):
    selected = np.asarray(nib.load(roi).dataobj).reshape(-1) > 0
    with h5py.File(source) as file:
        np.save(target, file["run"][...][:, selected])


def main(run, design, roi, folder):
    rows = len(Path(design).read_text().split())
    stored, cut = Path(folder) / "python.h5", Path(folder) / "python.npy"
    start = time.perf_counter()
    store_run(run, rows, stored)
    middle = time.perf_counter()
    cut_roi(stored, roi, cut)
    end = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {"store_s": middle - start, "roi_s": end - middle, "rss_mb": usage.ru_maxrss / 1024}
    result |= {"bytes": stored.stat().st_size, "roi_bytes": cut.stat().st_size}
    print(json.dumps(result))
    stored.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
