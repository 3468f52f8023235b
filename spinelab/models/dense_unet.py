"""Dense U-Net: the U-Net with densely connected blocks (Huang et al. 2017, CVPR), as Horng et al. 2019 compare it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spinelab.models.blocks import Conv
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.unet import UNet

LAYERS = 4
"""3x3 convolutions of a block; each adds a quarter of the block's output channels to what it was given."""


def dense_unet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
) -> UNet:
    """A U-Net in which every convolution sees all earlier maps of its block, by itself or on an encoder.

    The review does not tell the growth rate of Horng et al.; here a block has four layers of a quarter of its width.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (None: 32), doubled a level.
        dropout: Rate after the convolutions (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout, block=DenseBlock)
    return UNet(parts, classes)


class DenseBlock(nn.Module):
    """Layer l maps the concatenation of the input and the l - 1 layers before; a 1x1 convolution joins all of them."""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        growth = max(out_channels // LAYERS, 1)
        widths = [in_channels + i * growth for i in range(LAYERS + 1)]
        self.layers = nn.ModuleList(_layer(width, growth, 3, norm, bias, dropout) for width in widths[:-1])
        self.transition = _layer(widths[-1], out_channels, 1, norm, bias, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return self.transition(x)


def _layer(in_channels: int, out_channels: int, kernel: int, norm: bool, bias: bool, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [Conv(in_channels, out_channels, kernel, bias=bias)]
    layers += [nn.BatchNorm2d(out_channels)] if norm else []
    layers.append(nn.ReLU(inplace=True))
    layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)
