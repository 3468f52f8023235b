"""Edges as the borders of regions: Sobel's gradient and Canny's edges (1986), after a Gaussian filter."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.feature import canny as find_canny
from skimage.filters import sobel as find_sobel
from skimage.measure import label as connected

from spinelab.classical.regions import fill
from spinelab.classical.types import Grey, Regions


def sobel(grey: Grey, rng: np.random.Generator, *, share: float = 0.2, closing: int = 0) -> Regions:
    """Connected parts between the strongest gradients.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        share: Share of the pixels that are edges.
        closing: Pixels by which edges are made thicker, which closes gaps.
    """
    gradient = find_sobel(grey)
    return enclosed(gradient > np.quantile(gradient, 1 - share), closing)


def canny(grey: Grey, rng: np.random.Generator, *, sigma: float = 1.0, high: float = 0.8, closing: int = 0) -> Regions:
    """Connected parts between Canny's edges.

    Args:
        grey: (H, W) prepared slice.
        rng: Not used.
        sigma: Standard deviation of Canny's own Gaussian in pixels.
        high: Quantile of the gradient from which an edge is sure; from half of this on it is followed.
        closing: Pixels by which edges are made thicker, which closes gaps.
    """
    edges = find_canny(grey, sigma=sigma, low_threshold=high / 2, high_threshold=high, use_quantiles=True)
    return enclosed(edges, closing)


def enclosed(edges: np.ndarray, closing: int = 0) -> Regions:
    """Connected parts (4 neighbours) that edges (H, W) enclose; the pixels of the edges go to the nearest part."""
    closed = binary_dilation(edges, iterations=closing) if closing else edges
    return fill(connected(~closed, background=0, connectivity=1))
