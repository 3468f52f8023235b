"""The trials of one study, in a journal on disk; a search that was killed goes on as if nothing had happened.

Three rules make that so. What a trial draws is a function of the study's seed, the trial's number, the trials of
earlier batches, and the parameters of those before it in its own batch: results of its own batch are hidden from it,
whether they are known yet or not. A trial is written whole. And a trial with the parameters of an earlier one has that
one's result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from spinelab.errors import ConfigError
from spinelab.journal import BATCH, PRUNED, open_journal
from spinelab.sweeps.samplers import SamplerName, grid_values, make_sampler, propose
from spinelab.sweeps.space import Space

SETTINGS, REASON = "settings", "reason"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        value: Of a completed trial; None for one that failed or was pruned.
        reason: Why it has no value.
        pruned: It was given up, and did not fail.
    """

    value: float | None = None
    reason: str = ""
    pruned: bool = False


class Trials:
    """A study of `n_trials` trials, of which `n_jobs` run at the same time.

    Args:
        journal: File; several studies share one.
        name: Of the study.
        space: What is searched.
        sampler: Who searches it.
        seed: Of everything that is drawn.
        n_trials: In total, with those that the journal already has. A grid has no more trials than points.
        n_jobs: Trials that are asked for together.
        settings: What else determines the results; a study goes on with the settings that it was begun with.

    Raises:
        ConfigError: The study was begun with other settings, or there is no such sampler.
    """

    def __init__(
        self,
        journal: Path,
        name: str,
        space: Space,
        sampler: SamplerName = "tpe",
        seed: int = 0,
        n_trials: int = 20,
        n_jobs: int = 1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if min(n_trials, n_jobs) < 1:
            raise ConfigError(f"n_trials={n_trials}, n_jobs={n_jobs}", "give both at least 1")
        self.name, self.space, self.sampler, self.seed, self.n_jobs = name, space, sampler, seed, n_jobs
        self._budget = n_trials
        make_sampler(sampler, space, seed, 0, n_trials)
        points = grid_values(space, n_trials) if sampler == "grid" else {}
        self.n_trials = min(n_trials, math.prod(map(len, points.values()))) if points else n_trials
        self.study = _study(journal, name)
        self._check(
            journal, {"sampler": sampler, "seed": seed, "space": _text(space), "grid": points} | dict(settings or {})
        )

    def all(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        return self.study.get_trials(deepcopy=False)

    def batch(self) -> list[FrozenTrial]:
        """The trials to run next: those that a kill left unfinished, and new ones until the batch is full.

        Returns:
            Running trials; empty once the study is complete.
        """
        trials = self.all()
        start = trials[-1].system_attrs[BATCH] if trials else 0
        if len(trials) - start >= self.n_jobs and not _running(trials):
            start = len(trials)
        while len(self.all()) < min(start + self.n_jobs, self.n_trials):
            self._add(start)
        return _running(self.all())

    def first_alike(self, trial: FrozenTrial) -> FrozenTrial:
        """The earliest trial with the same parameters; the trial itself if there was none."""
        return next(other for other in self.all() if other.params == trial.params)

    def tell(self, trial: FrozenTrial, outcome: Outcome) -> None:
        """Write down how a trial ended."""
        if outcome.value is not None and not math.isnan(outcome.value):
            self.study.tell(trial.number, outcome.value)
            return
        reason = outcome.reason or "its validation Dice is not a number"
        if trial.user_attrs.get(REASON) != reason:
            self.study._storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        self.study.tell(trial.number, state=TrialState.PRUNED if outcome.pruned else TrialState.FAIL)

    def report(self, trial: FrozenTrial, curve: Mapping[int, float]) -> None:
        """Add the scores of epochs that the trial's run did not report itself, as when it was finished already."""
        for step in sorted(set(curve) - set(trial.intermediate_values)):
            self.study._storage.set_trial_intermediate_value(trial._trial_id, step, curve[step])

    def best(self) -> FrozenTrial | None:
        """The completed trial with the largest value, the first of equals."""
        done = [trial for trial in self.all() if trial.state is TrialState.COMPLETE]
        return max(done, key=lambda trial: float(trial.value or 0), default=None)

    def _add(self, start: int) -> None:
        past = [trial if trial.number < start else _hidden(trial) for trial in self.all()]
        sampler = make_sampler(self.sampler, self.space, self.seed, len(past), self._budget)
        drawn = propose(past, sampler, self.space)
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=drawn.params,
                distributions=drawn.distributions,
                system_attrs=drawn.system_attrs | {BATCH: start},
            )
        )

    def _check(self, journal: Path, settings: dict[str, Any]) -> None:
        begun = self.study.user_attrs.get(SETTINGS)
        if begun is None:
            self.study.set_user_attr(SETTINGS, settings)
        elif differing := sorted(key for key in begun.keys() | settings if begun.get(key) != settings.get(key)):
            told = "; ".join(f"{key} was {begun.get(key)}, now {settings.get(key)}" for key in differing)
            remedy = "repeat the command that began it (n_trials may grow), or name another sweep: sweep=NAME"
            raise ConfigError(f"the study {self.name} was begun with other settings: {told}", remedy, journal)


def outcome_of(trial: FrozenTrial) -> Outcome | None:
    """How a trial ended, from the journal; None while it has not. Pruning is known before the trial is told."""
    if trial.state is TrialState.COMPLETE:
        return Outcome(trial.value)
    reason = str(trial.user_attrs.get(REASON, ""))
    if trial.state is TrialState.PRUNED or PRUNED in trial.system_attrs:
        return Outcome(reason=reason or f"pruned at epoch {trial.system_attrs.get(PRUNED)}", pruned=True)
    return Outcome(reason=reason) if trial.state is TrialState.FAIL else None


def _study(journal: Path, name: str) -> optuna.Study:
    """The study, made if it is not there (Optuna's `load_if_exists` adds a line to a journal every time)."""
    storage, sampler = open_journal(journal), RandomSampler(seed=0)  # of no effect: what is drawn is drawn by `propose`
    if name in optuna.get_all_study_names(storage):
        return optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    return optuna.create_study(storage=storage, study_name=name, sampler=sampler, direction="maximize")


def _running(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.RUNNING]


def _hidden(trial: FrozenTrial) -> FrozenTrial:
    """A trial as it was when it was asked for."""
    return optuna.create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs={key: value for key, value in trial.system_attrs.items() if key != PRUNED},
    )


def _text(space: Space) -> dict[str, str]:
    return {name: str(distribution) for name, distribution in space.items()}
