"""The samplers that a search can choose from, and one draw of any of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from spinelab.errors import ConfigError
from spinelab.sweeps.cma_es import CmaEs
from spinelab.sweeps.cube import step_value, steps
from spinelab.sweeps.particle_swarm import ParticleSwarm
from spinelab.sweeps.seeds import seed_of
from spinelab.sweeps.space import Space

SamplerName = Literal["grid", "random", "tpe", "cmaes", "pso"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)


def make_sampler(name: SamplerName, space: Space, seed: int, number: int, budget: int) -> BaseSampler:
    """The sampler that draws one trial's parameters.

    Args:
        name: Which one.
        space: What is searched.
        seed: Of the study.
        number: Of the trial: what is random is a function of the seed and this number.
        budget: Trials that the whole study has; a grid is made as fine as that allows.

    Raises:
        ConfigError: There is no such sampler.
    """
    own = seed_of(seed, number)
    if name == "grid":
        return GridSampler(grid_values(space, budget), seed=seed)  # shuffled alike for every trial
    if name == "random":
        return RandomSampler(seed=own)
    if name == "tpe":
        return TPESampler(seed=own)
    if name == "cmaes":
        return CmaEs(space, seed=seed)
    if name == "pso":
        return ParticleSwarm(space, seed=own)
    raise ConfigError(f"there is no sampler {name!r}", f"choices: {', '.join(SAMPLERS)}")


def propose(past: Iterable[FrozenTrial], sampler: BaseSampler, space: Space) -> FrozenTrial:
    """What a sampler draws after these trials, as a running trial.

    The draw is made in a study in memory, so that it depends on nothing else, and so that a trial can be written into
    the journal whole: a process that is killed leaves no trial with some of its parameters.
    """
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(past)
    study.ask(fixed_distributions=space)
    return study.get_trials(deepcopy=False)[-1]


def grid_values(space: Space, budget: int) -> dict[str, Sequence[Any]]:
    """Every value of discrete parameters, and as many evenly spaced ones of intervals as the budget has room for.

    An interval gets at least its two ends. A grid that is larger than the budget is tried in part, in random order.
    """
    discrete = {name: _all_values(distribution) for name, distribution in space.items()}
    room = budget / math.prod(len(values) for values in discrete.values() if values is not None)
    intervals = sum(values is None for values in discrete.values())
    points = max(2, int(room ** (1 / max(1, intervals)) + 1e-9))
    return {name: discrete[name] or _spread(space[name], points) for name in space}


def _all_values(distribution: BaseDistribution) -> list[Any] | None:
    """None for an interval; over one of whole numbers values are spread, too."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    count = steps(distribution)
    if count is None or (isinstance(distribution, IntDistribution) and distribution.step == 1):
        return None
    return [step_value(distribution, index) for index in range(count)]


def _spread(distribution: BaseDistribution, points: int) -> list[Any]:
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    spaced = np.geomspace(low, high, points) if distribution.log else np.linspace(low, high, points)
    inside = np.clip(spaced, low, high).tolist()
    return sorted({round(value) for value in inside} if isinstance(distribution, IntDistribution) else set(inside))
