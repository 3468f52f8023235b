"""Distances within slices, pooled over a volume of unknown spacing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinelab.metrics.distances import distance_scores
from spinelab.metrics.slice_distances import slice_distance_scores


def boundary(mask):
    """(N, 2) pixels with a neighbour outside, by looking at each."""
    points = []
    for r, c in np.argwhere(mask):
        around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        if any(not (0 <= i < mask.shape[0] and 0 <= j < mask.shape[1]) or not mask[i, j] for i, j in around):
            points.append((r, c))
    return np.array(points, float)


def test_ways_are_pooled_over_slices_before_anything_is_taken():
    rng = np.random.default_rng(0)
    truth, found = (rng.random((6, 12, 9)) < 0.3 for _ in range(2))
    found[2], truth[4], truth[5], found[5] = False, False, False, False
    ways = []
    for t, p in zip(truth, found, strict=True):
        a, b = boundary(t), boundary(p)
        if len(a) and len(b):
            between = np.linalg.norm(a[:, None] - b[None], axis=2)
            ways += [*between.min(0), *between.min(1)]
        else:
            ways += [math.hypot(12, 9)] * (len(a) + len(b))
    scores = slice_distance_scores(truth, found, 1.0)
    assert scores["hd95"] == pytest.approx(np.percentile(ways, 95), abs=1e-9)
    assert scores["assd"] == pytest.approx(np.mean(ways), abs=1e-9)
    assert scores["hd"] == max(ways) == math.hypot(12, 9)


def test_one_slice_is_scored_as_a_slice():
    rng = np.random.default_rng(1)
    truth, found = (rng.random((1, 20, 15)) < 0.4 for _ in range(2))
    assert slice_distance_scores(truth, found, 1.0) == pytest.approx(distance_scores(truth[0], found[0], None, 1.0))


def test_a_slice_found_by_one_alone_lowers_nsd_by_its_outline():
    """Two equal squares, and a third that was missed: two of three outlines' length of truth, all of the prediction."""
    truth = np.zeros((3, 20, 20), bool)
    truth[:, 5:9, 5:9] = True
    found = truth.copy()
    found[2] = False
    assert slice_distance_scores(truth, found, 1.0)["nsd"] == pytest.approx(4 / 5)


def test_absent_and_missed():
    empty, full = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
    assert set(slice_distance_scores(empty, empty, 1.0).values()) == {None}
    for truth, found in ((full, empty), (empty, full)):
        assert slice_distance_scores(truth, found, 1.0) == {"hd": 5, "hd95": 5, "asd": 5, "assd": 5, "nsd": 0}


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="two bool masks"):
        slice_distance_scores(np.zeros((3, 4), bool), np.zeros((3, 4), bool), 1.0)
