"""Encoders of segmentation_models_pytorch and timm, so that architectures are compared on equal encoders."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from spinelab.errors import ConfigError
from spinelab.models.blocks import Block, Parts, Pyramid, UpNearest, conv_block, paper_parts

WIDTHS = (16, 32, 64, 128, 256)
"""Channels of every expanding path at strides 1, 2, 4, 8, 16, as in segmentation_models_pytorch."""

Settings = Mapping[str, Any]
"""``name`` (null: paper form), ``weights`` (null or imagenet) and, optionally, ``depth`` (maps below full size, 5)."""


def is_paper_form(encoder: Settings | None) -> bool:
    """Whether no encoder is chosen."""
    return encoder is None or encoder.get("name") is None


def build_parts(
    in_channels: int,
    encoder: Settings | None,
    *,
    base: int | None,
    default_base: int,
    dropout: float | None,
    block: Block = conv_block,
) -> Parts:
    """The parts of the paper form (no encoder) or of the encoder form.

    Args:
        in_channels: Channels of the image.
        encoder: Which encoder, see `Settings`.
        base: Width of the paper form, None for `default_base`.
        default_base: The width that was published.
        dropout: After each convolution of the decoder (paper form: of the network). None: 0 (paper form: 0.5).
        block: Convolutions at one scale, of the decoder (paper form: of both paths).

    Raises:
        ConfigError: `base` is given together with an encoder, or the encoder cannot be built.
    """
    if is_paper_form(encoder):
        return paper_parts(in_channels, base or default_base, 0.5 if dropout is None else dropout, block)
    reject_paper_option("base", base)
    return encoder_parts(in_channels, encoder or {}, dropout or 0.0, block)


def encoder_parts(in_channels: int, encoder: Settings, dropout: float = 0.0, block: Block = conv_block) -> Parts:
    """Any encoder; a block (two 3x3 convolutions) with batch normalisation a step, nearest-neighbour upsampling."""
    pyramid = SmpEncoder(in_channels, encoder["name"], encoder.get("weights"), encoder.get("depth") or 5)
    made = partial(block, norm=True, bias=False, dropout=dropout)
    return Parts(pyramid, WIDTHS[: len(pyramid.channels) - 1], made, UpNearest)


def reject_paper_option(name: str, value: object) -> None:
    """Raise ConfigError if an option of the paper form is set together with an encoder: it would do nothing."""
    if value is not None:
        raise ConfigError(
            f"model.{name}={value} has no meaning with an encoder", f"drop model.{name} or use encoder=none"
        )


class SmpEncoder(Pyramid):
    """A segmentation_models_pytorch or timm encoder as a pyramid; full size comes first, without channels.

    Args:
        in_channels: Channels of the image; pretrained first layers are adapted.
        name: Such as ``resnet18``, or ``tu-`` and a timm name.
        weights: None or the name of a set of weights, such as ``imagenet``.
        depth: Number of maps below full size.

    Raises:
        ConfigError: The encoder or its weights are unknown, cannot be downloaded, or do not give a pyramid.
    """

    def __init__(self, in_channels: int, name: str, weights: str | None = None, depth: int = 5) -> None:
        super().__init__()
        check_encoder(name, weights)
        self.name, self.in_channels = name, in_channels
        with explained(name, weights):
            self.net: nn.Module = smp.encoders.get_encoder(
                name, in_channels=in_channels, depth=depth, weights=smp_weights(name, weights)
            )
        self.channels = (0, *(int(c) for c in self.net.out_channels[1:]))  # type: ignore[index, union-attr]
        self.reduction = 2**depth
        drop_unused(self.net, in_channels, name)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps at strides 1 (without channels), 2, 4, ..."""
        return [x[:, :0], *self.net(x)[1:]]

    def shallow(self, count: int) -> Self:
        """A copy, with the same weights, that computes only the `count` finest maps."""
        part = type(self)(self.in_channels, self.name, depth=count - 1)
        weights = self.state_dict()
        part.load_state_dict({key: copy.deepcopy(weights[key]) for key in part.state_dict()}, assign=True)
        return part.train(self.training)


def drop_unused(net: nn.Module, in_channels: int, name: str) -> None:
    """Remove the layers of an encoder that its feature maps do not depend on (resnet at depth 3 keeps its layer4).

    They would count as parameters, and DistributedDataParallel stops at parameters that get no gradient.

    Raises:
        ConfigError: The encoder does not take a 64x64 image.
    """
    parameters, training = list(net.parameters()), net.training
    try:
        with torch.enable_grad():  # pruning happens where nobody needs gradients
            maps = net.eval()(torch.zeros(1, in_channels, 64, 64, device=parameters[0].device))
            total = torch.stack([m.sum() for m in maps[1:] if m.numel()]).sum()
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"encoder {name} does not take images of any size: {error}", "choose a convolutional encoder"
        ) from error
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    _remove(net.train(training), {id(p) for p, g in zip(parameters, gradients, strict=True) if g is None})


class _Skipped(nn.Module):
    """In place of an unused layer; some encoders still call it, and discard what it returns."""

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        return x


def _remove(module: nn.Module, unused: set[int]) -> None:
    for name, child in module.named_children():
        ids = {id(p) for p in child.parameters()}
        if ids and ids <= unused:
            setattr(module, name, _Skipped())
        else:
            _remove(child, unused)


def check_encoder(name: str, weights: str | None) -> None:
    """Raise ConfigError if the encoder or its weights are unknown, naming what comes near."""
    names = smp.encoders.get_encoder_names()
    if name not in names and not (name.startswith("tu-") and timm.is_model(name[3:])):
        near = difflib.get_close_matches(name, [*names, *(f"tu-{n}" for n in timm.list_models())], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(
            f"encoder {name!r} is unknown", f"{hint}timm's encoders are written tu-<name>; null is the paper form"
        )
    known = ["imagenet"] if name.startswith("tu-") else [*smp.encoders.encoders[name]["pretrained_settings"]]
    if weights is not None and weights not in known:
        raise ConfigError(
            f"encoder.weights={weights!r} is unknown for {name}", f"use null (random) or {', '.join(known)}"
        )


def smp_weights(name: str, weights: str | None) -> str | bool | None:
    """What smp's `get_encoder` wants for `weights`: timm's encoders take True, their own name says which."""
    return True if name.startswith("tu-") and weights else weights


@contextmanager
def explained(name: str, weights: str | None) -> Iterator[None]:
    """Turn whatever a failing download raises into a ConfigError that says what to do without a network."""
    try:
        yield
    except Exception as error:  # hub, http and operating system each have their own
        if weights is None:
            raise ConfigError(f"encoder {name} cannot be built: {error}", "choose another encoder or depth") from error
        tiny = f"timm/{name[3:]}" if name.startswith("tu-") else f"smp-hub/{name}.{weights}"
        raise ConfigError(
            f"the {weights} weights of encoder {name} could not be loaded ({type(error).__name__}: {error})",
            "use encoder.weights=null (random initialisation), or, where there is a network, run "
            f"`hf download {tiny}` and copy ~/.cache/huggingface/hub to this machine (HF_HOME says where it lies)",
        ) from error
