"""A TopK sparse autoencoder of single time points: python examples/topk_sae.py cache/subj01/general

Each time point is written as a sum of few of many learned patterns. Trained on all sessions but the last; R^2 is the
share of the last session's variance that the sums explain. On the demo subject it takes about a minute on a CPU.
"""

import argparse
import time

import boldmill
import numpy as np
import torch
from torch import nn


class TopKSAE(nn.Module):
    """x [n, voxels] -> the `active` largest of `patterns` codes -> x again."""

    def __init__(self, voxels: int, patterns: int, active: int) -> None:
        super().__init__()
        self.active = active
        self.encoder = nn.Linear(voxels, patterns)
        self.decoder = nn.Linear(patterns, voxels)
        with torch.no_grad():
            self.decoder.weight /= self.decoder.weight.norm(dim=0)
            self.encoder.weight.copy_(self.decoder.weight.T)
            self.encoder.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = self.encoder(x - self.decoder.bias).topk(self.active, dim=1)
        codes = torch.zeros(len(x), self.encoder.out_features, device=x.device)
        return self.decoder(codes.scatter(1, largest.indices, largest.values.relu()))


@torch.no_grad()
def r2(model: TopKSAE, loader: boldmill.Loader) -> float:
    wrong = total = 0.0
    for x in loader:
        wrong += float((x - model(x)).square().sum())
        total += float((x - x.mean(0)).square().sum())
    return 1 - wrong / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", help="path of arrays without their endings")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--patterns", type=int, default=512)
    parser.add_argument("--active", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate")
    parser.add_argument("--small", action="store_true", help="a few seconds instead of a minute")
    args = parser.parse_args()
    if args.small:
        args.epochs, args.patterns, args.active, args.rate = 4, 128, 8, 5e-4
    torch.manual_seed(0)

    arrays = boldmill.Arrays(args.arrays)
    held_out = np.asarray(arrays.meta["session"]) == arrays.sessions[-1]["session"]
    train = boldmill.Loader(boldmill.TimePoints(arrays, rows=~held_out), 256, order="shuffled", drop_last=True)
    test = boldmill.Loader(boldmill.TimePoints(arrays, rows=held_out), 4096)
    print(f"{(~held_out).sum()} time points to train with, {held_out.sum()} held out, {arrays.shape[1]} voxels")

    model = TopKSAE(arrays.shape[1], args.patterns, args.active)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.rate)
    start = time.monotonic()
    for epoch in range(args.epochs):
        for x in train:
            loss = (x - model(x)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if args.small or epoch % 4 == 3 or epoch == 0:
            print(
                f"epoch {epoch + 1:3d}: held-out R^2 {r2(model, test):+.3f}  ({time.monotonic() - start:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
