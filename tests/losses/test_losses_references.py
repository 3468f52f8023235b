"""Losses against numpy written from the papers' formulas, against MONAI, and against what must hold between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segmentation_models_pytorch.losses import FocalLoss as SmpFocal
from torch import Tensor
from torch.nn import functional

from spinelab.losses.binary_cross_entropy import BinaryCrossEntropy
from spinelab.losses.compound import Compound
from spinelab.losses.cross_entropy import CrossEntropy
from spinelab.losses.deep_supervision import DeepSupervision
from spinelab.losses.focal import Focal
from spinelab.losses.lovasz import Lovasz
from spinelab.losses.tversky import Tversky

Array = NDArray[np.float64]


@pytest.fixture(params=[2, 5])
def case(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """Logits (3, K, 17, 19) and a target in which the last of five classes is absent."""
    classes = request.param
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(3, classes, 17, 19, generator=generator)
    return logits, torch.randint(min(classes, 4), (3, 17, 19), generator=generator)


def softmax(logits: Tensor) -> Array:
    """(N, K), one row a pixel."""
    rows = np.moveaxis(logits.double().numpy(), 1, -1).reshape(-1, logits.shape[1])
    exp = np.exp(rows)
    return exp / exp.sum(axis=1, keepdims=True)


def one_hot(target: Tensor, classes: int) -> Array:
    return np.eye(classes)[target.numpy().ravel()]


def numpy_tversky(p: Array, t: Array, alpha: float, beta: float, smooth: float, background: bool) -> float:
    losses = []
    for k in range(0 if background else 1, p.shape[1]):
        tp, fp, fn = (p[:, k] * t[:, k]).sum(), (p[:, k] * (1 - t[:, k])).sum(), ((1 - p[:, k]) * t[:, k]).sum()
        losses.append(1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth))
    return float(np.mean(losses))


@pytest.mark.parametrize(("alpha", "beta", "smooth"), [(0.5, 0.5, 1.0), (1.0, 1.0, 1.0), (0.3, 0.7, 0.01)])
@pytest.mark.parametrize("background", [False, True])
def test_tversky_is_numpy(
    case: tuple[Tensor, Tensor], alpha: float, beta: float, smooth: float, background: bool
) -> None:
    logits, target = case
    expected = numpy_tversky(softmax(logits), one_hot(target, logits.shape[1]), alpha, beta, smooth, background)
    assert Tversky(alpha, beta, smooth, background)(logits, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("background", [False, True])
def test_overlap_is_monai(case: tuple[Tensor, Tensor], background: bool) -> None:
    """MONAI's smoothing is of 2 TP, ours of TP, so its numbers are twice ours in Dice and Jaccard."""
    monai = pytest.importorskip("monai.losses")
    logits, target = case
    common = {"include_background": background, "to_onehot_y": True, "softmax": True, "batch": True}
    for theirs, ours in (
        (monai.DiceLoss(**common, smooth_nr=2, smooth_dr=2), Tversky(background=background)),
        (monai.DiceLoss(**common, smooth_nr=2, smooth_dr=2, jaccard=True), Tversky(1, 1, background=background)),
        (
            monai.TverskyLoss(**common, smooth_nr=1, smooth_dr=1, alpha=0.3, beta=0.7),
            Tversky(0.3, 0.7, background=background),
        ),
    ):
        torch.testing.assert_close(ours(logits, target), theirs(logits, target.unsqueeze(1)))


def test_an_invented_absent_class_can_be_unlearnt() -> None:
    target = torch.zeros(1, 16, 16, dtype=torch.int64)
    logits = torch.zeros(1, 2, 16, 16, requires_grad=True)
    Tversky()(logits, target).backward()
    assert logits.grad is not None
    assert logits.grad[:, 1].min() > 1e-6


def test_cross_entropy_is_numpy_and_its_weights_too(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    classes = logits.shape[1]
    surprise = -np.log((softmax(logits) * one_hot(target, classes)).sum(axis=1))
    assert CrossEntropy()(logits, target).item() == pytest.approx(surprise.mean(), rel=1e-5)
    weight = [0.2, *range(1, classes)]
    w = np.array(weight)[target.numpy().ravel()]
    expected = (w * surprise).sum() / w.sum()
    assert CrossEntropy(weight)(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_is_numpy(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    p, t = softmax(logits), one_hot(target, logits.shape[1])
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert BinaryCrossEntropy()(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_of_two_classes_is_that_of_one_sigmoid_output(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case[0][:, :2], case[1].clamp_max(1)
    single = functional.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], target.float())
    torch.testing.assert_close(BinaryCrossEntropy()(logits, target), single)
    torch.testing.assert_close(BinaryCrossEntropy()(logits, target), CrossEntropy()(logits, target))


def test_binary_cross_entropy_is_smallest_at_the_true_probability_and_sigmoids_are_not() -> None:
    """One in four pixels is foreground: the softmax should say 0.25, and with a sigmoid on each logit says 0.1."""
    target = torch.tensor([0, 0, 0, 1]).view(1, 2, 2)

    def gradient_at(p: float, loss: torch.nn.Module | None) -> float:
        z = torch.tensor([np.log(1 - p), np.log(p)], dtype=torch.float64).requires_grad_()
        logits = z.view(1, 2, 1, 1).expand(1, 2, 2, 2)
        one = functional.one_hot(target, 2).movedim(-1, 1).double()
        value = functional.binary_cross_entropy_with_logits(logits, one) if loss is None else loss(logits, target)
        value.backward()
        assert z.grad is not None
        return float(z.grad.abs().max())

    assert gradient_at(0.25, BinaryCrossEntropy()) < 1e-6
    assert gradient_at(0.25, None) > 0.01
    q = 0.25
    assert q**2 / (q**2 + (1 - q) ** 2) == pytest.approx(0.1)
    logits = torch.tensor([np.log(3.0), -np.log(3.0)]).view(1, 2, 1, 1)  # sigmoids 0.75 and 0.25
    assert logits.softmax(1)[0, 1].item() == pytest.approx(0.1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_numpy(case: tuple[Tensor, Tensor], gamma: float) -> None:
    logits, target = case
    classes = logits.shape[1]
    p = (softmax(logits) * one_hot(target, classes)).sum(axis=1)
    expected = (1 - p) ** gamma * -np.log(p)
    assert Focal(gamma)(logits, target).item() == pytest.approx(expected.mean(), rel=1e-5)
    alpha = [0.25, *[0.75] * (classes - 1)]
    a = np.array(alpha)[target.numpy().ravel()]
    assert Focal(gamma, alpha)(logits, target).item() == pytest.approx((a * expected).mean(), rel=1e-5)


def test_focal_without_gamma_is_cross_entropy(case: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(Focal(gamma=0)(*case), CrossEntropy()(*case))


def test_focal_is_monai_with_softmax(case: tuple[Tensor, Tensor]) -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = case
    theirs = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)(logits, target.unsqueeze(1))
    torch.testing.assert_close(Focal()(logits, target), theirs * logits.shape[1])  # MONAI also averages over K


def test_focal_has_a_finite_gradient_at_certainty() -> None:
    logits = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1).requires_grad_()
    Focal(gamma=0.5)(logits, torch.zeros(1, 1, 1, dtype=torch.int64)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_why_not_smp_focal(case: tuple[Tensor, Tensor]) -> None:
    """If this fails smp has moved to the softmax, and its loss can be used."""
    logits, target = case
    assert not torch.isclose(SmpFocal("multiclass")(logits + 3, target), SmpFocal("multiclass")(logits, target))


def numpy_lovasz(p: Array, t: Array) -> float:
    """Equation 8 and 9 of Berman et al. 2018 as they stand: errors in falling order times the rise of the set loss."""

    def set_loss(mistaken: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
        return float(mistaken.sum() / (truth | mistaken).sum())

    losses = []
    for k in range(p.shape[1]):
        truth = t[:, k] == 1
        if not truth.any():
            continue
        errors = np.where(truth, 1 - p[:, k], p[:, k])
        mistaken, before, total = np.zeros(len(p), dtype=bool), 0.0, 0.0
        for pixel in np.argsort(-errors, kind="stable"):
            mistaken[pixel] = True
            now = set_loss(mistaken, truth)
            total += errors[pixel] * (now - before)
            before = now
        losses.append(total)
    return float(np.mean(losses))


def test_lovasz_is_numpy(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    expected = numpy_lovasz(softmax(logits), one_hot(target, logits.shape[1]))
    assert Lovasz()(logits, target).item() == pytest.approx(expected, rel=1e-4)


def test_lovasz_of_a_sure_prediction_is_one_minus_jaccard(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    hard = logits.argmax(dim=1)
    sure = functional.one_hot(hard, logits.shape[1]).movedim(-1, 1) * 200.0
    pairs = [(hard == k, target == k) for k in target.unique()]
    jaccard = [((a & b).sum() / (a | b).sum()).item() for a, b in pairs]
    assert Lovasz()(sure, target).item() == pytest.approx(1 - np.mean(jaccard), abs=1e-5)


def test_compound_is_the_weighted_sum(case: tuple[Tensor, Tensor]) -> None:
    loss = Compound({"ce": CrossEntropy(), "dice": Tversky()}, {"dice": 0.25})
    torch.testing.assert_close(loss(*case), CrossEntropy()(*case) + 0.25 * Tversky()(*case))


def test_deep_supervision_weights() -> None:
    assert DeepSupervision(CrossEntropy()).weights(4) == [0.25] * 4
    assert DeepSupervision(CrossEntropy(), decay=0.5).weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_deep_supervision_is_the_mean_over_heads(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    heads = (logits, 0.5 * logits, -logits)
    losses = [CrossEntropy()(head, target).item() for head in heads]
    assert DeepSupervision(CrossEntropy())(heads, target).item() == pytest.approx(np.mean(losses), rel=1e-6)
    halved = (4 * losses[0] + 2 * losses[1] + losses[2]) / 7
    assert DeepSupervision(CrossEntropy(), 0.5)(heads, target).item() == pytest.approx(halved, rel=1e-6)
    torch.testing.assert_close(DeepSupervision(CrossEntropy())(logits, target), CrossEntropy()(logits, target))


@pytest.mark.parametrize(
    "build",
    [
        lambda: CrossEntropy([0.0, 1.0]),
        lambda: Focal(gamma=-1),
        lambda: Focal(alpha=[1.0, -1.0]),
        lambda: Tversky(alpha=-0.1),
        lambda: Tversky(0, 0),
        lambda: Tversky(smooth=0),
        lambda: Compound({}),
        lambda: Compound({"ce": CrossEntropy()}, {"dice": 1.0}),
        lambda: Compound({"ce": CrossEntropy()}, {"ce": -1.0}),
        lambda: DeepSupervision(CrossEntropy(), decay=0),
        lambda: DeepSupervision(CrossEntropy(), decay=1.5),
        lambda: DeepSupervision(CrossEntropy())((), torch.zeros(1, 2, 2, dtype=torch.int64)),
    ],
)
def test_bad_arguments(build: object) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match=r"got|there are"):
        build()
