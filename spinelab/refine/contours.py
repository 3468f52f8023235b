"""Contours by morphology (Marquez-Neila et al. 2014, https://doi.org/10.1109/TPAMI.2013.106) around a mask."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import (
    inverse_gaussian_gradient,
    morphological_chan_vese,
    morphological_geodesic_active_contour,
)

from spinelab.classical.curvature import curved
from spinelab.refine.refiner import Inside

Method = Literal["chan_vese", "geodesic"]
AROUND = 8
"""Pixels that are looked at around a mask, at least."""
SMALLEST = 3
"""Pixels a side from which a contour has something to move in."""


def contour(picture: NDArray[Any], start: Inside, *, method: Method, steps: int, smoothing: int) -> Inside:
    """The inside (H, W) of a contour after some steps.

    Only a box around the mask is looked at, so that it is the mean of the surroundings that is told from that of the
    inside; the contour moves by about a pixel a step, so that it does not come to the edge of that box.

    Args:
        picture: (H, W) what the contour moves on.
        start: (H, W) mask that it starts from.
        method: ``chan_vese`` parts two means (Chan and Vese 2001), ``geodesic`` is drawn to edges (Caselles 1997).
        steps: Steps of the contour; 0 leaves it where it is.
        smoothing: Smoothings of the contour a step.
    """
    box = _box(start, max(steps, AROUND))
    if box is None or min(start[box].shape) < SMALLEST:
        return start
    inside, part = start[box], picture[box].astype(np.float64)
    flat = inverse_gaussian_gradient(part, alpha=200, sigma=1.5) if method == "geodesic" else part
    if method == "chan_vese":
        inside = curved(partial(morphological_chan_vese, part), inside, steps, smoothing)
    else:
        step = partial(morphological_geodesic_active_contour, flat, balloon=0)
        inside = curved(step, inside, steps, smoothing)
    moved = np.zeros_like(start)
    moved[box] = inside
    return moved


def _box(inside: Inside, around: int) -> tuple[slice, slice] | None:
    """The part of a mask that holds all of its inside and some pixels around it; None if it has no inside."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(rows[0] - around, 0), rows[-1] + 1 + around),
        slice(max(columns[0] - around, 0), columns[-1] + 1 + around),
    )
