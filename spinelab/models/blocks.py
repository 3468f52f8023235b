"""Building blocks that the architectures share, and the parts that the U-Net family is put together from.

Convolutions are He-initialised (He et al. 2015): without batch normalisation, PyTorch's default initialisation
shrinks the signal from layer to layer, and the paper-form networks stay at "all background".
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pad_to_multiple(x: Tensor, multiple: int, minimum: int = 0) -> Tensor:
    """Repeat the last row and column of (B, C, H, W) until H and W are multiples of `multiple`, at least `minimum`."""
    below, right = (max(-size % multiple, minimum - size) for size in x.shape[-2:])
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def crop_like(x: Tensor, image: Tensor) -> Tensor:
    """Undo `pad_to_multiple`: the top left part of `x`, as large as `image`."""
    return x[..., : image.shape[-2], : image.shape[-1]]


class Conv(nn.Conv2d):
    """Convolution that keeps the size; He-normal weights, zero bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)

    def reset_parameters(self) -> None:
        """He-normal by fan-in."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class UpTransposed(nn.ConvTranspose2d):
    """2x2 transposed convolution of stride 2: each output pixel sees one input pixel, the fan-in is `in_channels`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=2, stride=2)

    def reset_parameters(self) -> None:
        """He-normal by the true fan-in (PyTorch's own reckoning takes the output channels)."""
        nn.init.normal_(self.weight, std=(2 / self.in_channels) ** 0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class UpNearest(nn.Upsample):
    """Nearest neighbour, twice as large; the channels stay as they are."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(scale_factor=2, mode="nearest")
        self.out_channels = in_channels


class UpConv(nn.Sequential):
    """Nearest neighbour, then 3x3 convolution, batch normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        conv = Conv(in_channels, out_channels)
        super().__init__(nn.Upsample(scale_factor=2), conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
        self.out_channels = out_channels


def conv_block(
    in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
) -> nn.Sequential:
    """Two times: 3x3 convolution, batch normalisation if `norm`, ReLU, dropout if any."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers.append(Conv(channels, out_channels, bias=bias))
        layers += [nn.BatchNorm2d(out_channels)] if norm else []
        layers.append(nn.ReLU(inplace=True))
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)


class Pyramid(nn.Module):
    """An encoder: an image in, feature maps out, finest first, each half as large as the one before.

    Attributes:
        channels: Channels of each map; 0 stands for a scale at which the encoder has nothing to hand over.
        reduction: Image size over size of the coarsest map.
    """

    channels: tuple[int, ...]
    reduction: int

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of (B, C, H, W), H and W multiples of `reduction`."""
        raise NotImplementedError

    def shallow(self, count: int) -> Self:
        """A copy, with the same weights, that computes only the `count` finest maps."""
        raise NotImplementedError


class PlainEncoder(Pyramid):
    """The U-Net's own contracting path: a block a level, 2x2 max-pooling between; `base` channels, doubled a level."""

    def __init__(self, in_channels: int, base: int, block: Callable[[int, int], nn.Module], levels: int = 4) -> None:
        super().__init__()
        self.channels = tuple(base * 2**level for level in range(levels + 1))
        self.reduction = 2**levels
        self.blocks = nn.ModuleList(block(a, b) for a, b in pairwise((in_channels, *self.channels)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps at strides 1, 2, 4, ..."""
        maps = [self.blocks[0](x)]
        for block in self.blocks[1:]:
            maps.append(block(F.max_pool2d(maps[-1], 2)))
        return maps

    def shallow(self, count: int) -> Self:
        """A copy, with the same weights, that computes only the `count` finest maps."""
        part = copy.deepcopy(self)
        part.blocks, part.channels, part.reduction = part.blocks[:count], self.channels[:count], 2 ** (count - 1)
        return part


@dataclass(frozen=True)
class Parts:
    """What the two forms of an architecture differ in.

    Attributes:
        encoder: The contracting path.
        widths: Channels of the expanding path, finest first, one fewer than the encoder has maps.
        block: (in, out) -> convolutions at one scale.
        up: (in, out) -> upsampling by two, with an attribute `out_channels`.
    """

    encoder: Pyramid
    widths: tuple[int, ...]
    block: Callable[[int, int], nn.Module]
    up: Callable[[int, int], UpTransposed | UpNearest | UpConv]


class Block(Protocol):
    """Convolutions at one scale, called like `conv_block`."""

    def __call__(
        self, in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> nn.Module:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""


def paper_parts(in_channels: int, base: int, dropout: float, block: Block = conv_block) -> Parts:
    """The review's Table 2: four levels, 3x3, ReLU, dropout after each convolution, no batch normalisation."""
    made = partial(block, dropout=dropout)
    encoder = PlainEncoder(in_channels, base, made)
    return Parts(encoder, encoder.channels[:-1], made, UpTransposed)


class Node(nn.Module):
    """H([skips, Up(coarser)]): one step of an expanding path.

    Args:
        coarse: Channels of the coarser map.
        skips: Channels of all skips together, possibly 0.
        width: Output channels.
        parts: Where block and upsampling come from.
    """

    def __init__(self, coarse: int, skips: int, width: int, parts: Parts) -> None:
        super().__init__()
        self.up = parts.up(coarse, width)
        self.block = parts.block(skips + self.up.out_channels, width)

    def forward(self, coarse: Tensor, *skips: Tensor) -> Tensor:
        """(B, coarse, H, W) and skips (B, *, 2H, 2W) -> (B, width, 2H, 2W)."""
        return self.block(join(*skips, self.up(coarse)))


def join(*maps: Tensor) -> Tensor:
    """Concatenate channels; a map without channels is left out, because it would undo channels_last."""
    filled = [x for x in maps if x.shape[1]]
    return torch.cat(filled, dim=1) if len(filled) > 1 else filled[0]
