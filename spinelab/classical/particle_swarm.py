"""Thresholds found by a particle swarm (Kennedy and Eberhart 1995), as Valarmathi and Nirmala Devi do for vertebrae."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.grey import bins, histogram
from spinelab.classical.regions import components
from spinelab.classical.types import Grey, Regions

Criterion = Literal["otsu", "kapur"]
Worth = Callable[[NDArray[Any]], NDArray[np.float64]]
PARTICLES, STEPS = 40, 60
INERTIA, PULL = 0.7298, 1.49618
"""Clerc and Kennedy's constriction (2002): the swarm settles."""


def particle_swarm(
    grey: Grey, rng: np.random.Generator, *, levels: int = 3, criterion: Criterion = "kapur", opening: int = 0
) -> Regions:
    """Connected parts of equal level, with the thresholds that the swarm found best.

    Args:
        grey: (H, W) prepared slice.
        rng: Of the swarm.
        levels: Levels that the thresholds divide the slice into.
        criterion: ``otsu``: variance between the levels; ``kapur``: sum of the levels' entropies (Kapur 1985).
        opening: See `regions.components`.

    Raises:
        ValueError: There is no such criterion, or fewer than 2 levels.
    """
    if levels < 2:
        raise ValueError(f"levels is at least 2, not {levels}")
    frequencies = histogram(grey)
    thresholds = search(worth(frequencies, criterion), levels - 1, len(frequencies), rng)
    return components(np.digitize(bins(grey), thresholds).astype(np.int64), opening)


def worth(frequencies: NDArray[np.float64], criterion: Criterion) -> Worth:
    """The function to maximise: sorted thresholds (n, T), in bins, to n values.

    A threshold t parts bins below t from bins from t on.

    Raises:
        ValueError: There is no such criterion.
    """
    if criterion not in ("otsu", "kapur"):
        raise ValueError(f"criterion is otsu or kapur, not {criterion!r}")
    grey = np.arange(len(frequencies))
    entropies = -frequencies * np.log(np.where(frequencies > 0, frequencies, 1))
    mass, moment, entropy = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (frequencies, frequencies * grey, entropies)
    )

    def value(thresholds: NDArray[Any]) -> NDArray[np.float64]:
        ends = np.pad(thresholds, ((0, 0), (1, 1)), constant_values=((0, 0), (0, len(frequencies))))
        w, m, s = (np.diff(sums[ends], axis=1) for sums in (mass, moment, entropy))
        there = w > 1e-12
        safe = np.where(there, w, 1)
        terms = m**2 / safe if criterion == "otsu" else np.log(safe) + s / safe
        return np.asarray(np.where(there, terms, 0).sum(axis=1))

    return value


def search(value: Worth, thresholds: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The best sorted thresholds, between 1 and `count` - 1, that a swarm finds."""
    place = rng.uniform(1, count, (PARTICLES, thresholds))
    speed = rng.uniform(-count / 8, count / 8, place.shape)
    own, own_value = place.copy(), np.full(PARTICLES, -np.inf)
    for _ in range(STEPS):
        now = value(_rounded(place, count))
        better = now > own_value
        own[better], own_value[better] = place[better], now[better]
        leader = own[own_value.argmax()]
        to_own, to_leader = PULL * rng.random(place.shape), PULL * rng.random(place.shape)
        speed = INERTIA * speed + to_own * (own - place) + to_leader * (leader - place)
        place = np.clip(place + speed, 1, count - 1)
    return _rounded(own[own_value.argmax()][None], count)[0]


def _rounded(place: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    return np.sort(np.clip(place.astype(np.int64), 1, count - 1), axis=1)
