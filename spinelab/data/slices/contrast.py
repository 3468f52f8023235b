"""Synthetic contrast from labels, so that a network learns shapes and not grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from spinelab.data.slices.effects import Effect, Image, Mask, Shape, each_channel
from spinelab.data.slices.random_fields import normal, smooth_field

LABELS = 256
LEVELS = 256


class Contrast(NamedTuple):
    """Drawn once a slice.

    Attributes:
        curves: (C, LEVELS), new grey value of background for each old grey value.
        means: (C, LABELS), mean grey value of each class.
        spreads: (C, LABELS), standard deviation in each class.
        noise: (H, W, C), standard normal.
        field: (H, W, 1), by which the result is multiplied.
        blur: Standard deviation of the Gaussian filter in pixels.
        real: Part of the real image in the result.
    """

    curves: Image
    means: Image
    spreads: Image
    noise: Image
    field: Image
    blur: float
    real: float


@dataclass(frozen=True)
class ContrastRandomisation(Effect[Contrast]):
    """Paints every class with a random mean and spread (SynthSeg, Billot et al. 2023, Medical Image Analysis), in 2-D.

    SynthSeg has labels for the whole head. Here most of a slice is background, which would be flat; it is repainted by
    a random curve over its own grey values instead (as the non-linear transformation of Models Genesis, Zhou et al.
    2021, but not monotone), so that fat, muscle and organs keep their outlines and may become darker or brighter than
    each other. Air stays dark. The result is blurred, which makes mixed pixels at the borders, multiplied by a bias
    field, blended with the real slice, and brought to the real slice's mean and standard deviation.

    Each channel gets a contrast of its own, from the same mask: use it with several contrasts, not with neighbouring
    slices as channels.

    Args:
        knots: Number of grey values at which the background's curve is drawn.
        spread: Largest standard deviation in a class, as part of the image's range.
        grain: Standard deviation in pixels of the filter over what varies in a class; 0 is white noise.
        blur: Largest standard deviation in pixels of the filter over the result.
        bias: Largest standard deviation of the logarithm of the bias field.
        real: Largest part of the real slice in the result; 0 is all synthetic.
    """

    knots: int = 5
    spread: float = 0.1
    grain: float = 1.0
    blur: float = 1.2
    bias: float = 0.4
    real: float = 0.5

    def draw(self, shape: Shape, rng: np.random.Generator) -> Contrast:
        """Draw curves, means, spreads, noise, bias field, blur and blend."""
        channels = shape[2]
        heights = np.concatenate([np.zeros((channels, 1)), rng.random((channels, self.knots - 1))], axis=1)
        # closer to each other in the dark, where fat, muscle and bone lie when the brightest is fluid
        grey, knots = np.linspace(0, 1, LEVELS), np.linspace(0, 1, self.knots) ** 1.5
        curves = np.stack([np.interp(grey, knots, row) for row in heights]).astype(np.float32)
        means = rng.random((channels, LABELS), dtype=np.float32)
        spreads = rng.random((channels, LABELS), dtype=np.float32) * np.float32(self.spread)
        spreads[:, 0] = 0  # background keeps its own texture
        field = np.exp(rng.uniform(0, self.bias) * smooth_field(shape[:2], max(1.0, max(shape) / 3), rng))
        blur, real = rng.uniform(0, self.blur), rng.uniform(0, self.real)
        return Contrast(curves, means, spreads, self._grain(shape, rng), field, blur, real)

    def apply(self, image: Image, mask: Mask, parameters: Contrast) -> Image:
        """Paint, blur, shade, blend."""
        level = np.clip(image * (LEVELS - 1) + 0.5, 0, LEVELS - 1).astype(np.uint8)
        painted = np.empty_like(image)
        for channel in range(image.shape[2]):
            background = parameters.curves[channel][level[..., channel]]
            painted[..., channel] = np.where(mask == 0, background, parameters.means[channel][mask])
            painted[..., channel] += parameters.spreads[channel][mask] * parameters.noise[..., channel]
        painted = np.maximum(_blurred(painted, parameters.blur), 0) * parameters.field
        blended = parameters.real * image + (1 - parameters.real) * _like(painted, image)
        return _like(blended, image).astype(np.float32, copy=False)

    def _grain(self, shape: Shape, rng: np.random.Generator) -> Image:
        noise = normal(shape, rng)
        if self.grain > 0:
            noise = _blurred(noise, self.grain)
            noise /= max(float(noise.std()), 1e-6)
        return noise


def _blurred(image: Image, sigma: float) -> Image:
    if sigma < 0.1:  # narrower than any pixel sees
        return image
    return each_channel(lambda channel: cv2.GaussianBlur(channel, (0, 0), sigma), image)


def _like(changed: NDArray[np.float32], image: Image) -> Image:
    """Bring each channel to the image's mean and standard deviation; to less deviation where it would be negative."""
    mean, old_mean = changed.mean((0, 1)), image.mean((0, 1))
    low = mean - changed.min((0, 1))
    scale = image.std((0, 1)) / np.maximum(changed.std((0, 1)), 1e-6)
    scale = np.minimum(scale, old_mean / np.maximum(low, 1e-6))
    # rounding alone may end below zero, which a later gamma would turn into NaN
    return np.maximum((changed - mean) * scale + old_mean, 0)
