"""Checkpoints at the end of every epoch, within long ones, and in folders that were moved."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from spinelab.tasks.seal import LAST
from spinelab.types import Batch

ASKED_EVERY = 50
"""Batches between two questions to the first process whether it is time: each makes all processes wait."""


class Checkpoint(ModelCheckpoint):
    """Lightning's `best.ckpt` by the monitor and `last.ckpt`, and three things that it does not do.

    It saves `last.ckpt` at the end of every epoch, not only of those that improved the monitor. It saves it within an
    epoch too, where an epoch takes longer than some minutes: only where Lightning resumes exactly, after an optimizer
    step and not where validation is next. And it finds the best score again when the run folder was moved, or is
    reached by another path.

    Args:
        minutes: Least time between two checkpoints within an epoch; None saves at the end of epochs alone.
        options: What `ModelCheckpoint` takes.
    """

    def __init__(self, minutes: float | None = 10.0, **options: Any) -> None:
        super().__init__(**options)
        self.minutes, self._saved = minutes, 0.0
        self._metrics: dict[str, float] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and know what was logged before the interruption, such as the epoch's learning rate."""
        super().on_train_start(trainer, pl_module)
        self._saved = time.monotonic()
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._metrics.items()})

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock: the end of the epoch before was saved."""
        self._saved = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Save if it is time and the state is one to resume from."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.minutes is None or not self.save_last or not resumable(trainer, batch_idx + 1):
            return
        if trainer.world_size > 1 and batch_idx % ASKED_EVERY:
            return
        due = time.monotonic() - self._saved >= 60 * self.minutes
        if trainer.strategy.broadcast(due):  # the first process decides, since every process takes part
            trainer.save_checkpoint(self._last)
            self._saved = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save what Lightning leaves out: the last state of an epoch that improved nothing."""
        super().on_train_epoch_end(trainer, pl_module)
        saved = self._last_checkpoint_saved == str(self._last) and self._last_global_step_saved == trainer.global_step
        if self.save_last and not saved and not getattr(trainer, "fast_dev_run", False):
            trainer.save_checkpoint(self._last)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Nothing: the last epoch was saved at its end, and is not saved again by a run that had nothing left to do."""

    @property
    def _last(self) -> Path:
        return Path(str(self.dirpath)) / LAST

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what was logged."""
        checkpoint["metrics"] = {name: float(value) for name, value in trainer.callback_metrics.items()}

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up what was logged."""
        self._metrics = checkpoint["metrics"]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the scores, with the files' names in the folder where they lie now."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = {key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        models = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | paths | {"best_k_models": models, "dirpath": self.dirpath})


def resumable(trainer: lightning.Trainer, batches: int) -> bool:
    """Whether a checkpoint after so many batches of an epoch holds everything that is needed to go on exactly.

    Gradients that wait for further batches are in no checkpoint, and Lightning skips a validation that was due.
    """
    return (
        batches % trainer.accumulate_grad_batches == 0
        and batches % (trainer.val_check_batch or math.inf) != 0
        and batches < trainer.num_training_batches
    )
