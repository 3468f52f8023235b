"""Overlap scores of one region of one volume, and what they are worth when a class is absent.

A score has a value or none; it is never NaN or infinite. What happens at the edges, by whether the truth holds the
region and whether it was predicted:

| state       | truth | predicted | dice, jaccard | sensitivity, sa | ppv     | specificity, accuracy |
|-------------|-------|-----------|---------------|-----------------|---------|-----------------------|
| present     | yes   | yes       | value         | value           | value   | value                 |
| missed      | yes   | no        | 0             | 0               | none    | value                 |
| false_alarm | no    | yes       | 0             | none            | 0       | value                 |
| absent      | no    | no        | none          | none            | none    | 1                     |

Specificity has no value either where the region fills the whole volume, accuracy none where there are no pixels.
All scores follow from one rule: a ratio with a denominator of zero has no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

State = Literal["present", "missed", "false_alarm", "absent"]


@dataclass(frozen=True)
class Counts:
    """Pixels of one region, summed over all slices of a volume."""

    tp: int
    fp: int
    fn: int
    tn: int


def region_counts(confusion: Tensor, region: Sequence[int]) -> Counts:
    """Counts of a union of classes; confusing two classes of one region with each other is no mistake.

    Args:
        confusion: (K, K), rows truth, columns prediction.
        region: Class indices, each once.

    Raises:
        ValueError: If the region is empty, or names an index twice or one that is not in 0..K-1.
    """
    classes = len(confusion)
    if not region or len(set(region)) < len(region) or not set(region) <= set(range(classes)):
        raise ValueError(f"a region unites different class indices in 0..{classes - 1}, got {tuple(region)}")
    inside = torch.zeros(classes, dtype=torch.bool, device=confusion.device)
    inside[list(region)] = True
    tp, fp = confusion[inside][:, inside].sum(), confusion[~inside][:, inside].sum()
    fn, tn = confusion[inside][:, ~inside].sum(), confusion[~inside][:, ~inside].sum()
    return Counts(int(tp), int(fp), int(fn), int(tn))


def state(counts: Counts) -> State:
    """Whether the truth holds the region and whether it was predicted, see the table of this module."""
    if counts.tp + counts.fn:
        return "present" if counts.tp + counts.fp else "missed"
    return "false_alarm" if counts.fp else "absent"


def dice(counts: Counts) -> float | None:
    """2 |P ∩ T| / (|P| + |T|), the review's equation 2. In 0..1."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def jaccard(counts: Counts) -> float | None:
    """|P ∩ T| / |P ∪ T|, the review's equation 3. In 0..1, and equal to D / (2 - D)."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def sa(counts: Counts) -> float | None:
    """Segmentation accuracy as the review prints it, equation 4: 1 - |Rs - Ts| / Rs, without its factor of 100 %.

    Rs is the area of the truth and Ts that of the prediction, in pixels. It compares sizes, not places: a prediction
    of the right size anywhere scores 1. It is negative where more than twice the true area is predicted, without limit.
    """
    reference, segmented = counts.tp + counts.fn, counts.tp + counts.fp
    return _ratio(reference - abs(reference - segmented), reference)


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


SCORES = {score.__name__: score for score in (dice, jaccard, sa, sensitivity, specificity, ppv, accuracy)}
"""Name -> score of counts."""


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
