"""A technique in the clothes of a network, so that prediction and scoring take it unchanged."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from spinelab.classical.technique import Technique


class AsNetwork(nn.Module):
    """Gives the logarithm of a fitted technique's scores as logits; their softmax is the scores.

    Args:
        technique: Fitted.
        channel: The channel of the image that the technique sees.
    """

    def __init__(self, technique: Technique, channel: int = 0) -> None:
        super().__init__()
        self.technique, self.channel = technique, channel
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)  # prediction asks where a network's weights are

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) images -> (B, K, H, W) logits."""
        slices = image[:, self.channel].detach().cpu().numpy()
        scores = np.stack([self.technique.scores(part) for part in slices])
        return torch.from_numpy(np.log(np.maximum(scores, 1e-12))).to(image)
