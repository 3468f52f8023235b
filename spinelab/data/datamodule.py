"""Loaders of a split's slices, for Lightning."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Collection
from typing import Literal

import lightning as L
import numpy as np
import torch

from spinelab.data.near_duplicates import across_sides, describe, near_duplicates
from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import Transform
from spinelab.data.slices.loader import SliceLoader, WatchedSlices, as_it_is
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
        shape: (B, C, H, W) of the batch that was last moved to the device.

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

        def slices_of(persons: Collection[str], transform: Transform | None = None) -> WatchedSlices:
            return WatchedSlices(cache, cache.volumes_of(persons), transform, seed=seed, workers=num_workers)

        self.train_set = slices_of(split.train, augmentation)
        self.val_set, self.test_set = slices_of(split.val), slices_of(split.test)
        self.sampling, self.empty_slices = sampling, empty_slices
        self.shape: tuple[int, ...] = ()
        self._training: SliceLoader | None = None
        self._start = 0
        self._training_sampler()  # a wrong choice is told now, not after the network was made

    def prepare_data(self) -> None:
        """Warn of images that lie, nearly the same, on two sides; Lightning calls this in one process only."""
        if pairs := across_sides(near_duplicates(self.cache), self.split):
            warnings.warn(describe(pairs), stacklevel=2)

    def train_dataloader(self) -> SliceLoader:
        """Shuffled batches; a last one that is too small is left out, unless it is the only one."""
        sampler = self._training_sampler()
        # batch normalisation suffers from a last batch of one or two slices
        drop_last = len(sampler) > self.batch_size
        self._training = self._loader(self.train_set, sampler, self.batch_size, drop_last=drop_last)
        self._training.start, self._start = self._start, 0
        return self._training

    def val_dataloader(self) -> SliceLoader | list[SliceLoader]:
        """Batches in order; no loader if the split has no validation."""
        return self._in_order(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> SliceLoader:
        """Batches in order."""
        return self._in_order(self.test_set)

    def state_dict(self) -> dict[str, int]:
        """How many batches of the present epoch were trained on, for the checkpoint.

        Lightning's own way, a loader with a state, comes too late for a task that asks for the number of steps: the
        loader was made, and asked for its iterator, before the state is read.
        """
        served = self._training.served if self._training else 0
        return {"served": served % int(self.trainer.num_training_batches) if self.trainer else 0}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Have the next training loader start there."""
        self._start = state_dict["served"]

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Note the size of what comes next, in case that it does not fit into memory."""
        self.shape = tuple(batch["image"].shape)
        return batch

    def reading(self, processes: Collection[int]) -> list[str]:
        """The slices that these workers were at last."""
        return [name for side in (self.train_set, self.val_set, self.test_set) for name in side.reading(processes)]

    def _training_sampler(self) -> SliceSampler:
        rows = np.isin(self.cache.table["volume"], self.cache.volumes_of(self.split.train))
        try:
            empty = float({"keep": 1.0, "drop": 0.0}.get(str(self.empty_slices), self.empty_slices))
            return ClassSampler(self.cache.pixels[rows], sampling=self.sampling, empty=empty, seed=self.seed)
        except ValueError as error:
            remedy = "loader.sampling is uniform, foreground or balanced; loader.empty_slices keep, drop or a part"
            raise ConfigError(f"training slices cannot be drawn: {error}", remedy) from error

    def _in_order(self, slices: WatchedSlices) -> SliceLoader:
        return self._loader(slices, SliceSampler(len(slices), shuffle=False), self.eval_batch_size, drop_last=False)

    def _loader(self, slices: WatchedSlices, sampler: SliceSampler, batch_size: int, *, drop_last: bool) -> SliceLoader:
        return SliceLoader(
            slices,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=one_thread,
        )


def one_thread(worker: int) -> None:
    """Keep a worker to one core: several workers with a thread a core each would slow each other and the training."""
    import cv2

    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # killed while this worker started: torch would take its heir for the parent, and wait for ever
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
