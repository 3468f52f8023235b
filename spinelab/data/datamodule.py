"""Loaders of a split's slices, for Lightning."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from spinelab.data.near_duplicates import across_sides, describe, near_duplicates
from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import SliceDataset, Transform, collate
from spinelab.data.slices.sampler import ClassSampler, Sampling, SliceSampler
from spinelab.data.splits import Split
from spinelab.errors import ConfigError
from spinelab.types import Batch


class SliceDataModule(L.LightningDataModule):
    """Training slices shuffled and augmented; validation and test slices in order, each exactly once.

    The samplers share the slices among processes themselves: use it with a trainer that has
    ``use_distributed_sampler=False``.

    Args:
        cache: Prepared slices.
        split: Persons of each side.
        batch_size: Slices of a training batch, per process.
        num_workers: Worker processes of each loader; 0 loads in the training process.
        augmentation: What is done to training slices, or None.
        seed: Seed of the order and the augmentation.
        eval_batch_size: Slices of a validation or test batch; None means as in training.
        sampling: How training slices are drawn: ``uniform``, each once an epoch; ``foreground`` or ``balanced``,
            with replacement, for classes that are rare (see `ClassSampler`).
        empty_slices: Training slices without any foreground: ``keep``, ``drop``, or the part of them that each epoch
            draws from. Validation and test see all.

    Attributes:
        channels: Image channels C of every batch.
        train_set: Training slices; `train_set.volumes` says what a batch's `volume` refers to.
        val_set: Validation slices.
        test_set: Test slices.

    Raises:
        ConfigError: The split names persons who are not in the cache, the sampling is unknown, or no training slice
            is left.
    """

    def __init__(
        self,
        cache: Cache,
        split: Split,
        *,
        batch_size: int = 8,
        num_workers: int = 0,
        augmentation: Transform | None = None,
        seed: int = 0,
        eval_batch_size: int | None = None,
        sampling: Sampling = "uniform",
        empty_slices: Literal["keep", "drop"] | float = "keep",
    ) -> None:
        super().__init__()
        self.cache, self.split, self.channels = cache, split, cache.channels
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size or batch_size
        self.num_workers, self.seed = num_workers, seed

        def slices_of(persons: Collection[str], transform: Transform | None = None) -> SliceDataset:
            return SliceDataset(cache, cache.volumes_of(persons), transform, seed=seed)

        self.train_set = slices_of(split.train, augmentation)
        self.val_set, self.test_set = slices_of(split.val), slices_of(split.test)
        self.sampling, self.empty_slices = sampling, empty_slices
        self._training_sampler()  # a wrong choice is told now, not after the network was made

    def prepare_data(self) -> None:
        """Warn of images that lie, nearly the same, on two sides; Lightning calls this in one process only."""
        if pairs := across_sides(near_duplicates(self.cache), self.split):
            warnings.warn(describe(pairs), stacklevel=2)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches; a last one that is too small is left out, unless it is the only one."""
        sampler = self._training_sampler()
        # batch normalisation suffers from a last batch of one or two slices
        return self._loader(self.train_set, sampler, self.batch_size, drop_last=len(sampler) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Batches in order; no loader if the split has no validation."""
        return self._in_order(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches in order."""
        return self._in_order(self.test_set)

    def _training_sampler(self) -> SliceSampler:
        rows = np.isin(self.cache.table["volume"], self.cache.volumes_of(self.split.train))
        try:
            empty = float({"keep": 1.0, "drop": 0.0}.get(str(self.empty_slices), self.empty_slices))
            return ClassSampler(self.cache.pixels[rows], sampling=self.sampling, empty=empty, seed=self.seed)
        except ValueError as error:
            remedy = "loader.sampling is uniform, foreground or balanced; loader.empty_slices keep, drop or a part"
            raise ConfigError(f"training slices cannot be drawn: {error}", remedy) from error

    def _in_order(self, slices: SliceDataset) -> DataLoader[Batch]:
        return self._loader(slices, SliceSampler(len(slices), shuffle=False), self.eval_batch_size, drop_last=False)

    def _loader(
        self, slices: SliceDataset, sampler: SliceSampler, batch_size: int, *, drop_last: bool
    ) -> DataLoader[Batch]:
        return DataLoader(
            slices,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=one_thread,
        )


def one_thread(worker: int) -> None:
    """Keep a worker to one core: several workers with a thread a core each would slow each other and the training."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
