"""Overlap losses: Tversky, and as two settings of it soft Dice and soft Jaccard."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tversky(nn.Module):
    """1 - (TP + s) / (TP + alpha FP + beta FN + s), a mean over classes, with soft counts from the softmax.

    Salehi et al. 2017, "Tversky loss function for image segmentation". alpha = beta = 0.5 is soft Dice (Milletari et
    al. 2016, without squares), alpha = beta = 1 soft Jaccard.

    Counts are summed over the whole batch before the ratio is taken, since a slice often holds none of a class. A
    class that the batch does not hold costs nothing if it is not predicted, and up to 1 if it is: `smooth` is then the
    numerator. `segmentation_models_pytorch` leaves such a class out, so inventing it costs nothing there, and computes
    in the type of the logits (half precision cannot count the pixels of a batch).

    Args:
        alpha: Price of a false positive.
        beta: Price of a false negative.
        smooth: Added above and below, in pixels. With a tiny number an absent class would cost 1 for the least trace
            of probability and have no gradient to remove it; 1 pixel gives it one.
        background: Whether background counts as a class. It is nearly always overlapped well and dilutes the mean.

    Raises:
        ValueError: If alpha or beta is negative, both are 0, or smooth is not positive.
    """

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0, background: bool = False) -> None:
        super().__init__()
        if min(alpha, beta) < 0 or alpha + beta == 0 or smooth <= 0:
            raise ValueError(f"alpha, beta >= 0, not both 0, and smooth > 0 expected, got {alpha}, {beta}, {smooth}")
        self.alpha, self.beta, self.smooth = alpha, beta, smooth
        self.first = 0 if background else 1

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W), K >= 2, and class indices (B, H, W) int64 -> scalar."""
        probability = logits.float().softmax(dim=1)
        truth = torch.zeros_like(probability).scatter_(1, target.unsqueeze(1), 1.0)
        both, predicted, true = (
            x[:, self.first :].sum(dim=(0, 2, 3)) for x in (probability * truth, probability, truth)
        )
        mistakes = self.alpha * (predicted - both) + self.beta * (true - both)
        return (mistakes / (both + mistakes + self.smooth)).mean()
