"""Several contrasts of a scan on the grid of the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from spinelab.data.volumes.io import RawVolume, check_same_grid
from spinelab.errors import DataError

ORDER = 3

Array = np.ndarray[Any, Any]


def onto_grid(channel: RawVolume, first: RawVolume, name: Path) -> RawVolume:
    """Bring a channel onto the first channel's grid by world coordinates (cubic), unless it lies there already.

    A channel with larger voxels is interpolated; one with smaller voxels is smoothed first, so that nothing aliases.

    Args:
        channel: The channel.
        first: The channel whose grid all share.
        name: What an error calls the channel.

    Returns:
        The channel as it is, if it lies on the grid; else float32 on the grid, its own minimum outside of its field of
        view.

    Raises:
        DataError: The fields of view have nothing in common, or pictures (which have no world coordinates) differ in
            shape.
    """
    try:
        check_same_grid(channel, first, name)
        return channel
    except DataError:
        if channel.affine is None or first.affine is None:
            raise
    moved = _resample(channel.array, channel.affine, first.array.shape, first.affine, name)
    return replace(channel, array=moved, affine=first.affine)


def _resample(array: Array, affine: Array, shape: tuple[int, ...], wanted: Array, name: Path) -> Array:
    to_channel = np.linalg.solve(affine, wanted)
    matrix, offset = to_channel[:3, :3], to_channel[:3, 3]
    # nearest neighbour reaches half a voxel beyond the outermost centres: exactly the field of view
    seen = affine_transform(
        np.ones(array.shape, np.uint8), matrix, offset, shape, order=0, mode="grid-constant", prefilter=False
    ).astype(bool)
    if not seen.any():
        centre, goal = _centre(affine, array.shape), _centre(wanted, shape)
        raise DataError(
            f"its field of view does not overlap that of the first channel: their centres, {np.round(centre, 1)} and "
            f"{np.round(goal, 1)} mm, are {np.linalg.norm(centre - goal):.0f} mm apart",
            "check that the channels belong to one visit, or repair the affine",
            name,
        )
    step = np.abs(matrix).max(axis=1)  # voxels of the channel in one of the first channel's
    smooth = gaussian_filter(array.astype(np.float32), np.maximum(step - 1, 0) / 2, mode="nearest")
    moved = affine_transform(smooth, matrix, offset, shape, order=ORDER, mode="nearest")
    return np.where(seen, moved, np.float32(array.min()))


def _centre(affine: Array, shape: tuple[int, ...]) -> Array:
    """World coordinates in mm of the middle of a grid."""
    return affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
