"""The U-Net's parts with another block at each level: what residual and dense U-Nets differ in."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Protocol

from torch import nn

from spinelab.models.blocks import Parts, PlainEncoder, UpTransposed
from spinelab.models.encoders import Settings, encoder_parts, is_paper_form, reject_paper_option


class Block(Protocol):
    """Convolutions at one scale, called like `conv_block`."""

    def __call__(
        self, in_channels: int, out_channels: int, *, norm: bool = False, bias: bool = True, dropout: float = 0.0
    ) -> nn.Module:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        ...


def block_parts(block: Block, in_channels: int, encoder: Settings | None, base: int | None, dropout: float) -> Parts:
    """The paper form (review's Table 2, `base` channels or 32) or the encoder form, made of this block.

    Without encoder the blocks stand in both paths, without batch normalisation; with one they stand in the decoder
    only, with it. `dropout` is the rate after each of the blocks' convolutions.

    Raises:
        ConfigError: `base` is given together with an encoder, or the encoder cannot be built.
    """
    if is_paper_form(encoder):
        made = partial(block, dropout=dropout)
        plain = PlainEncoder(in_channels, base or 32, made)
        return Parts(plain, plain.channels[:-1], made, UpTransposed)
    reject_paper_option("base", base)
    return replace(
        encoder_parts(in_channels, encoder or {}), block=partial(block, norm=True, bias=False, dropout=dropout)
    )


def default_dropout(encoder: Settings | None, dropout: float | None) -> float:
    """The rate that is meant by None: 0.5 in the paper form (the review's Table 2), 0 on an encoder."""
    return dropout if dropout is not None else 0.5 if is_paper_form(encoder) else 0.0
