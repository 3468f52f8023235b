"""Lesion-wise scores against a flood fill and loops over components."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinelab.metrics.lesions import LesionCounts, lesion_counts, lesion_scores

Voxel = tuple[int, int, int]
NEIGHBOURS = {6: 1, 18: 2, 26: 3}


def components(mask: np.ndarray, connectivity: int) -> list[frozenset[Voxel]]:
    """Connected components by flood fill, one voxel after the other."""
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, s)) <= NEIGHBOURS[connectivity]]
    left: set[Voxel] = {(int(z), int(y), int(x)) for z, y, x in np.argwhere(mask)}
    found = []
    while left:
        todo, own = [left.pop()], set()
        while todo:
            own.add(voxel := todo.pop())
            near = {(voxel[0] + z, voxel[1] + y, voxel[2] + x) for z, y, x in steps} & left
            left -= near
            todo += near
        found.append(frozenset(own))
    return found


def largest_matching(pairs: set[tuple[int, int]]) -> int:
    """Most pairs of which no two share a member, by trying all; only for few pairs."""
    if not pairs:
        return 0
    first = min(pairs)
    rest = {pair for pair in pairs if pair[0] != first[0] and pair[1] != first[1]}
    return max(1 + largest_matching(rest), largest_matching(pairs - {first}))


def brute_force(
    truth: np.ndarray, prediction: np.ndarray, min_iou: float | None, least: int, connectivity: int
) -> LesionCounts:
    true, predicted = components(truth, connectivity), components(prediction, connectivity)
    kept, small = [c for c in true if len(c) >= least], [c for c in true if len(c) < least]
    counted = [c for c in predicted if len(c) >= least]
    if min_iou is None:
        found = sum(any(t & p for p in counted) for t in kept)
        idle = [p for p in counted if not any(t & p for t in kept)]
        return LesionCounts(len(kept), len(counted), found, sum(not any(t & p for t in small) for p in idle))
    pairs = {
        (i, j)
        for (i, t), (j, p) in itertools.product(enumerate(kept), enumerate(counted))
        if len(t & p) / len(t | p) >= min_iou
    }
    found = largest_matching(pairs)
    assert not small, "which predicted component stays idle is not unique, so small ones are tested apart"
    return LesionCounts(len(kept), len(counted), found, len(counted) - found)


def blobs(seed: int, shape: tuple[int, int, int] = (4, 7, 8)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    density = rng.uniform(0, 0.25)
    truth = rng.random(shape) < density
    prediction = np.where(rng.random(shape) < 0.7, truth, rng.random(shape) < density)
    return truth, prediction


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 18, 26]), st.integers(1, 4))
def test_touching_is_brute_force(seed: int, connectivity: int, least: int) -> None:
    truth, prediction = blobs(seed)
    spacing = (4.0, 0.5, 0.1)
    ours = lesion_counts(
        truth,
        prediction,
        spacing,
        min_volume_mm3=least * 4.0 * 0.5 * 0.1,
        connectivity=connectivity,  # type: ignore[arg-type]
    )
    assert ours == brute_force(truth, prediction, None, least, connectivity)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 26]), st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.51, 1.0]))
def test_matching_is_brute_force(seed: int, connectivity: int, min_iou: float) -> None:
    truth, prediction = blobs(seed, shape=(3, 5, 6))
    ours = lesion_counts(truth, prediction, min_iou=min_iou, connectivity=connectivity)  # type: ignore[arg-type]
    assert ours == brute_force(truth, prediction, min_iou, 0, connectivity)


def isles_f1(truth: np.ndarray, prediction: np.ndarray) -> float:
    """The rule of the ISLES 2022 challenge, written down a second time: 26 neighbours, one voxel is enough."""
    tp = fp = fn = 0
    for lesion in components(truth, 26):
        hit = any(prediction[voxel] for voxel in lesion)
        tp, fn = tp + hit, fn + (not hit)
    for lesion in components(prediction, 26):
        fp += not any(truth[voxel] for voxel in lesion)
    return tp / (tp + (fp + fn) / 2) if tp + fp + fn else 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_f1_is_that_of_isles(seed: int) -> None:
    """ISLES gives 1 where both are empty; here that is no value."""
    truth, prediction = blobs(seed)
    f1 = lesion_scores(truth, prediction)["lesion_f1"]
    if truth.any() or prediction.any():
        assert f1 == pytest.approx(isles_f1(truth, prediction), abs=1e-12)
    else:
        assert f1 is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0.4]))
def test_scores_follow_from_their_numbers(seed: int, min_iou: float | None) -> None:
    scores = lesion_scores(*blobs(seed), min_iou=min_iou)
    found, missed, false = (scores[f"lesion{n}"] for n in ("s_found", "s_missed", "_false_alarms"))
    assert found is not None and missed is not None and false is not None  # noqa: PT018
    assert found + missed == scores["lesions_true"]
    s, p, f1 = (scores[f"lesion_{name}"] for name in ("sensitivity", "precision", "f1"))
    assert (s is None, p is None) == (found + missed == 0, found + false == 0)
    if s and p:
        assert f1 == pytest.approx(2 * s * p / (s + p), abs=1e-12)


def test_moving_the_lesions_changes_nothing() -> None:
    """Only the part of the scan that holds anything is looked at."""
    truth, prediction = blobs(5)
    wide = [np.pad(mask, ((3, 1), (0, 4), (2, 2))) for mask in (truth, prediction)]
    assert lesion_counts(*wide) == lesion_counts(truth, prediction)


def test_flooding_finds_everything_unless_overlap_is_asked_for() -> None:
    truth = np.zeros((5, 20, 20), dtype=bool)
    truth[2, 2:5, 2:5] = truth[2, 10:14, 10:14] = True
    flood = np.ones_like(truth)
    assert lesion_scores(truth, flood)["lesion_f1"] == 1.0
    assert lesion_scores(truth, flood, min_iou=0.1)["lesion_f1"] == 0.0


def test_matching_takes_as_many_pairs_as_there_can_be() -> None:
    """One component overlaps both lesions by a third, another only the first: taking turns would find one."""
    truth = np.array([[[1, 1, 1, 0, 1]]], dtype=bool)
    prediction = np.array([[[1, 0, 1, 1, 1]]], dtype=bool)
    # true: 0-2 and 4; predicted: 0 and 2-4. IoU of (0-2, 0) is 1/3, of (0-2, 2-4) 1/5, of (4, 2-4) 1/3.
    assert lesion_counts(truth, prediction, min_iou=0.2) == LesionCounts(2, 2, 2, 0)
    assert lesion_counts(truth, prediction, min_iou=0.4) == LesionCounts(2, 2, 0, 2)


def test_least_volume_is_in_mm3() -> None:
    truth = np.zeros((1, 3, 9), dtype=bool)
    truth[0, 0, :3], truth[0, 2, 5] = True, True  # three voxels and one
    spacing = (0.1, 0.1, 0.1)
    true = {
        least: lesion_counts(truth, truth, spacing, min_volume_mm3=least).true for least in (0, 0.001, 0.003, 0.0031)
    }
    assert true == {0: 2, 0.001: 2, 0.003: 1, 0.0031: 0}


@pytest.mark.parametrize(
    "options",
    [
        {"min_iou": 0.0},
        {"min_iou": 1.5},
        {"min_iou": float("nan")},
        {"connectivity": 8},
        {"min_volume_mm3": 1.0},
        {"min_volume_mm3": -1.0, "spacing": (1, 1, 1)},
        {"min_volume_mm3": float("nan"), "spacing": (1, 1, 1)},
        {"min_volume_mm3": 1.0, "spacing": (1, 1)},
        {"min_volume_mm3": 1.0, "spacing": (1, float("nan"), 1)},
    ],
    ids=str,
)
def test_options_that_cannot_be(options: dict[str, object]) -> None:
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"expected|least volume"):
        lesion_counts(mask, mask, **options)  # type: ignore[arg-type]


def test_masks_that_cannot_be() -> None:
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(ValueError, match="3 dimensions"):
        lesion_counts(mask[0], mask[0])
    for other in (mask.astype(np.uint8), mask[:1]):
        with pytest.raises(ValueError, match="two bool masks"):
            lesion_counts(mask, other)


def test_nothing_of_anything() -> None:
    for shape in ((0, 4, 4), (3, 4, 4)):
        nothing = np.zeros(shape, dtype=bool)
        assert Counter(map(type, lesion_scores(nothing, nothing).values())) == {int: 5, type(None): 3}
