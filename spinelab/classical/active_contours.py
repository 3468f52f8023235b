"""Active contours by morphology (Marquez-Neila 2014), started where the training persons had the class."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from skimage.segmentation import (
    inverse_gaussian_gradient,
    morphological_chan_vese,
    morphological_geodesic_active_contour,
)

from spinelab.classical.curvature import curved
from spinelab.classical.types import Grey, Labels, Scores

SMALLEST = 3
"""Pixels a side from which a contour has something to move in; below, the posterior decides."""


def chan_vese(
    grey: Grey,
    posterior: Scores,
    *,
    start: float = 0.5,
    steps: int = 20,
    smoothing: int = 1,
    picture: Literal["grey", "posterior"] = "posterior",
) -> Labels:
    """Class indices (H, W): a contour of each class that parts two means (Chan and Vese 2001).

    Args:
        grey: (H, W) prepared slice.
        posterior: (K, H, W).
        start: Posterior of the class from which a pixel lies inside the first contour.
        steps: Steps of the contour.
        smoothing: Smoothings of the contour a step.
        picture: The grey values whose two means are parted, the slice's, or the posterior of the class.
    """
    if min(grey.shape) < SMALLEST:
        return posterior.argmax(axis=0).astype(np.uint8)
    inside = [
        curved(
            partial(morphological_chan_vese, grey if picture == "grey" else likely), likely >= start, steps, smoothing
        )
        for likely in posterior[1:]
    ]
    return combine(np.asarray(inside, bool), posterior)


def geodesic(
    grey: Grey,
    posterior: Scores,
    *,
    start: float = 0.5,
    steps: int = 20,
    smoothing: int = 1,
    balloon: float = 1.0,
    edge: float = 0.7,
) -> Labels:
    """Class indices (H, W): a contour of each class that moves until it meets an edge (Caselles 1997).

    Args:
        grey: (H, W) prepared slice.
        posterior: (K, H, W).
        start: Posterior of the class from which a pixel lies inside the first contour.
        steps: Steps of the contour.
        smoothing: Smoothings of the contour a step.
        balloon: Force outwards (1), inwards (-1) or none (0).
        edge: Quantile of the edge picture (1 is flat, 0 is edge) below which the balloon stops.
    """
    if min(grey.shape) < SMALLEST:
        return posterior.argmax(axis=0).astype(np.uint8)
    flat = inverse_gaussian_gradient(grey.astype(np.float64), alpha=200, sigma=1.5)
    stop = float(np.quantile(flat, 1 - edge))
    move = partial(morphological_geodesic_active_contour, flat, threshold=stop, balloon=balloon)
    inside = [curved(move, likely >= start, steps, smoothing) for likely in posterior[1:]]
    return combine(np.asarray(inside, bool), posterior)


def combine(inside: np.ndarray, posterior: Scores) -> Labels:
    """Class indices (H, W) from one contour a foreground class (K - 1, H, W); where two overlap, the likelier one."""
    likely = np.where(inside, posterior[1:] + 1e-12, 0)
    return np.where(inside.any(axis=0), likely.argmax(axis=0) + 1, 0).astype(np.uint8)
