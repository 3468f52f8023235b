"""2.5D: neighbouring slices as further channels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def with_neighbours(image: Array, count: int) -> Array:
    """Give each slice its neighbours as channels; beyond the ends the outermost slice is repeated.

    Args:
        image: (S, H, W, C).
        count: Neighbours k on each side; 0 returns the image itself.

    Returns:
        (S, H, W, C * (2 k + 1)). Contrast by contrast, each from slice -k to slice +k: contrast c's own slice is
        channel c * (2 k + 1) + k.
    """
    if count == 0:
        return image
    slices, channels = len(image), image.shape[-1]
    near = np.arange(slices)[:, None] + np.arange(-count, count + 1)
    stacked = np.moveaxis(image[np.clip(near, 0, slices - 1)], 1, -1)  # (S, H, W, C, 2 k + 1)
    return np.ascontiguousarray(stacked.reshape(*image.shape[:3], channels * (2 * count + 1)))
