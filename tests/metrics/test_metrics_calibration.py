"""Calibration against loops over pixels, torchmetrics and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from spinelab.metrics.calibration import brier, calibration_scores, ece, reliability_counts
from spinelab.metrics.volume_calibration import VolumeCalibration


def batch(seed: int, classes: int = 3, size: tuple[int, int, int] = (4, 6, 5)) -> tuple[Tensor, Tensor]:
    """Probabilities, sharper than the truth deserves, and truth; half of it background."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(classes, size, generator=generator) * (torch.rand(size, generator=generator) < 0.5)
    logits = 2 * torch.randn(size[0], classes, *size[1:], generator=generator, dtype=torch.float64)
    logits += 2 * torch.nn.functional.one_hot(target, classes).movedim(-1, 1)
    return logits.softmax(dim=1), target


def brute_force(
    probabilities: Tensor, target: Tensor, bins: int, foreground: bool
) -> tuple[float | None, float | None]:
    held: dict[int, list[tuple[float, bool]]] = {}
    errors = []
    for p, true in zip(probabilities.movedim(1, -1).flatten(0, 2).tolist(), target.flatten().tolist(), strict=True):
        predicted = int(np.argmax(p))
        if foreground and predicted == 0 and true == 0:
            continue
        held.setdefault(math.ceil(max(p) * bins - 1e-12) - 1, []).append((max(p), predicted == true))
        errors.append(sum((value - (k == true)) ** 2 for k, value in enumerate(p)))
    if not errors:
        return None, None
    gaps = (len(b) * abs(np.mean([r for _, r in b]) - np.mean([c for c, _ in b])) for b in held.values())
    return float(sum(gaps)) / len(errors), float(np.mean(errors))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 20))
def test_is_brute_force(seed: int, classes: int, bins: int) -> None:
    probabilities, target = batch(seed, classes)
    scores = calibration_scores(reliability_counts(probabilities, target, bins))
    for suffix, foreground in (("", False), ("_foreground", True)):
        expected = brute_force(probabilities, target, bins, foreground)
        assert (scores[f"ece{suffix}"], scores[f"brier{suffix}"]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_is_torchmetrics(bins: int) -> None:
    probabilities, target = (x.float() if x.is_floating_point() else x for x in batch(3, classes=4))
    theirs = multiclass_calibration_error(probabilities, target, num_classes=4, n_bins=bins, norm="l1")
    assert ece(reliability_counts(probabilities, target, bins).sum(0)) == pytest.approx(theirs.item(), abs=1e-5)


def test_ece_is_scikit_learns_curve() -> None:
    """It bins the event that the prediction is right by confidence. Its bins hold their lower edge, ours the upper."""
    probabilities, target = batch(5, classes=2)
    confidence, predicted = (x.flatten().numpy() for x in probabilities.max(dim=1))
    right = predicted == target.flatten().numpy()
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    weights = np.histogram(confidence, bins=15, range=(0, 1))[0]
    expected = np.average(np.abs(accuracy - mean), weights=weights[weights > 0])
    assert ece(reliability_counts(probabilities, target, 15).sum(0)) == pytest.approx(expected, abs=1e-9)


def test_brier_is_twice_scikit_learns_of_two_classes() -> None:
    probabilities, target = batch(7, classes=2)
    theirs = brier_score_loss(target.flatten().numpy(), probabilities[:, 1].flatten().numpy())
    assert brier(reliability_counts(probabilities, target).sum(0)) == pytest.approx(2 * theirs, abs=1e-9)


def test_brier_is_scikit_learns_of_many_classes() -> None:
    probabilities, target = batch(9, classes=4)
    flat = probabilities.movedim(1, -1).flatten(0, 2).numpy()
    theirs = brier_score_loss(target.flatten().numpy(), flat, labels=range(4), scale_by_half=False)
    assert brier(reliability_counts(probabilities, target).sum(0)) == pytest.approx(theirs, abs=1e-9)


def test_sure_and_right_sure_and_wrong() -> None:
    target = torch.tensor([[[0, 1, 2, 2]]])
    right = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    assert set(calibration_scores(reliability_counts(right, target)).values()) == {0.0}
    wrong = right.roll(1, dims=1)
    scores = calibration_scores(reliability_counts(wrong, target))
    assert scores == {"ece": 1.0, "brier": 2.0, "ece_foreground": 1.0, "brier_foreground": 2.0}


def test_background_hides_what_the_foreground_shows() -> None:
    """1 % of the pixels are foreground, predicted with certainty, and wrong every time."""
    target = torch.zeros(1, 10, 10, dtype=torch.int64)
    probabilities = torch.stack([torch.ones(1, 10, 10), torch.zeros(1, 10, 10)], dim=1)
    target[0, 0, 0] = 1
    scores = calibration_scores(reliability_counts(probabilities, target))
    assert scores == pytest.approx({"ece": 0.01, "brier": 0.02, "ece_foreground": 1.0, "brier_foreground": 2.0})


def test_small_errors_do_not_cancel() -> None:
    """In float32, 1 - 2 p + p^2 would be lost where p is 0.9999."""
    probabilities = torch.tensor([0.9999, 0.0001]).view(1, 2, 1, 1)
    counts = reliability_counts(probabilities, torch.zeros(1, 1, 1, dtype=torch.int64)).sum(0)
    assert brier(counts) == pytest.approx(2e-8, rel=1e-2)


def test_no_value_without_pixels() -> None:
    nothing = {"ece": None, "brier": None, "ece_foreground": None, "brier_foreground": None}
    assert calibration_scores(torch.zeros(2, 4, 15)) == nothing
    empty = reliability_counts(torch.zeros(0, 2, 3, 3), torch.zeros(0, 3, 3, dtype=torch.int64))
    assert calibration_scores(empty) == nothing
    sure = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    background = calibration_scores(reliability_counts(sure, torch.zeros(1, 1, 1, dtype=torch.int64)))
    assert background == nothing | {"ece": 0.0, "brier": 0.0}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_slices_add_up(seed: int, cut: int) -> None:
    probabilities, target = batch(seed)
    parts = [reliability_counts(probabilities[s], target[s]) for s in (slice(0, cut), slice(cut, None))]
    torch.testing.assert_close(parts[0] + parts[1], reliability_counts(probabilities, target), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "target", "bins", "words"),
    [
        (torch.randn(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64), 15, "softmax"),
        (torch.tensor([1.5, -0.5]).view(1, 2, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64), 15, "negative"),
        (torch.full((1, 2, 1, 1), math.nan), torch.zeros(1, 1, 1, dtype=torch.int64), 15, "softmax"),
        (torch.full((1, 2, 1, 1), 0.5), torch.full((1, 1, 1), 2), 15, "target"),
        (torch.full((1, 2, 1, 1), 0.5), torch.zeros(1, 1, 1), 15, "integer"),
        (torch.full((1, 2, 1, 1), 0.5), torch.zeros(1, 1, 2, dtype=torch.int64), 15, "expected"),
        (torch.full((1, 2, 1), 0.5), torch.zeros(1, 1, dtype=torch.int64), 15, "expected"),
        (torch.full((1, 2, 1, 1), 0.5), torch.zeros(1, 1, 1, dtype=torch.int64), 0, "bin"),
    ],
)
def test_arguments_that_do_not_fit(probabilities: Tensor, target: Tensor, bins: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reliability_counts(probabilities, target, bins)


def test_narrow_types() -> None:
    """A network in half precision gives probabilities in half precision, and masks may be bytes."""
    probabilities, target = batch(11)
    wide = calibration_scores(reliability_counts(probabilities, target))
    half = calibration_scores(reliability_counts(probabilities.half(), target.byte()))
    assert half == pytest.approx(wide, abs=0.02)


def test_state_gathers_volumes_without_padding() -> None:
    probabilities, target = batch(13)
    volume, size = torch.tensor([2, 0, 2, 0]), torch.tensor([[6, 5], [3, 5], [6, 2], [1, 1]])
    probabilities[1, :, 3:] = 1 / 3  # padding, which must not count
    metric = VolumeCalibration(volumes=3)
    metric.update(probabilities[:1], target[:1], volume[:1], size[:1])
    before = metric.compute()
    kept = before.clone()
    metric.update(probabilities[1:], target[1:], volume[1:], size[1:])
    assert torch.equal(before, kept)
    sums = metric.compute()
    assert sums[1].sum() == 0
    expected = [reliability_counts(probabilities[i : i + 1, :, :h, :w], target[i : i + 1, :h, :w])
                for i, (h, w) in enumerate(size.tolist())]  # fmt: skip
    torch.testing.assert_close(sums[2], expected[0] + expected[2], rtol=0, atol=1e-12)
    torch.testing.assert_close(sums[0], expected[1] + expected[3], rtol=0, atol=1e-12)
    assert sums[:, :, 0].sum() == size.prod(dim=1).sum()


def test_state_refuses_what_does_not_fit() -> None:
    probabilities, target = batch(15)
    volume, size = torch.zeros(4, dtype=torch.int64), torch.tensor([[6, 5]] * 4)
    metric = VolumeCalibration(volumes=2)
    for bad, words in (
        ((probabilities, target, volume[:3], size), "expected"),
        ((probabilities, target, volume, size[:, :1]), "expected"),
        ((probabilities[:3], target, volume, size), "expected"),
        ((probabilities, target, volume + 2, size), "volume"),
        ((probabilities, target, volume, size + 1), "height"),
        ((torch.cat([probabilities[:3], 2 * probabilities[3:]]), target, volume, size), "softmax"),
    ):
        with pytest.raises(ValueError, match=words):
            metric.update(*bad)
    assert metric.compute().sum() == 0
    with pytest.raises(ValueError, match="at least"):
        VolumeCalibration(0)
