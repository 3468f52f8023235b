"""A random forest (Breiman 2001) as plain lists: grown by scikit-learn, kept and asked without it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]

from spinelab.classical.types import State, Vectors

TREES, LEAVES = 24, 96


def grow(samples: Vectors, pixels: NDArray[Any], seed: int) -> State:
    """Grow a forest.

    Args:
        samples: (n, F) features.
        pixels: (n, K) how many pixels of each class a sample stands for.
        seed: Of the bootstrap.

    Returns:
        The nodes of all trees in one table: feature, threshold, left, right, value (class shares); and the roots.
    """
    sample, label = np.nonzero(pixels)  # a sample of mixed classes counts once for each
    forest = RandomForestClassifier(
        TREES, max_leaf_nodes=LEAVES, min_samples_leaf=3, max_features="sqrt", random_state=seed
    )
    forest.fit(samples[sample], label, sample_weight=pixels[sample, label] / pixels.sum() * len(sample))
    state: dict[str, list[Any]] = {"roots": [], "feature": [], "threshold": [], "left": [], "right": [], "value": []}
    for tree in (estimator.tree_ for estimator in forest.estimators_):
        first = len(state["feature"])
        value = np.zeros((tree.node_count, pixels.shape[1]))
        value[:, forest.classes_] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
        state["roots"].append(first)
        state["feature"] += tree.feature.tolist()  # negative at a leaf
        state["threshold"] += tree.threshold.tolist()
        for side, children in (("left", tree.children_left), ("right", tree.children_right)):
            state[side] += (np.where(children < 0, np.arange(tree.node_count), children) + first).tolist()
        state["value"] += value.tolist()
    return state


def ask(forest: State, samples: Vectors) -> Vectors:
    """(n, K) class shares of samples (n, F): the mean over the trees."""
    feature, left, right = (np.asarray(forest[name], np.int64) for name in ("feature", "left", "right"))
    threshold, value = np.asarray(forest["threshold"]), np.asarray(forest["value"])
    samples = samples.astype(np.float32)  # as scikit-learn grew it
    node = np.repeat(np.asarray(forest["roots"], np.int64)[:, None], len(samples), axis=1)
    rows = np.arange(len(samples))
    while (feature[node] >= 0).any():
        goes_left = samples[rows, np.maximum(feature[node], 0)] <= threshold[node]
        node = np.where(goes_left, left[node], right[node])  # a leaf is its own child
    return np.asarray(value[node].mean(axis=0))
