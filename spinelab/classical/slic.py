"""Superpixels (Achanta 2012): K-means over grey value and place."""

from __future__ import annotations

import numpy as np
from skimage.segmentation import slic as find_slic

from spinelab.classical.types import Grey, Regions


def slic(grey: Grey, rng: np.random.Generator, *, pixels: int = 100, compactness: float = 0.1) -> Regions:
    """Superpixels of about the given size.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        pixels: Pixels of a superpixel.
        compactness: Weight of the place against the grey value (0 to 1).
    """
    count = max(1, grey.size // pixels)
    return np.asarray(
        find_slic(grey, n_segments=count, compactness=compactness, channel_axis=None, start_label=0), np.int64
    )
