"""DeconvNet (Noh, Hong and Han 2015, ICCV)."""

from __future__ import annotations

from functools import partial

from torch import nn

from spinelab.models.blocks import Conv
from spinelab.models.encoders import Settings, SmpEncoder, is_paper_form, reject_paper_option
from spinelab.models.unpooling import CONVOLUTIONS, VGG16BN, UnpoolingNetwork, decoder_widths, layer, stack


def deconvnet(
    in_channels: int, classes: int, encoder: Settings | None = None, width: float | None = None
) -> UnpoolingNetwork:
    """A DeconvNet on VGG16, as published, or on an encoder.

    The mirror image of VGG16 with fc6 and fc7, of 3x3 deconvolutions after each unpooling. fc6 and its deconvolution
    pad by 3, so that images of any size pass; the publication's are whole 224x224 windows around object proposals.

    On an encoder two 3x3 convolutions of 256 channels stand in for fc6 and fc7.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives VGG16 with fc6 and fc7.
        width: Factor on VGG16's channels, fc6 and fc7 included (published: 1).

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `width` is set with an encoder.
    """
    head = partial(Conv, out_channels=classes, kernel=1)
    if is_paper_form(encoder):
        vgg, hidden = VGG16BN(in_channels, width or 1.0), round(4096 * (width or 1.0))
        return UnpoolingNetwork(vgg, fully_connected(vgg.channels[-1], hidden), Deconv, CONVOLUTIONS, head)
    reject_paper_option("width", width)
    settings = encoder or {}
    pyramid = SmpEncoder(in_channels, settings["name"], settings.get("weights"), settings.get("depth") or 5)
    widths = decoder_widths(pyramid)
    bottom = nn.Sequential(stack(Conv, [pyramid.channels[-1], 256, 256]), stack(Deconv, [256, widths[-1]]))
    return UnpoolingNetwork(pyramid, bottom, Deconv, [2] * len(widths), head)


def fully_connected(channels: int, hidden: int) -> nn.Sequential:
    """fc6 (7x7), fc7 (1x1) and the 7x7 deconvolution that leads back, each with batch normalisation and ReLU."""
    fc6, fc7 = Conv(channels, hidden, kernel=7), Conv(hidden, hidden, kernel=1)
    return nn.Sequential(layer(fc6, hidden), layer(fc7, hidden), layer(Deconv(hidden, channels, kernel=7), channels))


class Deconv(nn.ConvTranspose2d):
    """Deconvolution of stride 1 that keeps the size; He-normal weights, zero bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)

    def reset_parameters(self) -> None:
        """He-normal by the true fan-in (PyTorch's own reckoning takes the output channels)."""
        fan_in = self.in_channels * self.kernel_size[0] * self.kernel_size[1]
        nn.init.normal_(self.weight, std=(2 / fan_in) ** 0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
