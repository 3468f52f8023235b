"""Verte-Box, a network for vertebrae (Li, Liu, Wu and Li 2022, Tomography): four additions to a U-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Parts, conv_block, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.unet import UNet

DILATIONS = (1, 2, 4)


def verte_box(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
    multi_scale: bool = True,
    channel_attention: bool = True,
    dual_attention: bool = True,
    side_outputs: bool = True,
) -> VerteBox:
    """A U-Net with the additions of Verte-Box, each of which can be left out, by itself or on an encoder.

    The additions are the publication's; where they stand and how wide they are is chosen here. Without any of them it
    is the U-Net of `spinelab.models.unet`.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (None: 32), doubled a level.
        dropout: Rate after each convolution (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.
        multi_scale: The first convolution of a block has three dilations (in the decoder only, if there is an encoder).
        channel_attention: Each skip's channels are weighted (squeeze and excitation, Hu et al. 2018).
        dual_attention: The coarsest map passes position and channel attention (Fu et al. 2019).
        side_outputs: Every scale of the decoder is supervised, and their fusion is the main output.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    block = MultiScaleBlock if multi_scale else conv_block
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout, block=block)
    return VerteBox(parts, classes, channel_attention, dual_attention, side_outputs)


class VerteBox(UNet):
    """A U-Net with attention on skips and coarsest map, and side outputs; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(
        self, parts: Parts, classes: int, channel_attention: bool, dual_attention: bool, side_outputs: bool
    ) -> None:
        super().__init__(parts, classes)
        *skips, bottom = parts.encoder.channels
        self.channel = nn.ModuleList(ChannelAttention(c) if c and channel_attention else nn.Identity() for c in skips)
        self.dual = DualAttention(bottom) if dual_attention else nn.Identity()
        # the finest side output is the U-Net's own head
        self.sides = nn.ModuleList(Conv(c, classes, kernel=1) for c in parts.widths[1:]) if side_outputs else None
        self.fusion = Fusion(len(skips), classes) if side_outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the main output: the fused one or, without side outputs, the finest."""
        return self.heads(x)[0]

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W): fused, then every scale's, finest first. One only without side outputs."""
        padded = pad_to_multiple(x, self.encoder.reduction)
        finest, *coarser = self._decode(padded)
        score = self.head(finest)
        if self.sides is None or self.fusion is None:
            return (crop_like(score, x),)
        sides = (side(y) for side, y in zip(self.sides, coarser, strict=True))
        scores = [score, *(F.interpolate(y, padded.shape[2:], mode="bilinear") for y in sides)]
        return tuple(crop_like(y, x) for y in (self.fusion(scores), *scores))

    def _decode(self, padded: Tensor) -> list[Tensor]:
        *skips, y = self.encoder(padded)
        y, maps = self.dual(y), []
        for node, channel, skip in zip(reversed(self.nodes), reversed(self.channel), reversed(skips), strict=True):
            y = node(y, channel(skip))
            maps.append(y)
        return maps[::-1]


class MultiScaleBlock(nn.Module):
    """`conv_block` with as many parameters, whose first convolution's outputs are half of dilation 1, then 2 and 4."""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        quarter = out_channels // 4
        widths = (out_channels - 2 * quarter, quarter, quarter)
        self.scales = nn.ModuleList(
            _dilated(in_channels, width, dilation, bias) for width, dilation in zip(widths, DILATIONS, strict=True)
        )
        _, *rest = conv_block(out_channels, out_channels, norm=norm, bias=bias, dropout=dropout)
        self.rest = nn.Sequential(*rest)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return self.rest(torch.cat([scale(x) for scale in self.scales], dim=1))


def _dilated(in_channels: int, out_channels: int, dilation: int, bias: bool) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=bias)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class ChannelAttention(nn.Module):
    """x * sigmoid(W2 relu(W1 mean(x))), W1 to a quarter of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 4, 1)
        self.weigh = nn.Sequential(
            Conv(channels, inner, kernel=1), nn.LeakyReLU(0.01), Conv(inner, channels, kernel=1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * self.weigh(x.mean(dim=(2, 3), keepdim=True))


class DualAttention(nn.Module):
    """x + what every pixel takes from the pixels like it + what every channel takes from the channels like it.

    Likeness is a cosine (Fu et al.: a product), because without batch normalisation products are so large that nothing
    but the pixel itself is like it. Memory grows with the square of the number of pixels: meant for the coarsest map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.query, self.key = Conv(channels, inner, kernel=1), Conv(channels, inner, kernel=1)
        self.value = Conv(channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        query, key, value = (layer(x).flatten(2).mT for layer in (self.query, self.key, self.value))
        query, key = F.normalize(query, dim=2), F.normalize(key, dim=2)
        by_position = F.scaled_dot_product_attention(query, key, value, scale=query.shape[2] ** 0.5).mT
        pixels = x.flatten(2)
        direction = F.normalize(pixels, dim=2)
        by_channel = F.scaled_dot_product_attention(direction, direction, pixels, scale=1.0)
        return x + (by_position + by_channel).reshape(x.shape)


class Fusion(nn.Module):
    """A 1x1 convolution over the scores of every scale, which starts as their mean."""

    def __init__(self, scales: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(scales * classes, classes, kernel_size=1)
        with torch.no_grad():
            self.conv.weight.copy_((torch.eye(classes).repeat(1, scales) / scales)[:, :, None, None])
            self.conv.get_parameter("bias").zero_()

    def forward(self, scores: list[Tensor]) -> Tensor:
        """Of each scale (B, K, H, W) -> (B, K, H, W)."""
        return self.conv(torch.cat(scores, dim=1))
