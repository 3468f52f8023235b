"""U-Net (Ronneberger, Fischer and Brox 2015, MICCAI)."""

from __future__ import annotations

from torch import Tensor, nn

from spinelab.models.blocks import Conv, Node, Parts, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, build_parts


def unet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
) -> UNet:
    """A U-Net, by itself or on an encoder.

    Without encoder it is the baseline of the U-Net++ authors and the review's Table 2: four levels, 3x3, ReLU, dropout
    0.5 after each convolution, same padding, 2x2 transposed convolutions, no batch normalisation.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (published: 32; 2015: 64), doubled a level.
        dropout: Rate after each convolution (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    return UNet(build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout), classes)


class UNet(nn.Module):
    """Contracting path, expanding path, concatenated skips; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(self, parts: Parts, classes: int) -> None:
        super().__init__()
        self.encoder = parts.encoder
        *skips, bottom = parts.encoder.channels
        coarser = (*parts.widths[1:], bottom)
        nodes = zip(coarser, skips, parts.widths, strict=True)
        self.nodes = nn.ModuleList(Node(*channels, parts) for channels in nodes)
        self.head = Conv(parts.widths[0], classes, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        *skips, y = self.encoder(pad_to_multiple(x, self.encoder.reduction))
        for node, skip in zip(reversed(self.nodes), reversed(skips), strict=True):
            y = node(y, skip)
        return crop_like(self.head(y), x)
