"""Overlap scores of one region of one volume, and what they are worth when a class is absent.

A score has a value or none; it is never NaN or infinite. What happens at the edges, by whether the truth holds the
region and whether it was predicted:

| state       | truth | predicted | dice, jaccard | sensitivity, sa, sa_pixels | ppv  | specificity, accuracy |
|-------------|-------|-----------|---------------|----------------------------|------|-----------------------|
| present     | yes   | yes       | value         | value                      | value| value                 |
| missed      | yes   | no        | 0             | 0                          | none | value                 |
| false_alarm | no    | yes       | 0             | none                       | 0    | value                 |
| absent      | no    | no        | none          | none                       | none | 1                     |

Specificity has no value either where the region fills the whole volume, accuracy none where there are no pixels, and
balanced accuracy none where sensitivity or specificity has none. The volume differences have none without truth, and
are -1 and 1 where the region is missed. All follow from one rule: a ratio with a denominator of zero has no value.
docs/metrics.md works every case out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from spinelab.metrics.counts import Counts, region_counts


def dice(counts: Counts) -> float | None:
    """2 |P ∩ T| / (|P| + |T|), the review's equation 2. In 0..1."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def jaccard(counts: Counts) -> float | None:
    """|P ∩ T| / |P ∪ T|, the review's equation 3. In 0..1, and equal to D / (2 - D)."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def sa_area(counts: Counts) -> float | None:
    """Segmentation accuracy as the review prints it, equation 4: 1 - |Rs - Ts| / Rs, without its factor of 100 %.

    Rs is the area of the truth and Ts that of the prediction, in pixels. It compares sizes, not places: a prediction
    of the right size anywhere scores 1. It is negative where more than twice the true area is predicted, without limit.
    """
    reference = counts.tp + counts.fn
    return _ratio(reference - abs(counts.fp - counts.fn), reference)


def sa_pixels(counts: Counts) -> float | None:
    """Segmentation accuracy as the review's text explains equation 4: |Rs - Ts| is the number of wrong pixels.

    1 - (FP + FN) / (TP + FN). At most 1 and never above `sa_area`; negative where more pixels are wrong than true,
    without limit. 0 for a region that is missed.
    """
    reference = counts.tp + counts.fn
    return _ratio(reference - counts.fp - counts.fn, reference)


sa = sa_area
"""The reading that is meant where nothing else is said: the formula as printed."""


def sensitivity(counts: Counts) -> float | None:
    """Found part of the truth (recall), TP / (TP + FN). In 0..1."""
    return _ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Counts) -> float | None:
    """Part of the rest that was left alone, TN / (TN + FP). In 0..1; near 1 for any small region."""
    return _ratio(counts.tn, counts.tn + counts.fp)


def ppv(counts: Counts) -> float | None:
    """True part of the prediction (precision), TP / (TP + FP). In 0..1."""
    return _ratio(counts.tp, counts.tp + counts.fp)


def accuracy(counts: Counts) -> float | None:
    """Part of all pixels that is right, (TP + TN) / all. In 0..1; near 1 for any small region, found or not."""
    return _ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn)


def balanced_accuracy(counts: Counts) -> float | None:
    """Mean of sensitivity and specificity. In 0..1; 1/2 for a prediction of nothing or of everything.

    None where either has none. scikit-learn averages over the classes that the truth holds, and so gives the one that
    is left.
    """
    found, left = sensitivity(counts), specificity(counts)
    return None if found is None or left is None else (found + left) / 2


def volume_difference(counts: Counts) -> float | None:
    """Signed relative difference of volumes, (|P| - |T|) / |T|: below 0 is too small. From -1, without upper limit."""
    return _ratio(counts.fp - counts.fn, counts.tp + counts.fn)


def absolute_volume_difference(counts: Counts) -> float | None:
    """||P| - |T|| / |T|, which is 1 - `sa_area`. From 0, without upper limit."""
    return _ratio(abs(counts.fp - counts.fn), counts.tp + counts.fn)


SCORES: Mapping[str, Callable[[Counts], float | None]] = {
    "dice": dice,
    "jaccard": jaccard,
    "sa": sa,
    "sa_pixels": sa_pixels,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "ppv": ppv,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
}
"""Name -> score of counts; 1 is best in each."""

DIFFERENCES: Mapping[str, Callable[[Counts], float | None]] = {
    "volume_difference": volume_difference,
    "absolute_volume_difference": absolute_volume_difference,
}
"""Name -> difference of volumes; 0 is best in each, so they are kept apart from the scores."""


def overlap_scores(counts: Counts) -> dict[str, float | None]:
    """All scores by name; none where the counts give no value, see the table of this module."""
    return {name: score(counts) for name, score in SCORES.items()}


def mean_iou(confusion: Tensor) -> float | None:
    """Mean Jaccard index over the foreground classes that the truth or the prediction holds.

    Classes, not regions. The usual choice in medical images; PASCAL VOC and Cityscapes also count background as a
    class, which lifts the mean where most pixels are background.

    Args:
        confusion: (K, K), rows truth, columns prediction.

    Returns:
        None if no foreground class is true or predicted anywhere.
    """
    values = [jaccard(region_counts(confusion, (index,))) for index in range(1, len(confusion))]
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
