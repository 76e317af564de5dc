"""A data module for Lightning: python examples/lightning_module.py cache/subj01/general

The Loader is the dataloader. It deals the rows to the ranks itself, and Lightning's checkpoints hold its position, so
that a run which ends in mid-epoch goes on with the next batch. The example stops after one and a half epochs, goes on
from the checkpoint and says which rows came when. Needs `pip install lightning`.
"""

import argparse
import logging
import tempfile
import warnings

import boldmill
import lightning
import numpy as np
import torch


class TimePointsModule(lightning.LightningDataModule):
    """Time points of one region; the last session is for validation."""

    def __init__(self, name: str, batch_size: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.arrays = boldmill.Arrays(name)
        self.batch_size, self.seed = batch_size, seed
        self.held_out = np.asarray(self.arrays.meta["session"]) == self.arrays.sessions[-1]["session"]

    def loader(self, rows: np.ndarray, order: str) -> boldmill.Loader:
        points = boldmill.TimePoints(self.arrays, ["fmri", "row"], rows=rows)
        ranks = {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        return boldmill.Loader(points, self.batch_size, order, self.seed, drop_last=order == "shuffled", **ranks)

    def train_dataloader(self) -> boldmill.Loader:
        return self.loader(~self.held_out, "shuffled")

    def val_dataloader(self) -> boldmill.Loader:
        return self.loader(self.held_out, "sequential")


class Autoencoder(lightning.LightningModule):
    """A linear one, to have something to train."""

    def __init__(self, voxels: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(voxels, 16), torch.nn.Linear(16, voxels))
        self.seen: list[tuple[int, int]] = []  # (epoch, row)

    def training_step(self, batch, index):
        self.seen += [(self.current_epoch, row) for row in batch["row"].tolist()]
        return (self.layers(batch["fmri"]) - batch["fmri"]).square().mean()

    def validation_step(self, batch, index):
        self.log("loss", (self.layers(batch["fmri"]) - batch["fmri"]).square().mean(), batch_size=len(batch["fmri"]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def train(name: str, folder: str, steps: int, batch_size: int, checkpoint: str | None = None) -> Autoencoder:
    """Trains up to this step, and writes the checkpoint that the next call may go on from."""
    data = TimePointsModule(name, batch_size)
    model = Autoencoder(data.arrays.shape[1])
    saver = lightning.pytorch.callbacks.ModelCheckpoint(folder, "step-{step}", every_n_train_steps=steps)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_steps=steps, callbacks=[saver], **quiet)
    trainer.fit(model, data, ckpt_path=checkpoint)
    if "loss" in trainer.callback_metrics:
        print(f"step {trainer.global_step}: loss on the held-out session {trainer.callback_metrics['loss']:.3f}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrays", help="path of arrays without their endings")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--small", action="store_true", help="three epochs of small batches")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="lightning|torch")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    epochs, batch_size = (3, 100) if args.small else (args.epochs, 256)
    torch.manual_seed(0)

    rows = int((~TimePointsModule(args.arrays).held_out).sum())
    batches = rows // batch_size
    half = batches + batches // 2
    with tempfile.TemporaryDirectory() as folder:
        first = train(args.arrays, folder, half, batch_size)
        print(f"interrupted after batch {half}, in the middle of epoch 1")
        second = train(args.arrays, folder, epochs * batches, batch_size, f"{folder}/step-step={half}.ckpt")
    seen = first.seen + second.seen
    for epoch in range(epochs):
        of_epoch = [row for e, row in seen if e == epoch]
        print(f"epoch {epoch}: {len(of_epoch)} rows in {batches} batches, {len(set(of_epoch))} different ones")


if __name__ == "__main__":
    main()
