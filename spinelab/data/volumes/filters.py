"""The preprocessing that the literature tries: histograms reshaped, edges enhanced.

Each takes the slices (S, H, W) of one channel of one scan and returns float32 of that shape. None knows any other scan:
histograms are matched to a fixed curve, not to a reference person, so nothing leaks from one side of a split to the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtri
from skimage.exposure import equalize_adapthist, equalize_hist, match_histograms
from skimage.filters import unsharp_mask

Filter = Literal["equalise", "clahe", "match", "log_match", "edges"]

Array = np.ndarray[Any, Any]


def check(names: Sequence[str]) -> None:
    """Raise `ValueError` for a name that is no filter."""
    for name in names:
        if name not in get_args(Filter):
            raise ValueError(f"filters are any of {', '.join(get_args(Filter))}, not {name!r}")


def apply(slices: Array, names: Sequence[Filter]) -> Array:
    """Apply filters one after the other; none returns the slices themselves.

    Args:
        slices: (S, H, W) grey values.
        names: ``equalise``, ``clahe``, ``match``, ``log_match``, ``edges``, in the order of application.

    Raises:
        ValueError: A name is unknown.
    """
    check(names)
    for name in names:
        slices = FILTERS[name](slices).astype(np.float32)
    return slices


def equalise(slices: Array) -> Array:
    """Histogram equalisation over the volume, to [0, 1] (Salem et al., Procedia Computer Science 163:300, 2019)."""
    return equalize_hist(slices, nbins=1024)


def clahe(slices: Array) -> Array:
    """Contrast-limited adaptive equalisation of each slice, to [0, 1] (Zuiderveld, Graphics Gems IV, 1994).

    Tiles are an eighth of the slice and the clip limit is 0.01; each slice has its own grey range.
    """
    return np.stack([equalize_adapthist(_unit(image), clip_limit=0.01) for image in slices])


def match(slices: Array) -> Array:
    """Histogram matching over the volume to a bell curve: mean 0.5, standard deviation 1/6, cut to [0, 1]."""
    return match_histograms(slices.astype(np.float32), _bell())  # whole numbers would be matched to whole numbers


def log_match(slices: Array) -> Array:
    """Histogram matching in the logarithmic domain, to [0, 1].

    After the logarithmic transform histogram matching of Voronin et al., IEEE SSIAI, 2018: log(1 + grey value) is
    matched to the bell curve of `match`, here over the whole volume, and then taken back by exp(y) - 1, scaled to
    [0, 1]. Matching keeps only the order of grey values, so this equals matching to that curve's exponential, which
    leaves more of the range to bright tissue.
    """
    return np.expm1(match_histograms(np.log1p(slices.astype(np.float64) - float(slices.min())), _bell())) / np.expm1(
        1.0
    )


def edges(slices: Array) -> Array:
    """Edge enhancement of each slice by unsharp masking: radius 1 pixel, amount 1; grey values keep their scale."""
    return np.stack(
        [unsharp_mask(image.astype(np.float32), radius=1, amount=1, preserve_range=True) for image in slices]
    )


def _unit(image: Array) -> Array:
    """Scaled to [0, 1], which is what scikit-image takes floats to be."""
    low, high = float(image.min()), float(image.max())
    return (image.astype(np.float64) - low) / ((high - low) or 1.0)


def _bell() -> Array:
    """Quantiles of the bell curve that histograms are matched to."""
    return np.clip(0.5 + ndtri((np.arange(4096) + 0.5) / 4096) / 6, 0, 1)[:, None, None]


FILTERS: dict[Filter, Callable[[Array], Array]] = {
    "equalise": equalise, "clahe": clahe, "match": match, "log_match": log_match, "edges": edges,
}  # fmt: skip
