"""Mean training loss of an epoch; summed here because `LightningModule.log` at every step costs about a millisecond."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor

from spinelab.errors import RunError
from spinelab.types import Batch


class TrainingLoss(lightning.Callback):
    """Logs `train/loss`: the mean over the slices of the epoch, over all processes."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.slices = 0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start from zero."""
        self.total, self.slices = 0.0, 0

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the sums of every process, for a training that goes on within the epoch."""
        sums = torch.tensor([float(self.total), self.slices], dtype=torch.float64, device=pl_module.device)
        checkpoint["training_loss"] = trainer.strategy.all_gather(sums).reshape(-1, 2).tolist()

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up this process's sums; with another number of processes the epoch's mean lacks what came before."""
        sums = checkpoint["training_loss"]
        if len(sums) == trainer.world_size:
            self.total, self.slices = sums[trainer.global_rank][0], int(sums[trainer.global_rank][1])

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Mapping[str, Any],  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Add this batch, without waiting for the device."""
        # Lightning hands over the loss divided by the number of batches that share an optimizer step
        loss = outputs["loss"] * trainer.accumulate_grad_batches
        self.total = self.total + loss.float() * len(batch["mask"])
        self.slices += len(batch["mask"])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the mean before the callbacks that write it down.

        Raises:
            RunError: It is NaN or infinite, after which no weight is worth keeping; the last checkpoint is older.
        """
        sums = torch.tensor([float(self.total), self.slices], device=pl_module.device)
        total, slices = trainer.strategy.reduce(sums, reduce_op="sum")
        mean = total / slices.clamp(min=1)
        if not torch.isfinite(mean):
            raise RunError(
                f"the training loss of epoch {trainer.current_epoch} is {float(mean)}",
                "use a smaller optimizer.lr, or trainer.precision=32-true",
                trainer.default_root_dir,
            )
        pl_module.log("train/loss", mean)
