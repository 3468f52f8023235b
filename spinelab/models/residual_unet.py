"""Residual U-Net: the U-Net with residual blocks (He et al. 2016, CVPR), as Horng et al. 2019 compare it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spinelab.models.blocks import Conv
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.unet import UNet


def residual_unet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
) -> UNet:
    """A U-Net in which each pair of convolutions is bridged by a shortcut, by itself or on an encoder.

    All else is the U-Net of `spinelab.models.unet`, so that the two differ in the shortcuts alone.

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
    return UNet(parts, classes)


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + conv(dropout(relu(conv(x))))); the shortcut is a 1x1 convolution where channels change.

    The second dropout follows the sum's ReLU, where the U-Net has its second.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        normalise = nn.BatchNorm2d if norm else nn.Identity
        self.branch = nn.Sequential(
            Conv(in_channels, out_channels, bias=bias),
            normalise(out_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            _summand(Conv(out_channels, out_channels, bias=bias)),
            normalise(out_channels),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else _summand(Conv(in_channels, out_channels, kernel=1, bias=bias))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return self.dropout(torch.relu(self.shortcut(x) + self.branch(x)))


def _summand(conv: Conv) -> Conv:
    """Start at half of He's variance: two of them are summed, and the signal keeps its size from block to block."""
    with torch.no_grad():
        conv.weight.mul_(0.5**0.5)
    return conv
