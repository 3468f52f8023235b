"""Loaders of a split's slices, for Lightning."""

from __future__ import annotations

from collections.abc import Collection

import lightning as L
import torch
from torch.utils.data import DataLoader

from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import SliceDataset, Transform, collate
from spinelab.data.slices.sampler import SliceSampler
from spinelab.data.splits import Split
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

    Attributes:
        train_set: Training slices; `train_set.volumes` says what a batch's `volume` refers to.
        val_set: Validation slices.
        test_set: Test slices.

    Raises:
        ConfigError: The split names persons who are not in the cache.
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
    ) -> None:
        super().__init__()
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size or batch_size
        self.num_workers, self.seed = num_workers, seed

        def slices_of(persons: Collection[str], transform: Transform | None = None) -> SliceDataset:
            return SliceDataset(cache, cache.volumes_of(persons), transform, seed=seed)

        self.train_set = slices_of(split.train, augmentation)
        self.val_set, self.test_set = slices_of(split.val), slices_of(split.test)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches; a last one that is too small is left out, unless it is the only one."""
        sampler = SliceSampler(len(self.train_set), shuffle=True, seed=self.seed)
        # batch normalisation suffers from a last batch of one or two slices
        return self._loader(self.train_set, sampler, self.batch_size, drop_last=len(sampler) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Batches in order; no loader if the split has no validation."""
        return self._in_order(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches in order."""
        return self._in_order(self.test_set)

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
