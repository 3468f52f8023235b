from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from spinelab.classical.fuzzy_c_means import cluster, memberships
from spinelab.classical.grey import bins, unit
from spinelab.classical.hmrf import hidden_field, log_density, neighbours, one_hot, sweep
from spinelab.classical.k_means import clustered


def three_levels(noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    truth = np.zeros((48, 48), np.int64)
    truth[8:40, 8:40] = 1
    truth[16:32, 16:32] = 2
    rng = np.random.default_rng(seed)
    return (0.2 + 0.3 * truth + rng.normal(0, noise, truth.shape)).clip(0, 1).astype(np.float32), truth


def test_clusters_of_the_histogram_are_those_of_the_pixels() -> None:
    grey = three_levels(0.08)[0]
    mine = clustered(grey, 3, np.random.default_rng(0))[bins(grey)].ravel()
    pixels = (bins(grey) / 256).reshape(-1, 1)
    theirs = KMeans(3, n_init=4, random_state=1).fit(pixels)
    inertia = sum(((pixels[mine == k] - pixels[mine == k].mean()) ** 2).sum() for k in range(3))
    assert inertia == pytest.approx(theirs.inertia_, rel=1e-3)
    assert [pixels[mine == k].mean() for k in range(3)] == sorted(pixels[mine == k].mean() for k in range(3))


def test_more_clusters_never_raise_the_inertia() -> None:
    grey, last = three_levels(0.1)[0], np.inf
    for count in (1, 2, 3, 4, 6):
        labels = clustered(grey, count, np.random.default_rng(0))[bins(grey)]
        inertia = sum(((grey[labels == k] - grey[labels == k].mean()) ** 2).sum() for k in range(count))
        assert inertia < last
        last = inertia


def test_fuzzy_objective_never_rises_and_ends_at_the_planted_means() -> None:
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(centre, 0.02, (200, 1)) for centre in (0.2, 0.5, 0.9)])
    start = np.array([[0.4], [0.45], [0.5]])
    centres, objective = cluster(samples, np.ones(len(samples)), start, 2.0)
    assert len(objective) > 3
    assert all(after <= before + 1e-12 for before, after in pairwise(objective))
    np.testing.assert_allclose(np.sort(centres[:, 0]), [0.2, 0.5, 0.9], atol=0.01)


def test_fuzzy_memberships_by_bezdeks_formula() -> None:
    samples, centres, m = np.array([[0.1], [0.35]]), np.array([[0.0], [0.3], [1.0]]), 1.7
    distance = abs(samples - centres.T)
    expected = 1 / ((distance[:, :, None] / distance[:, None, :]) ** (2 / (m - 1))).sum(axis=2)
    np.testing.assert_allclose(memberships(samples, centres, m), expected)


def test_fuzzy_becomes_k_means() -> None:
    grey = three_levels(0.05)[0]
    pixels = grey.reshape(-1, 1).astype(np.float64)
    centres = cluster(pixels, np.ones(len(pixels)), np.array([[0.1], [0.5], [0.9]]), 1.05)[0]
    theirs = KMeans(3, n_init=4, random_state=0).fit(pixels).cluster_centers_
    np.testing.assert_allclose(np.sort(centres, axis=0), np.sort(theirs, axis=0), atol=2e-3)


def test_fuzziness_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="above 1"):
        cluster(np.zeros((2, 1)), np.ones(2), np.zeros((1, 1)), 1.0)


def test_hidden_field_beats_the_mixture_under_noise() -> None:
    grey, truth = three_levels(0.12)
    start = clustered(grey, 3, np.random.default_rng(0))[bins(grey)]
    field = hidden_field(grey, start, beta=1.5)
    mixture = GaussianMixture(3, random_state=0).fit(grey.reshape(-1, 1))
    order = np.argsort(np.argsort(mixture.means_[:, 0]))
    alone = order[mixture.predict(grey.reshape(-1, 1))].reshape(grey.shape)
    assert (alone == truth).mean() < 0.85
    assert (field == truth).mean() > 0.97


def test_a_sweep_never_raises_the_energy() -> None:
    grey = three_levels(0.2)[0]
    levels = np.random.default_rng(0).integers(0, 3, grey.shape)
    density, beta = log_density(grey, one_hot(levels, 3)), 1.0

    def energy(labels: np.ndarray) -> float:
        own = -np.take_along_axis(density, labels[None], axis=0).sum()
        return float(own - beta * sum((np.diff(labels, axis=axis) == 0).sum() for axis in (0, 1)))

    values = [energy(levels)]
    for _ in range(5):
        levels = sweep(levels, density, beta)
        values.append(energy(levels))
    assert values[1] < values[0]
    assert all(after <= before + 1e-9 for before, after in pairwise(values))


def test_neighbours_by_hand() -> None:
    plane = np.arange(9.0).reshape(1, 3, 3)
    assert neighbours(plane)[0].tolist() == [[4, 6, 6], [10, 16, 14], [10, 18, 12]]


def test_densities_are_gaussian() -> None:
    grey, levels = three_levels(0.05)
    for found, level in zip(log_density(grey, one_hot(levels, 3)), range(3), strict=True):
        values = grey[levels == level].astype(np.float64)
        np.testing.assert_allclose(found, norm(values.mean(), values.std()).logpdf(grey), rtol=1e-4)


def test_constant_picture_has_one_cluster() -> None:
    grey = unit(np.full((6, 6), 3.0))
    assert (clustered(grey, 4, np.random.default_rng(0))[bins(grey)] == 0).all()
