from __future__ import annotations

import numpy as np
import pytest

from spinelab.classical.active_contours import chan_vese, combine, geodesic
from spinelab.classical.prior import PriorTechnique, posterior


def square(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey values, truth, and a posterior that knows only the middle of the square."""
    truth = np.zeros((60, 60), bool)
    truth[15:45, 15:45] = True
    grey = 0.2 + 0.6 * truth + np.random.default_rng(0).normal(0, noise, truth.shape)
    likely = np.full(truth.shape, 0.05)
    likely[24:36, 24:36] = 0.9
    return grey.clip(0, 1).astype(np.float32), truth, np.stack([1 - likely, likely])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_chan_vese_grows_to_the_planted_square() -> None:
    grey, truth, likely = square(0.1)
    assert dice(likely[1] > 0.5, truth) < 0.35
    assert dice(chan_vese(grey, likely, steps=40, picture="grey") == 1, truth) > 0.95


def test_geodesic_contour_stops_at_the_edge() -> None:
    grey, truth, likely = square(0.01)
    grown = geodesic(grey, likely, steps=40, balloon=1, edge=0.3) == 1
    assert dice(grown, truth) > 0.85
    assert grown[~truth].mean() < 0.1


def test_contour_on_the_posterior_ignores_grey() -> None:
    grey, _, likely = square(0.0)
    found = chan_vese(grey, likely, steps=10, picture="posterior") == 1
    assert dice(found, likely[1] > 0.5) > 0.9


def test_overlap_goes_to_the_likelier_class() -> None:
    inside = np.array([[[True, True, False]], [[True, False, False]]])
    likely = np.array([[[0.1, 0.1, 0.8]], [[0.3, 0.5, 0.1]], [[0.6, 0.4, 0.1]]])
    assert combine(inside, likely).tolist() == [[2, 1, 0]]


def test_posterior_by_bayes() -> None:
    """Two classes, grey values apart, the places alike: the histogram decides."""
    rng = np.random.default_rng(0)
    masks = [(rng.random((32, 32)) < 0.25).astype(np.uint8) for _ in range(6)]
    greys = [np.where(mask, 0.8, 0.2).astype(np.float32) for mask in masks]
    model = PriorTechnique({}).learn(greys, masks, 2, 0)
    likely = posterior(np.array([[0.8, 0.2, 0.5]], np.float32), model)
    assert likely[1, 0, 0] > 0.99
    assert likely[1, 0, 1] < 0.01
    np.testing.assert_allclose(likely.sum(axis=0), 1)


def test_posterior_knows_the_place() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 1
    grey = np.full((64, 64), 0.5, np.float32)
    found = PriorTechnique({}).fit([grey] * 2, [mask] * 2, ["a", "b"], classes=2).predict(np.zeros((40, 20)))
    assert (found[:18] == 1).all()
    assert (found[22:] == 0).all()


def test_foreground_weight_reaches_the_technique() -> None:
    seen = []

    def spy(grey: np.ndarray, likely: np.ndarray) -> np.ndarray:
        seen.append(likely[1] / likely[0])
        return likely.argmax(axis=0).astype(np.uint8)

    technique = PriorTechnique({"foreground": [1.0]}, spy)
    grey, mask = np.random.default_rng(0).random((20, 20)).astype(np.float32), np.zeros((20, 20), np.uint8)
    mask[:10] = 1
    model = technique.learn([grey], [mask], 2, 0)
    for weight in (1.0, 4.0):
        technique.score(grey, model, 2, 0, foreground=weight)
    np.testing.assert_allclose(seen[1], 4 * seen[0])


def test_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['baloon'\].*balloon"):
        PriorTechnique({"baloon": [1]}, geodesic)
