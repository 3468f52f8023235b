"""FCN-32s, 16s and 8s (Long, Shelhamer and Darrell 2015, CVPR)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Pyramid, conv_block, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, SmpEncoder, is_paper_form, reject_paper_option


def fcn(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    stride: Literal[8, 16, 32] = 8,
    width: float | None = None,
    dropout: float = 0.5,
) -> FCN:
    """An FCN on VGG16, as published, or on an encoder.

    Differences from the publication: fc6 pads by 3 instead of the image by 100, and all is trained at once, so that
    only the scores of the skips start at zero (a zero last score would keep the gradient from every layer below).

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights``, of depth 5; None or a null name gives VGG16 with fc6 and fc7.
        stride: Of the finest scores: 32 has no skips, 16 adds those of pool4, 8 also those of pool3.
        width: Factor on VGG16's channels, fc6 and fc7 included (published: 1).
        dropout: Rate after fc6 and fc7 or, on an encoder, after each of the two convolutions in their place.

    Raises:
        ValueError: `stride` is none of these.
        ConfigError: The encoder is unknown, cannot be loaded or has another depth, or `width` is set with an encoder.
    """
    if stride not in (8, 16, 32):
        raise ValueError(f"stride must be 8, 16 or 32, not {stride}")
    if is_paper_form(encoder):
        vgg = VGG16(in_channels, width or 1.0)
        hidden = round(4096 * (width or 1.0))
        return FCN(vgg, fully_connected(vgg.channels[-1], hidden, dropout), hidden, classes, stride)
    reject_paper_option("width", width)
    settings = encoder or {}
    pyramid = SmpEncoder(in_channels, settings["name"], settings.get("weights"))
    block = conv_block(pyramid.channels[-1], 256, norm=True, bias=False, dropout=dropout)
    return FCN(pyramid, block, 256, classes, stride)


class FCN(nn.Module):
    """Scores at strides 32, 16 and 8, summed while being upsampled; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(self, encoder: Pyramid, top: nn.Module, hidden: int, classes: int, stride: int) -> None:
        super().__init__()
        self.encoder, self.top, self.stride = encoder, top, stride
        self.score = Conv(hidden, classes, kernel=1)
        skips = {32: (), 16: (-2,), 8: (-2, -3)}[stride]
        self.score_skips = nn.ModuleList(Conv(encoder.channels[i], classes, kernel=1) for i in skips)
        self.ups = nn.ModuleList(BilinearUp(classes) for _ in skips)
        for score in self.score_skips:
            nn.init.zeros_(score.get_parameter("weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size. The last upsampling is fixed at bilinear, as published."""
        *skips, bottom = self.encoder(pad_to_multiple(x, self.encoder.reduction))
        y = self.score(self.top(bottom))
        for up, score, skip in zip(self.ups, self.score_skips, reversed(skips), strict=False):
            y = up(y) + score(skip)
        return crop_like(F.interpolate(y, scale_factor=self.stride, mode="bilinear"), x)


class VGG16(Pyramid):
    """The 13 convolutions of VGG16 (Simonyan and Zisserman 2015): pool1 to pool5."""

    def __init__(self, in_channels: int, width: float = 1.0) -> None:
        super().__init__()
        self.channels = tuple(round(c * width) for c in (64, 128, 256, 512, 512))
        self.reduction = 32
        pairs = pairwise((in_channels, *self.channels))
        self.stages = nn.ModuleList(_stage(a, b, n) for (a, b), n in zip(pairs, (2, 2, 3, 3, 3), strict=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps at strides 2, 4, 8, 16 and 32."""
        maps = [x]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


def _stage(in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, *[out_channels] * (count - 1)):
        layers += [Conv(channels, out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def fully_connected(channels: int, hidden: int, dropout: float) -> nn.Sequential:
    """VGG16's fc6 (7x7) and fc7 (1x1) as convolutions."""
    fc6, fc7 = Conv(channels, hidden, kernel=7), Conv(hidden, hidden, kernel=1)
    relu = partial(nn.ReLU, inplace=True)
    return nn.Sequential(fc6, relu(), nn.Dropout(dropout), fc7, relu(), nn.Dropout(dropout))


class BilinearUp(nn.ConvTranspose2d):
    """Learned upsampling by two: a 4x4 deconvolution that starts as bilinear interpolation, without bias.

    The map is first extended by its own border, so that a constant stays constant up to the edge.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=4, stride=2, padding=3, bias=False)

    def reset_parameters(self) -> None:
        """Bilinear within a channel, zero between channels."""
        tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.copy_(torch.eye(self.in_channels)[:, :, None, None] * torch.outer(tent, tent))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, K, H, W) -> (B, K, 2H, 2W)."""
        return super().forward(F.pad(x, (1, 1, 1, 1), mode="replicate"), output_size)
