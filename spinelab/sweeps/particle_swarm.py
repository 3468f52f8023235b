"""Particle swarm optimisation.

Kennedy and Eberhart, Particle swarm optimization (ICNN 1995), with the inertia weight of Shi and Eberhart, A modified
particle swarm optimizer (CEC 1998), and the constants of Eberhart and Shi, Comparing inertia weights and constriction
factors in particle swarm optimization (CEC 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from spinelab.sweeps.cube import columns, decode
from spinelab.sweeps.space import Space

POSITION, VELOCITY = "pso:position", "pso:velocity"


class ParticleSwarm(BaseSampler):
    """Trial n moves particle n mod `particles`; what the particles know is read from the trials of the study.

    A particle is drawn to the best place that it has seen and to the best that any has seen. It stops at the wall
    of the search space. Failed and pruned trials have been nowhere, but their particles fly on.

    Args:
        space: What is searched.
        seed: Of this sampler's draws.
        particles: Size of the swarm.
        inertia: What is left of a particle's velocity.
        attraction: To the particle's best place, and to the swarm's.

    Raises:
        ValueError: There is no particle.
    """

    def __init__(
        self, space: Space, seed: int, particles: int = 8, inertia: float = 0.729, attraction: float = 1.494
    ) -> None:
        if particles < 1:
            raise ValueError(f"a swarm has at least one particle, not {particles}")
        self.space, self.particles, self.inertia, self.attraction = space, particles, inertia, attraction
        self._random = np.random.default_rng(seed)
        self._independent = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """All parameters are chosen together."""
        return self.space

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """Move the particle whose turn it is."""
        before = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number and POSITION in t.system_attrs]
        own = [t for t in before if t.number % self.particles == trial.number % self.particles]
        position, velocity = self._move(own, before, study.direction) if own else self._first()
        for name, vector in ((POSITION, position), (VELOCITY, velocity)):
            study._storage.set_trial_system_attr(trial._trial_id, name, vector.tolist())
        return decode(position, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter that is not in the space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _first(self) -> tuple[np.ndarray, np.ndarray]:
        size = sum(columns(distribution) for distribution in self.space.values())
        return self._random.random(size), self._random.uniform(-0.25, 0.25, size)

    def _move(
        self, own: Sequence[FrozenTrial], everybody: Sequence[FrozenTrial], direction: StudyDirection
    ) -> tuple[np.ndarray, np.ndarray]:
        here, velocity = (np.array(own[-1].system_attrs[name]) for name in (POSITION, VELOCITY))
        velocity = self.inertia * velocity
        for trials in (own, everybody):
            if (best := best_of(trials, direction)) is not None:
                pull = self.attraction * self._random.random(len(here))
                velocity = velocity + pull * (np.array(best.system_attrs[POSITION]) - here)
        velocity = np.clip(velocity, -0.5, 0.5)
        there = np.clip(here + velocity, 0, 1)
        return there, np.where(there == here + velocity, velocity, 0)


def best_of(trials: Sequence[FrozenTrial], direction: StudyDirection) -> FrozenTrial | None:
    """The best of the completed trials, the first of equals."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    sign = 1 if direction is StudyDirection.MAXIMIZE else -1
    return max(done, key=lambda trial: sign * float(trial.value or 0), default=None)
