"""`metrics.csv`: one row an epoch, on disk before the next epoch starts."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import lightning
import pandas as pd

from spinelab.files import replacing


class MetricsFile(lightning.Callback):
    """Appends every logged value of an epoch to a CSV file; the loss of a killed run is at most the epoch under way.

    A resumed run drops the rows of epochs that it is going to repeat, and goes on counting seconds.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, Any]] = []
        self.started, self.seconds_before = 0.0, 0.0

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Read the rows of an interrupted run."""
        self.started = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the rows of the epochs that are done (the checkpoint is loaded by now)."""
        if self.path.is_file() and trainer.current_epoch > 0:
            kept = pd.read_csv(self.path).query("epoch < @trainer.current_epoch")
            self.rows = kept.astype(object).where(kept.notna(), None).to_dict("records")  # type: ignore[assignment]
            self.seconds_before = float(kept["seconds"].max()) if len(kept) else 0.0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write this epoch's row; validation has run by now."""
        if not trainer.is_global_zero:
            return
        seconds = round(self.seconds_before + time.monotonic() - self.started, 3)
        head = {"epoch": trainer.current_epoch, "step": trainer.global_step, "seconds": seconds}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append(head | logged)
        self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with replacing(self.path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)
