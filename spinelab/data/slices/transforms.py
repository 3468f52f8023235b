"""Augmentation; the only module that knows albumentations."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would ask the network for a newer version
import albumentations as A


class Augmentation:
    """Random rotation, scaling and shift in one warp, then brightness, contrast, gamma and noise.

    There is no flip: the two ends of a sagittal spine, and its front and back, are not alike. The image is brought to
    the range 0 to 1 (per channel) for the intensity changes, as albumentations expects, and back afterwards.

    Args:
        warp_probability: How often the warp is applied.
        rotate_deg: Rotation by up to this angle in degrees, either way.
        scale: Smallest and largest factor of size.
        shift: Shift by up to this part of the height and width, either way.
        intensity_probability: How often each of the intensity changes is applied, each by itself.
        brightness: Largest change, as part of the image's range.
        contrast: Largest relative change.
        gamma: Smallest and largest exponent.
        noise: Largest standard deviation of Gaussian noise, as part of the image's range.

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
        intensity_probability: float = 0.2,
        brightness: float = 0.1,
        contrast: float = 0.15,
        gamma: Sequence[float] = (0.8, 1.25),
        noise: float = 0.03,
    ) -> None:
        for probability in (warp_probability, intensity_probability):
            if not 0 <= probability <= 1:
                raise ValueError(f"a probability lies between 0 and 1, not {probability}")
        self._changes_nothing = warp_probability == intensity_probability == 0
        warp = A.Affine(
            rotate=(-rotate_deg, rotate_deg),
            scale=(float(scale[0]), float(scale[1])),
            translate_percent=(-shift, shift),
            keep_ratio=True,
            p=warp_probability,
        )
        intensity = [
            A.RandomBrightnessContrast((-brightness, brightness), (-contrast, contrast), p=intensity_probability),
            A.RandomGamma((100 * gamma[0], 100 * gamma[1]), p=intensity_probability),
            A.GaussNoise(std_range=(0.0, noise), p=intensity_probability),
        ]
        self._compose = A.Compose([warp, *intensity])

    def __call__(
        self, image: NDArray[np.float32], mask: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Augment one slice.

        Args:
            image: (H, W, C) float32.
            mask: (H, W) uint8. Warped with nearest neighbours, so that no new label appears.
            rng: Source of every random choice.

        Returns:
            Image and mask of the same shapes and types. What comes in from outside has the image's minimum and
            background.
        """
        if self._changes_nothing:
            return image, mask
        low = image.min((0, 1))
        span = image.max((0, 1)) - low
        span[span == 0] = 1
        # Handing over two generators is several times cheaper than re-seeding each transform.
        self._compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        changed = self._compose(image=(image - low) / span, mask=np.ascontiguousarray(mask))
        return changed["image"] * span + low, changed["mask"]
