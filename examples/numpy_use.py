"""The package with numpy alone, without torch: python examples/numpy_use.py cache/subj01/general

Prints what the arrays are, goes through them in shuffled batches, compares the responses to repeats of an image, and
puts voxels back into the volume.
"""

import argparse

import boldmill
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", help="path of arrays without their endings")
    parser.add_argument("--small", action="store_true", help="the first session alone")
    args = parser.parse_args()

    arrays = boldmill.Arrays(args.arrays)
    arrays.verify()
    print(arrays)
    print(f"{len(arrays.sessions)} sessions, {len(arrays.runs)} runs, TR {arrays.tr:.3f} s, grid {arrays.grid}")
    rows = np.asarray(arrays.meta["session"]) == arrays.sessions[0]["session"] if args.small else None

    # fmri and meta are plain numpy arrays; a Loader gathers batches of them in the order of a seed
    points = boldmill.TimePoints(arrays, ["fmri", "session"], rows=rows, output="numpy")
    total, n = np.zeros(points.voxels), 0
    for batch in boldmill.Loader(points, 1000, order="shuffled", seed=1):
        total += batch["fmri"].sum(0)
        n += len(batch["fmri"])
    print(f"mean of {n} time points in shuffled batches: {np.abs(total / n).max():.1e} at most (each run has mean 0)")

    # a window for each presentation; the labels are delayed by the response already, so that it begins at the onset
    windows = boldmill.Windows(arrays, 6, fields=["fmri", "stimulus_history"], rows=rows, output="numpy")
    batch = windows[:]
    responses, images = batch["fmri"].mean(1), batch["stimulus_history"][:, -1]
    print(f"{len(windows)} windows {batch['fmri'].shape[1:]} of {len(set(images))} images")

    # how alike are two responses to the same image, and to different ones?
    responses -= responses.mean(1, keepdims=True)
    responses /= np.linalg.norm(responses, axis=1, keepdims=True)
    alike = (responses @ responses.T)[np.triu_indices(len(images), 7)]  # neighbours in time share rows
    same = (images[:, None] == images)[np.triu_indices(len(images), 7)]
    print(
        f"responses correlate by {alike[same].mean():.2f} if to the same image, by {alike[~same].mean():+.2f} if not"
    )
    volume = arrays.volume(batch["fmri"].mean((0, 1)), fill=np.nan)
    print(f"back in the volume: {volume.shape}, {np.isfinite(volume).sum()} voxels")


if __name__ == "__main__":
    main()
