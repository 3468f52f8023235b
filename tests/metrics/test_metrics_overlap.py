"""Confusion matrices and scores against loops over pixels, hand-worked numbers, scikit-learn and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice as monai_dice
from sklearn import metrics as sklearn
from torch import Tensor
from torchmetrics.functional.segmentation import dice_score

from spinelab.metrics.confusion import confusion_matrix
from spinelab.metrics.counts import Counts, mask_counts, region_counts, state
from spinelab.metrics.overlap import (
    DIFFERENCES,
    SCORES,
    absolute_volume_difference,
    balanced_accuracy,
    dice,
    mean_iou,
    overlap_scores,
    sa,
    sa_area,
    sa_pixels,
    volume_difference,
)

counts_strategy = st.builds(Counts, *[st.integers(0, 10**9)] * 4)


def volume(classes: int, seed: int, shape: tuple[int, ...] = (5, 13, 11)) -> tuple[Tensor, Tensor]:
    """Prediction and truth, half of it background found as such, the prediction right most of the time."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=shape) * (rng.random(shape) < 0.5)
    prediction = np.where(rng.random(shape) < 0.8, truth, rng.integers(classes, size=shape))
    return torch.from_numpy(prediction), torch.from_numpy(truth)


def brute_force(prediction: Tensor, target: Tensor, classes: int) -> list[list[int]]:
    matrix = [[0] * classes for _ in range(classes)]
    for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        matrix[t][p] += 1
    return matrix


@pytest.mark.parametrize("classes", [2, 5, 16, 17, 40])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_confusion_is_brute_force(classes: int, dtype: torch.dtype) -> None:
    prediction, target = volume(classes, seed=classes)
    matrix = confusion_matrix(prediction.to(dtype), target.to(dtype), classes)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == brute_force(prediction, target, classes)


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (8,), (9,), (3, 5), (64, 8), (2, 3, 4, 5)])
def test_confusion_of_any_shape(shape: tuple[int, ...]) -> None:
    """Sizes around a multiple of eight, since pixels are looked at by eights."""
    prediction, target = volume(3, seed=1, shape=shape)
    assert confusion_matrix(prediction, target, 3).tolist() == brute_force(prediction, target, 3)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.45, 0.55, 1.0])
def test_confusion_of_any_share_of_background(share: float) -> None:
    """Background found as such is skipped where it is most of the volume, and counted like the rest elsewhere."""
    rng = np.random.default_rng(3)
    foreground = rng.random((4, 16, 3)).repeat(8, axis=2) < share  # in runs of eight, as they are looked at
    prediction, target = (torch.from_numpy(rng.integers(1, 7, foreground.shape) * foreground) for _ in range(2))
    assert confusion_matrix(prediction.byte(), target.byte(), 7).tolist() == brute_force(prediction, target, 7)


def test_confusion_of_a_view() -> None:
    prediction, target = (x.mT[1:, ::2] for x in volume(3, seed=2))
    assert confusion_matrix(prediction, target, 3).tolist() == brute_force(prediction, target, 3)


def test_confusion_of_any_order_in_memory() -> None:
    """Scans from NIfTI lie in Fortran order; truth and prediction may differ in it."""
    prediction, target = volume(3, seed=2)
    fortran = [torch.from_numpy(np.asfortranarray(x.numpy())) for x in (prediction, target)]
    assert not fortran[0].is_contiguous()
    for p, t in ((fortran[0], fortran[1]), (prediction, fortran[1]), (fortran[0], target)):
        assert confusion_matrix(p, t, 3).tolist() == brute_force(prediction, target, 3)


def test_confusion_of_one_kind_of_pixel() -> None:
    zeros, ones = torch.zeros(100, dtype=torch.uint8), torch.ones(100, dtype=torch.uint8)
    assert confusion_matrix(zeros, zeros, 2).tolist() == [[100, 0], [0, 0]]
    assert confusion_matrix(ones, zeros, 2).tolist() == [[0, 100], [0, 0]]
    assert confusion_matrix(zeros, ones, 2).tolist() == [[0, 0], [100, 0]]


def test_rows_are_the_truth() -> None:
    assert confusion_matrix(torch.tensor([0, 2]), torch.tensor([1, 1]), 3).tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("prediction", "target", "words"),
    [
        (torch.tensor([0, 3]), torch.tensor([0, 0]), r"prediction must lie in 0\.\.2, got 0\.\.3"),
        (torch.tensor([0, 0]), torch.tensor([0, -1]), r"target must lie in 0\.\.2, got -1\.\.0"),
        (torch.tensor([0, 256]), torch.tensor([0, 0]), r"got 0\.\.256"),
        (torch.tensor([0.0, 1.0]), torch.tensor([0, 0]), "integer"),
        (torch.tensor([0, 1]), torch.tensor([0]), "shape"),
    ],
)
def test_confusion_of_bad_arguments(prediction: Tensor, target: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        confusion_matrix(prediction, target, 3)


# Worked out by hand: tp, fp, fn, tn -> state, then SCORES in order. docs/metrics.md has drawn examples.
TRUTH_TABLE = [
    ((6, 2, 4, 88), "present", 12 / 18, 1 / 2, 0.8, 0.4, 0.6, 88 / 90, 0.75, 0.94, (0.6 + 88 / 90) / 2),
    ((10, 0, 0, 90), "present", 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    ((0, 10, 10, 80), "present", 0.0, 0.0, 1.0, -1.0, 0.0, 80 / 90, 0.0, 0.8, 40 / 90),  # right size, wrong place
    ((10, 20, 0, 70), "present", 0.5, 1 / 3, -1.0, -1.0, 1.0, 70 / 90, 1 / 3, 0.8, 80 / 90),
    ((0, 0, 10, 90), "missed", 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, None, 0.9, 0.5),
    ((0, 10, 0, 90), "false_alarm", 0.0, 0.0, None, None, None, 0.9, 0.0, 0.9, None),
    ((0, 0, 0, 100), "absent", None, None, None, None, None, 1.0, None, 1.0, None),
    ((100, 0, 0, 0), "present", 1.0, 1.0, 1.0, 1.0, 1.0, None, 1.0, 1.0, None),  # fills the whole volume
    ((0, 0, 0, 0), "absent", None, None, None, None, None, None, None, None, None),  # no pixels
]


@pytest.mark.parametrize("row", TRUTH_TABLE, ids=str)
def test_truth_table(row: tuple[tuple[int, int, int, int], str, *tuple[float | None, ...]]) -> None:
    counts = Counts(*row[0])
    assert state(counts) == row[1]
    scores = overlap_scores(counts)
    names = "dice jaccard sa sa_pixels sensitivity specificity ppv accuracy balanced_accuracy"
    assert list(scores) == list(SCORES) == names.split()
    for value, expected in zip(scores.values(), row[2:], strict=True):
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(counts_strategy)
def test_scores_are_finite_and_in_range(counts: Counts) -> None:
    for name, value in overlap_scores(counts).items():
        assert value is None or (math.isfinite(value) and value <= 1 and (name.startswith("sa") or value >= 0))
    for name, difference in DIFFERENCES.items():
        value = difference(counts)
        assert value is None or (math.isfinite(value) and value >= (-1 if name == "volume_difference" else 0))


@given(counts_strategy)
def test_jaccard_follows_from_dice(counts: Counts) -> None:
    scores = overlap_scores(counts)
    d, j = scores["dice"], scores["jaccard"]
    assert (d is None) == (j is None)
    if d is not None and j is not None:
        assert j == pytest.approx(d / (2 - d), abs=1e-12)


@given(counts_strategy)
def test_dice_does_not_change_when_truth_and_prediction_are_swapped(counts: Counts) -> None:
    swapped = Counts(counts.tp, counts.fn, counts.fp, counts.tn)
    assert dice(swapped) == dice(counts)
    assert overlap_scores(swapped)["ppv"] == overlap_scores(counts)["sensitivity"]


def test_sa_has_no_lower_bound() -> None:
    assert sa(Counts(1, 99, 0, 0)) == sa_pixels(Counts(1, 99, 0, 0)) == -98


@given(counts_strategy)
def test_readings_of_sa(counts: Counts) -> None:
    """By areas and by pixels they agree where all mistakes are of one kind, and the first is never the lower one."""
    area, pixels = sa_area(counts), sa_pixels(counts)
    assert sa is sa_area
    assert (area is None) == (pixels is None) == (counts.tp + counts.fn == 0)
    if area is not None and pixels is not None:
        assert area > pixels if min(counts.fp, counts.fn) else area == pixels


@given(counts_strategy)
def test_volume_differences_and_sa_are_one_thing(counts: Counts) -> None:
    signed, absolute, area = volume_difference(counts), absolute_volume_difference(counts), sa_area(counts)
    assert (signed is None) == (absolute is None) == (area is None)
    if signed is not None and absolute is not None and area is not None:
        assert absolute == abs(signed)
        assert area == pytest.approx(1 - absolute, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((5, 5, 5, 0), 0), ((5, 0, 5, 0), -0.5), ((10, 15, 0, 0), 1.5), ((0, 0, 4, 9), -1), ((0, 4, 0, 9), None)],
)
def test_volume_difference_is_signed(counts: tuple[int, int, int, int], expected: float | None) -> None:
    assert volume_difference(Counts(*counts)) == expected
    assert absolute_volume_difference(Counts(*counts)) == (None if expected is None else abs(expected))


@pytest.mark.parametrize("region", [(1,), (3,), (1, 2), (2, 4), (1, 2, 3, 4), (0, 1)])
def test_region_is_brute_force(region: tuple[int, ...]) -> None:
    prediction, target = volume(5, seed=7)
    tp = fp = fn = tn = 0
    for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True):
        tp += p in region and t in region
        fp += p in region and t not in region
        fn += p not in region and t in region
        tn += p not in region and t not in region
    counts = region_counts(confusion_matrix(prediction, target, 5), region)
    assert counts == Counts(tp, fp, fn, tn)
    reference, segmented = tp + fn, tp + fp
    brute = {
        "dice": 2 * tp / (reference + segmented),
        "jaccard": tp / (reference + segmented - tp),
        "sa": 1 - abs(reference - segmented) / reference,
        "sensitivity": tp / reference,
        "specificity": tn / (tn + fp),
        "ppv": tp / segmented,
        "accuracy": (tp + tn) / prediction.numel(),
        "sa_pixels": 1 - int((np.isin(prediction, region) != np.isin(target, region)).sum()) / reference,
        "balanced_accuracy": (tp / reference + tn / (tn + fp)) / 2,
    }
    assert overlap_scores(counts) == pytest.approx(brute, abs=1e-12)
    assert volume_difference(counts) == pytest.approx((segmented - reference) / reference, abs=1e-12)
    masks = (np.isin(values.numpy(), region) for values in (target, prediction))
    assert mask_counts(*masks) == counts


@pytest.mark.parametrize("region", [(), (5,), (-1,), (1, 1)])
def test_bad_region(region: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="region"):
        region_counts(torch.zeros(5, 5, dtype=torch.int64), region)


@pytest.mark.parametrize("region", [(1,), (4,), (2, 3)])
def test_scores_are_scikit_learn(region: tuple[int, ...]) -> None:
    """scikit-learn gives 0 where we give no value, so only a region that is true and predicted can be compared."""
    prediction, target = volume(5, seed=11)
    p, t = np.isin(prediction.ravel(), region), np.isin(target.ravel(), region)
    expected = {
        "dice": sklearn.f1_score(t, p),
        "jaccard": sklearn.jaccard_score(t, p),
        "sensitivity": sklearn.recall_score(t, p),
        "specificity": sklearn.recall_score(~t, ~p),
        "ppv": sklearn.precision_score(t, p),
        "accuracy": sklearn.accuracy_score(t, p),
        "balanced_accuracy": sklearn.balanced_accuracy_score(t, p),
    }
    scores = overlap_scores(region_counts(confusion_matrix(prediction, target, 5), region))
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_balanced_accuracy_is_not_scikit_learn_without_truth() -> None:
    """scikit-learn averages over the classes that the truth holds: specificity alone is left, under the same name."""
    truth, prediction = np.zeros(10, dtype=bool), np.arange(10) < 2
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert sklearn.balanced_accuracy_score(truth, prediction) == 0.8
    assert balanced_accuracy(mask_counts(truth, prediction)) is None


def test_absent_classes_are_not_scikit_learn() -> None:
    """It gives 0 for an absent class, as if it had been missed; its `zero_division` can say 1 or NaN instead."""
    nothing = np.zeros(10, dtype=bool)
    assert sklearn.f1_score(nothing, nothing, zero_division=0) == 0
    assert dice(mask_counts(nothing, nothing)) is None


def test_confusion_is_scikit_learn() -> None:
    prediction, target = volume(6, seed=19)
    theirs = sklearn.confusion_matrix(target.ravel(), prediction.ravel(), labels=range(6))
    assert confusion_matrix(prediction, target, 6).tolist() == theirs.tolist()


def test_dice_is_monai_where_the_truth_holds_the_class() -> None:
    """MONAI gives no value without truth, a false alarm included; or, asked for, 0 for it and 1 for an absent class."""
    prediction, target = volume(4, seed=23)
    target[target == 2] = 0
    prediction[prediction == 3], target[target == 3] = 0, 0
    one_hot = [torch.nn.functional.one_hot(x, 4).movedim(-1, 0)[None] for x in (prediction, target)]
    theirs = monai_dice(*one_hot, ignore_empty=True)[0]
    matrix = confusion_matrix(prediction, target, 4)
    ours = [dice(region_counts(matrix, (k,))) for k in range(4)]
    assert ours[:2] == pytest.approx(theirs[:2].tolist(), abs=1e-6)
    assert theirs[2:].isnan().all()
    assert ours[2:] == [0.0, None]
    assert monai_dice(*one_hot, ignore_empty=False)[0, 2:].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("other", [np.zeros((2, 3), dtype=bool), np.zeros((3, 2), dtype=np.uint8)])
def test_masks_that_do_not_fit(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match="two bool masks of one shape"):
        mask_counts(np.zeros((3, 2), dtype=bool), other)


def test_dice_is_torchmetrics_on_a_whole_volume() -> None:
    """torchmetrics (float32) averages over samples by default; as one sample the volume gives the same number.

    It gives NaN where a class is neither true nor predicted; here that is no value.
    """
    prediction, target = volume(5, seed=13)
    prediction[prediction == 4], target[target == 4] = 0, 0
    theirs = dice_score(prediction[None], target[None], 5, average="none", input_format="index")[0]
    matrix = confusion_matrix(prediction, target, 5)
    ours = [dice(region_counts(matrix, (k,))) for k in range(5)]
    assert ours[:4] == pytest.approx(theirs[:4].tolist(), abs=1e-6)
    assert theirs[4].isnan()
    assert ours[4] is None


def test_mean_iou_is_scikit_learn() -> None:
    prediction, target = volume(5, seed=17)
    expected = sklearn.jaccard_score(target.ravel(), prediction.ravel(), average="macro", labels=[1, 2, 3, 4])
    assert mean_iou(confusion_matrix(prediction, target, 5)) == pytest.approx(expected, abs=1e-12)


def test_mean_iou_of_absent_classes() -> None:
    """Class 1 overlaps by half, class 2 is a false alarm, class 3 is nowhere: (1/2 + 0) / 2."""
    target, prediction = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 2])
    assert mean_iou(confusion_matrix(prediction, target, 4)) == 0.25
    assert mean_iou(confusion_matrix(target * 0, target * 0, 4)) is None


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_slices_add_up_in_any_order(seed: int, classes: int) -> None:
    prediction, target = volume(classes, seed)
    whole = confusion_matrix(prediction, target, classes)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(prediction)))
    slices = [confusion_matrix(prediction[i], target[i], classes) for i in order.tolist()]
    assert torch.equal(torch.stack(slices).sum(0), whole)
    assert torch.equal(confusion_matrix(prediction[order], target[order], classes), whole)


def test_averaging_slices_is_not_summing_counts() -> None:
    """One slice with a large structure found nearly whole, four with a pixel missed: 0.20 by slices, 0.99 by counts."""
    target = torch.zeros(5, 30, 30, dtype=torch.int64)
    target[0, :20, :20] = 1
    target[1:, 0, 0] = 1
    prediction = torch.zeros_like(target)
    prediction[0, :20, :20] = 1
    by_slice = [dice(region_counts(confusion_matrix(p, t, 2), (1,))) for p, t in zip(prediction, target, strict=True)]
    assert by_slice == [1.0, 0.0, 0.0, 0.0, 0.0]
    summed = dice(region_counts(confusion_matrix(prediction, target, 2), (1,)))
    assert summed == pytest.approx(800 / 804, abs=1e-12)
    assert np.mean([d for d in by_slice if d is not None]) == pytest.approx(0.20)
