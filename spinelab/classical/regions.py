"""From regions without a name to named classes, by the training persons' statistics of grey value, place and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_opening, distance_transform_edt, gaussian_filter
from skimage.measure import label as connected
from skimage.morphology import disk

from spinelab.classical import forest
from spinelab.classical.technique import Technique
from spinelab.classical.tuning import keywords
from spinelab.classical.types import Grey, Labels, Regions, Scores, State, Vectors

SMALLEST = 9
"""Pixels of the smallest region; a smaller one goes to its neighbour."""


class RegionTechnique(Technique):
    """A way of dividing a slice into regions, and a random forest that names them.

    Args:
        partition: ``partition(grey, rng, **parameters) -> (H, W) region numbers``.
        search: See `Technique`.
        limits: `trials`, `slices` and `limit_s` of `Technique`.
    """

    def __init__(self, partition: Callable[..., Regions], search: Mapping[str, Sequence[Any]], **limits: Any) -> None:
        super().__init__(search, keywords(partition), **limits)
        self.partition = partition

    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """Divide every slice, and learn which regions lie in which class."""
        features, pixels = [], []
        for grey, mask in zip(greys, masks, strict=True):
            regions = self._divide(grey, seed, parameters)
            features.append(describe(regions, grey))
            pairs = regions.ravel() * classes + mask.ravel()
            pixels.append(np.bincount(pairs, minlength=(regions.max() + 1) * classes).reshape(-1, classes))
        return forest.grow(np.concatenate(features), np.concatenate(pixels), seed)

    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """Every pixel gets its region's shares."""
        regions = self._divide(grey, seed, parameters)
        shares = forest.ask(model, describe(regions, grey))
        return np.moveaxis(shares[regions], -1, 0)

    def _divide(self, grey: Grey, seed: int, parameters: dict[str, Any]) -> Regions:
        regions = self.partition(grey, np.random.default_rng(seed), **parameters)
        return np.unique(regions, return_inverse=True)[1].reshape(grey.shape)


def components(levels: Regions, opening: int = 0) -> Regions:
    """Connected parts of equal level (4 neighbours).

    Args:
        levels: (H, W) thresholded levels or clusters.
        opening: Radius in pixels of an opening of each level, which cuts thin bridges; what it takes away goes to the
            nearest part that is left.
    """
    cores = levels + 1
    if opening:
        shape = disk(opening)
        opened = [np.where(binary_opening(cores == level, shape), level, 0) for level in np.unique(cores)]
        cores = np.max(opened, axis=0)
    return fill(connected(cores, background=0, connectivity=1))


def fill(parts: Regions) -> Regions:
    """Give pixels of part 0, and of parts that are too small, to the nearest part."""
    small = np.bincount(parts.ravel()) < SMALLEST
    small[0] = True
    missing = small[parts]
    if missing.all():
        return np.zeros(parts.shape, np.int64)
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(parts[tuple(nearest)], np.int64)


def describe(regions: Regions, grey: Grey) -> Vectors:
    """(R, 11) features of regions numbered 0..R-1.

    Mean and spread of the grey values, mean of the near and of the wide surroundings; row and column of the centre as
    fractions of the slice; logarithm of the area as a fraction; eccentricity, and elongation along the rows and along
    the diagonal; spread of the place.
    """
    height, width = grey.shape
    flat, area = regions.ravel(), np.bincount(regions.ravel()).astype(np.float64)
    row, column = (axis.ravel() for axis in np.indices(grey.shape))

    def mean(values: Any) -> Vectors:
        return np.asarray(np.bincount(flat, np.ravel(values).astype(np.float64)) / area)

    around = [mean(gaussian_filter(grey, max(grey.shape) / part, mode="nearest")) for part in (40, 12)]
    level, r, c = mean(grey), mean(row), mean(column)
    spread = np.sqrt(np.maximum(mean(grey.astype(np.float64) ** 2) - level**2, 0))
    rr, cc = mean((row - r[flat]) ** 2), mean((column - c[flat]) ** 2)
    rc = mean((row - r[flat]) * (column - c[flat]))
    total = np.maximum(rr + cc, 1e-12)
    along, across = (rr - cc) / total, 2 * rc / total
    thin = np.sqrt(along**2 + across**2)  # (l1 - l2) / (l1 + l2) of the moments' eigenvalues
    eccentricity = np.sqrt(np.clip(2 * thin / (1 + thin), 0, 1))
    place = [r / height, c / width, np.log(area / grey.size), eccentricity, along, across]
    return np.stack([level, spread, *around, *place, np.sqrt(total / grey.size)], axis=1)
