"""Normalised cut (Shi and Malik 2000) of the graph of superpixels."""

from __future__ import annotations

import numpy as np
from skimage.graph import cut_normalized, rag_mean_color

from spinelab.classical.slic import slic
from spinelab.classical.types import Grey, Regions


def normalised_cut(
    grey: Grey, rng: np.random.Generator, *, pixels: int = 200, sigma: float = 0.1, limit: float = 0.01
) -> Regions:
    """Groups of superpixels that are alike inside and unlike their neighbours.

    Args:
        grey: (H, W) prepared slice.
        rng: Of the eigenvectors' start.
        pixels: Pixels of a superpixel.
        sigma: Difference of mean grey values at which likeness falls to 1/e.
        limit: A group is parted while the cut costs less.
    """
    superpixels = slic(grey, rng, pixels=pixels)
    if superpixels.max() == 0:
        return superpixels
    # likeness is exp(-|difference of colours|^2 / sigma)
    graph = rag_mean_color(
        np.repeat(grey[..., None], 3, axis=2) / np.sqrt(3), superpixels, mode="similarity", sigma=sigma
    )
    return np.asarray(cut_normalized(superpixels, graph, thresh=limit, rng=rng), np.int64)
