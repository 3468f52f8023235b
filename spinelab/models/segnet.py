"""SegNet (Badrinarayanan, Kendall and Cipolla 2017, IEEE TPAMI)."""

from __future__ import annotations

from functools import partial

from torch import nn

from spinelab.models.blocks import Conv
from spinelab.models.encoders import Settings, SmpEncoder, is_paper_form, reject_paper_option
from spinelab.models.unpooling import VGG16BN, UnpoolingNetwork, decoder_widths, stack


def segnet(
    in_channels: int, classes: int, encoder: Settings | None = None, width: float | None = None
) -> UnpoolingNetwork:
    """A SegNet on VGG16, as published, or on an encoder.

    Nothing but the places of the maxima passes from the encoder to the decoder. On an encoder these are the maxima of
    its feature maps, and a scale of the decoder has two convolutions.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives VGG16.
        width: Factor on VGG16's channels (published: 1).

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `width` is set with an encoder.
    """
    head = partial(Conv, out_channels=classes)
    if is_paper_form(encoder):
        # the last of the decoder's convolutions, without normalisation, is the head
        return UnpoolingNetwork(VGG16BN(in_channels, width or 1.0), nn.Identity(), Conv, (1, 2, 3, 3, 3), head)
    reject_paper_option("width", width)
    settings = encoder or {}
    pyramid = SmpEncoder(in_channels, settings["name"], settings.get("weights"), settings.get("depth") or 5)
    widths = decoder_widths(pyramid)
    bottom = stack(Conv, [pyramid.channels[-1], widths[-1]])
    return UnpoolingNetwork(pyramid, bottom, Conv, [2] * len(widths), head)
