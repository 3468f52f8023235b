"""Surfaces of two binary masks, and how far each lies from the other.

There are two definitions of a surface, and both end at the border of the image: what lies beyond counts as outside.

- Voxels: those of the mask with a neighbour outside it, across a side (4 in a slice, 6 in a volume). Distances are
  between centres of voxels. Every voxel weighs the same. So do MedPy, MONAI and most papers.
- Elements: the corners where 2 x 2 (x 2) voxels meet of which some, not all, belong to the mask. Distances are between
  corners, and each weighs as much as the length (area) of the contour (surface) that marching squares (cubes) draws
  through it: Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy", J Med
  Internet Res 23(7):e26151, 2021. Thick slices and slanted faces count as they are, not as often as voxels cut them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from spinelab.metrics.nearest import Grid, Indices, Mask, Spacing, Values, nearest_distances, padded_grid


@dataclass(frozen=True)
class Pair:
    """Two masks that both hold something, flat on one padded grid around them."""

    truth: Mask
    prediction: Mask
    grid: Grid


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces in mm, in no order, and what each counts for.

    Attributes:
        from_prediction: (P,) from every point of the prediction's surface to the nearest of the truth's.
        from_truth: (T,) from every point of the truth's surface to the nearest of the prediction's.
        prediction_areas: (P,) mm of contour or mm² of surface; 1 for voxels.
        truth_areas: (T,) likewise.
    """

    from_prediction: Values
    from_truth: Values
    prediction_areas: Values
    truth_areas: Values


def crop(truth: Mask, prediction: Mask, spacing: Sequence[float]) -> Pair:
    """Cut both masks to the box that holds them; no distance between them depends on what lies outside it.

    Args:
        truth: (S, H, W) or (H, W).
        prediction: Of the same shape.
        spacing: mm along each axis.

    Raises:
        ValueError: If a mask is empty: it has no surface.
    """
    if not truth.any() or not prediction.any():
        raise ValueError("an empty mask has no surface")
    union = truth | prediction
    box = []
    for axis in range(union.ndim):
        held = np.flatnonzero(union.any(axis=tuple(other for other in range(union.ndim) if other != axis)))
        box.append(slice(int(held[0]), int(held[-1]) + 1))
    # Corners outnumber voxels by one along each axis.
    grid = padded_grid(tuple(part.stop - part.start + 1 for part in box), tuple(float(step) for step in spacing))
    return Pair(_paint(truth[tuple(box)], grid), _paint(prediction[tuple(box)], grid), grid)


def voxel_distances(pair: Pair) -> SurfaceDistances:
    """Distances between the surface voxels of two masks."""
    truth, prediction = _surface_voxels(pair.truth, pair.grid), _surface_voxels(pair.prediction, pair.grid)
    truth_points, prediction_points = np.flatnonzero(truth), np.flatnonzero(prediction)
    return SurfaceDistances(
        from_prediction=nearest_distances(prediction_points, truth, pair.grid),
        from_truth=nearest_distances(truth_points, prediction, pair.grid),
        prediction_areas=np.ones(len(prediction_points)),
        truth_areas=np.ones(len(truth_points)),
    )


def element_distances(pair: Pair, limit: float = math.inf) -> SurfaceDistances:
    """Distances between the surface elements of two masks; infinity may stand for those beyond the limit in mm."""
    truth, prediction = _surface_corners(pair.truth, pair.grid), _surface_corners(pair.prediction, pair.grid)
    truth_points, prediction_points = np.flatnonzero(truth), np.flatnonzero(prediction)
    return SurfaceDistances(
        from_prediction=nearest_distances(prediction_points, truth, pair.grid, limit),
        from_truth=nearest_distances(truth_points, prediction, pair.grid, limit),
        prediction_areas=_areas(pair.prediction, prediction_points, pair.grid),
        truth_areas=_areas(pair.truth, truth_points, pair.grid),
    )


def _paint(mask: Mask, grid: Grid) -> Mask:
    canvas = np.zeros(grid.shape, bool)
    canvas[tuple(slice(cells) for cells in mask.shape)] = mask
    return canvas.reshape(-1)


def _surface_voxels(mask: Mask, grid: Grid) -> Mask:
    """The mask without its erosion. Shifts of a flat array are quick; what they carry round is padding."""
    inner = mask.copy()
    for stride in grid.strides:
        inner[stride:] &= mask[:-stride]
        inner[:stride] = False
        inner[:-stride] &= mask[stride:]
    return inner ^ mask


def _surface_corners(mask: Mask, grid: Grid) -> Mask:
    """True where a voxel and those before it along the axes belong to the mask in part."""
    some, every = mask.copy(), mask.copy()
    for stride in grid.strides:
        some[stride:] |= some[:-stride].copy()
        every[stride:] &= every[:-stride].copy()
        every[:stride] = False
    return some ^ every


def _areas(mask: Mask, corners: Indices, grid: Grid) -> Values:
    """Length or area of the surface through each corner."""
    codes = np.zeros(len(corners), np.uint8)
    for back in product((0, 1), repeat=len(grid.shape)):
        step = sum(stride for stride, one in zip(grid.strides, back, strict=True) if one)
        codes = 2 * codes + mask[corners - step]
    return element_areas(grid.spacing)[codes]


@lru_cache(maxsize=64)
def element_areas(spacing: Spacing) -> Values:
    """Area (length) of the surface through a corner, by which of the voxels around it belong to the mask.

    Args:
        spacing: mm along each of three (two) axes.

    Returns:
        (256,) mm², or (16,) mm. The index has a bit a voxel, the first along all axes being the highest bit.
    """
    if len(spacing) == 2:  # a contour is the surface of a slice 1 mm thick, whose two layers are alike
        return element_areas((1.0, *spacing))[[17 * code for code in range(16)]]
    sides = np.array([spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]])
    return np.array([np.linalg.norm(sides * normals, axis=1).sum() for normals in _normals()])


# The surface through each kind of corner that turning, mirroring and swapping inside and outside leave different: the
# voxels inside, as in `element_areas`, and area vectors of its triangles in eighths of the sides of a voxel.
_KINDS = {
    0b00000001: [(1, 1, 1)],
    0b00000011: [(2, 2, 0), (2, 2, 0)],
    0b00000110: [(1, 1, 1), (1, 1, 1)],
    0b00000111: [(4, 0, 0), (2, 2, 2), (1, 1, 1)],
    0b00001111: [(8, 0, 0)],
    0b00010110: [(1, 1, 1), (1, 1, 1), (1, 1, 1)],
    0b00010111: [(6, 6, 6)],
    0b00011000: [(1, 1, 1), (1, 1, 1)],
    0b00011001: [(0, 2, 2), (0, 2, 2), (1, 1, 1)],
    0b00011011: [(4, 4, 4), (0, 2, 2), (2, 0, 2)],
    0b00011110: [(4, 0, 0), (2, 2, 2), (1, 1, 1), (1, 1, 1)],
    0b00111100: [(2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)],
    0b01101001: [(1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)],
}


@lru_cache(maxsize=1)
def _normals() -> tuple[Values, ...]:
    """(triangles, 3) area vectors of all 256 kinds of corner, in sides of a voxel; only their lengths mean anything."""
    voxels = list(product((0, 1), repeat=3))
    table = [np.zeros((1, 3))] * 256
    for (code, triangles), axes, flips in product(_KINDS.items(), permutations(range(3)), voxels):
        moved = 0
        for voxel in (voxel for bit, voxel in enumerate(voxels) if code & (128 >> bit)):
            moved |= 128 >> voxels.index(tuple(voxel[axis] ^ flip for axis, flip in zip(axes, flips, strict=True)))
        table[moved] = table[255 - moved] = np.array(triangles)[:, list(axes)] / 8
    return tuple(table)
