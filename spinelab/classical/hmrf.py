"""Hidden Markov random field with expectation maximisation (Zhang 2001), started by K-means as Alsiddiky does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.grey import bins
from spinelab.classical.k_means import clustered
from spinelab.classical.regions import components
from spinelab.classical.types import Grey, Regions, Scores

ROUNDS, SWEEPS = 8, 4
NARROWEST = 1e-4
"""Smallest variance of a level, which keeps a level of one grey value finite."""


def hmrf(grey: Grey, rng: np.random.Generator, *, levels: int = 4, beta: float = 1.0, opening: int = 0) -> Regions:
    """Connected parts of equal level.

    Args:
        grey: (H, W) prepared slice.
        rng: Of K-means.
        levels: Gaussian levels of grey.
        beta: Bonus for each of 4 neighbours of the same level; 0 is a mixture of Gaussians.
        opening: See `regions.components`.
    """
    start = clustered(grey, levels, rng)[bins(grey)]
    return components(hidden_field(grey, start, beta), opening)


def hidden_field(grey: Grey, start: Regions, beta: float) -> Regions:
    """Levels (H, W) of least energy, and their Gaussians, in turn.

    The energy of a pixel is the negative logarithm of its Gaussian density minus `beta` for each neighbour of the same
    level; iterated conditional modes (Besag 1986) lower it, one colour of the chessboard at a time.
    """
    count = int(start.max()) + 1
    levels = start
    chance = one_hot(levels, count)
    for _ in range(ROUNDS):
        density = log_density(grey, chance)
        before = levels
        levels = settle(levels, density, beta)
        likely = density + beta * neighbours(one_hot(levels, count))
        chance = np.exp(likely - likely.max(axis=0))
        chance /= chance.sum(axis=0)
        if np.array_equal(before, levels):
            break
    return levels


def settle(levels: Regions, density: Scores, beta: float) -> Regions:
    """Passes until nothing changes, or there were enough."""
    for _ in range(SWEEPS):
        before, levels = levels, sweep(levels, density, beta)
        if np.array_equal(before, levels):
            break
    return levels


def sweep(levels: Regions, density: Scores, beta: float) -> Regions:
    """One pass of iterated conditional modes; the energy never rises."""
    colour = np.indices(levels.shape).sum(axis=0) % 2
    for turn in (0, 1):
        best = (density + beta * neighbours(one_hot(levels, len(density)))).argmax(axis=0)
        levels = np.where(colour == turn, best, levels)
    return levels


def log_density(grey: Grey, chance: Scores) -> Scores:
    """(K, H, W) logarithm of each level's Gaussian, fitted with the chances (K, H, W) as weights."""
    weight = np.maximum(chance.sum(axis=(1, 2)), 1e-9)
    mean = (chance * grey).sum(axis=(1, 2)) / weight
    squared = (grey - mean[:, None, None]) ** 2
    variance = np.maximum((chance * squared).sum(axis=(1, 2)) / weight, NARROWEST)[:, None, None]
    return np.asarray(-squared / (2 * variance) - 0.5 * np.log(2 * np.pi * variance))


def one_hot(levels: Regions, count: int) -> Scores:
    """(count, H, W)."""
    return (levels == np.arange(count)[:, None, None]).astype(np.float64)


def neighbours(planes: Scores) -> NDArray[np.float64]:
    """Sum over the 4 neighbours of every pixel, plane by plane."""
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    vertical = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    return np.asarray(vertical + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:])
