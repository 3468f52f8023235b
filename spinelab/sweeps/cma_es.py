"""CMA-ES from the cmaes package, its state replayed from the trials.

Hansen, The CMA evolution strategy: a tutorial (arXiv:1604.00772); steps and categories as in Hamano et al., CatCMA with
margin (arXiv:2504.07884), which is CMA-ES where there are none.

Optuna's own sampler keeps the optimizer pickled among the trials and leaves categories to chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from cmaes import CatCMAwM
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from spinelab.sweeps.cube import columns, step_value, steps, value_at
from spinelab.sweeps.seeds import seed_of
from spinelab.sweeps.space import Space

GENERATION = "cma:generation"


class CmaEs(BaseSampler):
    """Each generation is drawn from the distribution that the generations before it have shaped.

    A generation is complete with as many completed trials as it has members; failed and pruned ones are replaced.

    Args:
        space: What is searched.
        seed: Of the study: each trial's draws are a function of it and of the trial's number.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed
        self._independent = RandomSampler(seed=seed)
        kinds: dict[str, list[str]] = defaultdict(list)
        for name, distribution in space.items():
            if not distribution.single():
                kinds[_kind(distribution)].append(name)
        self._continuous, self._stepped, self._categories = (kinds[kind] for kind in ("float", "step", "category"))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """All parameters with a choice are chosen together."""
        return {name: self.space[name] for name in (*self._continuous, *self._stepped, *self._categories)}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """Replay the complete generations, then draw."""
        if not search_space:
            return {}
        optimizer = self._optimizer()
        sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1  # the package minimises
        for members in complete_generations(study.get_trials(deepcopy=False), optimizer.population_size):
            optimizer.tell([(self._draw(optimizer, t.number), sign * float(t.value or 0)) for t in members])
        study._storage.set_trial_system_attr(trial._trial_id, GENERATION, optimizer.generation)
        return self._params(self._draw(optimizer, trial.number))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter that is not in the space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _optimizer(self) -> CatCMAwM:
        return CatCMAwM(
            x_space=[[0.0, 1.0]] * len(self._continuous) or None,
            z_space=[list(range(steps(self.space[name]) or 0)) for name in self._stepped] or None,
            c_space=[columns(self.space[name]) for name in self._categories] or None,
            sigma=2.0,  # in the package's units, of a twelfth of the range: together a sixth, the usual start
            seed=self.seed,
        )

    def _draw(self, optimizer: CatCMAwM, number: int) -> CatCMAwM.Solution:
        optimizer.reseed_rng(seed_of(self.seed, number))
        return optimizer.ask()

    def _params(self, drawn: CatCMAwM.Solution) -> dict[str, Any]:
        """Values of the parameters; a solution holds None for a kind that the space does not have."""
        params: dict[str, Any] = {}
        for name, at in _parts(self._continuous, drawn.x):
            params[name] = value_at(np.array([at]), self.space[name])
        for name, index in _parts(self._stepped, drawn.z):
            params[name] = step_value(self.space[name], round(float(index)))
        for name, chosen in _parts(self._categories, drawn.c):
            params[name] = value_at(chosen, self.space[name])
        return params


def complete_generations(trials: Iterable[FrozenTrial], size: int) -> list[list[FrozenTrial]]:
    """The first `size` completed trials of each generation that has so many."""
    members: dict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if trial.state is TrialState.COMPLETE and GENERATION in trial.system_attrs:
            members[trial.system_attrs[GENERATION]].append(trial)
    return [found[:size] for _, found in sorted(members.items()) if len(found) >= size]


def _parts(names: list[str], vector: np.ndarray | None) -> Iterable[tuple[str, Any]]:
    return zip(names, () if vector is None else vector, strict=True)


def _kind(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return "category"
    return "float" if steps(distribution) is None else "step"
