"""Clusters of pixels around mean values (Lloyd 1982)."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans  # type: ignore[import-untyped]

from spinelab.classical.grey import BINS, bins, histogram
from spinelab.classical.regions import components
from spinelab.classical.types import Grey, Regions


def k_means(grey: Grey, rng: np.random.Generator, *, clusters: int = 4, opening: int = 0) -> Regions:
    """Connected parts of one cluster of grey values each.

    Args:
        grey: (H, W) prepared slice.
        rng: Of the first centres (k-means++).
        clusters: Number of clusters.
        opening: See `regions.components`.
    """
    return components(clustered(grey, clusters, rng)[bins(grey)], opening)


def clustered(grey: Grey, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Cluster of each of 256 grey values, numbered from dark to bright.

    The histogram's bins, weighted by their frequency, give the clusters of all pixels at a fraction of the work.
    """
    frequencies = histogram(grey)
    values = np.arange(BINS)[:, None] / BINS
    count = min(clusters, np.count_nonzero(frequencies))
    means = KMeans(count, n_init=4, random_state=int(rng.integers(2**31)))
    means.fit(values, sample_weight=frequencies)
    order = np.argsort(means.cluster_centers_[:, 0])
    return np.asarray(np.argsort(order)[means.predict(values)], np.int64)
