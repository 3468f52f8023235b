"""RefineNet (Lin, Milan, Shen and Reid 2017, CVPR)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Pyramid, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, SmpEncoder

DEFAULT_ENCODER = "resnet18"
"""RefineNet has no form without an encoder; the publication's are ResNets of 50 to 152 layers."""


def refinenet(in_channels: int, classes: int, encoder: Settings | None = None, features: int = 64) -> RefineNet:
    """Four cascaded refinement blocks on the encoder's maps at strides 4, 8, 16 and 32; scores at stride 4, enlarged.

    Against the publication, convolutions of the blocks have batch normalisation, as the other decoders here have:
    without it Adam at their learning rates does not train this one.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name`` (null: resnet18) and ``weights``, of depth 5.
        features: Channels of the blocks (published: 256), twice as many in the coarsest.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded.
    """
    settings = encoder or {}
    pyramid = SmpEncoder(in_channels, settings.get("name") or DEFAULT_ENCODER, settings.get("weights"))
    return RefineNet(pyramid, features, classes)


class RefineNet(nn.Module):
    """Encoder of depth 5 and four blocks, coarsest first; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(self, encoder: Pyramid, features: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        *finer, coarsest = encoder.channels[2:]
        self.coarsest = RefineBlock(2 * features, coarsest)
        coarse = [2 * features] + [features] * (len(finer) - 1)
        self.blocks = nn.ModuleList(RefineBlock(features, c, y) for c, y in zip(reversed(finer), coarse, strict=True))
        self.head = nn.Sequential(
            ResidualConvUnit(features), ResidualConvUnit(features), Conv(features, classes, kernel=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        padded = pad_to_multiple(x, self.encoder.reduction)
        *finer, coarsest = self.encoder(padded)[2:]
        y = self.coarsest(coarsest)
        for block, feature in zip(self.blocks, reversed(finer), strict=True):
            y = block(feature, y)
        return crop_like(F.interpolate(self.head(y), size=padded.shape[2:], mode="bilinear"), x)


class RefineBlock(nn.Module):
    """Residual units on each input, fusion at the larger one's size, chained residual pooling, a last residual unit.

    Args:
        features: Output channels.
        *channels: Of the inputs, the largest map first.
    """

    def __init__(self, features: int, *channels: int) -> None:
        super().__init__()
        # a map of the encoder is first brought to the block's width; what comes from another block has had its units
        widths = (features, *channels[1:])
        self.adapt = nn.ModuleList(
            nn.Sequential(_conv(c, w) if i == 0 else nn.Identity(), ResidualConvUnit(w), ResidualConvUnit(w))
            for i, (c, w) in enumerate(zip(channels, widths, strict=True))
        )
        self.fuse = nn.ModuleList(_conv(w, features) for w in widths) if len(channels) > 1 else None
        self.pooling = ChainedResidualPooling(features)
        self.output = ResidualConvUnit(features)

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps (B, c, H, W), the others smaller -> (B, features, H, W)."""
        adapted = [adapt(x) for adapt, x in zip(self.adapt, maps, strict=True)]
        y = adapted[0] if self.fuse is None else self._fused(adapted)
        return self.output(self.pooling(y))

    def _fused(self, adapted: list[Tensor]) -> Tensor:
        assert self.fuse is not None
        first, *others = (conv(x) for conv, x in zip(self.fuse, adapted, strict=True))
        for other in others:
            first = first + F.interpolate(other, size=first.shape[2:], mode="bilinear")
        return first


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class ChainedResidualPooling(nn.Module):
    """Steps of 5x5 max-pooling at stride 1 and a convolution, each on the last one's outcome; all are summed.

    Four steps, as in the authors' networks of 118 million parameters on ResNet-101; the text describes two.
    """

    def __init__(self, channels: int, steps: int = 4) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels, channels) for _ in range(steps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        total = step = torch.relu(x)
        for conv in self.convs:
            step = conv(F.max_pool2d(step, 5, stride=1, padding=2))
            total = total + step
        return total


def _conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """A small start: until statistics have been seen, nothing holds back the sums of the many paths."""
    conv = Conv(in_channels, out_channels, bias=False)
    nn.init.normal_(conv.weight, std=0.5 / (9 * in_channels) ** 0.5)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
