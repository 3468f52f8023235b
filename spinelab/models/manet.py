"""MANet, the multi-scale attention network for lumbar MRI (Li et al. 2021, Neural Computing and Applications).

Not the MA-Net that segmentation_models_pytorch calls `MAnet` (Fan et al. 2020, liver CT).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Parts, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.residual_unet import ResidualBlock
from spinelab.models.unet import UNet


def manet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
) -> MANet:
    """A residual U-Net with a dual-branch multi-scale attention module on each skip, by itself or on an encoder.

    The module is the publication's: one branch finds features with three 3x3 operators, the other screens them. Where
    it stands and how wide it is are chosen here, so that it differs from `residual_unet` in the modules alone.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (None: 32), doubled a level.
        dropout: Rate after the convolutions (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout, block=ResidualBlock)
    return MANet(parts, classes)


class MANet(UNet):
    """A U-Net whose skips pass attention; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(self, parts: Parts, classes: int) -> None:
        super().__init__(parts, classes)
        self.attention = nn.ModuleDict(
            {str(level): DualBranchAttention(c) for level, c in enumerate(parts.encoder.channels[:-1]) if c}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        *skips, y = self.encoder(pad_to_multiple(x, self.encoder.reduction))
        for level, attention in self.attention.items():
            skips[int(level)] = attention(skips[int(level)])
        for node, skip in zip(reversed(self.nodes), reversed(skips), strict=True):
            y = node(y, skip)
        return crop_like(self.head(y), x)

    def attention_maps(self, x: Tensor) -> dict[str, Tensor]:
        """Every skip's coefficients in (0, 1), meaned over channels, as (B, 1, H, W) interpolated to the image's size.

        Keys name the skip's stride, finest first: ``stride1``, ``stride2``, ...
        """
        padded = pad_to_multiple(x, self.encoder.reduction)
        skips = self.encoder(padded)
        maps = {}
        for level, attention in self.attention.items():
            assert isinstance(attention, DualBranchAttention)
            mean = attention.screen(skips[int(level)]).mean(dim=1, keepdim=True)
            maps[f"stride{2 ** int(level)}"] = crop_like(F.interpolate(mean, padded.shape[2:], mode="bilinear"), x)
        return maps


class DualBranchAttention(nn.Module):
    """x + screen(x) * features(x).

    Features: three 3x3 convolutions in a row, which see 3, 5 and 7 pixels, side by side, joined by a 1x1 convolution.
    Screening: two 1x1 convolutions and a sigmoid; a coefficient for every pixel and channel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.operators = nn.ModuleList(Conv(c, inner) for c in (channels, inner, inner))
        self.join = Conv(3 * inner, channels, kernel=1)
        self.screening = nn.Sequential(
            Conv(channels, inner, kernel=1), nn.ReLU(inplace=True), Conv(inner, channels, kernel=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.screen(x) * self.features(x)

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        found = []
        for operator in self.operators:
            x = torch.relu(operator(x))
            found.append(x)
        return self.join(torch.cat(found, dim=1))

    def screen(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> coefficients in (0, 1) of the same shape."""
        return torch.sigmoid(self.screening(x))
