"""Grey values to numbers that a network likes: one clip, shift and scale a channel of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["zscore", "minmax", "percentile"]
PERCENTILES = (0.5, 99.5)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Intensity:
    """``(clip(x, low, high) - shift) / scale``, fitted on one channel of one volume."""

    low: float
    high: float
    shift: float
    scale: float

    def apply(self, array: Array) -> Array:
        """Normalise grey values of any shape to float32."""
        clipped = np.clip(array.astype(np.float32), self.low, self.high)
        return ((clipped - np.float32(self.shift)) / np.float32(self.scale)).astype(np.float32, copy=False)


def fit(image: Array, kind: Kind | None, percentiles: tuple[float, float] = PERCENTILES) -> Intensity:
    """Fit the normalisation of one channel.

    Args:
        image: Grey values of a volume, any shape; leave padding out.
        kind: ``zscore``: clipped to the percentiles, mean 0 and standard deviation 1; ``percentile``: the percentiles
            become 0 and 1; ``minmax``: the extremes become 0 and 1; None: left as it is.
        percentiles: Where to clip, in percent.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"normalisation is one of {', '.join(get_args(Kind))} or null, not {kind!r}")
    values = image.astype(np.float64).ravel()
    low, high = float(values.min()), float(values.max())
    if kind in ("zscore", "percentile"):
        clipped = tuple(float(p) for p in np.percentile(values, percentiles))
        # a scan that is almost all air has equal percentiles: clipping there would erase it
        low, high = clipped if clipped[0] < clipped[1] else (low, high)
    if kind is None:
        return Intensity(low, high, 0.0, 1.0)
    if kind == "zscore":
        values = np.clip(values, low, high)
        return Intensity(low, high, float(values.mean()), float(values.std()) or 1.0)
    return Intensity(low, high, low, (high - low) or 1.0)
