"""K nearest neighbours (Cover and Hart 1967) of a pixel's grey values and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

from spinelab.classical.pixels import as_found, draw, enlarge, grey_features, place_features
from spinelab.classical.technique import Technique
from spinelab.classical.types import Grey, Labels, Scores, State, Vectors

STEP = 2
"""Every second row and column is asked, the pixels between are interpolated."""


class NearestNeighbours(Technique):
    """Votes of the most similar training pixels.

    `search` takes `neighbours` (how many vote) and `place` (weight of the place against the grey values).
    """

    def __init__(self, search: dict[str, Sequence[Any]], samples: int = 4000, **limits: Any) -> None:
        """Take `samples` training pixels, equally many of each class; `limits` are those of `Technique`."""
        super().__init__(search, ("neighbours", "place"), **limits)
        if samples < 1:
            raise ValueError(f"samples is positive, not {samples}")
        self.samples = samples

    def learn(
        self, greys: Sequence[Grey], masks: Sequence[Labels], classes: int, seed: int, **parameters: Any
    ) -> State:
        """Keep pixels as examples."""
        vectors = [_features(grey) for grey in greys]
        x, y, shares = draw(vectors, masks, classes, self.samples, np.random.default_rng(seed))
        mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        lists = {"x": np.round((x - mean) / spread, 4), "y": y, "mean": mean, "spread": spread, "shares": shares}
        return {name: array.tolist() for name, array in lists.items()}

    def score(self, grey: Grey, model: State, classes: int, seed: int, **parameters: Any) -> Scores:
        """Shares of the votes, weighted by how frequent the classes are."""
        vectors = _features(grey)[::STEP, ::STEP]
        scale = np.array([1.0] * 5 + [parameters.get("place", 1.0)] * 2)
        x = (vectors.reshape(-1, len(scale)) - np.asarray(model["mean"])) / np.asarray(model["spread"])
        examples = np.asarray(model["x"])
        voters = KNeighborsClassifier(min(parameters.get("neighbours", 15), len(examples)), algorithm="kd_tree")
        voters.fit(examples * scale, model["y"])
        votes = np.zeros((len(x), classes))
        votes[:, voters.classes_] = voters.predict_proba(x * scale)
        scores = as_found(votes, np.asarray(model["shares"]))
        return enlarge(scores.reshape(*vectors.shape[:2], classes), grey.shape)


def _features(grey: Grey) -> Vectors:
    return np.concatenate([grey_features(grey), place_features(grey)], axis=-1)
