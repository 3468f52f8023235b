"""Cross-entropy over the softmax of all classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossEntropy(nn.Module):
    """Mean of -log p(true class) over all pixels, optionally weighted by class.

    torch's own `nn.CrossEntropyLoss` takes its weights as a tensor, which yaml cannot hold, and computes in the type
    of the logits.

    Args:
        weight: One positive number a class, background first. The mean is then divided by the sum of the weights of
            the pixels' true classes, as in torch: only ratios matter. Must be positive, because a batch of pixels that
            all weigh zero has no mean.

    Raises:
        ValueError: If a weight is not positive.
    """

    weight: Tensor | None

    def __init__(self, weight: Sequence[float] | None = None) -> None:
        super().__init__()
        if weight is not None and min(weight) <= 0:
            raise ValueError(f"class weights must be positive, got {list(weight)}")
        # Not part of a checkpoint: the weights belong to the configuration, and a network without them must still load.
        self.register_buffer("weight", None if weight is None else torch.tensor(list(weight)).float(), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W) and class indices (B, H, W) int64 -> scalar."""
        return functional.cross_entropy(logits.float(), target, self.weight)
