"""Smooth random fields: deformation, texture and coil sensitivity all come from here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.float32]


def smooth_field(rng: np.random.Generator, shape: Sequence[int], std: float, knot: float) -> Volume:
    """A random field that is smooth up to its second derivative: a cubic B-spline through normal random knots.

    Args:
        rng: Where the knots are drawn from.
        shape: Size of the field in voxels.
        std: Standard deviation of the field.
        knot: Distance between knots in voxels; about the size of the blobs.

    Returns:
        Field of the given shape with mean about 0.
    """
    field = rng.standard_normal([int((size - 1) // knot) + 4 for size in shape], dtype=np.float32)
    for axis, size in enumerate(shape):
        field = _interpolate(field, size, knot, axis)
    return field * np.float32(std / (float(field.std()) + 1e-6))


def _interpolate(knots: Volume, size: int, knot: float, axis: int) -> Volume:
    """Cubic B-spline along one axis; each value is a weighted sum of four neighbouring knots."""
    position = np.arange(size, dtype=np.float32) / np.float32(knot)
    first = position.astype(np.intp)
    t = position - first
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    along = [-1 if i == axis else 1 for i in range(knots.ndim)]
    out = np.zeros([size if i == axis else n for i, n in enumerate(knots.shape)], np.float32)
    for offset, weight in enumerate(weights):
        out += knots.take(first + offset, axis) * (weight / 6).reshape(along)
    return out
