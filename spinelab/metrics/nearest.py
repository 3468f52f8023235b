"""From every point of one set to the nearest of another, both on one grid: exact, and quick where the sets are close.

Surfaces of a prediction and of the truth mostly lie a few voxels apart. Around every point the cells are therefore
looked at in the order of their distance, all points at once, until one belongs to the other set: a few additions and
look-ups a point. Only what has nothing near is left to a k-d tree, or to a distance transform where the sets fill the
grid.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
Values = NDArray[np.float64]
Spacing = tuple[float, ...]

CELLS, REACH = 3000, 12
"""Cells around a point that are looked at: about so many, and no more than so many along an axis."""

LOOK, SHELL, BUILD, ASK, OPEN, CELL = 0.0015, 10.0, 0.2, 0.4, 0.4, 0.1
"""Measured costs in microseconds: to look at a cell, to begin a shell of cells, to put a point into a k-d tree, to ask
the tree for one, to open a leaf of it, and to transform a cell of the grid. Only their proportions matter, and only for
speed."""
LEAF = 32
"""Points in a leaf of the tree."""


class Grid(NamedTuple):
    """Cells of a flat array. Its lines, planes and end are padded with cells that hold nothing.

    Padding at one side is enough: what steps out at the other side comes in at the padded end of the line before, or,
    as a negative index, of the whole array.

    Attributes:
        shape: Cells along each axis, padding included.
        size: Cells along each axis that may hold something.
        spacing: mm along each axis.
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]
    spacing: Spacing

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps in the flat array to the next cell along each axis."""
        return tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))


def padded_grid(size: tuple[int, ...], spacing: Spacing) -> Grid:
    """A grid of so many cells with the padding that looking around needs."""
    reach = _cells_around(spacing)[1].max(axis=0)
    return Grid(tuple(int(cells + more) for cells, more in zip(size, reach, strict=True)), size, spacing)


def nearest_distances(points: Indices, occupied: Mask, grid: Grid, limit: float = math.inf) -> Values:
    """Distance in mm from the centre of each cell to the centre of the nearest occupied one.

    Args:
        points: (P,) flat indices.
        occupied: Flat, over the whole grid; False in the padding, and not everywhere False.
        grid: Its shape and spacing.
        limit: Distances beyond it are not needed: infinity may stand for them.

    Returns:
        (P,) distances.
    """
    near, cells, starts = _cells_around(grid.spacing)
    steps = cells @ np.asarray(grid.strides)
    targets = int(np.count_nonzero(occupied))
    distances = np.zeros(len(points))
    left = np.flatnonzero(~occupied[points])
    spent = 0.0
    for distance, shell in zip(near, np.split(steps, starts), strict=True):
        spent += SHELL + LOOK * len(left) * len(shell)
        # Where nothing is near, looking around first adds no more than the same again.
        if not len(left) or distance > limit or spent > min(BUILD * targets + ASK * len(left), _transform_cost(grid)):
            break
        hit = _any_occupied(points[left], shell, occupied)
        distances[left[hit]] = distance
        left = left[~hit]
    if len(left):
        distances[left] = math.inf if distance > limit else _far_distances(points[left], occupied, grid)
    return distances


def _any_occupied(points: Indices, steps: Indices, occupied: Mask) -> Mask:
    """(P,) whether any of these steps from a point leads to an occupied cell."""
    hit = np.zeros(len(points), bool)
    together = 1 + 2**16 // len(points)  # as many as stay in the processor's cache
    for first in range(0, len(steps), together):
        hit |= occupied[steps[first : first + together, None] + points].any(axis=0)
    return hit


@lru_cache(maxsize=64)
def _cells_around(spacing: Spacing) -> tuple[Values, Indices, Indices]:
    """Distances of the shells around a cell, steps to their cells, nearest first, and where each next shell starts."""
    axes = len(spacing)
    ball = math.pi ** (axes / 2) / math.gamma(axes / 2 + 1)
    radius = min((CELLS * math.prod(spacing) / ball) ** (1 / axes), REACH * min(spacing))
    radius = max(radius, min(spacing))
    reach = [int(radius / step) for step in spacing]
    cells = np.stack(np.meshgrid(*[np.arange(-cells, cells + 1) for cells in reach], indexing="ij"), -1)
    cells = cells.reshape(-1, axes)
    squares = ((cells * np.asarray(spacing)) ** 2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    order = order[(squares[order] > 0) & (squares[order] <= radius**2 * (1 + 1e-12))]
    distances = np.sqrt(squares[order])
    # The same distance along other axes may differ in its last digit: one shell.
    starts = np.flatnonzero(np.diff(distances) > 1e-12 * radius) + 1
    return distances[np.concatenate([[0], starts])], cells[order], starts


def _far_distances(points: Indices, occupied: Mask, grid: Grid) -> Values:
    """The same without looking around: by a k-d tree, or by the transform of the whole grid."""
    asked, targets = _positions(points, grid), _positions(np.flatnonzero(occupied), grid)
    if BUILD * len(targets) + ASK * len(asked) < _transform_cost(grid):
        tree = cKDTree(targets, leafsize=LEAF, balanced_tree=False)
        if len(asked) * _question_cost(tree, asked[:: 1 + len(asked) // 8]) < _transform_cost(grid):
            return tree.query(asked)[0]
    inside = tuple(slice(cells) for cells in grid.size)
    field = distance_transform_edt(~occupied.reshape(grid.shape)[inside], sampling=grid.spacing)
    return field[np.unravel_index(points, grid.shape)]


def _question_cost(tree: cKDTree, sample: Values) -> float:
    """Microseconds a point.

    A tree opens every leaf whose box comes nearer than the nearest point: often one or two, but all of a sphere's for
    a point near its centre.
    """
    ordered = tree.data[tree.indices]
    firsts = np.arange(0, len(ordered), LEAF)
    low, high = np.minimum.reduceat(ordered, firsts), np.maximum.reduceat(ordered, firsts)
    asked = sample[:, None]
    to_box = np.linalg.norm(np.maximum(np.maximum(low - asked, asked - high), 0), axis=2)
    opened = (to_box < tree.query(sample)[0][:, None]).sum(axis=1).mean()
    return ASK + OPEN * float(opened)


def _transform_cost(grid: Grid) -> float:
    return CELL * math.prod(grid.size)


def _positions(points: Indices, grid: Grid) -> Values:
    """(P, axes) in mm."""
    return np.stack(np.unravel_index(points, grid.shape), axis=1) * np.asarray(grid.spacing)
