from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from spinelab.classical.graph_cut import energy, expand, expansion, graph_cut
from spinelab.classical.normalised_cut import normalised_cut
from spinelab.classical.slic import slic
from spinelab.errors import ConfigError

maxflow = pytest.importorskip("maxflow")
Weights = tuple[np.ndarray, np.ndarray]


def problem(seed: int, labels: int) -> tuple[np.ndarray, Weights]:
    rng = np.random.default_rng(seed)
    return rng.random((labels, 3, 3)) * 3, (rng.random((2, 3)) * 2, rng.random((3, 2)) * 2)


def direct(labels: np.ndarray, costs: np.ndarray, weights: Weights) -> float:
    """The energy, pixel by pixel."""
    total = sum(costs[labels[r, c], r, c] for r in range(3) for c in range(3))
    total += sum(weights[0][r, c] for r in range(2) for c in range(3) if labels[r, c] != labels[r + 1, c])
    return float(total + sum(weights[1][r, c] for r in range(3) for c in range(2) if labels[r, c] != labels[r, c + 1]))


@pytest.mark.parametrize("seed", range(10))
def test_two_labels_equal_exhaustive_search(seed: int) -> None:
    costs, weights = problem(seed, 2)
    everything = (np.array(choice).reshape(3, 3) for choice in itertools.product((0, 1), repeat=9))
    least = min(direct(labels, costs, weights) for labels in everything)
    assert direct(expand(costs, weights), costs, weights) == pytest.approx(least)


@pytest.mark.parametrize("seed", range(5))
def test_an_expansion_is_the_best_there_is(seed: int) -> None:
    costs, weights = problem(seed, 3)
    start = np.random.default_rng(seed).integers(0, 3, (3, 3))
    for label in range(3):
        moves = (np.array(choice, bool).reshape(3, 3) for choice in itertools.product((0, 1), repeat=9))
        least = min(direct(np.where(move, label, start), costs, weights) for move in moves)
        moved = expansion(start, label, costs, weights)
        assert ((moved == start) | (moved == label)).all()
        assert direct(moved, costs, weights) == pytest.approx(least)


def test_energy_by_hand() -> None:
    costs, weights = problem(0, 3)
    labels = np.random.default_rng(0).integers(0, 3, (3, 3))
    assert energy(labels, costs, weights) == pytest.approx(direct(labels, costs, weights))


def test_cut_takes_noise_off_and_keeps_the_edge() -> None:
    rng, truth = np.random.default_rng(0), np.zeros((40, 40), int)
    truth[10:30, 10:30] = 1
    grey = (0.3 + 0.4 * truth).astype(np.float32)
    likely = np.clip(0.35 + 0.3 * truth + rng.normal(0, 0.3, truth.shape), 0.02, 0.98)
    posterior = np.stack([1 - likely, likely])
    assert (posterior.argmax(axis=0) != truth).mean() > 0.2
    assert (graph_cut(grey, posterior, weight=1.0) != truth).mean() < 0.01


def test_without_weight_it_is_the_posterior() -> None:
    posterior = np.random.default_rng(1).dirichlet(np.ones(3), (12, 9)).transpose(2, 0, 1)
    assert np.array_equal(graph_cut(np.zeros((12, 9), np.float32), posterior, weight=0.0), posterior.argmax(axis=0))


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maxflow", None)
    with pytest.raises(ConfigError, match="PyMaxflow"):
        expansion(np.zeros((2, 2), int), 1, np.ones((2, 2, 2)), (np.ones((1, 2)), np.ones((2, 1))))


def test_normalised_cut_joins_superpixels_of_a_planted_half() -> None:
    rng, truth = np.random.default_rng(0), np.zeros((48, 48), int)
    truth[:, 20:] = 1
    grey = (0.2 + 0.6 * truth + rng.normal(0, 0.02, truth.shape)).astype(np.float32)
    groups = normalised_cut(grey, rng, pixels=60, sigma=0.01, limit=0.1)
    assert len(np.unique(slic(grey, rng, pixels=60))) > 20
    purity = sum(np.bincount(truth[groups == group]).max() for group in np.unique(groups)) / truth.size
    assert purity > 0.97
    assert len(np.unique(groups)) <= 4
