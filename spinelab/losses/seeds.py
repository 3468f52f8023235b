"""Seeds: the few pixels that a weak annotator would have marked, taken from a mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def innermost(target: Tensor, classes: int, pixels: int) -> Tensor:
    """The innermost pixels of every foreground class of every slice.

    A pixel's depth is the number of 3x3 erosions of its class that it outlives; of pixels of the same depth the first
    in reading order count as deeper. Beyond the edge of a slice nothing is known, so nothing is worn away from there.
    The mask alone decides: the same mask has the same seeds, and an augmented mask has its own.

    Args:
        target: (B, H, W) int64 class indices.
        classes: K, background included; background has no seed.
        pixels: Seeds of one class in one slice; all of its pixels where it has fewer.

    Returns:
        (B, H, W) bool.
    """
    area = target[0].numel()
    place = torch.arange(area, device=target.device)
    order = (_depth(target).flatten(1) + 1) * area - place  # different for all pixels of a slice, and positive
    seeds = torch.zeros_like(order, dtype=torch.bool)
    for index in range(1, classes):
        of_class = torch.where(target.flatten(1) == index, order, 0)
        deepest, where = of_class.topk(min(pixels, area), dim=1)
        seeds |= torch.zeros_like(seeds).scatter(1, where, deepest > 0)
    return seeds.view_as(target)


def _depth(target: Tensor) -> Tensor:
    """(B, H, W) int64: how many erosions of its class each foreground pixel outlives."""
    label = target.unsqueeze(1).float()
    highest, lowest = functional.max_pool2d(label, 3, 1, 1), -functional.max_pool2d(-label, 3, 1, 1)
    # Of two classes, no two such pixels lie side by side, so that from here on all classes erode as one mask.
    left = ((highest == lowest) & (label > 0)).float()
    depth = torch.zeros_like(left)
    for _ in range(max(target.shape[1:])):  # a slice that is one class from edge to edge is never worn away
        if not left.any():
            break
        depth += left
        left = -functional.max_pool2d(-left, 3, 1, 1)
    return depth.squeeze(1).long()
