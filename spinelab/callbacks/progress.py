"""Progress in the terminal, with the best score so far and the time that is left."""

from __future__ import annotations

import time

import lightning
from lightning.pytorch.callbacks import RichProgressBar


class Progress(RichProgressBar):
    """Lightning's rich progress bar, which also says what the rest of the training will take.

    The estimate is the mean time of the epochs of this session times the epochs to go; early stopping can only make
    it shorter.
    """

    def __init__(self) -> None:
        super().__init__(leave=False)
        self.began, self.first_epoch = 0.0, 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self.began, self.first_epoch = time.monotonic(), trainer.current_epoch

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The last validation Dice and the minutes left, once an epoch is done."""
        shown: dict[str, int | str | float | dict[str, float]] = {}
        if "val/dice" in trainer.callback_metrics:
            shown["val dice"] = f"{float(trainer.callback_metrics['val/dice']):.3f}"
        if (minutes := self.minutes_left(trainer)) is not None:
            shown["left"] = f"{minutes:.0f} min" if minutes >= 1 else "<1 min"
        return shown

    def minutes_left(self, trainer: lightning.Trainer) -> float | None:
        """Minutes to the last epoch; None before one is done, or where no number of epochs is set."""
        done = trainer.current_epoch - self.first_epoch
        if done < 1 or trainer.max_epochs is None or trainer.max_epochs < 0:
            return None
        return (time.monotonic() - self.began) / done * (trainer.max_epochs - trainer.current_epoch) / 60
