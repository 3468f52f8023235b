"""Attention U-Net (Oktay et al. 2018, MIDL)."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.blocks import Conv, Parts, PlainEncoder, UpConv, conv_block, crop_like, join, pad_to_multiple
from spinelab.models.encoders import Settings, encoder_parts, is_paper_form, reject_paper_option


def attention_unet(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float = 0.0,
    gate: Literal["additive", "oktay"] = "additive",
) -> AttentionUNet:
    """An Attention U-Net, by itself or on an encoder.

    Without encoder it is the 2D form that most studies use: 64 to 1024 channels, batch normalisation, nearest-neighbour
    upsampling and a 3x3 convolution, an additive gate on each of the four skips.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (published: 64), doubled a level.
        dropout: Rate after each convolution of the blocks (decoder only, if there is an encoder).
        gate: ``additive``: at the skip's own size, on every skip. ``oktay``: the publication's, on half the skip's size
            with the coarser map as gating signal, on every skip but the one at full size.

    Raises:
        ValueError: `gate` is none of these.
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    if gate not in ("additive", "oktay"):
        raise ValueError(f"gate must be additive or oktay, not {gate!r}")
    if not is_paper_form(encoder):
        reject_paper_option("base", base)
        return AttentionUNet(encoder_parts(in_channels, encoder or {}, dropout), classes, gate)
    block = partial(conv_block, norm=True, dropout=dropout)
    plain = PlainEncoder(in_channels, base or 64, block)
    return AttentionUNet(Parts(plain, plain.channels[:-1], block, UpConv), classes, gate)


class AttentionUNet(nn.Module):
    """A U-Net whose skips are weighted by gates; (B, C, H, W) -> logits (B, K, H, W)."""

    def __init__(self, parts: Parts, classes: int, gate: str = "additive") -> None:
        super().__init__()
        self.encoder = parts.encoder
        *skips, bottom = parts.encoder.channels
        coarser = (*parts.widths[1:], bottom)
        self.nodes = nn.ModuleList(
            GatedNode(c, s, w, parts, gate if level or gate == "additive" else None)
            for level, (c, s, w) in enumerate(zip(coarser, skips, parts.widths, strict=True))
        )
        self.head = Conv(parts.widths[0], classes, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of an image of any size."""
        return self._run(x)[0]

    def attention_maps(self, x: Tensor) -> dict[str, Tensor]:
        """Every gate's coefficients in (0, 1), as (B, 1, H, W) interpolated to the image's size.

        Keys name the skip's stride, finest first: ``stride1``, ``stride2``, ...
        """
        alphas = self._run(x)[1]
        return {f"stride{stride}": _to_image(alphas[stride], x, stride) for stride in sorted(alphas)}

    def _run(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        *skips, y = self.encoder(pad_to_multiple(x, self.encoder.reduction))
        alphas: dict[int, Tensor] = {}
        for level in reversed(range(len(skips))):
            y, alpha = self.nodes[level](y, skips[level])
            if alpha is not None:
                alphas[2**level] = alpha
        return crop_like(self.head(y), x), alphas


def _to_image(alpha: Tensor, x: Tensor, stride: int) -> Tensor:
    return crop_like(F.interpolate(alpha, scale_factor=stride, mode="bilinear") if stride > 1 else alpha, x)


class GatedNode(nn.Module):
    """One step up: H([Gate(skip), Up(coarser)]).

    The gating signal is the upsampled map where upsampling has a convolution of its own (the 2D form), else the coarser
    map itself: a 1x1 convolution before or after nearest-neighbour upsampling is the same, and a quarter of the work.
    """

    def __init__(self, coarse: int, skip: int, width: int, parts: Parts, gate: str | None) -> None:
        super().__init__()
        self.up = parts.up(coarse, width)
        self.block = parts.block(skip + self.up.out_channels, width)
        self.gate_by_up = gate == "additive" and isinstance(self.up, UpConv)
        gating = self.up.out_channels if self.gate_by_up else coarse
        kind = OktayGate if gate == "oktay" else AdditiveGate
        self.gate = kind(skip, gating) if gate and skip else None

    def forward(self, coarse: Tensor, skip: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, coarse, H, W), (B, skip, 2H, 2W) -> (B, width, 2H, 2W) and the gate's (B, 1, 2H, 2W), if there is one."""
        up, alpha = self.up(coarse), None
        if self.gate is not None:
            skip, alpha = self.gate(skip, up if self.gate_by_up else coarse)
        return self.block(join(skip, up)), alpha


class AdditiveGate(nn.Module):
    """The 2D form: sigmoid(BN(psi(relu(BN(W_x x) + BN(W_g g))))) with 1x1 convolutions to half the skip's channels."""

    def __init__(self, skip: int, gating: int) -> None:
        super().__init__()
        inner = max(skip // 2, 1)
        self.w_x = nn.Sequential(Conv(skip, inner, kernel=1), nn.BatchNorm2d(inner))
        self.w_g = nn.Sequential(Conv(gating, inner, kernel=1), nn.BatchNorm2d(inner))
        self.psi = nn.Sequential(Conv(inner, 1, kernel=1), nn.BatchNorm2d(1))

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """Skip (B, C, H, W), gating (B, G, H, W) or half as large -> gated skip, coefficients (B, 1, H, W)."""
        g = self.w_g(gating)
        if g.shape[-2:] != skip.shape[-2:]:
            g = F.interpolate(g, size=skip.shape[-2:])
        alpha = torch.sigmoid(self.psi(torch.relu(self.w_x(skip) + g)))
        return skip * alpha, alpha


class OktayGate(nn.Module):
    """The publication's: theta 2x2 of stride 2 without bias, phi and psi 1x1, at half the skip's size.

    The coefficients are interpolated to the skip's size; the gated skip passes a 1x1 convolution and batch
    normalisation, as in the authors' code.
    """

    def __init__(self, skip: int, gating: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(skip, skip, kernel_size=2, stride=2, bias=False)
        nn.init.kaiming_normal_(self.theta.weight, nonlinearity="relu")
        self.phi = Conv(gating, skip, kernel=1)
        self.psi = Conv(skip, 1, kernel=1)
        self.out = nn.Sequential(Conv(skip, skip, kernel=1), nn.BatchNorm2d(skip))

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """Skip (B, C, 2H, 2W), gating (B, G, H, W) -> gated skip, coefficients (B, 1, 2H, 2W)."""
        alpha = torch.sigmoid(self.psi(torch.relu(self.theta(skip) + self.phi(gating))))
        alpha = F.interpolate(alpha, scale_factor=2, mode="bilinear")
        return self.out(skip * alpha), alpha
