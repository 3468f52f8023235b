"""Smooth random fields: deformation, texture and coil sensitivity all come from here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Volume = NDArray[np.float32]


def smooth_field(rng: np.random.Generator, shape: Sequence[int], std: float, knot: float | Sequence[float]) -> Volume:
    """A random field that is smooth up to its second derivative: a cubic B-spline through normal random knots.

    Args:
        rng: Where the knots are drawn from.
        shape: Size of the field in voxels.
        std: Standard deviation of the field.
        knot: Distance between knots in voxels, one for all axes or one for each; about the size of the blobs.

    Returns:
        Field of the given shape with mean about 0.
    """
    knots = [knot] * len(shape) if isinstance(knot, int | float) else list(knot)
    counts = [int((size - 1) // gap) + 4 for size, gap in zip(shape, knots, strict=True)]
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis in reversed(range(len(shape))):  # the first axis last: there nothing has to be moved
        field = _interpolate(field, shape[axis], knots[axis], axis)
    field *= np.float32(std / (float(field.std()) + 1e-6))
    return field


def _interpolate(knots: Volume, size: int, knot: float, axis: int) -> Volume:
    """Cubic B-spline along one axis; each value is a weighted sum of four neighbouring knots."""
    position = np.arange(size, dtype=np.float32) / np.float32(knot)
    first = position.astype(np.intp)
    t = position - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    weights = weights.astype(np.float32)
    # Sparse and not BLAS, whose sums depend on the number of threads: the same seed must give the same bytes.
    columns = (first[:, None] + np.arange(4)).ravel()
    spline = csr_array((weights.ravel(), columns, np.arange(0, 4 * size + 1, 4)), (size, knots.shape[axis]))
    moved = np.moveaxis(knots, axis, 0)
    out = (spline @ moved.reshape(len(moved), -1)).reshape(size, *moved.shape[1:])
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))
