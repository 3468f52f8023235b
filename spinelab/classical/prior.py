"""What is known of a pixel before any technique: its grey value and its place, from the training persons.

Techniques that must be told where to begin (graph cut, active contours) start from this naive Bayes model. Taken by
itself it is the baseline that shows what the other techniques add to grey value and place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from spinelab.classical.grey import bins
from spinelab.classical.technique import Technique
from spinelab.classical.tuning import keywords
from spinelab.classical.types import Grey, Labels, Scores, State

LEVELS, CELLS = 32, 32
SURE = 0.9
"""Score of the class that a technique decided on; the rest is shared out by the prior."""


class PriorTechnique(Technique):
    """A technique that starts from the posterior of grey value and place, and decides.

    Args:
        refine: ``refine(grey, posterior, **parameters) -> (H, W) class indices``; None keeps the posterior.
        search: See `Technique`; `foreground` multiplies the posterior of the foreground classes before the technique.
        limits: `trials`, `slices` and `limit_s` of `Technique`.
    """

    def __init__(
        self, search: Mapping[str, Sequence[Any]], refine: Callable[..., Labels] | None = None, **limits: Any
    ) -> None:
        super().__init__(search, ("foreground", *keywords(refine)) if refine else (), **limits)
        self.refine = refine

    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """Histogram of each class, and how often it is met at each place."""
        grey_values, places = np.full((classes, LEVELS), 1e-3), np.full((classes, CELLS, CELLS), 1e-3)
        places[0] = 1.0
        for grey, mask in zip(greys, masks, strict=True):
            np.add.at(grey_values, (mask, bins(grey, LEVELS)), 1)
            row, column = (axis * CELLS // size for axis, size in zip(np.indices(grey.shape), grey.shape, strict=True))
            np.add.at(places, (mask, row, column), 1)
        smoothed = gaussian_filter1d(grey_values, 1.0, axis=1, mode="nearest")
        blurred = np.stack([gaussian_filter(place, 1.0, mode="nearest") for place in places])
        return {
            "grey": (smoothed / smoothed.sum(axis=1, keepdims=True)).tolist(),
            "place": (blurred / blurred.sum(axis=0)).tolist(),
        }

    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """The posterior itself, or what the technique made of it."""
        likely = posterior(grey, model)
        if self.refine is None:
            return likely
        weight = parameters.pop("foreground", 1.0)
        likely[1:] *= weight
        likely /= likely.sum(axis=0)
        labels = self.refine(grey, likely, **parameters)
        decided = (labels == np.arange(classes)[:, None, None]).astype(np.float64)
        return SURE * decided + (1 - SURE) * likely


def posterior(grey: Grey, model: State) -> Scores:
    """P(class | grey value, place), proportional to P(grey value | class) P(class | place)."""
    grey_values, places = np.asarray(model["grey"]), np.asarray(model["place"])
    axes = [(np.arange(size) + 0.5) * CELLS / size - 0.5 for size in grey.shape]
    at = np.stack(np.meshgrid(*axes, indexing="ij"))
    here = np.stack([map_coordinates(place, at, order=1, mode="nearest") for place in places])
    likely = grey_values[:, bins(grey, LEVELS)] * here
    return np.asarray(likely / likely.sum(axis=0))
