"""Watershed of the gradient (Beucher 1979; Soille's flooding): basins that grow until they meet on an edge."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_gradient_magnitude
from skimage.measure import label as connected
from skimage.morphology import h_minima, local_minima
from skimage.segmentation import watershed as flood_basins

from spinelab.classical.types import Grey, Regions


def watershed(
    grey: Grey, rng: np.random.Generator, *, scale: float = 1.0, depth: float = 0.01, compactness: float = 0.0
) -> Regions:
    """Basins of the gradient's length.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        scale: Standard deviation in pixels of the Gaussian whose derivative is the gradient.
        depth: Minima that are shallower (in grey values a pixel) start no basin, against oversegmentation; 0 takes all.
        compactness: Above 0 basins are rounder (compact watershed, Neubert 2014).
    """
    gradient = np.asarray(gaussian_gradient_magnitude(grey, scale, mode="nearest"), np.float64)
    if np.ptp(gradient) <= depth:
        return np.zeros(grey.shape, np.int64)
    minima = h_minima(gradient, depth) if depth else local_minima(gradient)
    markers = connected(minima, connectivity=1)
    return np.asarray(flood_basins(gradient, markers, compactness=compactness), np.int64) - 1
