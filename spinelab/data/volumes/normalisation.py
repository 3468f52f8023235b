"""Grey values to numbers that a network likes: one clip, shift and scale a channel of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from spinelab.data.volumes import nyul

Kind = Literal["zscore", "minmax", "percentile", "nyul"]
PERCENTILES = (0.5, 99.5)
SAMPLE, PIECE = 1 << 14, 1 << 16
"""Voxels that are looked at, or worked on, at once."""

Array = np.ndarray[Any, Any]
Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Intensity:
    """``(f(clip(x, low, high)) - shift) / scale``, fitted on one channel of one volume.

    Attributes:
        low: What is darker becomes this.
        high: What is brighter becomes this.
        shift: Subtracted after f.
        scale: Divided by at last.
        knots: f is piecewise linear through these (grey value, new value), ascending; None leaves f out.
    """

    low: float
    high: float
    shift: float
    scale: float
    knots: Knots | None = None

    def __post_init__(self) -> None:
        if self.knots is not None:  # JSON gives lists
            object.__setattr__(self, "knots", tuple((float(x), float(y)) for x, y in self.knots))

    def apply(self, array: Array) -> Array:
        """Normalise grey values of any shape to float32."""
        grey: Array = np.array(array, np.float32)  # a copy, so that the rest can be done in place
        np.clip(grey, np.float32(self.low), np.float32(self.high), out=grey)
        if self.knots is not None:
            grey = np.asarray(np.interp(grey, *np.transpose(self.knots)), np.float32)
        grey -= np.float32(self.shift)
        grey /= np.float32(self.scale)
        return grey


def fit(
    image: Array,
    kind: Kind | None,
    percentiles: tuple[float, float] = PERCENTILES,
    landmarks: tuple[float, ...] | None = None,
) -> Intensity:
    """Fit the normalisation of one channel.

    Args:
        image: Grey values of a volume, any shape; leave padding out.
        kind: ``zscore``: clipped to the percentiles, mean 0 and standard deviation 1; ``percentile``: the percentiles
            become 0 and 1; ``minmax``: the extremes become 0 and 1; ``nyul``: the volume's landmarks become the
            standard ones (see `nyul`); None: left as it is.
        percentiles: Where to clip, in percent.
        landmarks: The standard landmarks of ``nyul``, from `nyul.learn_landmarks`.

    Raises:
        ValueError: The kind is unknown, or its landmarks are missing or no landmarks.
    """
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"normalisation is one of {', '.join(get_args(Kind))} or null, not {kind!r}")
    values = image.ravel()
    low, high = float(values.min()), float(values.max())
    if kind == "nyul":
        if landmarks is None:
            raise ValueError("normalisation nyul needs landmarks")
        knots = nyul.knots(values, landmarks)
        return Intensity(knots[0][0], knots[-1][0], 0.0, 1.0, knots)
    if kind in ("zscore", "percentile"):
        clipped = _percentiles(values, percentiles)
        # a scan that is almost all air has equal percentiles: clipping there would erase it
        low, high = clipped if clipped[0] < clipped[1] else (low, high)
    if kind is None:
        return Intensity(low, high, 0.0, 1.0)
    if kind == "zscore":
        mean, deviation = _moments(values, low, high)
        return Intensity(low, high, mean, deviation or 1.0)
    return Intensity(low, high, low, (high - low) or 1.0)


def _percentiles(values: Array, percents: tuple[float, float]) -> tuple[float, float]:
    """`np.percentile` of a flat array."""
    low, high = (_between(values, (len(values) - 1) * percent / 100) for percent in percents)
    return low, high


def _between(values: Array, place: float) -> float:
    """What stands at a place of the sorted values, interpolated linearly between two.

    A sample tells roughly where that is; only the values near it are sorted, which is several times faster.
    """
    first = int(place)
    sample = np.sort(values[:: max(1, len(values) // SAMPLE)])
    guess, width = round(first / len(values) * len(sample)), len(sample) // 100 + 2
    lower, upper = sample[max(0, guess - width)], sample[min(len(sample) - 1, guess + width)]
    below, near = int(np.count_nonzero(values < lower)), values[(values >= lower) & (values <= upper)]
    if not below <= first < below + len(near) - 1:  # the sample misled, or the place lies at an end
        below, near = 0, values
    pair = [first - below, min(first - below + 1, len(near) - 1)]
    left, right = (float(value) for value in np.partition(near, pair)[pair])
    return left + (place - first) * (right - left)


def _moments(values: Array, low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of the clipped values in float64, piece by piece to stay in the processor's cache."""
    total = squares = 0.0
    for start in range(0, len(values), PIECE):
        piece = np.clip(values[start : start + PIECE], low, high).astype(np.float64) - low
        total, squares = total + float(piece.sum()), squares + float(piece @ piece)
    mean = total / len(values)
    return low + mean, float(np.sqrt(max(0.0, squares / len(values) - mean * mean)))
