from __future__ import annotations

import itertools

import numpy as np
import pytest

from spinelab.classical.grey import bins, histogram, unit
from spinelab.classical.otsu import otsu, parted
from spinelab.classical.particle_swarm import particle_swarm, search, worth


def variance_between(values: np.ndarray, thresholds: tuple[int, ...]) -> float:
    """Otsu's criterion from the pixels themselves."""
    parts = [values[np.digitize(values, thresholds) == level] for level in range(len(thresholds) + 1)]
    return sum(len(part) / len(values) * (part.mean() - values.mean()) ** 2 for part in parts if len(part))


def entropies(values: np.ndarray, thresholds: tuple[int, ...]) -> float:
    """Kapur's criterion from the pixels themselves."""
    total = 0.0
    for level in range(len(thresholds) + 1):
        counts = np.unique(values[np.digitize(values, thresholds) == level], return_counts=True)[1]
        total -= sum(c / counts.sum() * np.log(c / counts.sum()) for c in counts)
    return total


def speckled(count: int = 32) -> np.ndarray:
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(c, 2.0, n) for c, n in ((6, 300), (15, 200), (25, 250))])
    return np.clip(values.astype(int), 0, count - 1)


@pytest.mark.parametrize(("criterion", "direct"), [("otsu", variance_between), ("kapur", entropies)])
def test_swarm_finds_what_all_pairs_give(criterion: str, direct: object) -> None:
    values, count = speckled(), 32
    frequencies = np.bincount(values, minlength=count) / len(values)
    pairs = list(itertools.combinations(range(1, count), 2))
    exhaustive = max(direct(values, pair) for pair in pairs)  # type: ignore[operator]
    for seed in range(5):
        found = search(worth(frequencies, criterion), 2, count, np.random.default_rng(seed))  # type: ignore[arg-type]
        assert direct(values, tuple(found)) == pytest.approx(exhaustive, abs=1e-9)  # type: ignore[operator]


def test_otsu_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    grey = unit(np.concatenate([rng.normal(0.3, 0.08, 500), rng.normal(0.7, 0.1, 400)]).reshape(30, 30))
    values = bins(grey)
    best = max(range(1, 256), key=lambda t: variance_between(values.ravel(), (t,)))
    assert np.array_equal(parted(grey, 2), (values >= best).astype(int))


def test_multi_otsu_equals_brute_force() -> None:
    rng = np.random.default_rng(1)
    grey = unit(np.round(rng.choice([2.0, 5, 9, 12], 600) + rng.normal(0, 0.6, 600)).reshape(20, 30))
    values = bins(grey)
    found = parted(grey, 3)
    there = np.unique(values)
    best = max(variance_between(values.ravel(), pair) for pair in itertools.combinations(there[1:], 2))
    edges = tuple(int(values[found == level].min()) for level in (1, 2))
    assert variance_between(values.ravel(), edges) == pytest.approx(best)
    assert all((found[values == value] == found[values == value][0]).all() for value in there)


def test_multi_otsu_parts_planted_levels() -> None:
    truth = np.repeat(np.arange(4), 16)[None].repeat(40, axis=0)
    grey = (truth / 3 + np.random.default_rng(0).normal(0, 0.03, truth.shape)).clip(0, 1).astype(np.float32)
    for levels in (otsu(grey, np.random.default_rng(0), levels=4), swarm(grey)):
        assert len(np.unique(levels)) == 4
        assert all(len(np.unique(levels[truth == level])) == 1 for level in range(4))


def swarm(grey: np.ndarray) -> np.ndarray:
    return particle_swarm(grey, np.random.default_rng(0), levels=4, criterion="otsu")


def test_histogram_counts_every_pixel() -> None:
    grey = np.array([[0.0, 1.0, 0.5, 0.999]], np.float32)
    assert histogram(grey, 4).tolist() == [0.25, 0, 0.25, 0.5]


@pytest.mark.parametrize("levels", [1, 6])
def test_otsu_refuses_what_it_cannot_search(levels: int) -> None:
    with pytest.raises(ValueError, match="levels"):
        otsu(np.zeros((4, 4), np.float32), np.random.default_rng(0), levels=levels)


def test_unknown_criterion() -> None:
    with pytest.raises(ValueError, match="otsu or kapur"):
        worth(np.ones(4) / 4, "renyi")  # type: ignore[arg-type]
