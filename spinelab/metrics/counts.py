"""Pixels of one region of one volume: found, invented, missed and rightly left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
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


def mask_counts(truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> Counts:
    """Counts of two masks of any shape.

    Raises:
        ValueError: If they are not bool or differ in shape.
    """
    check_masks(truth, prediction)
    tp, true, predicted = (int(np.count_nonzero(mask)) for mask in (truth & prediction, truth, prediction))
    return Counts(tp, predicted - tp, true - tp, truth.size - true - predicted + tp)


def check_masks(truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> None:
    """Raise ValueError unless both are bool and of one shape."""
    if truth.dtype != np.bool_ or prediction.dtype != np.bool_ or truth.shape != prediction.shape:
        found = f"{truth.dtype} {truth.shape} and {prediction.dtype} {prediction.shape}"
        raise ValueError(f"two bool masks of one shape expected, got {found}")


def state(counts: Counts) -> State:
    """Whether the truth holds the region and whether it was predicted."""
    if counts.tp + counts.fn:
        return "present" if counts.tp + counts.fp else "missed"
    return "false_alarm" if counts.fp else "absent"
