"""A first look at training arrays, with numpy alone: python examples/look.py cache/subj01/general [TRUTH]

Prints what is in NAME.fmri.npy and NAME.meta.npy. For a synthetic subject TRUTH is its folder: a ridge regression
then reads the images' known latent features from 6-TR windows of a session that it was not trained on.
"""

import json
import sys
from pathlib import Path

import numpy as np

WINDOW = 6  # TRs from the (already delayed) onset on


def windows(meta):
    """First rows of the presentations whose window lies within its run."""
    starts = np.flatnonzero((meta["trial"] >= 0) & (np.diff(meta["trial"], prepend=-1) != 0))
    starts = starts[starts + WINDOW <= len(meta)]
    same = np.ones(len(starts), bool)
    for field in ("session", "run"):
        same &= meta[field][starts] == meta[field][starts + WINDOW - 1]
    return starts[same]


def read_out(fmri, meta, truth):
    """Correlation between known and predicted features of held-out sessions, per feature."""
    latents = np.load(truth / "ground_truth" / "image_latents.npy")
    starts = windows(meta)
    x = np.stack([fmri[s : s + WINDOW].mean(0) for s in starts])
    y = latents[meta["stimulus_history"][starts, -1]]
    test = meta["session"][starts] == meta["session"].max()
    train = x[~test] - x[~test].mean(0)
    mean = y[~test].mean(0)
    gram = train @ train.T
    weights = train.T @ np.linalg.solve(gram + np.trace(gram) / len(gram) * np.eye(len(gram)), y[~test] - mean)
    predicted = (x[test] - x[~test].mean(0)) @ weights + mean
    score = [np.corrcoef(a, b)[0, 1] for a, b in zip(y[test].T, predicted.T, strict=True)]
    rng = np.random.default_rng(0)
    chance = [np.corrcoef(rng.permutation(a), b)[0, 1] for a, b in zip(y[test].T, predicted.T, strict=True)]
    return np.array(score), np.array(chance), int(test.sum())


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    name = sys.argv[1]
    fmri = np.load(f"{name}.fmri.npy", mmap_mode="r")
    meta = np.load(f"{name}.meta.npy")
    info = json.loads(Path(f"{name}.json").read_text())
    print(f"\n{name}.fmri.npy: {fmri.shape[0]} time points x {fmri.shape[1]} voxels, {fmri.dtype}")
    print(f"  mean {fmri.mean():+.4f}, standard deviation {fmri.std():.4f}, sessions "
          f"{', '.join(str(s['session']) for s in info['sessions'])}, TR {info['tr']:.4f} s")  # fmt: skip
    print(f"{name}.meta.npy: {', '.join(meta.dtype.names)}")
    for row in meta[100:104]:
        print(f"  {row}")
    if len(sys.argv) > 2:
        score, chance, n = read_out(fmri, meta, Path(sys.argv[2]))
        print(f"linear read-out of {len(score)} known image features from {n} held-out {WINDOW}-TR windows:")
        print(f"  correlation {score.mean():.2f} ({', '.join(f'{s:.2f}' for s in score)})")
        print(f"  with the images shuffled: {chance.mean():+.2f}")


if __name__ == "__main__":
    main()
