"""In-plane resampling as two small matrix products a slice.

Anti-aliasing, spline prefilter and interpolation are linear, and act on rows and columns apart. So SciPy's own
operators are applied once to the unit vectors of an axis, which gives a matrix of weights, and a slice becomes
``rows @ slice @ columns.T``: SciPy's result up to float32 rounding, at the speed of a matrix product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter1d
from threadpoolctl import ThreadpoolController

NEGLIGIBLE = 1e-7
"""Weights below this share of one (float32 rounds at 6e-8) end a spline's long tail."""
BLOCK = 32
TOGETHER = 8
"""Slices that are brought into order at once: the scan's fastest axis may be the slices'."""

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]


def resample(slices: Array, shape: Pair, step: tuple[float, float], order: int) -> Array:
    """Resample each slice about the centre of the picture; the border is continued outwards.

    Args:
        slices: (S, H, W), or (S, H, W, K) with order 0.
        shape: New rows and columns.
        step: Row and column step: the new pixel in old pixels. Where it exceeds one, the slice is smoothed first.
        order: Spline order; 0 picks the nearest pixel.

    Returns:
        (S, *shape), in the input's type for order 0, else float32.
    """
    if order == 0:
        rows, columns = (_nearest(*axis) for axis in zip(slices.shape[1:3], shape, step, strict=True))
        return slices[:, rows][:, :, columns]
    down, across = (_blocks(*axis, order) for axis in zip(slices.shape[1:], shape, step, strict=True))
    out = np.empty((len(slices), *shape), np.float32)
    half = np.empty((shape[0], slices.shape[2]), np.float32)
    with _linear_algebra().limit(limits=1, user_api="blas"):  # products this small only wait for other threads
        for start in range(0, len(slices), TOGETHER):
            for offset, source in enumerate(slices[start : start + TOGETHER].astype(np.float32, order="C")):
                for new, old, weights in down:
                    np.matmul(weights, source[old], out=half[new])
                for new, old, weights in across:
                    np.matmul(half[:, old], weights.T, out=out[start + offset][:, new])
    return out


@lru_cache(maxsize=1)
def _linear_algebra() -> ThreadpoolController:
    """The libraries behind NumPy; looking them up takes longer than a slice."""
    return ThreadpoolController()


@lru_cache(maxsize=64)
def _nearest(old: int, new: int, step: float) -> Array:
    """(new,) position of the nearest old pixel of each new one."""
    return affine_transform(np.arange(old), (step,), _offset(old, new, step), (new,), order=0, mode="nearest")


@lru_cache(maxsize=64)
def _blocks(old: int, new: int, step: float, order: int) -> list[tuple[slice, slice, Array]]:
    """The weights cut into blocks of new pixels, each with the few old pixels that reach it: most weights are zero."""
    weights, blocks = _weights(old, new, step, order), []
    for start in range(0, new, BLOCK):
        block = weights[start : start + BLOCK]
        reach = np.flatnonzero(block.any(axis=0))
        old_pixels = slice(int(reach[0]), int(reach[-1]) + 1)
        blocks.append((slice(start, start + len(block)), old_pixels, np.ascontiguousarray(block[:, old_pixels])))
    return blocks


def _weights(old: int, new: int, step: float, order: int) -> Array:
    """(new, old) float32 weights of the old pixels in each new one."""
    units = np.eye(old)
    if step > 1:  # half the excess of the pixel size, the usual compromise of sharpness and aliasing
        units = gaussian_filter1d(units, (step - 1) / 2, axis=1, mode="nearest")
    offset = _offset(old, new, step)
    columns = [affine_transform(unit, (step,), offset, (new,), order=order, mode="nearest") for unit in units]
    weights = np.stack(columns, axis=1)
    weights[np.abs(weights) < NEGLIGIBLE] = 0
    return np.ascontiguousarray(weights, np.float32)


def _offset(old: int, new: int, step: float) -> float:
    """Old position of the first new pixel, so that the centres of the pictures meet."""
    return ((old - 1) - (new - 1) * step) / 2
