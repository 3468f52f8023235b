"""A loader that a resumed training enters where it stopped, over slices that name the sample that fails."""

from __future__ import annotations

import os
import traceback
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, get_worker_info

from spinelab.data.slices.cache import Cache
from spinelab.data.slices.dataset import Key, SliceDataset, Transform
from spinelab.data.slices.sampler import SliceSampler
from spinelab.errors import DataError, SpinelabError
from spinelab.types import Batch


class SliceLoader(DataLoader[Batch]):
    """Yields the batches of `WatchedSlices`.

    Attributes:
        start: First batch of the next pass; all later passes start with 0. The sampler leaves out what comes before,
            so that nothing is read in vain.
        served: How many batches of the present pass were served, those that were left out included.
    """

    start = 0
    served = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches of one pass.

        Raises:
            SpinelabError: What a sample raised, in whichever process it was read.
        """
        # all of this happens at the first batch, by when Lightning has told the sampler the epoch
        sampler = self.sampler
        if isinstance(sampler, SliceSampler):
            sampler.skip = self.start * (self.batch_size or 1)
        self.served, self.start = self.start, 0
        for batch in super().__iter__():
            if isinstance(batch, SpinelabError):
                raise batch
            self.served += 1
            yield batch


class WatchedSlices(SliceDataset):
    """Slices that say which of them cannot be read, also when the process that reads dies of it.

    Every worker notes the slice that it is at in memory that it shares with the training process. An error travels to
    that process in the place of a batch, since torch would turn an exception of several arguments into text.

    Args:
        cache: Prepared slices.
        volumes: Positions of volumes in the cache.
        transform: Augmentation, or None.
        seed: Seed of the augmentation.
        workers: Number of processes that read.
    """

    def __init__(
        self,
        cache: Cache,
        volumes: Sequence[int],
        transform: Transform | None = None,
        *,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__(cache, volumes, transform, seed=seed)
        self._at = torch.zeros((workers, 2), dtype=torch.int64)  # process, slice
        self._at.share_memory_()  # type: ignore[no-untyped-call]

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A whole batch, or in a worker an error."""
        try:
            return super().__getitems__(keys)
        except SpinelabError as error:
            if get_worker_info() is None:
                raise
            return cast("Batch", error)

    def reading(self, processes: Collection[int]) -> list[str]:
        """What these workers were at last."""
        return [self._name(index) for process, index in self._at.tolist() if process in processes]

    def _write(self, key: tuple[int, ...], image: NDArray[np.float32], mask: NDArray[np.int64]) -> None:
        if (worker := get_worker_info()) is not None:
            self._at[worker.id] = torch.tensor((os.getpid(), key[1]))
        try:
            super()._write(key, image, mask)
        except MemoryError:  # is not the slice's fault
            raise
        except Exception as error:
            raise DataError(
                f"{self._name(key[1])} cannot be read or augmented: {_told(error)}",
                "look at it with `spinelab doctor`; train with augmentation=none to see whether that is at fault",
            ) from error

    def _name(self, index: int) -> str:
        return f"slice {int(self._slice[index])} of {self.volumes[int(self._volume[index])].name}"


def as_it_is(batch: Any) -> Any:
    """`WatchedSlices` makes whole batches."""
    return batch


def _told(error: Exception) -> str:
    """An error and where it arose, since its traceback stays behind in the worker."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
