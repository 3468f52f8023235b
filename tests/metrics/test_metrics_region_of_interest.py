"""The box around the truth and the scores in it, against loops over voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinelab.metrics.counts import Counts, mask_counts
from spinelab.metrics.overlap import SCORES
from spinelab.metrics.region_of_interest import bounding_box, roi_counts, roi_scores

SPACING = (3.0, 0.5, 0.7)


def masks(seed: int, shape: tuple[int, ...] = (5, 9, 11)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(shape) < 0.02
    return truth, rng.random(shape) < 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 0.7, 1.0, 3.0, 100.0]))
def test_box_is_brute_force(seed: int, margin: float) -> None:
    """A voxel is in the box if along each axis some true voxels lie within the margin on, or to, both its sides."""
    truth, prediction = masks(seed)
    places = np.argwhere(truth) * SPACING
    inside = np.zeros_like(truth)
    for index in itertools.product(*(range(n) for n in truth.shape)):
        here = np.multiply(index, SPACING)
        if len(places):
            inside[index] = ((here >= places.min(0) - margin - 1e-6) & (here <= places.max(0) + margin + 1e-6)).all()
    box = bounding_box(truth, SPACING, margin)
    assert (box is None) == (not truth.any())
    if box is not None:
        marked = np.zeros_like(truth)
        marked[box] = True
        assert (marked == inside).all()
        assert roi_counts(truth, prediction, box) == mask_counts(truth[inside], prediction[inside])
        assert roi_counts(truth, prediction, inside) == mask_counts(truth[inside], prediction[inside])


def test_margin_of_whole_voxels_is_not_lost_to_rounding() -> None:
    truth = np.zeros(9, dtype=bool)
    truth[4] = True
    assert 0.3 / 0.1 < 3
    assert bounding_box(truth, (0.1,), 0.3) == (slice(1, 8),)
    assert bounding_box(truth, (0.1,), 0.29) == (slice(2, 7),)


def test_prediction_has_no_say() -> None:
    """A false alarm far away neither widens the box nor counts; one beside the truth counts."""
    truth = np.zeros((1, 20, 20), dtype=bool)
    truth[0, 8:12, 8:12] = True
    near, far = truth.copy(), truth.copy()
    near[0, 12, 8:12], far[0, 0, 0:4] = True, True
    scores = [roi_scores(truth, prediction, (1, 1, 1), margin_mm=2) for prediction in (truth, near, far)]
    assert scores[0] == scores[2]
    assert {s["foreground_roi"] for s in scores} == {16 / 64}
    assert scores[0]["specificity_roi"] == 1.0
    assert scores[1]["specificity_roi"] == 44 / 48


def test_ellipsoid_fills_half_its_box() -> None:
    z, y, x = np.ogrid[-20:21, -30:31, -25:26]
    ellipsoid = (z / 20.5) ** 2 + (y / 30.5) ** 2 + (x / 25.5) ** 2 <= 1
    scores = roi_scores(ellipsoid, ellipsoid)
    assert scores["foreground_roi"] == pytest.approx(np.pi / 6, abs=0.01)


def test_specificity_of_the_volume_flatters() -> None:
    """Twice the width that it ought to have: 0.99 over the image, 0.5 in a region of interest."""
    truth = np.zeros((100, 100), dtype=bool)
    truth[40:50, 40:50] = True
    prediction = np.roll(truth, 5, axis=1) | truth
    roi = roi_scores(truth, prediction, (1, 1), 5, names=("specificity", "dice", "sensitivity"))
    assert SCORES["specificity"](mask_counts(truth, prediction)) == pytest.approx(1 - 50 / 9900)
    assert roi["specificity_roi"] == pytest.approx(1 - 50 / 300)
    assert roi["sensitivity_roi"] == 1.0
    assert list(roi) == ["foreground_roi", "specificity_roi", "dice_roi", "sensitivity_roi"]


def test_given_mask() -> None:
    truth = np.array([[True, False, False, False]])
    prediction = np.array([[True, True, False, True]])
    region = np.array([[True, True, True, False]])
    assert roi_counts(truth, prediction, region) == Counts(1, 1, 0, 1)
    assert roi_scores(truth, prediction, region=region)["specificity_roi"] == 0.5
    assert set(roi_scores(truth, prediction, region=region & False).values()) == {None}


def test_no_truth_no_value() -> None:
    empty, full = np.zeros((2, 3, 3), dtype=bool), np.ones((2, 3, 3), dtype=bool)
    for prediction in (empty, full):
        assert set(roi_scores(empty, prediction).values()) == {None}
        assert set(roi_scores(empty, prediction, region=full).values()) == {None}


@pytest.mark.parametrize(
    ("spacing", "margin"),
    [
        (None, 1.0),
        ((1.0, 1.0), 1.0),
        ((1.0, 1.0, float("nan")), 1.0),
        ((1.0, 0.0, 1.0), 1.0),
        (SPACING, -1.0),
        (SPACING, float("inf")),
        (SPACING, float("nan")),
    ],
)
def test_margin_that_cannot_be(spacing: tuple[float, ...] | None, margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        bounding_box(np.ones((2, 2, 2), dtype=bool), spacing, margin)


def test_arguments_that_do_not_fit() -> None:
    truth, prediction = masks(1)
    with pytest.raises(ValueError, match="unknown scores"):
        roi_scores(truth, prediction, names=("specifity",))
    with pytest.raises(ValueError, match="two bool masks"):
        roi_scores(truth, prediction[1:])
    with pytest.raises(ValueError, match="two bool masks"):
        roi_scores(truth, prediction, region=prediction[1:])
