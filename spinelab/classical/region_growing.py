"""Region growing (Adams and Bischof 1994): seeds in the smoothest places, which grow while the grey value is alike."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_gradient_magnitude
from skimage.feature import peak_local_max
from skimage.segmentation import flood

from spinelab.classical.regions import fill
from spinelab.classical.types import Grey, Regions

SEEDS = 400


def region_growing(grey: Grey, rng: np.random.Generator, *, tolerance: float = 0.1, distance: int = 6) -> Regions:
    """Regions grown one after another, the smoothest seed first; a seed inside a grown region is passed over.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        tolerance: A neighbour joins while its grey value differs from the seed's by no more.
        distance: Pixels between seeds.
    """
    smoothness = -gaussian_gradient_magnitude(grey, 1.0, mode="nearest")
    seeds = peak_local_max(smoothness - smoothness.min() + 1e-6, min_distance=distance, exclude_border=False)
    regions = np.zeros(grey.shape, np.int64)
    for row, column in seeds[:SEEDS]:  # from the highest peak down
        if not regions[row, column]:
            grown = flood(grey, (int(row), int(column)), tolerance=tolerance, connectivity=1)
            regions[grown & (regions == 0)] = regions.max() + 1
    return fill(regions)
