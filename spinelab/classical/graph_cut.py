"""Graph cut (Boykov, Veksler and Zabih 2001): labels of least energy by alpha expansion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinelab.classical.types import Grey, Labels, Scores
from spinelab.errors import ConfigError

ROUNDS = 3
Weights = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What different labels cost between a pixel and the one below (H - 1, W), and the one to the right (H, W - 1)."""


def graph_cut(grey: Grey, posterior: Scores, *, weight: float = 2.0, contrast: float = 0.1) -> Labels:
    """Class indices (H, W) that go with the posterior and change where the grey value does.

    Args:
        grey: (H, W) prepared slice.
        posterior: (K, H, W).
        weight: Cost of a border between two pixels of the same grey value.
        contrast: Difference of grey values at which that cost has fallen to 0.6.
    """
    costs = -np.log(np.maximum(posterior, 1e-6))
    down, right = (weight * np.exp(-(np.diff(grey, axis=axis) ** 2) / (2 * contrast**2)) for axis in (0, 1))
    return expand(costs, (down, right)).astype(np.uint8)


def energy(labels: NDArray[np.int64], costs: Scores, weights: Weights) -> float:
    """Sum of the pixels' costs (K, H, W) and of the weights of neighbours with different labels."""
    own = np.take_along_axis(costs, labels[None], axis=0).sum()
    down, right = ((np.diff(labels, axis=axis) != 0) * weights[axis] for axis in (0, 1))
    return float(own + down.sum() + right.sum())


def expand(costs: Scores, weights: Weights) -> NDArray[np.int64]:
    """Labels of low energy: no single expansion lowers it; with two labels it is the least there is."""
    labels = costs.argmin(axis=0)
    lowest = energy(labels, costs, weights)
    for _ in range(ROUNDS):
        before = lowest
        for label in range(len(costs)):
            moved = expansion(labels, label, costs, weights)
            if (now := energy(moved, costs, weights)) < lowest - 1e-9:
                labels, lowest = moved, now
        if lowest >= before:
            break
    return labels


def expansion(labels: NDArray[np.int64], label: int, costs: Scores, weights: Weights) -> NDArray[np.int64]:
    """The best of all labellings in which any pixels have taken one label: a minimum cut (Kolmogorov and Zabih 2004).

    Raises:
        ConfigError: PyMaxflow is not installed.
    """
    try:
        import maxflow  # type: ignore[import-untyped]  # GPL, so it is not among the requirements
    except ModuleNotFoundError:
        raise ConfigError("graph cuts need PyMaxflow, which is not installed", "pip install PyMaxflow") from None
    graph = maxflow.GraphFloat()
    nodes = graph.add_grid_nodes(labels.shape)
    keep, take = np.take_along_axis(costs, labels[None], axis=0)[0].copy(), costs[label].copy()
    for axis, structure in ((0, [[0, 0, 0], [0, 0, 0], [0, 1, 0]]), (1, [[0, 0, 0], [0, 0, 1], [0, 0, 0]])):
        first, second = (_cut(axis, slice(None, -1)), _cut(axis, slice(1, None)))
        here, there = labels[first], labels[second]
        neither = weights[axis] * (here != there)  # both keep
        second_takes, first_takes = weights[axis] * (here != label), weights[axis] * (there != label)
        take[first] += first_takes - neither
        take[second] -= first_takes
        capacity = np.zeros(labels.shape)
        capacity[first] = second_takes + first_takes - neither
        graph.add_grid_edges(nodes, capacity, np.array(structure), symmetric=False)
    shift = np.minimum(keep, take)
    graph.add_grid_tedges(nodes, take - shift, keep - shift)
    graph.maxflow()
    return np.where(graph.get_grid_segments(nodes), label, labels)


def _cut(axis: int, part: slice) -> tuple[slice, ...]:
    return (part, slice(None)) if axis == 0 else (slice(None), part)
