"""Curvature flow by morphology (Marquez-Neila et al. 2014, https://doi.org/10.1109/TPAMI.2013.106), always the same.

Scikit-image's contours smooth by two operations in turns, over all calls of a process: with an odd number of smoothings
the same call gives another contour the second time. Here the turns begin anew with each contour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inside = NDArray[np.bool_]
"""(H, W), true inside of a contour."""
LINES = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Directions of the four straight lines through a pixel and two of its neighbours."""


def curved(move: Callable[..., NDArray[Any]], inside: Inside, steps: int, smoothing: int) -> Inside:
    """The inside after some steps of a contour, each followed by smoothings.

    Args:
        move: One of scikit-image's morphological contours, told all but steps, start and smoothing.
        inside: (H, W) where it starts.
        steps: Steps of the contour.
        smoothing: Smoothings a step.
    """
    for step in range(steps):
        inside = move(1, init_level_set=inside, smoothing=0) > 0
        for turn in range(smoothing):
            inside = smoothed(inside, opening_first=bool((step * smoothing + turn) % 2))
    return inside


def smoothed(inside: Inside, opening_first: bool) -> Inside:
    """One step of curvature flow: a pixel stays inside if one of the four lines through it does; likewise outside."""
    first, then = (_narrower, _wider) if opening_first else (_wider, _narrower)
    return then(first(inside))


def _narrower(inside: Inside) -> Inside:
    return inside & np.any([one & other for one, other in _neighbours(inside)], axis=0)


def _wider(inside: Inside) -> Inside:
    return inside | np.all([one | other for one, other in _neighbours(inside)], axis=0)


def _neighbours(inside: Inside) -> list[tuple[Inside, Inside]]:
    """Each pixel's two neighbours on each of the four lines; beyond the edge lies the outside."""
    near, (height, width) = np.pad(inside, 1), inside.shape

    def moved(rows: int, columns: int) -> Inside:
        return near[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    return [(moved(*step), moved(-step[0], -step[1])) for step in LINES]
