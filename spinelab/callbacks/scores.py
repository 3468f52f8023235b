"""Volume scores of the validation persons after every epoch; `val/dice` is what runs are chosen by."""

from __future__ import annotations

from collections.abc import Sequence

import lightning
from torch import Tensor

from spinelab.metrics.aggregate import foreground_dice
from spinelab.metrics.volume import VolumeConfusion
from spinelab.types import Batch, LabelMap


class VolumeScores(lightning.Callback):
    """Sums a confusion matrix over the slices of each validation volume and logs Dice by person.

    Logs `val/dice` (mean over the scored regions of the mean over persons) and `val/dice/<region>`. They are
    computed on the prepared slices; the tables of a finished run are computed on each scan's own grid.

    Args:
        labels: Classes and scored regions.
        persons: Person of each validation volume, in the order of `Batch.volume`.
    """

    def __init__(self, labels: LabelMap, persons: Sequence[str]) -> None:
        self.regions, self.persons = labels.region_indices(), list(persons)
        self.confusion = VolumeConfusion(volumes=max(1, len(self.persons)), classes=labels.count)

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start from zero, on the module's device."""
        self.confusion.to(pl_module.device).reset()

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: dict[str, Tensor],  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the pixels of this batch, padding excluded."""
        self.confusion.update(outputs["prediction"], batch["mask"], batch["volume"], batch["size"])

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the scores: values, not the metric object, which Lightning refuses from a callback."""
        counts = self.confusion.compute().cpu()
        values = {
            f"val/dice/{name}": foreground_dice(counts, {name: indices}, self.persons)
            for name, indices in self.regions.items()
        }
        pl_module.log_dict(values | {"val/dice": foreground_dice(counts, self.regions, self.persons)})
        self.confusion.reset()
