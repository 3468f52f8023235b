"""train/loss is the mean over slices, not over batches, whatever the accumulation."""

from __future__ import annotations

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from spinelab.callbacks.training_loss import TrainingLoss
from spinelab.errors import RunError


class Mean(lightning.LightningModule):
    """Its loss is the mean of the batch, so that the epoch's loss must be the mean of the data."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, index):
        return batch["mask"].float().mean() + 0 * self.weight

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_mean_over_slices(tmp_path, accumulate):
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 10.0])
    loader = DataLoader([{"mask": value} for value in values], batch_size=2)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[TrainingLoss()],
        accumulate_grad_batches=accumulate,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Mean(), loader)
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(values.mean().item())


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    loader = DataLoader([{"mask": torch.tensor(value)} for value in (1.0, float("nan"))])
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=1, callbacks=[TrainingLoss()], default_root_dir=tmp_path, **options)
    with pytest.raises(RunError, match="training loss of epoch 0 is nan"):
        trainer.fit(Mean(), loader)
