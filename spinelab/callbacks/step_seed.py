"""Dropout that a resumed training draws as the uninterrupted one would have."""

from __future__ import annotations

import hashlib

import lightning
import torch

from spinelab.types import Batch


class StepSeed(lightning.Callback):
    """Seeds torch before every training batch by (seed, epoch, batch, process).

    What a network draws in a step then depends on nothing that was drawn before, as samples already do not (see
    `SliceDataset`).

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Seed the processor's generator, and the device's."""
        value = step_seed(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        # torch.manual_seed asks for every kind of device: 200 microseconds, and a queued call a step without a GPU
        torch.default_generator.manual_seed(value)
        if pl_module.device.type != "cpu":
            torch.get_device_module(pl_module.device).manual_seed(value)


def step_seed(*numbers: int) -> int:
    """A number of 63 bits from several, each combination another."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
