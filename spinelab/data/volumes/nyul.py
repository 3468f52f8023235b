"""Piecewise-linear grey values after Nyul and Udupa.

Nyul et al., IEEE TMI 19(2):143, 2000; the landmarks (percentiles 1, 10, 20, ..., 90, 99 of the bright voxels) are those
of Shah et al., Medical Image Analysis 15(2):267, 2011. Every scan's own landmarks are mapped onto standard ones, which
are learnt once, from training persons, and written into the configuration: scans that are tested cannot change them.
Learn them from what the rest of the preprocessing makes, for one contrast::

    learn_landmarks(prepare_case(case, labels, preprocessing, with_mask=False).image[..., 0] for case in training)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
DARK = 0.5
"""The percentile of all voxels that becomes 0; what is darker is clipped."""

Array = np.ndarray[Any, Any]


def learn_landmarks(volumes: Iterable[Array]) -> tuple[float, ...]:
    """Standard landmarks of one contrast, for `Preprocessing.landmarks`.

    Each volume is scaled linearly, its dark end to 0 and its highest landmark to 1; the standard is the mean.

    Args:
        volumes: Grey values of training persons, any shapes, without padding.

    Returns:
        Eleven ascending numbers, the last 1, rounded to four digits so that they can be read and copied.

    Raises:
        ValueError: There are no volumes, or one is constant.
    """
    scaled = [_scale(measure(volume)) for volume in volumes]
    if not scaled:
        raise ValueError("landmarks are learnt from at least one volume")
    return tuple(round(float(mean), 4) for mean in np.mean(scaled, axis=0))


def measure(volume: Array) -> tuple[float, ...]:
    """A volume's dark end and its eleven landmarks, as grey values.

    Bright is what exceeds the volume's mean, so that the share of air in the picture does not move the landmarks.
    """
    values = volume.ravel()
    bright = values[values > values.mean(dtype=np.float64)]
    landmarks = np.percentile(bright if bright.size else values, PERCENTILES)
    return float(np.percentile(values, DARK)), *(float(mark) for mark in landmarks)


def knots(volume: Array, standard: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Grey value -> standard value, ascending in the first; landmarks that coincide give one knot.

    Raises:
        ValueError: There are not eleven ascending standard landmarks.
    """
    check(standard)
    pairs = dict(zip(measure(volume), (0.0, *standard), strict=True))  # of equal grey values the last one stays
    return tuple(sorted(pairs.items()))


def check(standard: tuple[float, ...]) -> None:
    """Raise `ValueError` unless these can be standard landmarks."""
    if len(standard) != len(PERCENTILES) or min(np.diff((0.0, *standard))) < 0:
        raise ValueError(f"landmarks are {len(PERCENTILES)} ascending numbers from 0, not {list(standard)}")


def _scale(marks: tuple[float, ...]) -> Array:
    dark, *landmarks = marks
    if landmarks[-1] <= dark:
        raise ValueError("a constant volume has no landmarks")
    return (np.array(landmarks) - dark) / (landmarks[-1] - dark)
