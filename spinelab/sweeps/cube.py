"""Points of a cube as parameters: what searches that move through space share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def columns(distribution: BaseDistribution) -> int:
    """How many coordinates a parameter takes: one, or one a category."""
    return len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 1


def decode(point: np.ndarray, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The parameters that a point stands for.

    Args:
        point: (D,) coordinates from 0 to 1; a category is the one whose coordinate is the largest.
        space: Parameters in the order of their coordinates.
    """
    ends = np.cumsum([columns(distribution) for distribution in space.values()])
    parts = np.split(point, ends[:-1])
    return {name: value_at(part, found) for (name, found), part in zip(space.items(), parts, strict=True)}


def value_at(part: np.ndarray, distribution: BaseDistribution) -> Any:
    """The value of one parameter, each value of a discrete one having an equal share of the axis."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(np.argmax(part))]
    at, count = float(part[0]), steps(distribution)
    if count is not None:
        return step_value(distribution, min(int(at * count), count - 1))
    if isinstance(distribution, IntDistribution):
        nearest = round(_between(distribution.low - 0.5, distribution.high + 0.5, at, log=True))
        return min(max(nearest, distribution.low), distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return _between(distribution.low, distribution.high, at, distribution.log)


def steps(distribution: BaseDistribution) -> int | None:
    """How many values a stepped parameter has; None for other parameters."""
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round((distribution.high - distribution.low) / distribution.step) + 1
    return None


def step_value(distribution: BaseDistribution, index: int) -> int | float:
    """The value of a stepped parameter with this index."""
    if isinstance(distribution, IntDistribution):
        return distribution.low + index * distribution.step
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is not None
    return min(distribution.low + index * distribution.step, distribution.high)


def _between(low: float, high: float, at: float, log: bool) -> float:
    value = math.exp(math.log(low) + at * math.log(high / low)) if log else low + at * (high - low)
    return min(max(value, low), high)
