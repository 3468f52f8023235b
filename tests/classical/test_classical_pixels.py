from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

from spinelab.classical import gabor_svm
from spinelab.classical.gabor_svm import alignment, combined, features, kernels
from spinelab.classical.knn import NearestNeighbours
from spinelab.classical.pixels import as_found, draw, enlarge


def test_draw_takes_equally_many_of_each_class() -> None:
    rng = np.random.default_rng(0)
    masks = [np.repeat(np.array([0, 1, 2], np.uint8), [80, 15, 5]).reshape(10, 10)] * 2
    x, y, shares = draw([mask[..., None].astype(float) for mask in masks], masks, 4, 24, rng)
    assert np.bincount(y, minlength=4).tolist() == [8, 8, 8, 0]
    assert (x[:, 0] == y).all()
    np.testing.assert_allclose(shares, [0.8, 0.15, 0.05, 0])


def test_as_found_is_bayes() -> None:
    """Balanced shares times how frequent a class is, over their sum."""
    found = as_found(np.array([[0.2, 0.8]]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(found, [[0.18 / 0.26, 0.08 / 0.26]], atol=1e-5)


def test_enlarge_keeps_shape_and_sums() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), (5, 4))
    full = enlarge(scores, (9, 8))
    assert full.shape == (3, 9, 8)
    np.testing.assert_allclose(full.sum(axis=0), 1)
    constant = enlarge(np.tile([0.2, 0.5, 0.3], (4, 4, 1)), (7, 8))
    np.testing.assert_allclose(constant, np.broadcast_to(np.array([0.2, 0.5, 0.3])[:, None, None], (3, 7, 8)))


def test_votes_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 7)), rng.integers(0, 2, 40)
    model = {"x": x, "y": y, "mean": np.zeros(7), "spread": np.ones(7), "shares": np.array([0.5, 0.5])}
    grey = rng.random((2, 2)).astype(np.float32)
    technique = NearestNeighbours({"neighbours": [3]})
    found = technique.score(grey, model, 2, 0, neighbours=3, place=2.0)
    from spinelab.classical.knn import _features

    scale = np.array([1, 1, 1, 1, 1, 2, 2])
    distances = np.linalg.norm((_features(grey)[0, 0] - x) * scale, axis=1)
    assert found[1, 0, 0] == pytest.approx(y[np.argsort(distances)[:3]].mean(), abs=1e-4)


def test_gabor_answers_a_wave_of_its_own_frequency_and_angle() -> None:
    columns = np.arange(80)
    wave = np.tile(0.5 + 0.5 * np.cos(2 * np.pi * 0.12 * columns), (80, 1)).astype(np.float32)
    middle = features(wave)[30:50, 30:50, :12].mean(axis=(0, 1)).reshape(3, 4)
    assert np.unravel_index(middle.argmax(), middle.shape) == (1, 0)
    assert features(np.full((40, 40), 0.7, np.float32))[..., :12].max() < 1e-6


def test_kernels_are_gaussian() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 19)), rng.normal(size=(4, 19))
    for part, group in zip(kernels(a, b, 1.5), gabor_svm.GROUPS, strict=True):
        size = a[:, group].shape[1]
        np.testing.assert_allclose(part, rbf_kernel(a[:, group], b[:, group], gamma=1 / (2 * 1.5**2 * size)))


def test_alignment_prefers_the_kernel_that_knows_the_classes() -> None:
    y = np.repeat([0, 1, 2], 10)
    knows = (y[:, None] == y[None]).astype(float)
    noise = np.random.default_rng(0).normal(size=(30, 4))
    weights = alignment(np.stack([knows, noise @ noise.T]), y)
    centring = np.eye(30) - 1 / 30
    k, t = centring @ noise @ noise.T @ centring, centring @ knows @ centring
    expected = np.array([1, max(0, (k * t).sum() / np.linalg.norm(k) / np.linalg.norm(t))])
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=1e-9)


def test_machines_decide_as_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 19)), rng.integers(0, 3, 60)
    x[:, 3] += 2 * y
    kernel = combined(x, x, 1.0, np.array([0.6, 0.3, 0.1]))
    machines = gabor_svm._machines(kernel, y, 4, cost=1.0)
    for k in range(3):
        theirs = SVC(C=1.0, kernel="precomputed", class_weight="balanced").fit(kernel, y == k)
        np.testing.assert_allclose(kernel @ machines[:-1, k] + machines[-1, k], theirs.decision_function(kernel))
    assert (kernel @ machines[:-1, 3] + machines[-1, 3] == -1).all()
