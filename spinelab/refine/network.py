"""A network and its refiner in the clothes of one network, so that prediction and scoring take them unchanged."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from spinelab.refine.refiner import Refiner


class Refined(nn.Module):
    """Gives the logarithm of refined probabilities as logits; their softmax is the refined probabilities.

    Args:
        network: (B, C, H, W) images -> (B, K, H, W) logits.
        refiner: Fitted.
        channel: The channel of the image that the refiner sees.
    """

    def __init__(self, network: nn.Module, refiner: Refiner, channel: int = 0) -> None:
        super().__init__()
        self.network, self.refiner, self.channel = network, refiner, channel

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) images -> (B, K, H, W) float32 logits, through which no gradient flows."""
        maps = self.network(image).float().softmax(dim=1).detach().cpu().numpy()
        pictures = image[:, self.channel].detach().float().cpu().numpy()
        refined = np.stack([self.refiner.refine(*pair) for pair in zip(pictures, maps, strict=True)])
        return torch.from_numpy(np.log(np.maximum(refined, 1e-12))).to(image.device, torch.float32)
