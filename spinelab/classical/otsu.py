"""Thresholds between grey values (Otsu 1979; several at once: Liao 2001), and the shape of what lies between them."""

from __future__ import annotations

import numpy as np
from skimage.filters import threshold_multiotsu

from spinelab.classical.grey import BINS, bins
from spinelab.classical.regions import components
from spinelab.classical.types import Grey, Regions

COARSE = 64
"""Bins of the histogram from four levels on: the search is exhaustive."""


def otsu(grey: Grey, rng: np.random.Generator, *, levels: int = 2, opening: int = 0) -> Regions:
    """Connected parts of equal level, with the thresholds of the largest variance between the levels.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        levels: Levels that the thresholds divide the slice into, 2 to 5.
        opening: See `regions.components`.

    Raises:
        ValueError: See `parted`.
    """
    return components(parted(grey, levels), opening)


def parted(grey: Grey, levels: int) -> Regions:
    """(H, W) numbers of the levels, from dark to bright; fewer levels where there are fewer grey values.

    Raises:
        ValueError: There are not 2 to 5 levels.
    """
    if not 2 <= levels <= 5:
        raise ValueError(f"levels is 2 to 5, not {levels}")
    count = BINS if levels < 4 else COARSE
    values = bins(grey, count)
    levels = min(levels, len(np.unique(values)))
    if levels < 2:
        return np.zeros(grey.shape, np.int64)
    frequencies = np.bincount(values.ravel(), minlength=count)
    thresholds = threshold_multiotsu(classes=levels, hist=(frequencies, np.arange(count)))
    return np.digitize(values, thresholds, right=True).astype(np.int64)
