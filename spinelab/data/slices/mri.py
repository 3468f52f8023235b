"""What goes wrong in an MRI scanner: bias, noise, ghosts, motion and coarse resolution.

All of them act on magnitude images in which 0 is no signal (see `Effect`). Ghosts and motion are made where they
arise: in the lines of k-space, which are acquired one after the other along the phase-encoding axis. What happens to
whole lines needs a Fourier transform along that axis only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft

from spinelab.data.slices.effects import Effect, Image, Mask, Shape, each_channel
from spinelab.data.slices.random_fields import normal, smooth_field

CENTRE = 0.02
"""Part of the k-space lines about the centre that ghosts spare, as torchio does."""


@dataclass(frozen=True)
class BiasField(Effect[Image]):
    """Brightness that varies smoothly over the slice, as with a surface coil (as in SynthSeg, Billot et al. 2023).

    Args:
        strength: Largest standard deviation of the logarithm of the field.
        smoothness: Standard deviation of the Gaussian filter that smooths it, as part of the longer side.
    """

    strength: float = 0.4
    smoothness: float = 0.3

    def draw(self, shape: Shape, rng: np.random.Generator) -> Image:
        """The field, (H, W, 1), with mean 1."""
        sigma = max(1.0, self.smoothness * max(shape))
        field = np.exp(rng.uniform(0, self.strength) * smooth_field(shape[:2], sigma, rng), dtype=np.float32)
        return field / field.mean()

    def apply(self, image: Image, mask: Mask, parameters: Image) -> Image:
        """Multiply."""
        return image * parameters


@dataclass(frozen=True)
class RicianNoise(Effect[NDArray[np.float32]]):
    """Gaussian noise in both parts of the complex signal, of which the magnitude is seen (Gudbjartsson & Patz 1995).

    Args:
        noise: Largest standard deviation of either part, as part of the image's range.
    """

    noise: float = 0.06

    def draw(self, shape: Shape, rng: np.random.Generator) -> NDArray[np.float32]:
        """Noise of the real and the imaginary part, (2, H, W, C)."""
        return normal((2, *shape), rng) * np.float32(rng.uniform(0, self.noise))

    def apply(self, image: Image, mask: Mask, parameters: NDArray[np.float32]) -> Image:
        """Magnitude of the noisy complex signal."""
        return np.hypot(image + parameters[0], parameters[1])


class Ghosts(NamedTuple):
    """Axis of phase encoding (0 rows, 1 columns), every which line is weaker, and by what part."""

    axis: int
    period: int
    loss: float


@dataclass(frozen=True)
class Ghosting(Effect[Ghosts]):
    """Pale copies along the phase-encoding axis, since every n-th line of k-space is weaker.

    As in torchio (Pérez-García et al. 2021, Computer Methods and Programs in Biomedicine).

    Args:
        copies: Smallest and largest n, which is also the number of copies in a field of view.
        loss: Smallest and largest part that those lines lose.
    """

    copies: Sequence[int] = (2, 8)
    loss: Sequence[float] = (0.2, 0.7)

    def draw(self, shape: Shape, rng: np.random.Generator) -> Ghosts:
        """Axis, period and loss."""
        period = int(rng.integers(self.copies[0], self.copies[1], endpoint=True))
        return Ghosts(int(rng.integers(2)), period, rng.uniform(self.loss[0], self.loss[1]))

    def apply(self, image: Image, mask: Mask, parameters: Ghosts) -> Image:
        """Weaken the lines."""
        axis, period, loss = parameters
        lines = _lines(image.shape[axis])
        weak = (lines % period == 0) & (np.abs(lines) > CENTRE * len(lines) / 2)
        kept = _along(np.where(weak, np.float32(1 - loss), np.float32(1)), axis)
        return np.abs(ifft(fft(image, axis=axis) * kept, axis=axis))


class Moves(NamedTuple):
    """Axis of phase encoding, and for each move: first moved line, degrees, shift along columns and rows in pixels."""

    axis: int
    moves: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Motion(Effect[Moves]):
    """The patient moves during the scan: outer lines of k-space belong to a shifted and rotated slice.

    After Shaw et al. 2019 (MIDL). The middle of k-space, which decides where things are seen, is that of the slice
    at rest, so that the mask still fits.

    Args:
        moves: Largest number of moves.
        rotate_deg: Largest rotation in degrees, either way.
        shift: Largest shift in pixels, either way.
    """

    moves: int = 2
    rotate_deg: float = 3.0
    shift: float = 4.0

    def draw(self, shape: Shape, rng: np.random.Generator) -> Moves:
        """Axis and moves; the sign of a move's first line says on which side of the middle it lies."""
        axis, count = int(rng.integers(2)), int(rng.integers(1, self.moves, endpoint=True))
        limits = np.array([self.rotate_deg, self.shift, self.shift])
        sides, firsts = rng.choice([-1, 1], count), rng.uniform(0.15, 0.7, count)
        poses = rng.uniform(-limits, limits, (count, 3)).tolist()
        starts = (sides * firsts).tolist()
        return Moves(axis, tuple((start, *pose) for start, pose in zip(starts, poses, strict=True)))

    def apply(self, image: Image, mask: Mask, parameters: Moves) -> Image:
        """Put the k-space together from the slice at rest and the moved ones."""
        axis = parameters.axis
        part = 2 * _lines(image.shape[axis]) / image.shape[axis]  # -1 to 1
        spectrum = fft(image, axis=axis)
        for start, degrees, *shift in parameters.moves:
            late = part * np.sign(start) > abs(start)
            spectrum = np.where(_along(late, axis), fft(_moved(image, degrees, shift), axis=axis), spectrum)
        return np.abs(ifft(spectrum, axis=axis))


@dataclass(frozen=True)
class LowResolution(Effect[tuple[float, float]]):
    """Coarser pixels along rows, columns or both, brought back to the old grid (as in nnU-Net, Isensee et al. 2021).

    Args:
        factor: Smallest and largest factor of the pixel's size.
    """

    factor: Sequence[float] = (1.25, 3.0)

    def draw(self, shape: Shape, rng: np.random.Generator) -> tuple[float, float]:
        """Factor along rows and along columns."""
        factor, which = rng.uniform(self.factor[0], self.factor[1]), rng.integers(3)
        return (factor if which != 1 else 1.0), (factor if which != 0 else 1.0)

    def apply(self, image: Image, mask: Mask, parameters: tuple[float, float]) -> Image:
        """Average down, interpolate up."""
        rows, columns = image.shape[:2]
        coarse = max(1, round(columns / parameters[1])), max(1, round(rows / parameters[0]))

        def down_and_up(channel: Image) -> Image:
            small = cv2.resize(channel, coarse, interpolation=cv2.INTER_AREA)
            return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC)

        return np.maximum(each_channel(down_and_up, image), 0)


def _lines(count: int) -> NDArray[np.int64]:
    """Number of each k-space line, 0 in the middle of k-space, in the order of `fft`."""
    return np.rint(np.fft.fftfreq(count) * count).astype(np.int64)


def _along(values: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
    """One value a line, for an (H, W, C) array."""
    return values.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))


def _moved(image: Image, degrees: float, shift: Sequence[float]) -> Image:
    rows, columns = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1)
    matrix[:, 2] += shift
    return each_channel(
        lambda channel: cv2.warpAffine(channel, matrix, (columns, rows), borderMode=cv2.BORDER_REPLICATE), image
    )
