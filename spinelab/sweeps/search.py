"""Search for the best settings, one study for every combination of comma values, each with the same budget.

Architectures are compared fairly only where each was tuned with the same number of trials, so `model=unet,fcn` makes
two studies. Trials see training and validation persons alone; the winner of each study is tested, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from spinelab.config import parse_overrides, settle
from spinelab.errors import RunError
from spinelab.sweeps.finish import finish_sweep
from spinelab.sweeps.folds import with_folds
from spinelab.sweeps.naming import determines
from spinelab.sweeps.samplers import SamplerName
from spinelab.sweeps.space import Space, assign, divide, read_space
from spinelab.sweeps.sweeper import EngineSweeper
from spinelab.sweeps.trials import REASON, Trials
from spinelab.sweeps.tuning import Tuning, run_batches

JOURNAL = "search.journal"


class Search(EngineSweeper):
    """Optuna's samplers and a particle swarm, over Hydra's sweep expressions.

    Args:
        params: Key or configuration group -> what to search, see `spinelab.sweeps.space.read_space`.
        sampler: grid, random, tpe, cmaes or pso.
        n_trials: Of each study in total; with a larger number the same command adds the difference.
        n_jobs: Trials of a study that run at the same time. They are asked for together and do not learn from each
            other, so that results do not depend on which is finished first.
        pruning: Give up trials whose validation Dice is below the median of earlier ones at the same epoch.
        seed: Of everything that the sampler draws.
        max_batch_size: Jobs that are given to the launcher at once; None gives it all of them.
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        sampler: SamplerName = "tpe",
        n_trials: int = 20,
        n_jobs: int = 1,
        pruning: bool = True,
        seed: int = 0,
        max_batch_size: int | None = None,
    ) -> None:
        plain: Any = OmegaConf.to_container(params) if isinstance(params, DictConfig) else params
        self.params: dict[str, Any] = dict(plain or {})
        self.sampler, self.n_trials, self.n_jobs, self.pruning, self.seed = sampler, n_trials, n_jobs, pruning, seed
        self.max_batch_size = max_batch_size

    def sweep(self, arguments: list[str]) -> None:
        """Complete all studies, test each one's winner, and compare the winners.

        Raises:
            ConfigError: There is nothing to search, or the sweep was begun with other settings.
            RunError: All trials of a study failed.
            JobsFailed: A winner's run failed.
        """
        tunings = self.tunings(arguments)
        run_batches(tunings, self.engine)
        winners = {tuning.trials.name: (tuning, best) for tuning in tunings if (best := tuning.trials.best())}
        finals = [self.engine.job(tuning.final(best)) for tuning, best in winners.values()]
        for tuning, best in winners.values():
            print(summary(tuning.trials, best))
        self.engine.run(finals)
        require_winners(tunings)
        self.engine.jobs = {job.run.id: job for job in finals}  # a trial that failed has had its say
        finish_sweep(self.engine, Path(self.engine.folder) / JOURNAL)

    def tunings(self, arguments: Sequence[str]) -> list[Tuning]:
        """A study for every combination of the comma values of the command line."""
        space, fixed, grid = divide(parse_overrides(arguments), read_space(self.params))
        combined = ([*fixed, *(f"{key}={value}" for key, value in values)] for values in grid)
        jobs = list(with_folds(combined, self.engine.compose))
        same = set(jobs[0]).intersection(*jobs)  # what differs is what a study is called by
        return [self._tuning(space, [o for o in job if o in same], [o for o in job if o not in same]) for job in jobs]

    def _tuning(self, space: Space, fixed: list[str], chosen: list[str]) -> Tuning:
        overrides = (*fixed, *chosen)
        keys = settled_keys(overrides, space)
        inner_folds = self._inner_folds(overrides)
        journal = Path(self.engine.folder) / JOURNAL
        settings = {"overrides": sorted(filter(_determines, overrides)), "pruning": self.pruning}
        budget = {"n_trials": self.n_trials, "n_jobs": self.n_jobs}
        name = " ".join(chosen) or "search"
        trials = Trials(journal, name, space, self.sampler, self.seed, settings=settings, **budget)
        return Tuning(trials, journal, overrides, keys, inner_folds, self.pruning)

    def _inner_folds(self, overrides: Sequence[str]) -> int | None:
        """How many runs a trial takes; one where the inner split is given."""
        if any(override.startswith("protocol.inner=") for override in overrides):
            return None
        composed = self.engine.context.config_loader.load_sweep_config(self.engine.config, list(overrides))
        return composed.protocol.get("inner_folds")


def settled_keys(overrides: Sequence[str], space: Space) -> dict[str, str]:
    """Parameter -> its key in overrides, with a plus sign where the configuration has no such key yet.

    Raises:
        ConfigError: The configuration has no such key, and nothing takes an argument of that name.
    """
    samples = assign({name: _first(found) for name, found in space.items()})
    with _hydra_kept():
        settled = settle([*overrides, *samples])[len(overrides) :]
    return {name: text.partition("=")[0] for name, text in zip(space, settled, strict=False)}


def summary(trials: Trials, best: FrozenTrial) -> str:
    """One study in a line or two."""
    states = Counter(trial.state.name.lower() for trial in trials.all())
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    chosen = " ".join(assign(best.params))
    head = f"{trials.name}: best of {len(trials.all())} trials ({counts})"
    return f"{head}\n  validation Dice {best.value:.4f} with {chosen}"


def require_winners(tunings: Sequence[Tuning]) -> None:
    """See to it that every study has a completed trial.

    Raises:
        RunError: One has none.
    """
    for tuning in tunings:
        if tuning.trials.best() is None:
            trials = tuning.trials.all()
            reason = trials[-1].user_attrs.get(REASON, "")
            found = f"none of the {len(trials)} trials of {tuning.trials.name} was completed; the last one: {reason}"
            raise RunError(found, "mend the cause (each run folder has a log.txt), and use another sweep=NAME")


def _first(distribution: Any) -> Any:
    return distribution.choices[0] if hasattr(distribution, "choices") else distribution.low


def _determines(override: str) -> bool:
    key = override.lstrip("+").partition("=")[0]
    return key != "sweep" and determines(key)


@contextmanager
def _hydra_kept() -> Iterator[None]:
    """Composing makes Hydra forget the multirun that it is in."""
    hydra = GlobalHydra.instance().hydra
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = hydra
