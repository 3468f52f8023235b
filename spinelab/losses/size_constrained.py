"""Weakly supervised learning: cross-entropy on a few seeds, and bounds on the size of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from spinelab.losses.seeds import innermost

Bounds = Literal["partial", "loose", "size", "precise"]


class SizeConstrained(nn.Module):
    r"""Cross-entropy on seeds, plus a penalty where the size of a class in a slice leaves its bounds.

    Kervadec et al. 2019, "Constrained-CNN losses for weakly supervised segmentation", Medical Image Analysis 54. The
    size of a class in a slice is V, the sum of its softmax over the pixels. The penalty is (V - b)² / (W H) above the
    upper bound b, (a - V)² / (W H) below the lower bound a, and nothing in between, where it has no gradient either.
    Penalties are summed over the foreground classes, averaged over the slices of the batch and multiplied by
    `penalty`; the cross-entropy is the mean over all seeds of the batch.

    **What is used of the mask** is what a weak annotator would have given, and nothing else:

    - seeds: `seed_pixels` of each foreground class in each slice, its innermost ones (`innermost`);
    - tags, unless `bounds` is "partial": which classes a slice shows;
    - with "precise" alone, how many pixels each class has in each slice.

    | `bounds`  | a class that the slice shows                     | one that it does not show |
    |-----------|--------------------------------------------------|---------------------------|
    | "partial" | no bounds                                        | no bounds                 |
    | "loose"   | at least 1 pixel                                 | 0                         |
    | "size"    | between the two parts of the slice in `sizes`    | 0                         |
    | "precise" | its true size, `slack` more or less              | 0                         |

    As in the paper there are no seeds of the background. It is what bounded classes leave over: their softmax has to go
    somewhere once an upper bound pushes. Nothing in "partial" speaks for it, and in "loose" only the slices that lack
    some class do: where every slice shows every class, the two hardly differ. They are there to be compared with.

    Augmentation moves seeds and sizes with the mask: they are those of the slice as the network sees it. Padding counts
    as background and as part of W H. Validation still compares with whole masks, so a checkpoint that is chosen by a
    score of the validation persons rests on more than weak annotation, in each of these modes alike.

    Args:
        bounds: What is known of sizes, see above.
        sizes: With "size" only: smallest and largest part of a slice, 0 to 1, of each foreground class where it shows;
            the same for all slices. State them from experience, or take them from a few persons' masks with
            `common_bounds`.
        seed_pixels: Seeds of a class in a slice.
        penalty: Factor of the size term; the paper's is 0.01.
        slack: With "precise": the part of the true size by which a size may be off, as in the paper.

    Raises:
        ValueError: An argument is out of its range, or `sizes` is missing, not needed, or of another number of classes.
    """

    def __init__(
        self,
        bounds: Bounds = "precise",
        sizes: Sequence[Sequence[float]] | None = None,
        seed_pixels: int = 12,
        penalty: float = 0.01,
        slack: float = 0.1,
    ) -> None:
        super().__init__()
        if bounds not in get_args(Bounds):
            raise ValueError(f"bounds is one of {', '.join(get_args(Bounds))}, got {bounds!r}")
        if (bounds == "size") != (sizes is not None):
            raise ValueError(f"sizes belongs to bounds=size and to no other, got sizes={sizes} with bounds={bounds}")
        if seed_pixels < 1 or penalty < 0 or not 0 <= slack <= 1:
            raise ValueError(f"seed_pixels >= 1, penalty >= 0, slack 0 to 1, got {seed_pixels}, {penalty}, {slack}")
        for pair in sizes or ():
            if len(pair) != 2 or not 0 <= pair[0] <= pair[1] <= 1:
                raise ValueError(f"sizes holds one pair, smallest and largest part of a slice, a class, got {pair}")
        self.bounds, self.sizes = bounds, sizes
        self.seed_pixels, self.penalty, self.slack = seed_pixels, penalty, slack

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W), K >= 2, and class indices (B, H, W) int64 -> scalar."""
        logits = logits.float()
        seeds = innermost(target, logits.shape[1], self.seed_pixels)
        loss = cross_entropy_at(seeds, logits, target)
        if self.bounds == "partial":
            return loss
        size = logits.softmax(dim=1)[:, 1:].sum(dim=(2, 3))
        low, high = self.limits(target, logits.shape[1])
        return loss + self.penalty * size_penalty(size, low, high).mean() / target[0].numel()

    def limits(self, target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Bounds of the size of each foreground class in each slice.

        Args:
            target: (B, H, W) int64.
            classes: K, background included.

        Returns:
            Lower and upper bounds, (B, K - 1) each, in pixels.

        Raises:
            ValueError: `sizes` is of another number of classes.
        """
        true = torch.stack([(target == index).sum(dim=(1, 2)) for index in range(1, classes)], dim=1).float()
        shown, area = (true > 0).float(), target[0].numel()
        if self.bounds == "precise":
            return (1 - self.slack) * true, (1 + self.slack) * true
        if self.bounds == "loose":
            return shown, area * shown
        parts = true.new_tensor(self.sizes)
        if len(parts) != classes - 1:
            raise ValueError(f"sizes holds {len(parts)} pairs, there are {classes - 1} foreground classes")
        return area * parts[:, 0] * shown, area * parts[:, 1] * shown


def cross_entropy_at(seeds: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """Mean of -log p(true class) over the seeds (B, H, W); 0 where there is none."""
    surprise = functional.cross_entropy(logits, target, reduction="none")
    return (surprise * seeds).sum() / seeds.sum().clamp_min(1)


def size_penalty(size: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Squared distance of sizes from their bounds, (B, classes) each, summed over classes: (B,)."""
    return ((size - high).clamp_min(0) ** 2 + (low - size).clamp_min(0) ** 2).sum(dim=1)


def common_bounds(pixels: Tensor, slack: float = 0.1) -> list[tuple[float, float]]:
    """Smallest and largest part of a slice that each foreground class takes, for `SizeConstrained(sizes=...)`.

    Args:
        pixels: (N, K), how many pixels of each slice are of each class, background first, such as the rows of a few
            training persons in the prepared slices' table (`torch.from_numpy(cache.pixels[rows])`).
        slack: How much smaller and larger other persons may be.

    Returns:
        A pair for each foreground class, between 0 and 1.

    Raises:
        ValueError: A class is in none of the slices, so that nothing is known of its size.
    """
    parts = (pixels[:, 1:].double() / pixels.sum(dim=1, keepdim=True)).unbind(dim=1)
    if absent := [index for index, part in enumerate(parts, start=1) if not part.any()]:
        raise ValueError(f"no slice shows the classes {absent}: nothing is known of their size")
    return [(float((1 - slack) * part[part > 0].min()), min(1.0, float((1 + slack) * part.max()))) for part in parts]
