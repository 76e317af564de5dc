"""Reads the images' latent features from 6-TR windows: python examples/readout.py cache/subj01/general data/demo

The second argument is the folder of a synthetic subject, whose ground truth says what each image's 8 latent numbers
are. A ridge regression learns them from all sessions but the last, and is tested on the last.
"""

import argparse
from pathlib import Path

import boldmill
import numpy as np
import torch


def windows_and_features(arrays, rows, latents, length):
    """Windows [n, length * voxels] of the presentations in these rows, and the features [n, 8] of their images."""
    windows = boldmill.Windows(arrays, length, fields=["fmri", "stimulus_history"], rows=rows)
    batches = list(boldmill.Loader(windows, 512))
    x = torch.cat([batch["fmri"].flatten(1) for batch in batches])
    images = torch.cat([batch["stimulus_history"][:, -1] for batch in batches])
    return x, latents[images.long()]


def ridge(x, y, strength):
    """Weights [columns, 8] of the regression, by the windows' products with each other."""
    products = x @ x.T
    return x.T @ torch.linalg.solve(products + strength * products.trace() / len(x) * torch.eye(len(x)), y)


def correlation(a, b):
    """Of each column of a with that of b."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", help="path of arrays without their endings")
    parser.add_argument("data", type=Path, help="folder of the synthetic dataset they were made from")
    parser.add_argument("--small", action="store_true", help="half of the presentations only")
    args = parser.parse_args()

    arrays = boldmill.Arrays(args.arrays)
    latents = torch.from_numpy(np.load(args.data / "ground_truth" / "image_latents.npy"))
    held_out = np.asarray(arrays.meta["session"]) == arrays.sessions[-1]["session"]
    learn = ~held_out & (np.asarray(arrays.meta["run"]) % 2 == 0) if args.small else ~held_out
    for length in (1, 6):
        x, y = windows_and_features(arrays, learn, latents, length)
        x_test, y_test = windows_and_features(arrays, held_out, latents, length)
        predicted = (x_test - x.mean(0)) @ ridge(x - x.mean(0), y - y.mean(0), 1.0) + y.mean(0)
        score = correlation(predicted, y_test)
        shuffled = y_test[torch.randperm(len(y_test), generator=torch.Generator().manual_seed(0))]
        print(f"{length} TR: {len(x)} windows to learn from, {len(x_test)} held out; correlation with the true "
              f"features {score.mean():.2f} ({', '.join(f'{s:.2f}' for s in score)}), "
              f"with those of other images {correlation(predicted, shuffled).mean():+.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
