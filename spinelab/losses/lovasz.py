"""Lovász-softmax loss."""

from __future__ import annotations

from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor, nn


class Lovasz(nn.Module):
    """The Lovász extension of 1 - Jaccard, a mean over the classes that the batch's truth holds, background included.

    Berman et al. 2018, "The Lovász-softmax loss: a tractable surrogate for the optimization of the
    intersection-over-union measure in neural networks". For a prediction that is sure of every pixel it is 1 - Jaccard
    itself. The computation is `segmentation_models_pytorch`'s; it is wrapped because it stops with an error on
    bfloat16 logits.

    A class that the batch does not hold has no term of its own; inventing it costs what it takes from the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = LovaszLoss("multiclass")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W), K >= 2, and class indices (B, H, W) int64 -> scalar."""
        loss: Tensor = self.loss(logits.float(), target)
        return loss
