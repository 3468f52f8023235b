"""Where the body is in a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import find_objects, label
from skimage.filters import threshold_otsu

from spinelab.data.volumes.geometry import Box

MARGIN_MM = 10.0

Array = np.ndarray[Any, Any]


def bright(volume: Array) -> Array:
    """Where a volume is brighter than air: above Otsu's threshold (IEEE TSMC 9(1):62, 1979) of the logarithm.

    Surface coils leave the far side of the body dark, and only the logarithm tells that from air.
    """
    values = np.log1p(volume.astype(np.float32) - np.float32(volume.min()))
    return values > threshold_otsu(values)


def body_box(slices: Array, spacing: tuple[float, float, float], margin_mm: float = MARGIN_MM) -> Box:
    """Rows and columns of the body: the bounding box of the largest bright component of a volume, with a margin.

    Args:
        slices: (S, H, W) grey values.
        spacing: Slice, row and column distance in mm; where unknown (NaN) the margin counts pixels.
        margin_mm: Added on each side, as far as there is picture.
    """
    parts, _ = label(bright(slices))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    found = find_objects(parts)[int(sizes.argmax()) - 1]
    top_bottom, left_right = (
        _widened(part, margin_mm if np.isnan(step) else margin_mm / step, size)
        for part, step, size in zip(found[1:], spacing[1:], slices.shape[1:], strict=True)
    )
    return top_bottom, left_right


def _widened(part: slice, margin: float, size: int) -> tuple[int, int]:
    wide = int(np.ceil(margin))
    return max(0, part.start - wide), min(size, part.stop + wide)
