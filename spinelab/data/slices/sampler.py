"""The order in which slices are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import Sampler

Sampling = Literal["uniform", "foreground", "balanced"]
FOREGROUND_SHARE = 1 / 3
"""Part of the draws made among slices with foreground only, as in nnU-Net (Isensee et al., Nature Methods 2021)."""

Order = NDArray[np.int64]


class SliceSampler(Sampler[tuple[int, ...]]):
    """Yields (epoch, index), the same for the same seed and epoch on every machine.

    A slice that is drawn again in the same epoch comes as (epoch, index, how often before), so that it is augmented
    anew.

    Shuffled, it is for training: every process of a distributed run draws the same number of different slices, and
    the few that do not divide evenly are left out for that epoch. In order, it is for evaluation: every slice is
    drawn exactly once over all processes, none twice, so that processes may differ by one slice.

    It does the work of a distributed sampler itself: give the trainer ``use_distributed_sampler=False``. Lightning
    calls `set_epoch` before each epoch.

    Args:
        length: Number of slices of the data set.
        shuffle: Whether to shuffle, anew in each epoch.
        seed: Seed of the order.

    Attributes:
        epoch: The epoch of the next pass.
        skip: How many slices this process leaves out at the beginning of a pass: those that an interrupted training
            has seen (see `SliceLoader`). The length does not count it.
    """

    def __init__(self, length: int, *, shuffle: bool, seed: int = 0) -> None:
        self.length, self.shuffle, self.seed, self.epoch, self.skip = length, shuffle, seed, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of slices that this process draws."""
        rank, world = _rank_and_world()
        return self.length // world if self.shuffle else len(range(rank, self.length, world))

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """(epoch, index) of this process's slices."""
        rank, world = _rank_and_world()
        order = self.draw(np.random.default_rng((self.seed, self.epoch))) if self.shuffle else np.arange(self.length)
        mine = np.column_stack([order, repeats(order)])[rank::world][
            self.skip : len(self)
        ]  # counted over all processes
        return ((self.epoch, index, again) if again else (self.epoch, index) for index, again in mine.tolist())

    def draw(self, rng: np.random.Generator) -> Order:
        """The `length` indices of one epoch over all processes, in order."""
        return rng.permutation(self.length)


class ClassSampler(SliceSampler):
    """Draws training slices by the classes that they show.

    Args:
        pixels: (N, K) pixels of each class on each slice, background first.
        sampling: ``uniform`` draws each slice once. The others draw as many slices, with replacement:
            ``foreground`` draws a third among the slices with foreground and the others among all slices;
            ``balanced`` first draws a class, each that occurs with the same probability, then one of the slices that
            show it. Empty slices, if there are any, count as one more class.
        empty: Part of the slices without any foreground that each epoch draws from, chosen anew in each: 1 keeps
            all, 0 none. The others are left out of that epoch, which is shorter by as many.
        seed: Seed of the order.

    Raises:
        ValueError: The rule is unknown, the part is not in [0, 1], or no slice is left.
    """

    def __init__(
        self, pixels: NDArray[Any], *, sampling: Sampling = "uniform", empty: float = 1.0, seed: int = 0
    ) -> None:
        if sampling not in get_args(Sampling):
            raise ValueError(f"sampling is one of {', '.join(get_args(Sampling))}, not {sampling!r}")
        if not 0 <= empty <= 1:
            raise ValueError(f"the part of empty slices must be in [0, 1], not {empty}")
        self._shows: NDArray[np.bool_] = np.greater(pixels[:, 1:], 0)
        self._sampling = sampling
        blank = np.logical_not(self._shows.any(axis=1))
        self._full, self._blank = np.flatnonzero(~blank), np.flatnonzero(blank)
        self._kept = round(empty * len(self._blank))
        super().__init__(len(self._full) + self._kept, shuffle=True, seed=seed)
        if self.length == 0 and blank.size:
            raise ValueError("every slice is empty and none of them is kept")

    def draw(self, rng: np.random.Generator) -> Order:
        """The indices of one epoch over all processes, in order."""
        candidates = np.arange(len(self._shows))
        if self._kept < len(self._blank):
            candidates = np.sort(np.concatenate([self._full, rng.permutation(self._blank)[: self._kept]]))
        if self._sampling == "uniform":
            return rng.permutation(candidates)
        return rng.choice(candidates, self.length, p=probabilities(self._shows[candidates], self._sampling))


def probabilities(shows: NDArray[np.bool_], sampling: Sampling) -> NDArray[np.float64]:
    """Probability that a draw gives each slice, as `ClassSampler` describes it.

    Args:
        shows: (N, K - 1), whether each slice shows each foreground class.
        sampling: The rule.
    """
    full = shows.any(axis=1)
    uniform = np.full(len(shows), 1 / max(1, len(shows)))
    if sampling == "uniform" or not full.any():
        return uniform
    if sampling == "foreground":
        return FOREGROUND_SHARE * full / full.sum() + (1 - FOREGROUND_SHARE) * uniform
    classes = np.column_stack([shows, ~full])
    classes = classes[:, classes.any(axis=0)]
    return np.asarray((classes / classes.sum(axis=0)).mean(axis=1))


def repeats(order: Order) -> Order:
    """How often each entry has occurred before."""
    by_value = np.argsort(order, kind="stable")
    values, before = order[by_value], np.empty_like(order)
    before[by_value] = np.arange(len(order)) - np.searchsorted(values, values)
    return before


def _rank_and_world() -> tuple[int, int]:
    """Asked at each pass: the process group is set up after the loaders' samplers are made."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
