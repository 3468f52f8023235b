"""Deep dilated convolutions for spinal cord grey matter (Perone, Calabrese and Cohen-Adad 2018, Scientific Reports)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Pyramid, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, SmpEncoder, is_paper_form, reject_paper_option

RATES = (6, 12, 18, 24)
"""Dilations of the branches, in pixels of the map that they stand on."""


def deep_dilated(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float = 0.4,
) -> DeepDilated:
    """A pyramid of dilated convolutions at full size, by itself or on an encoder.

    Without encoder the image never shrinks: two 3x3 convolutions, two of dilation 2, then side by side a branch
    without dilation, four of dilation 6 to 24, and the mean over the image of what the first two convolutions gave.
    Running statistics follow slowly (PyTorch's momentum of 0.1); in the authors' code they are almost the last batch's.

    On an encoder the pyramid stands on its map at stride 4 (`encoder.depth` of 2), the scores are enlarged.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels of every convolution of the paper form (published: 32).
        dropout: Rate after each convolution.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    if is_paper_form(encoder):
        return DeepDilated(FullSize(in_channels, base or 32, dropout), base or 32, classes, dropout)
    reject_paper_option("base", base)
    settings = encoder or {}
    pyramid = SmpEncoder(in_channels, settings["name"], settings.get("weights"), settings.get("depth") or 2)
    return DeepDilated(Coarsest(pyramid), 32, classes, dropout)


class DeepDilated(nn.Module):
    """Branches side by side, 64 channels, scores; (B, C, H, W) -> logits (B, K, H, W).

    Args:
        encoder: Gives two maps of one size: what is averaged over the image, and what the branches see.
        width: Channels of each branch.
        classes: Output channels K.
        dropout: Rate after each convolution.
    """

    def __init__(self, encoder: Pyramid, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        context, features = encoder.channels
        branches = [nn.Sequential(_layer(features, width, dropout), _layer(width, width, dropout, kernel=1))]
        for rate in RATES:
            layers = (_layer(channels, width, dropout, dilation=rate) for channels in (features, width))
            branches.append(nn.Sequential(*layers))
        self.branches = nn.ModuleList(branches)
        joined = len(branches) * width + context
        self.join = nn.Sequential(nn.BatchNorm2d(joined), *_dropout(dropout), _layer(joined, 64, dropout, kernel=1))
        self.head = Conv(64, classes, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        padded = pad_to_multiple(x, self.encoder.reduction)
        context, features = self.encoder(padded)
        mean = context.mean(dim=(2, 3), keepdim=True).expand(-1, -1, *features.shape[2:])
        scores = self.head(self.join(torch.cat([*(branch(features) for branch in self.branches), mean], dim=1)))
        if self.encoder.reduction > 1:
            scores = F.interpolate(scores, size=padded.shape[2:], mode="bilinear")
        return crop_like(scores, x)


class FullSize(Pyramid):
    """The publication's: two plain convolutions, then two of dilation 2."""

    def __init__(self, in_channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.channels, self.reduction = (width, width), 1
        self.plain = nn.Sequential(_layer(in_channels, width, dropout), _layer(width, width, dropout))
        self.dilated = nn.Sequential(*(_layer(width, width, dropout, dilation=2) for _ in range(2)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> two maps (B, width, H, W)."""
        plain = self.plain(x)
        return [plain, self.dilated(plain)]


class Coarsest(Pyramid):
    """An encoder's coarsest map, twice."""

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.pyramid, self.reduction = pyramid, pyramid.reduction
        self.channels = pyramid.channels[-1:] * 2

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> twice (B, C', H / reduction, W / reduction)."""
        return [self.pyramid(x)[-1]] * 2


def _layer(in_channels: int, width: int, dropout: float, dilation: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, ReLU, batch normalisation, dropout: the authors' order."""
    conv = nn.Conv2d(in_channels, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.get_parameter("bias"))
    return nn.Sequential(conv, nn.ReLU(inplace=True), nn.BatchNorm2d(width), *_dropout(dropout))


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate else []
