"""The field that a person is painted on, in millimetres, and the tilted frames of its bones."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.tissues import Tissue

FIELD_MM = (64, 112, 192)
"""Size of the field: x to the right, y to the front, z up; one voxel a millimetre, centred on zero."""

Mask = NDArray[np.bool_]
Indices = NDArray[np.uint8]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Canvas:
    """Where each voxel lies and what is there so far. All arrays have one shape (X, Y, Z).

    Attributes:
        x: To the right, mm, deformed a little so that no outline is a perfect ellipse.
        y: To the front, mm, deformed likewise.
        z: Up, mm, deformed likewise.
        tissue: Values of `Tissue`; painted on.
        level: Number of the vertebral body, from 1 at the top; 0 elsewhere.
        disc: Number of the disc, from 1 at the top; 0 elsewhere.
    """

    x: Volume
    y: Volume
    z: Volume
    tissue: Indices
    level: Indices
    disc: Indices

    def window(self, centre: Point, half: Point) -> Canvas:
        """The part around a point, as views: painting on it paints on the whole. Empty outside of the field.

        Args:
            centre: Middle of the box, mm.
            half: Half its size, mm.
        """
        box = []
        for middle, reach, size in zip(centre, half, self.x.shape, strict=True):
            first = math.floor(middle - reach + (size - 1) / 2)
            stop = math.ceil(middle + reach + (size - 1) / 2) + 1
            box.append(slice(min(max(first, 0), size), min(max(stop, 0), size)))
        return Canvas(*(getattr(self, field.name)[tuple(box)] for field in fields(self)))

    def solid(self) -> Mask:
        """Where vertebral bodies and discs are."""
        return (self.level > 0) | (self.disc > 0)


def voxel_centres() -> tuple[Volume, Volume, Volume]:
    """Coordinates of the undeformed field in mm, shaped to broadcast: (X, 1, 1), (1, Y, 1), (1, 1, Z)."""
    x, y, z = np.ix_(*(np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in FIELD_MM))
    return x, y, z


def blank(rng: np.random.Generator, wobble_mm: float = 0.8, knot_mm: float = 16.0) -> Canvas:
    """A field full of fat, its coordinates wobbling by `wobble_mm` (standard deviation)."""
    x, y, z = (axis + smooth_field(rng, FIELD_MM, wobble_mm, knot_mm) for axis in voxel_centres())
    tissue = np.full(FIELD_MM, Tissue.FAT, np.uint8)
    return Canvas(x, y, z, tissue, np.zeros(FIELD_MM, np.uint8), np.zeros(FIELD_MM, np.uint8))


@dataclass(frozen=True)
class Frame:
    """A frame that sits on a bone or a disc and tilts with it in the sagittal plane.

    Attributes:
        centre: Its origin, mm in the field.
        tilt: Angle between its long axis and the field's z axis, radians; positive leans to the front.
    """

    centre: Point
    tilt: float

    def local(self, x: Volume, y: Volume, z: Volume) -> tuple[Volume, Volume, Volume]:
        """Field coordinates into (to the right, behind, above) of the origin, mm."""
        sine, cosine = math.sin(self.tilt), math.cos(self.tilt)
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        return dx, dz * sine - dy * cosine, dy * sine + dz * cosine

    def place(self, right: float, behind: float, above: float) -> Point:
        """Back from the frame into the field, mm."""
        sine, cosine = math.sin(self.tilt), math.cos(self.tilt)
        x, y, z = self.centre
        return x + right, y - behind * cosine + above * sine, z + behind * sine + above * cosine


def ellipsoid(*axes: tuple[Volume, float]) -> Volume:
    """Sum of squared (coordinate / radius); below 1 inside. Two axes make a cylinder."""
    total = (axes[0][0] / axes[0][1]) ** 2
    for coordinate, radius in axes[1:]:
        total = total + (coordinate / radius) ** 2
    return total
