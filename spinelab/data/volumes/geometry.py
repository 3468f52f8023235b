"""From a scan's own grid to slices and back.

Slices are anatomical: sagittal slices run left to right with head up and the front at the left of the picture; axial
ones run upwards with the front up and the patient's right at the left; coronal ones run forwards with head up and the
patient's right at the left. Oblique scans take their closest axes; nothing is ever resampled across slices
(but for further contrasts that lie on another grid than the first: see `grid`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from spinelab.data.volumes.interpolation import resample
from spinelab.data.volumes.io import RawVolume
from spinelab.types import Plane

AXES: dict[Plane, tuple[str, str, str]] = {
    "sagittal": ("R", "I", "P"),
    "axial": ("S", "P", "L"),
    "coronal": ("A", "I", "L"),
}
"""Where slices, rows and columns point to."""

SAME_SPACING = 1e-4

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]
Box = tuple[Pair, Pair]
"""First row and the one after the last, first column and the one after the last."""


@dataclass(frozen=True)
class Geometry:
    """All that is needed to bring slices back into the scan's grid; plain values only, so that JSON can hold it.

    Attributes:
        raw_shape: (X, Y, Z) of the file, or (S, H, W) of a stack of pictures.
        affine: Rows of the (4, 4) voxel-to-world matrix; None for pictures.
        plane: What the slices are.
        axes: The raw axes that become slices, rows and columns.
        flips: Whether each of slices, rows and columns runs against its raw axis.
        raw_spacing: Slice, row and column distance of the scan in mm; NaN where unknown.
        resampled: Rows and columns after resampling, before cropping.
        corner: Row and column of the resampled picture where the prepared slice begins; negative where it is padded.
        slice_shape: Rows and columns of a prepared slice.
        spacing: Slice, row and column distance of the prepared slices in mm; NaN where unknown.
    """

    raw_shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...] | None
    plane: Plane
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    raw_spacing: tuple[float, float, float]
    resampled: Pair
    corner: Pair
    slice_shape: Pair
    spacing: tuple[float, float, float]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Geometry:
        """Undo `dataclasses.asdict`, also after a trip through JSON."""
        return cls(**{name: _as_tuple(value) for name, value in values.items()})

    @property
    def oriented_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns before resampling and cropping."""
        a, b, c = self.axes
        return self.raw_shape[a], self.raw_shape[b], self.raw_shape[c]

    @property
    def content(self) -> tuple[slice, slice]:
        """Rows and columns of a prepared slice that are not padding."""
        rows, columns = (
            slice(max(0, -corner), min(size, full - corner))
            for corner, size, full in zip(self.corner, self.slice_shape, self.resampled, strict=True)
        )
        return rows, columns

    @property
    def is_resampled(self) -> bool:
        """Whether slices have another spacing than the scan."""
        return self.raw_spacing[1:] != self.spacing[1:] and not np.isnan(self.raw_spacing[1])

    def orient(self, array: Array) -> Array:
        """Raw grid (X, Y, Z, ...) to (S, H, W, ...), without resampling or cropping; a view."""
        moved = array.transpose(*self.axes, *range(3, array.ndim))
        return np.flip(moved, tuple(axis for axis, flip in enumerate(self.flips) if flip))

    def restore(self, array: Array) -> Array:
        """Undo `orient`; a view."""
        straight = np.flip(array, tuple(axis for axis, flip in enumerate(self.flips) if flip))
        return straight.transpose(*np.argsort(self.axes), *range(3, array.ndim))


def make_geometry(
    volume: RawVolume,
    plane: Plane,
    spacing_mm: tuple[float, float] | None = None,
    crop: Pair | None = None,
    body: Box | None = None,
) -> Geometry:
    """Work out how a scan becomes slices.

    Args:
        volume: The scan; pictures are taken as they are.
        plane: What the slices shall be.
        spacing_mm: Row and column spacing to resample to; None keeps the scan's own.
        crop: Rows and columns to cut out of the centre (and to pad to); None keeps all.
        body: What of the scan's slices, before resampling, is kept and is what `crop` lies in the centre of; None
            keeps all.

    Raises:
        ValueError: The plane is unknown, or a spacing is asked for where the scan's own is unknown.
    """
    if plane not in get_args(Plane):
        raise ValueError(f"plane is one of {', '.join(get_args(Plane))}, not {plane!r}")
    if volume.affine is None and spacing_mm is not None:
        raise ValueError("pictures have no spacing, so they cannot be resampled to one")
    axes, flips, raw_spacing = _orientation(volume, plane)
    full = volume.array.shape[axes[1]], volume.array.shape[axes[2]]
    spacing = _target_spacing(raw_spacing, spacing_mm)
    rows, columns = (
        n if old == new or np.isnan(old) else max(1, round(n * old / new))
        for n, old, new in zip(full, raw_spacing[1:], spacing[1:], strict=True)
    )
    resampled = rows, columns
    first, window = _window(body, full, resampled)
    slice_shape = crop or window
    corner = tuple(start + (n - size) // 2 for start, n, size in zip(first, window, slice_shape, strict=True))
    affine = None if volume.affine is None else _as_tuple(volume.affine.tolist())
    return Geometry(
        _as_tuple(volume.array.shape), affine, plane, axes, flips, raw_spacing,
        resampled, _as_tuple(corner), _as_tuple(slice_shape), spacing,
    )  # fmt: skip


def to_slices(array: Array, geometry: Geometry, order: int, fill: float = 0) -> Array:
    """Bring a volume from the raw grid into prepared slices.

    Args:
        array: Raw grid, (X, Y, Z).
        geometry: From `make_geometry`.
        order: Spline order of the in-plane resampling, 0 for masks. Images are smoothed first where the grid becomes
            coarser.
        fill: Value of the padding.

    Returns:
        (S, H, W), in the array's type where nothing was resampled or order is 0, else float32.
    """
    slices = geometry.orient(array)
    if geometry.is_resampled:
        old, new = geometry.raw_spacing[1:], geometry.spacing[1:]
        slices = resample(slices, geometry.resampled, (new[0] / old[0], new[1] / old[1]), order)
    return _move_window(slices, geometry.corner, geometry.slice_shape, fill)


def from_slices(array: Array, geometry: Geometry, order: int | None = None) -> Array:
    """Bring prepared slices back into the raw grid.

    Args:
        array: Labels (S, H, W), or class probabilities (S, H, W, K) with background first.
        geometry: Of the prepared slices.
        order: Spline order; by default 0 for whole numbers and 1 for anything else.

    Returns:
        (X, Y, Z) or (X, Y, Z, K). What the crop left out is background: label 0, or probability 1 of class 0.

    Raises:
        ValueError: The slices do not have the geometry's shape.
    """
    wanted = (geometry.oriented_shape[0], *geometry.slice_shape)
    if array.shape[:3] != wanted:
        raise ValueError(f"slices of shape {array.shape} given, the geometry is for {wanted}")
    if order is None:
        order = 0 if array.dtype.kind in "biu" else 1
    if array.ndim == 3:
        return _restore(array, geometry, order, fill=0)
    background, *classes = np.moveaxis(array, -1, 0)
    restored = [_restore(background, geometry, order, fill=1)]
    return np.stack(restored + [_restore(values, geometry, order, fill=0) for values in classes], axis=-1)


def _restore(slices: Array, geometry: Geometry, order: int, fill: float) -> Array:
    back = _move_window(slices, (-geometry.corner[0], -geometry.corner[1]), geometry.resampled, fill)
    if geometry.is_resampled:
        old, new = geometry.raw_spacing[1:], geometry.spacing[1:]
        back = resample(back, geometry.oriented_shape[1:], (old[0] / new[0], old[1] / new[1]), order)
    return np.ascontiguousarray(geometry.restore(back))


def _orientation(
    volume: RawVolume, plane: Plane
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool], tuple[float, float, float]]:
    if volume.affine is None:
        return (0, 1, 2), (False, False, False), (float("nan"),) * 3
    # one row a raw axis: the anatomical axis that it becomes, and its direction
    change = ornt_transform(io_orientation(volume.affine), axcodes2ornt(AXES[plane]))
    axes = _as_tuple(np.argsort(change[:, 0]).tolist())
    sizes = voxel_sizes(volume.affine)
    return axes, _as_tuple([bool(change[a, 1] < 0) for a in axes]), _as_tuple([float(sizes[a]) for a in axes])


def _window(body: Box | None, full: Pair, resampled: Pair) -> tuple[Pair, Pair]:
    """Corner and size of the body on the resampled grid, whole pixels outwards; all of it where there is no box."""
    if body is None:
        return (0, 0), resampled
    edges = [
        (start * new // old, min(new, -(-stop * new // old)))
        for (start, stop), old, new in zip(body, full, resampled, strict=True)
    ]
    (top, bottom), (left, right) = edges
    return (top, left), (bottom - top, right - left)


def _target_spacing(raw: tuple[float, float, float], wanted: tuple[float, float] | None) -> tuple[float, float, float]:
    """The wanted spacing, or the scan's own where they agree up to rounding in the header."""
    if wanted is None or all(abs(new / old - 1) < SAME_SPACING for old, new in zip(raw[1:], wanted, strict=True)):
        return raw
    return raw[0], float(wanted[0]), float(wanted[1])


def _move_window(slices: Array, corner: Pair, shape: Pair, fill: float) -> Array:
    """Cut a window out of every slice, filling where it reaches beyond."""
    if corner == (0, 0) and slices.shape[1:] == shape:
        return np.ascontiguousarray(slices)
    out = np.full((len(slices), *shape), fill, slices.dtype)
    source, target = [slice(None)], [slice(None)]
    for start, size, full in zip(corner, shape, slices.shape[1:], strict=True):
        first, last = max(0, start), min(full, start + size)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    out[tuple(target)] = slices[tuple(source)]
    return out


def _as_tuple(value: Any) -> Any:
    """Lists to tuples, all the way down."""
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list | tuple) else value
