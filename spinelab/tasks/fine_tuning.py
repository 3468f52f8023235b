"""How weights that were trained elsewhere are trained further: an encoder that is frozen, or learns more slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

OptimizerFactory = Callable[[Iterable[nn.Parameter] | Iterable[dict[str, Any]]], Optimizer]


def encoder_of(network: nn.Module) -> nn.Module:
    """The encoder of a network, or of the one that it wraps (as those of segmentation_models_pytorch are).

    Raises:
        ValueError: It has no part of that name.
    """
    for holder in (network, getattr(network, "network", None)):
        encoder = getattr(holder, "encoder", None)
        if isinstance(encoder, nn.Module):
            return encoder
    raise ValueError(f"{type(network).__name__} has no encoder whose learning rate could differ")


def optimizer_with_rates(
    factory: OptimizerFactory, parameters: Iterable[nn.Parameter], slower: Iterable[nn.Parameter], factor: float
) -> Optimizer:
    """An optimizer whose second group holds the slower parameters; a schedule that multiplies keeps their ratio.

    Args:
        factory: Parameters, or groups of them -> optimizer.
        parameters: All that are trained.
        slower: Those that get `factor` times the learning rate; those that are not trained are left out.
        factor: Above 0.
    """
    trained, slow = list(parameters), {id(parameter) for parameter in slower}
    groups = [[parameter for parameter in trained if (id(parameter) in slow) == which] for which in (False, True)]
    optimizer = factory({"params": group} for group in groups)
    optimizer.param_groups[1]["lr"] *= factor  # what the rate is, only the factory knows
    return optimizer
