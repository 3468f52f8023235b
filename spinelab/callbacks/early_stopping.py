"""Early stopping that a resumed training remembers."""

from __future__ import annotations

import lightning
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason


class EarlyStopping(LightningEarlyStopping):
    """Lightning's, which also stops at once when the interrupted training had decided to.

    Lightning restores the count of epochs without improvement but not the decision: a run that was killed between its
    last checkpoint and its end would train one epoch more.
    """

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Decide again what the checkpoint says was decided."""
        trainer.should_stop = trainer.should_stop or self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED
