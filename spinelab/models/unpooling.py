"""Unpooling to the places of the maxima, and what SegNet and DeconvNet share: VGG16, a bottom, its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Pyramid, crop_like, pad_to_multiple
from spinelab.models.encoders import WIDTHS

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Of VGG16, finest scale first."""


def corners(x: Tensor) -> Tensor:
    """Where in each 2x2 window the maximum lies; (B, C, 2H, 2W) -> (B, C, H, W) int64.

    0 to 3 stand for top left, top right, bottom left and bottom right; of equals the first counts.
    """
    places = F.max_pool2d(x.detach(), 2, return_indices=True)[1]
    return places // x.shape[-1] % 2 * 2 + places % 2


def unpool(x: Tensor, corner: Tensor) -> Tensor:
    """Put every value at its corner of a 2x2 window, zeros elsewhere; two of (B, C, H, W) -> (B, C, 2H, 2W).

    As `torch.nn.MaxUnpool2d`, which on graphics cards has no deterministic form.
    """
    numbers = torch.arange(4, device=x.device).view(1, 1, 4, 1, 1)
    windows = x.unsqueeze(2) * (corner.unsqueeze(2) == numbers)
    return F.pixel_shuffle(windows.flatten(1, 2), 2)


def layer(conv: nn.Module, channels: int) -> nn.Sequential:
    """A convolution or deconvolution, batch normalisation, ReLU."""
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class VGG16BN(Pyramid):
    """The 13 convolutions of VGG16 (Simonyan and Zisserman 2015) with batch normalisation.

    Its maps are those before each pooling, and last what the fifth pooling leaves.
    """

    def __init__(self, in_channels: int, width: float = 1.0) -> None:
        super().__init__()
        channels = tuple(round(c * width) for c in (64, 128, 256, 512, 512))
        self.channels, self.reduction = (*channels, channels[-1]), 32
        sizes = zip(pairwise((in_channels, *channels)), CONVOLUTIONS, strict=True)
        self.stages = nn.ModuleList(stack(Conv, [a, *[b] * count]) for (a, b), count in sizes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps at strides 1, 2, 4, 8, 16 and 32."""
        maps = []
        for stage in self.stages:
            maps.append(stage(x))
            x = F.max_pool2d(maps[-1], 2)
        return [*maps, x]


def stack(make: Callable[[int, int], nn.Module], channels: Sequence[int]) -> nn.Sequential:
    """One layer from each number of channels to the next."""
    return nn.Sequential(*(layer(make(a, b), b) for a, b in pairwise(channels)))


class UnpoolingNetwork(nn.Module):
    """Encoder, bottom, and a decoder that knows of the encoder's maps only where their maxima lie.

    (B, C, H, W) -> logits (B, K, H, W). The maxima of every map of the encoder take the place of pooling's; where the
    encoder has no map (full size, on a chosen encoder) the decoder repeats pixels.

    Args:
        encoder: Maps at strides 1, 2, 4, ...
        bottom: From the coarsest map's channels to those of the map above.
        make: (in, out) -> 3x3 convolution or deconvolution.
        counts: How many of them at each scale, finest first.
        head: Scores, from the finest scale's channels.
    """

    def __init__(
        self,
        encoder: Pyramid,
        bottom: nn.Module,
        make: Callable[[int, int], nn.Module],
        counts: Sequence[int],
        head: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.encoder, self.bottom = encoder, bottom
        widths = decoder_widths(encoder)
        finer = (widths[0], *widths[:-1])
        sizes = zip(widths, finer, counts, strict=True)
        self.blocks = nn.ModuleList(stack(make, [*[a] * count, b]) for a, b, count in sizes)
        self.head = head(widths[0])

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        *maps, y = self.encoder(pad_to_multiple(x, self.encoder.reduction))
        y = self.bottom(y)
        for block, finer in zip(reversed(self.blocks), reversed(maps), strict=True):
            y = block(unpool(y, corners(finer)) if finer.shape[1] else F.interpolate(y, scale_factor=2))
        return crop_like(self.head(y), x)


def decoder_widths(encoder: Pyramid) -> list[int]:
    """Channels that are unpooled at each scale, finest first: those of the map whose maxima are used."""
    return [channels or WIDTHS[0] for channels in encoder.channels[:-1]]
