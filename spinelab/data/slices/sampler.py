"""The order in which slices are drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import distributed
from torch.utils.data import Sampler


class SliceSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index), the same for the same seed and epoch on every machine.

    Shuffled, it is for training: every process of a distributed run draws the same number of different slices, and
    the few that do not divide evenly are left out for that epoch. In order, it is for evaluation: every slice is
    drawn exactly once over all processes, none twice, so that processes may differ by one slice.

    It does the work of a distributed sampler itself: give the trainer ``use_distributed_sampler=False``. Lightning
    calls `set_epoch` before each epoch.

    Args:
        length: Number of slices of the data set.
        shuffle: Whether to shuffle, anew in each epoch.
        seed: Seed of the order.
    """

    def __init__(self, length: int, *, shuffle: bool, seed: int = 0) -> None:
        self.length, self.shuffle, self.seed, self.epoch = length, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of slices that this process draws."""
        rank, world = _rank_and_world()
        return self.length // world if self.shuffle else len(range(rank, self.length, world))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(epoch, index) of this process's slices."""
        rank, world = _rank_and_world()
        order = np.arange(self.length)
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        return ((self.epoch, index) for index in order[rank::world][: len(self)].tolist())


def _rank_and_world() -> tuple[int, int]:
    """Asked at each pass: the process group is set up after the loaders' samplers are made."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
