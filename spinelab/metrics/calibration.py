"""Whether a network is as sure as it is right: expected calibration error and Brier score of pixels.

Both are taken from sums that add up over slices and batches: sums first, ratios last, one value a volume. Background
is most of a scan, found with ease and near certainty, so that both look good over whole images. Beside that reading
stands one over the foreground: pixels where the truth or the prediction (the likeliest class) is not background.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spinelab.metrics.confusion import check_indices

BINS = 15
"""As many as Guo et al. 2017 take."""


def reliability_counts(probabilities: Tensor, target: Tensor, bins: int = BINS) -> Tensor:
    """Sums over pixels by confidence, which is the probability of the likeliest class.

    Args:
        probabilities: (B, K, H, W) softmax probabilities. Of equal ones the first class is the prediction.
        target: (B, H, W) class indices.
        bins: Number of equally wide bins of confidence in 0..1; each holds its upper edge and not its lower one.

    Returns:
        (2, 4, bins) float64 on the device of `probabilities`: first the pixels that are background both in the truth
        and in the prediction, then the others (foreground); of each the number of pixels, the sum of their confidence,
        the number whose class is right, and the sum of squared errors. Counts of slices, batches and processes add up.

    Raises:
        ValueError: If the shapes do not fit, a class index is out of range, there is no bin, or what should be
            probabilities are not (negative, or not adding up to 1 within 0.01).
    """
    _check(probabilities, target, bins)
    confidence, predicted = probabilities.max(dim=1)
    edges = torch.linspace(0, 1, bins + 1, device=confidence.device)[1:-1]
    row = torch.bucketize(confidence.float(), edges) + bins * ((target != 0) | (predicted != 0))
    sums = (torch.ones_like(confidence), confidence, predicted == target, _squared_error(probabilities, target))
    counts = torch.zeros(4, 2 * bins, dtype=torch.float64, device=confidence.device)
    for part, values in zip(counts, sums, strict=True):
        part.scatter_add_(0, row.flatten(), values.flatten().double())  # bincount with weights refuses determinism
    return counts.view(4, 2, bins).transpose(0, 1).contiguous()


def ece(counts: Tensor) -> float | None:
    """Expected calibration error, in 0..1: mean over pixels of |accuracy - mean confidence| of their bin.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3, over the likeliest class alone.

    Args:
        counts: (4, bins): a part of what `reliability_counts` returns, or a sum of such.

    Returns:
        None if there is no pixel.
    """
    pixels, confidence, right, _ = counts
    total = float(pixels.sum())
    return float((right - confidence).abs().sum()) / total if total else None


def brier(counts: Tensor) -> float | None:
    """Brier score, in 0..2: mean over pixels of the squared error, summed over all classes.

    Brier 1950, "Verification of Forecasts Expressed in Terms of Probability". With two classes this is twice the score
    of the foreground's probability alone, which many call by the same name.

    Args:
        counts: (4, bins): a part of what `reliability_counts` returns, or a sum of such.

    Returns:
        None if there is no pixel.
    """
    total = float(counts[0].sum())
    return float(counts[3].sum()) / total if total else None


def calibration_scores(counts: Tensor) -> dict[str, float | None]:
    """`ece` and `brier` of all pixels, `ece_foreground` and `brier_foreground` of the foreground; 0 is best in each.

    Args:
        counts: (2, 4, bins), the sum over the slices of a volume of what `reliability_counts` returns.

    Returns:
        None for the foreground where neither truth nor prediction holds any.
    """
    whole, inside = counts.sum(dim=0), counts[1]
    return {
        "ece": ece(whole),
        "brier": brier(whole),
        "ece_foreground": ece(inside),
        "brier_foreground": brier(inside),
    }


def _squared_error(probabilities: Tensor, target: Tensor) -> Tensor:
    """(B, H, W) sum over classes of (p - 1[true])^2. Not as sum p^2 - 2 p + 1, which cancels where p is near 1."""
    true = target.long().unsqueeze(1)
    wrong = probabilities.scatter_add(1, true, probabilities.new_full((1,), -1.0).expand_as(true))
    return wrong.square_().sum(dim=1)


def _check(probabilities: Tensor, target: Tensor, bins: int) -> None:
    shapes = tuple(probabilities.shape), tuple(target.shape)
    if probabilities.ndim != 4 or shapes[0][:1] + shapes[0][2:] != shapes[1] or bins < 1:
        raise ValueError(f"expected (B, K, H, W), (B, H, W) and at least one bin, got {shapes} and {bins} bins")
    check_indices(target, probabilities.shape[1], "target")
    if target.numel() == 0:
        return
    low, high = (float(x) for x in probabilities.sum(dim=1).aminmax())
    if not (low > 0.99 and high < 1.01 and float(probabilities.min()) >= 0):
        raise ValueError(
            "probabilities must not be negative and must add up to 1 over dimension 1, got "
            f"sums in {low:.3g}..{high:.3g}; apply softmax to logits first"
        )
