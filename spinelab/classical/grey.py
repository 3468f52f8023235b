"""Grey values that are comparable between pictures, which scanners do not give."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist, equalize_hist

from spinelab.classical.types import Grey

Equalise = Literal["none", "histogram", "local", "flat"]
PERCENTILES = (0.5, 99.5)
BINS = 256


def prepare(image: NDArray[Any], smooth: float = 0.0, equalise: Equalise = "none") -> Grey:
    """Clip a slice to its percentiles, bring it to 0..1, even it out and smooth it.

    Args:
        image: (H, W) grey values on any scale.
        smooth: Standard deviation of the Gaussian prefilter in pixels; 0 is none.
        equalise: ``histogram``: every grey value equally frequent; ``local``: contrast-limited adaptive equalisation
            (Zuiderveld 1994); ``flat``: divided by its wide surroundings, which takes off the fall of a surface coil's
            signal; ``none``.

    Raises:
        ValueError: The slice is not two-dimensional or not finite, or an argument is out of range.
    """
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ValueError(f"a slice is (H, W) and finite, not {image.shape}")
    if smooth < 0 or equalise not in get_args(Equalise):
        raise ValueError(f"smooth is not negative ({smooth}), equalise one of {get_args(Equalise)} ({equalise!r})")
    grey = unit(image)
    if equalise == "flat":
        grey = unit(grey / (gaussian_filter(grey, max(grey.shape) / 8, mode="nearest") + 0.05))
    elif equalise == "histogram" and grey.any():
        grey = np.asarray(equalize_hist(grey), np.float32)
    elif equalise == "local" and grey.any() and min(grey.shape) >= 8:
        grey = np.asarray(equalize_adapthist(grey), np.float32)
    return np.asarray(gaussian_filter(grey, smooth), np.float32) if smooth else grey


def unit(image: NDArray[Any]) -> Grey:
    """Clip to the percentiles and bring to 0..1; a constant slice becomes 0."""
    low, high = np.percentile(image, PERCENTILES)
    if high <= low:
        low, high = float(image.min()), float(image.max())
    if high <= low:
        return np.zeros(image.shape, np.float32)
    return np.asarray(np.clip((image.astype(np.float64) - low) / (high - low), 0, 1), np.float32)


def bins(grey: Grey, count: int = BINS) -> NDArray[np.int64]:
    """Number of the histogram bin of every pixel."""
    return np.minimum((grey * count).astype(np.int64), count - 1)


def histogram(grey: Grey, count: int = BINS) -> NDArray[np.float64]:
    """(count,) frequencies of grey values between 0 and 1, which sum to 1."""
    return np.bincount(bins(grey, count).ravel(), minlength=count) / grey.size
