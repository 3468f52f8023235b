"""A U-Net that sees the image at several scales, after the multi-scale network of Arends et al. 2022."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Pyramid, join
from spinelab.models.encoders import Settings, build_parts
from spinelab.models.unet import UNet


def multi_scale(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
    scales: int = 3,
) -> UNet:
    """A U-Net of several contracting paths, by itself or on an encoder.

    Of the publication the review tells no more than the several scales; paths, widths and fusion are chosen here. Its
    second output, which names the vertebra, is no segmentation and is left out.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (None: 32), doubled a level.
        dropout: Rate after each convolution (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.
        scales: Paths: the first sees the image, each further one an image half as large.

    Raises:
        ValueError: There are fewer than one or more paths than the encoder has maps below full size.
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout)
    return UNet(replace(parts, encoder=MultiScale(parts.encoder, scales)), classes)


class MultiScale(Pyramid):
    """Paths with weights of their own; maps of the same size are concatenated, the finest path's first.

    Each further path is one map shorter, so that all end at the same size. Its first weights are the first path's,
    pretrained ones too.

    Args:
        path: The first path.
        scales: Number of paths.

    Raises:
        ValueError: There are fewer than one or more paths than `path` has maps below full size.
    """

    def __init__(self, path: Pyramid, scales: int) -> None:
        super().__init__()
        count = len(path.channels)
        if not 1 <= scales < count:
            raise ValueError(f"scales must lie between 1 and {count - 1}, not {scales}")
        self.paths = nn.ModuleList([path, *(path.shallow(count - scale) for scale in range(1, scales))])
        self.channels = tuple(sum(path.channels[max(i - scales + 1, 0) : i + 1]) for i in range(count))
        self.reduction = path.reduction

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of (B, C, H, W), H and W multiples of `reduction`, at the first path's strides."""
        maps: list[list[Tensor]] = [[] for _ in self.channels]
        for scale, path in enumerate(self.paths):
            image = F.avg_pool2d(x, 2**scale) if scale else x
            for level, feature in enumerate(path(image), start=scale):
                maps[level].append(feature)
        return [level[0] if len(level) == 1 else join(*level) for level in maps]
