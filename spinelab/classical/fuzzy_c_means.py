"""Fuzzy C-means (Bezdek 1981): every grey value belongs to every cluster, to a degree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.grey import BINS, bins, histogram
from spinelab.classical.regions import components
from spinelab.classical.types import Grey, Regions, Vectors

STEPS, STILL = 200, 1e-6


def fuzzy_c_means(
    grey: Grey, rng: np.random.Generator, *, clusters: int = 4, fuzziness: float = 2.0, opening: int = 0
) -> Regions:
    """Connected parts of pixels that belong most to one cluster of grey values.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used: the first centres are quantiles.
        clusters: Number of clusters.
        fuzziness: Bezdek's m, above 1; near 1 it is K-means.
        opening: See `regions.components`.
    """
    frequencies = histogram(grey)
    there = np.flatnonzero(frequencies)
    clusters = min(clusters, len(there))
    values = np.arange(BINS)[:, None] / BINS
    start = np.quantile(there, (np.arange(clusters) + 0.5) / clusters)[:, None] / BINS
    centres = cluster(values[there], frequencies[there], start, fuzziness)[0]
    return components(memberships(values, centres, fuzziness).argmax(axis=1)[bins(grey)], opening)


def cluster(
    samples: Vectors, weights: NDArray[np.float64], centres: Vectors, fuzziness: float
) -> tuple[Vectors, list[float]]:
    """Move centres until they rest.

    Args:
        samples: (n, F).
        weights: (n,) how often each sample occurs.
        centres: (C, F) to start from.
        fuzziness: Bezdek's m.

    Returns:
        The centres (C, F), and the objective sum(w u^m d^2) after every step, which never rises.

    Raises:
        ValueError: The fuzziness is not above 1.
    """
    if fuzziness <= 1:
        raise ValueError(f"fuzziness is above 1, not {fuzziness}")
    objective: list[float] = []
    for _ in range(STEPS):
        shares = weights[:, None] * memberships(samples, centres, fuzziness) ** fuzziness
        moved = (shares.T @ samples) / np.maximum(shares.sum(axis=0), 1e-300)[:, None]
        objective.append(float((shares * _squared(samples, moved)).sum()))
        still = np.abs(moved - centres).max() < STILL
        centres = moved
        if still:
            break
    return centres, objective


def memberships(samples: Vectors, centres: Vectors, fuzziness: float) -> Vectors:
    """(n, C) degrees, proportional to distance^(-2 / (m - 1)), which sum to 1."""
    squared = np.maximum(_squared(samples, centres), 1e-12)
    nearness = (squared.min(axis=1, keepdims=True) / squared) ** (1 / (fuzziness - 1))
    return np.asarray(nearness / nearness.sum(axis=1, keepdims=True))


def _squared(samples: Vectors, centres: Vectors) -> Vectors:
    return np.asarray(((samples[:, None] - centres[None]) ** 2).sum(axis=2))
