"""Pixels classified one by one from features of their surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, zoom

from spinelab.classical.types import Grey, Labels, Scores, Vectors


def grey_features(grey: Grey) -> Vectors:
    """(H, W, 5): grey value, its Gaussian means at 1.5, 3 and 6 pixels, and the gradient's length."""
    means = [gaussian_filter(grey, sigma, mode="nearest") for sigma in (1.5, 3, 6)]
    return np.stack([grey, *means, gaussian_gradient_magnitude(grey, 1.5, mode="nearest")], axis=-1).astype(np.float64)


def place_features(grey: Grey) -> Vectors:
    """(H, W, 2): row and column as fractions of the slice."""
    row, column = np.indices(grey.shape)
    return np.stack([row / grey.shape[0], column / grey.shape[1]], axis=-1)


def draw(
    features: Sequence[Vectors], masks: Sequence[Labels], classes: int, count: int, rng: np.random.Generator
) -> tuple[Vectors, NDArray[np.int64], Vectors]:
    """Draw pixels, equally many of each class that there is.

    Returns:
        (n, F) features, (n,) classes, and (K,) the share that each class has of all pixels.
    """
    labels = np.concatenate([mask.ravel() for mask in masks])
    vectors = np.concatenate([feature.reshape(-1, feature.shape[-1]) for feature in features])
    there = np.bincount(labels, minlength=classes)
    each = max(1, count // np.count_nonzero(there))
    chosen = [rng.permutation(np.flatnonzero(labels == k))[:each] for k in range(classes)]
    picked = np.concatenate(chosen)
    return vectors[picked], labels[picked].astype(np.int64), there / there.sum()


def as_found(balanced: Vectors, shares: Vectors) -> Vectors:
    """Scores (n, K) learnt on equally many pixels of each class, for classes as frequent as `shares` (K,) says."""
    weighted = (balanced + 1e-6) * shares
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def enlarge(scores: Vectors, shape: tuple[int, ...]) -> Scores:
    """Scores (h, w, K) of a coarser grid as (K, H, W), linearly interpolated."""
    factors = [size / small for size, small in zip(shape, scores.shape[:2], strict=True)]
    planes: list[Any] = [
        zoom(scores[..., k], factors, order=1, grid_mode=True, mode="nearest") for k in range(scores.shape[2])
    ]
    full = np.maximum(np.stack(planes), 1e-9)
    return np.asarray(full / full.sum(axis=0))
