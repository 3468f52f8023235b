"""Augmentation of a slice: one warp, then changes of grey values.

The order is that of the world: the patient lies differently (`Warp`), the scanner sees the tissue in another contrast
and errs (`effects`, in their own order), and the picture is shown differently (brightness and contrast, gamma, noise).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spinelab.data.slices.effects import BrightnessContrast, Effect, Gamma, GaussianNoise, Image, Mask
from spinelab.data.slices.warp import Warp


class Augmentation:
    """Random rotation, scaling and shift in one warp, then changes of brightness, contrast, gamma and noise.

    There is no flip unless one is asked for: the two ends of a sagittal spine, and its front and back, are not alike.
    The image is brought to the range 0 to 1 (per channel) for the changes of grey values, and back afterwards.

    Args:
        warp_probability: How often there is rotation, scaling, shift and elastic deformation, all together.
        rotate_deg: Rotation by up to this angle in degrees, either way.
        scale: Smallest and largest factor of size.
        shift: Shift by up to this part of the height and width, either way.
        flip_left_right: How often columns are mirrored; for axial and coronal slices only, see `Warp`.
        elastic: Largest standard deviation of the elastic displacement in pixels.
        smoothness: Standard deviation in pixels of the Gaussian filter over the elastic displacement.
        intensity_probability: How often each of brightness with contrast, gamma and noise is applied, each by itself.
        brightness: Largest change, as part of the image's range.
        contrast: Largest relative change.
        gamma: Smallest and largest exponent.
        noise: Largest standard deviation of Gaussian noise, as part of the image's range.
        effects: Further effects by any name, applied in this order; None leaves one out.

    Raises:
        ValueError: A probability is not between 0 and 1.
    """

    def __init__(
        self,
        *,
        warp_probability: float = 0.8,
        rotate_deg: float = 15.0,
        scale: Sequence[float] = (0.85, 1.2),
        shift: float = 0.05,
        flip_left_right: float = 0.0,
        elastic: float = 0.0,
        smoothness: float = 12.0,
        intensity_probability: float = 0.2,
        brightness: float = 0.1,
        contrast: float = 0.15,
        gamma: Sequence[float] = (0.8, 1.25),
        noise: float = 0.03,
        effects: Mapping[str, Effect[Any] | None] | None = None,
    ) -> None:
        self.warp = Warp(warp_probability, flip_left_right, rotate_deg, scale, shift, elastic, smoothness)
        self.effects: tuple[Effect[Any], ...] = (
            *(effect for effect in (effects or {}).values() if effect is not None),
            BrightnessContrast(intensity_probability, brightness, contrast),
            Gamma(intensity_probability, gamma),
            GaussianNoise(intensity_probability, noise),
        )

    def __call__(self, image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
        """Augment one slice.

        Args:
            image: (H, W, C) float32.
            mask: (H, W) uint8. Warped with nearest neighbours, so that no new label appears.
            rng: Source of every random choice.

        Returns:
            Image and mask of the same shapes and types. What comes in from outside has the image's minimum and
            background.
        """
        image, mask = self.warp.apply(image, mask, self.warp.draw(mask.shape, rng))
        drawn = [effect for effect in self.effects if rng.random() < effect.probability]
        if not drawn:
            return image, mask
        low = image.min((0, 1))
        span = image.max((0, 1)) - low
        span[span == 0] = 1
        image = image - low  # the only copy: from here on everything may happen in place
        image /= span
        for effect in drawn:
            image = effect(image, mask, rng)
        image *= span
        image += low
        return image, mask
