"""Further architectures, as segmentation_models_pytorch has them, behind the same contract."""

from __future__ import annotations

import difflib
from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from spinelab.errors import ConfigError
from spinelab.models.blocks import crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, check_encoder, drop_unused, explained, smp_weights

SIZE = 32
"""Images are padded to multiples of this."""

MINIMUM = {"pan": 128}
"""PAN pools its map at stride 16 three times."""

DEFAULT_ENCODER = "resnet18"
"""These architectures have no form without an encoder."""


def build(
    in_channels: int, classes: int, architecture: str, encoder: Settings | None = None, **options: Any
) -> PaddedNetwork:
    """An architecture of segmentation_models_pytorch.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        architecture: Such as ``deeplabv3plus``; smp's ``manet`` is not the MANet of the review.
        encoder: ``name`` (null: resnet18), ``weights`` and, optionally, ``depth`` (else the architecture's own).
        **options: Further arguments of smp's class, such as ``decoder_channels``.

    Raises:
        ConfigError: Architecture or encoder are unknown, do not go together, or weights cannot be loaded.
    """
    settings = dict(encoder or {})
    name, weights = settings.get("name") or DEFAULT_ENCODER, settings.get("weights")
    _check_architecture(architecture)
    check_encoder(name, weights)
    if settings.get("depth"):
        options["encoder_depth"] = settings["depth"]
    with explained(name, weights):
        network = smp.create_model(
            architecture, name, smp_weights(name, weights), in_channels=in_channels, classes=classes, **options
        )
    drop_unused(network.encoder, in_channels, name)
    return PaddedNetwork(network, minimum=MINIMUM.get(architecture, SIZE))


def _check_architecture(architecture: str) -> None:
    known = list(smp.MODEL_ARCHITECTURES_MAPPING)
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=1) or known
        raise ConfigError(f"architecture {architecture!r} is unknown", f"use {', '.join(near)}")


class PaddedNetwork(nn.Module):
    """A network that needs multiples of 32 pixels, and no fewer than `minimum`, for images of any size."""

    def __init__(self, network: nn.Module, minimum: int = SIZE) -> None:
        super().__init__()
        self.network, self.minimum = network, minimum

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K, H, W).

        Several decoders normalise a globally pooled map, and batch normalisation refuses a single value a channel. So
        in training a batch of one (the last of an epoch) runs as a pair of twins, whose mean and variance are its own.
        """
        batch = x.repeat(2, 1, 1, 1) if self.training and x.shape[0] == 1 else x
        logits: Tensor = self.network(pad_to_multiple(batch, SIZE, self.minimum))
        return crop_like(logits[: x.shape[0]], x)
