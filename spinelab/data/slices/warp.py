"""Flip, rotation, scaling, shift and elastic deformation in one map and one interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from spinelab.data.slices.effects import check_probabilities, each_channel
from spinelab.data.slices.random_fields import Lattice, lattice_for

Map = NDArray[np.float32]
"""(H, W, 2): the column and row in the source from which each pixel is taken."""


@dataclass(frozen=True)
class Warp:
    """Where each pixel of a slice comes from.

    Args:
        probability: How often there is rotation, scaling, shift and deformation, all four together.
        flip_left_right: How often columns are mirrored, independently of the rest. Columns run from the patient's
            right to left in axial and coronal slices, so that there a flip shows another possible patient as long as
            no class names a side. In sagittal slices columns run from front to back: leave it at 0.
        rotate_deg: Rotation by up to this angle in degrees, either way.
        scale: Smallest and largest factor of size.
        shift: Shift by up to this part of the height and width, either way.
        elastic: Largest standard deviation of the elastic displacement, in pixels (Simard et al. 2003, ICDAR). Below
            about a third of `smoothness` tissue does not fold over itself.
        smoothness: Standard deviation of the Gaussian filter that smooths the displacement, in pixels.

    Raises:
        ValueError: A probability is not between 0 and 1, or the smoothness is below one pixel.
    """

    probability: float = 0.8
    flip_left_right: float = 0.0
    rotate_deg: float = 15.0
    scale: Sequence[float] = (0.85, 1.2)
    shift: float = 0.05
    elastic: float = 0.0
    smoothness: float = 12.0

    def __post_init__(self) -> None:
        check_probabilities(self.probability, self.flip_left_right)
        if self.smoothness < 1:
            raise ValueError(f"smoothness is at least one pixel, not {self.smoothness}")

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Map | None:
        """Draw a map for a slice of some rows and columns; None where nothing moves."""
        flip, warp = rng.random() < self.flip_left_right, rng.random() < self.probability
        if not (flip or warp):
            return None
        affine = self._draw_affine(shape, rng) if warp else np.eye(2, 3)
        if flip:
            affine[0] *= -1
            affine[0, 2] += shape[1] - 1
        if not (warp and self.elastic):
            return cv2.transform(Lattice(shape, 1).pixels()[: shape[0], : shape[1]], affine)
        # interpolation between points leaves an affine map as it is, so both are joined where they are small
        lattice = lattice_for(shape, self.smoothness)
        displacement = lattice.noise(self.smoothness, rng, components=2)
        where = cv2.scaleAdd(displacement, rng.uniform(0, self.elastic), cv2.transform(lattice.pixels(), affine))
        return lattice.interpolate(where)

    def apply(
        self, image: NDArray[np.float32], mask: NDArray[np.uint8], where: Map | None
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Take every pixel from where the map says: the image linearly, the mask from the nearest pixel.

        Args:
            image: (H, W, C).
            mask: (H, W).
            where: What `draw` returned.

        Returns:
            Image and mask of the same shapes. What comes in from outside has the channel's minimum and background.
        """
        if where is None:
            return image, mask
        moved = cv2.remap(np.ascontiguousarray(mask), where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        return each_channel(lambda channel: _interpolate(channel, where), image), moved

    def _draw_affine(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
        """(2, 3) from target to source, columns before rows; about the middle of the slice."""
        angle = radians(rng.uniform(-self.rotate_deg, self.rotate_deg))
        factor = rng.uniform(self.scale[0], self.scale[1])
        height, width = shape
        x, y = (width - 1) / 2, (height - 1) / 2
        to_x, to_y = x + rng.uniform(-self.shift, self.shift) * width, y + rng.uniform(-self.shift, self.shift) * height
        c, s = cos(angle) / factor, sin(angle) / factor
        return np.array([[c, s, x - c * to_x - s * to_y], [-s, c, y + s * to_x - c * to_y]])


def _interpolate(channel: NDArray[np.float32], where: Map) -> NDArray[np.float32]:
    lowest = cv2.minMaxLoc(channel)[0]
    return cv2.remap(channel, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=lowest)
