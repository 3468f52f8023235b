"""Changes of grey values: what they have in common, and those of any picture (those of MRI are in `mri`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from spinelab.data.slices.random_fields import normal

Image = NDArray[np.float32]
Mask = NDArray[np.uint8]
Shape = tuple[int, int, int]
Parameters = TypeVar("Parameters")


@dataclass(frozen=True)
class Effect(ABC, Generic[Parameters]):
    """A random change of grey values; its parameters are drawn apart from being applied.

    Images are magnitudes: (H, W, C) float32 in which 0 is no signal and 1 the brightest of the slice before any
    effect. The same parameters hold for all channels; noise is independent.

    Args:
        probability: How often `Augmentation` applies it; calling it by itself always does.

    Raises:
        ValueError: The probability is not between 0 and 1.
    """

    probability: float = 0.2

    def __post_init__(self) -> None:
        check_probabilities(self.probability)

    @abstractmethod
    def draw(self, shape: Shape, rng: np.random.Generator) -> Parameters:
        """Draw the parameters for one slice."""

    @abstractmethod
    def apply(self, image: Image, mask: Mask, parameters: Parameters) -> Image:
        """Change a slice; the given image may be overwritten."""

    def __call__(self, image: Image, mask: Mask, rng: np.random.Generator) -> Image:
        """Draw and apply."""
        return self.apply(image, mask, self.draw((image.shape[0], image.shape[1], image.shape[2]), rng))


@dataclass(frozen=True)
class BrightnessContrast(Effect[tuple[float, float]]):
    """``image * factor + offset``, clipped.

    Args:
        brightness: Largest offset either way, as part of the image's range.
        contrast: Largest relative change either way.
    """

    brightness: float = 0.1
    contrast: float = 0.15

    def draw(self, shape: Shape, rng: np.random.Generator) -> tuple[float, float]:
        """Factor and offset."""
        return 1 + rng.uniform(-self.contrast, self.contrast), rng.uniform(-self.brightness, self.brightness)

    def apply(self, image: Image, mask: Mask, parameters: tuple[float, float]) -> Image:
        """Scale and shift."""
        factor, offset = parameters
        top = brightest(image)
        image *= np.float32(factor)
        image += np.float32(offset)
        return np.clip(image, np.float32(0), top, out=image)


@dataclass(frozen=True)
class Gamma(Effect[float]):
    """``image ** gamma`` (as in nnU-Net, Isensee et al. 2021, Nature Methods).

    Args:
        gamma: Smallest and largest exponent.
    """

    gamma: Sequence[float] = (0.8, 1.25)

    def draw(self, shape: Shape, rng: np.random.Generator) -> float:
        """Exponent."""
        return rng.uniform(self.gamma[0], self.gamma[1])

    def apply(self, image: Image, mask: Mask, parameters: float) -> Image:
        """Raise to the power; what noise or rounding left below zero counts as zero."""
        return cv2.pow(np.maximum(image, 0, out=image), parameters, dst=image)


@dataclass(frozen=True)
class GaussianNoise(Effect[tuple[float, Image]]):
    """Noise of one standard deviation everywhere, clipped.

    Args:
        noise: Largest standard deviation, as part of the image's range.
    """

    noise: float = 0.03

    def draw(self, shape: Shape, rng: np.random.Generator) -> tuple[float, Image]:
        """Standard deviation, and standard normal numbers (H, W, C)."""
        return rng.uniform(0, self.noise), normal(shape, rng)

    def apply(self, image: Image, mask: Mask, parameters: tuple[float, Image]) -> Image:
        """Add the noise."""
        (level, noise), top = parameters, brightest(image)
        return np.clip(cv2.scaleAdd(noise, level, image, dst=image), np.float32(0), top, out=image)


def brightest(image: Image) -> np.float32:
    """Where a change is clipped: at 1, or at the brightest pixel where an effect has gone beyond."""
    return max(np.float32(1), image.max())


def each_channel(function: Callable[[Image], Image], image: Image) -> Image:
    """Apply an (H, W) -> (H, W) function to every channel of an (H, W, C) image."""
    if image.shape[2] == 1:
        return function(np.ascontiguousarray(image[..., 0]))[..., None]
    channels = (function(np.ascontiguousarray(channel)) for channel in np.moveaxis(image, -1, 0))
    return np.stack(list(channels), axis=-1)


def check_probabilities(*probabilities: float) -> None:
    """Raise ValueError unless all lie between 0 and 1."""
    for probability in probabilities:
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability lies between 0 and 1, not {probability}")
