"""Optimizers that go over the weights once, which takes half of the time on a processor."""

from __future__ import annotations

import inspect
from functools import partial

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer

from spinelab.tasks.fine_tuning import OptimizerFactory

KINDS = ("fused", "foreach", "capturable", "differentiable")
"""Arguments by which a configuration chooses torch's way itself."""


def fused(factory: OptimizerFactory, device: torch.device) -> OptimizerFactory:
    """The same optimizer with torch's fused kernels, where it has them and the weights lie on a processor.

    On a GPU torch chooses: a fused optimizer does not go with the scaled gradients of float16 where they are clipped.

    Args:
        factory: Parameters -> optimizer; it is left alone if it says itself which kernels to use.
        device: Of the weights.
    """
    own = set(factory.keywords) if isinstance(factory, partial) else set()
    if device.type != "cpu" or own & set(KINDS) or "fused" not in inspect.signature(factory).parameters:
        return factory
    return partial(factory, fused=True)  # type: ignore[call-arg]


def clip_gradients(
    plugin: Precision, optimizer: Optimizer, limit: float, algorithm: GradClipAlgorithmType | str | None
) -> None:
    """Clip as Lightning does; with mixed precision it refuses fused optimizers, though bfloat16 scales no gradient."""
    clip = plugin.clip_gradients
    if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
        clip = super(MixedPrecision, plugin).clip_gradients
    clip(optimizer, limit, GradClipAlgorithmType(algorithm or "norm"))
