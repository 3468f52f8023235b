"""One loss for a network with several output heads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class DeepSupervision(nn.Module):
    """Weighted mean of one loss over the heads of a network; the weights sum to 1.

    Head i weighs decay^i before normalising, the main head (i = 0) most. Zhou et al. 2018, "UNet++: a nested U-Net
    architecture for medical image segmentation", average the heads equally, which is decay = 1 and the default. 0.5
    halves the weight from head to head.

    Args:
        loss: Called as ``loss(logits, target) -> scalar`` on each head.
        decay: In (0, 1].

    Raises:
        ValueError: If decay is not in (0, 1], or when called with no heads.
    """

    def __init__(self, loss: nn.Module, decay: float = 1.0) -> None:
        super().__init__()
        if not 0 < decay <= 1:
            raise ValueError(f"decay must lie in (0, 1], got {decay}")
        self.loss, self.decay = loss, decay

    def weights(self, heads: int) -> list[float]:
        """Weights of that many heads, main head first; they sum to 1."""
        raw = [self.decay**i for i in range(heads)]
        return [weight / sum(raw) for weight in raw]

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Heads, each (B, K, H, W), main first, and class indices (B, H, W) int64 -> scalar.

        A single tensor, which such a network gives in evaluation, is one head.
        """
        heads = [logits] if isinstance(logits, Tensor) else list(logits)
        if not heads:
            raise ValueError("deep supervision needs at least one head, got none")
        losses = [w * self.loss(head, target) for w, head in zip(self.weights(len(heads)), heads, strict=True)]
        return sum(losses[1:], start=losses[0])
