"""Confusion matrices, from which every overlap score is taken."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion_matrix(prediction: Tensor, target: Tensor, classes: int) -> Tensor:
    """Count the pixels of every pair of true and predicted class.

    Matrices of slices add up to the matrix of their volume.

    Args:
        prediction: Class indices of any shape and integer type. uint8 is several times faster than int64.
        target: Class indices of the same shape.
        classes: K, background included.

    Returns:
        (K, K) int64 on the device of `prediction`; rows are the truth, columns the prediction.

    Raises:
        ValueError: If the shapes differ, or a value is not an integer from 0 to K - 1.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}")
    # Pixels are taken as they lie in memory: arrays from NIfTI lie the other way round, which is many times slower.
    memory = sorted(range(target.ndim), key=target.stride, reverse=True)
    values = pairs(prediction.permute(memory), target.permute(memory), classes)
    return _count(values.flatten(), classes * classes).view(classes, classes)


def pairs(prediction: Tensor, target: Tensor, classes: int) -> Tensor:
    """True and predicted class in one number, target * K + prediction, in the narrowest type; 0 is background twice.

    Args:
        prediction: Class indices of any shape and integer type.
        target: Class indices of the same shape.
        classes: K, background included.

    Raises:
        ValueError: If a value is not an integer from 0 to K - 1.
    """
    check_indices(prediction, classes, "prediction")
    check_indices(target, classes, "target")
    narrow = torch.uint8 if classes <= 16 else torch.int64  # a pair of 16 classes still fits into a byte
    return (target.to(narrow) * classes).add_(prediction.to(narrow))


def check_indices(values: Tensor, count: int, name: str) -> None:
    """Raise ValueError, naming the argument, unless all values are integers from 0 to count - 1."""
    if values.is_floating_point():
        raise ValueError(f"{name} must hold integer indices, got {values.dtype}")
    if values.numel() == 0:
        return
    low, high = (int(value) for value in values.aminmax())
    if low < 0 or high >= count:
        raise ValueError(f"{name} must lie in 0..{count - 1}, got {low}..{high}")


def _count(values: Tensor, cells: int) -> Tensor:
    """Count each value of a flat tensor. Most of a scan is background found as such: eight zero bytes go at once."""
    whole = values.numel() - values.numel() % 8
    words = values[:whole].view(torch.int64)
    if 2 * int(words.count_nonzero()) > words.numel():  # then picking out the others costs more than counting all
        return torch.bincount(values, minlength=cells)
    rest = torch.cat([words[words.nonzero().squeeze(1)].view(values.dtype), values[whole:]])
    counts = torch.bincount(rest, minlength=cells)
    counts[0] += values.numel() - rest.numel()
    return counts
