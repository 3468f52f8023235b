"""Focal loss over the softmax of all classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Focal(nn.Module):
    """Cross-entropy in which well classified pixels count little: mean of -alpha (1 - p)^gamma log p, p of the truth.

    Lin et al. 2017, "Focal loss for dense object detection", equation 5, with the softmax in place of the sigmoid.
    `segmentation_models_pytorch`'s multi-class `FocalLoss` puts a sigmoid on every logit, so it does not train the
    softmax that is the prediction here.

    Args:
        gamma: How strongly easy pixels are held back. 0 is cross-entropy.
        alpha: One positive number a class, background first; none weighs all classes equally. As in the paper the mean
            is over pixels, not divided by the sum of the weights.

    Raises:
        ValueError: If gamma is negative or an alpha is not positive.
    """

    alpha: Tensor | None

    def __init__(self, gamma: float = 2.0, alpha: Sequence[float] | None = None) -> None:
        super().__init__()
        if gamma < 0 or (alpha is not None and min(alpha) <= 0):
            raise ValueError(f"gamma must not be negative and alpha must be positive, got {gamma} and {alpha}")
        self.gamma = gamma
        self.register_buffer("alpha", None if alpha is None else torch.tensor(list(alpha)).float(), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W) and class indices (B, H, W) int64 -> scalar."""
        surprise = functional.cross_entropy(logits.float(), target, reduction="none")  # -log p
        doubt = (-torch.expm1(-surprise)).clamp_min(1e-8)  # 1 - p; a root of exactly 0 has no finite gradient
        loss = doubt**self.gamma * surprise
        return (loss if self.alpha is None else self.alpha[target] * loss).mean()
