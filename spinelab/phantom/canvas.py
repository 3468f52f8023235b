"""The field that a person is painted on, in millimetres, and the tilted frames of its bones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinelab.phantom.noise import Volume, smooth_field
from spinelab.phantom.tissues import Tissue

Mask = NDArray[np.bool_]
Indices = NDArray[np.uint8]
Point = tuple[float, float, float]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """A box of 1 mm voxels; x to the right, y to the front, z up.

    Attributes:
        size: Voxels along x, y and z.
        first: Where the centre of the first voxel lies, mm.
    """

    size: tuple[int, int, int]
    first: Point

    def centres(self) -> tuple[Volume, Volume, Volume]:
        """Coordinates in mm, shaped to broadcast: (X, 1, 1), (1, Y, 1), (1, 1, Z)."""
        axes = (np.arange(n, dtype=np.float32) + np.float32(f) for n, f in zip(self.size, self.first, strict=True))
        x, y, z = np.ix_(*axes)
        return x, y, z


@dataclass(frozen=True)
class Canvas:
    """Where each voxel lies and what is there so far. All arrays have one shape (X, Y, Z), but for `rows`.

    Attributes:
        first: Where the centre of the first voxel lies, mm.
        x: To the right, mm, deformed a little so that no outline is a perfect ellipse.
        y: To the front, mm, deformed likewise.
        z: Up, mm, deformed likewise.
        rows: (1, 1, Z) z without the deformation: for what changes slowly along the spine.
        tissue: Values of `Tissue`; painted on.
        level: Number of the vertebral body, from 1 at the top; segments of the sacrum follow; 0 elsewhere.
        disc: Number of the disc, from 1 at the top; 0 elsewhere.
    """

    first: Point
    x: Volume
    y: Volume
    z: Volume
    rows: Volume
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
        for middle, reach, start, size in zip(centre, half, self.first, self.x.shape, strict=True):
            lower, upper = math.floor(middle - reach - start), math.ceil(middle + reach - start) + 1
            box.append(slice(min(max(lower, 0), size), min(max(upper, 0), size)))
        cut = tuple(box)
        first = (self.first[0] + cut[0].start, self.first[1] + cut[1].start, self.first[2] + cut[2].start)
        arrays = (self.x[cut], self.y[cut], self.z[cut], self.rows[:, :, cut[2]])
        return Canvas(first, *arrays, self.tissue[cut], self.level[cut], self.disc[cut])

    def solid(self) -> Mask:
        """Where vertebral bodies, the sacrum and discs are."""
        return (self.level > 0) | (self.disc > 0)

    def undeformed(self, points: Points) -> Points:
        """Where what was drawn at these points really lies, mm (N, 3); NaN outside of the field.

        A voxel at p is painted with what the drawing has at ``p + deformation(p)``, so that drawn points lie at
        ``q - deformation``, to first order.
        """
        index = np.round(points - self.first).astype(int)
        inside: Mask = np.asarray(((index >= 0) & (index < self.x.shape)).all(1))
        at = tuple(np.where(inside[:, None], index, 0).T)
        drawn = np.stack([self.x[at], self.y[at], self.z[at]], 1)
        return np.where(inside[:, None], points - (drawn - (np.stack(at, 1) + self.first)), np.nan)


def blank(rng: np.random.Generator, field: Field, wobble_mm: float = 0.8, knot_mm: float = 16.0) -> Canvas:
    """A field full of fat, its coordinates wobbling by `wobble_mm` (standard deviation)."""
    x, y, z = (axis + smooth_field(rng, field.size, wobble_mm, knot_mm) for axis in field.centres())
    tissue = np.full(field.size, Tissue.FAT, np.uint8)
    nothing = np.zeros(field.size, np.uint8)
    return Canvas(field.first, x, y, z, field.centres()[2], tissue, nothing, nothing.copy())


@dataclass(frozen=True)
class Frame:
    """A frame that sits on a bone or a disc and leans with it.

    Attributes:
        centre: Its origin, mm in the field.
        tilt: Sagittal angle between its long axis and the field's z axis, radians; positive leans to the front.
        roll: Coronal angle likewise; positive leans to the right.
    """

    centre: Point
    tilt: float
    roll: float = 0.0

    @cached_property
    def axes(self) -> Points:
        """(3, 3) rows: to the right, behind and above, as directions in the field."""
        above = np.array([math.tan(self.roll), math.tan(self.tilt), 1.0])
        above /= np.linalg.norm(above)
        behind = above * above[1] - [0.0, 1.0, 0.0]
        behind /= np.linalg.norm(behind)
        return np.stack([np.cross(above, behind), behind, above])

    def local(self, x: Volume, y: Volume, z: Volume) -> tuple[Volume, Volume, Volume]:
        """Field coordinates into (to the right, behind, above) of the origin, mm."""
        dx, dy, dz = (v - np.float32(c) for v, c in zip((x, y, z), self.centre, strict=True))
        right, behind, above = (
            dx * np.float32(a) + dy * np.float32(b) + dz * np.float32(c)
            if a
            else dy * np.float32(b) + dz * np.float32(c)
            for a, b, c in self.axes
        )
        return right, behind, above

    def place(self, right: float, behind: float, above: float) -> Point:
        """Back from the frame into the field, mm."""
        x, y, z = np.array([right, behind, above]) @ self.axes + self.centre
        return float(x), float(y), float(z)

    def place_all(self, local: Points) -> Points:
        """The same for (N, 3) points."""
        return local @ self.axes + self.centre


def ellipsoid(*axes: tuple[Volume, float | Volume]) -> Volume:
    """Sum of squared (coordinate / radius); below 1 inside. Two axes make a cylinder."""
    total = (axes[0][0] / axes[0][1]) ** 2
    for coordinate, radius in axes[1:]:
        total = total + (coordinate / radius) ** 2
    return np.asarray(total, np.float32)
