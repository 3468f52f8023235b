"""A study's trials as jobs: what each runs, what came out, and what is pruned."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from optuna.trial import FrozenTrial

from spinelab.run_state import run_state
from spinelab.sweeps.engine import Job
from spinelab.sweeps.space import assign, quoted
from spinelab.sweeps.trials import Outcome, Trials, outcome_of


class Runs(Protocol):
    """What a search needs of the engine."""

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose a job."""

    def run(self, jobs: Iterable[Job]) -> None:
        """Run jobs to their ends."""


@dataclass(frozen=True)
class Tuning:
    """One study, and how its trials become runs.

    Attributes:
        trials: The study.
        journal: Its file, which the runs report to.
        overrides: What all its runs have in common.
        keys: Parameter -> the key that overrides it, which may need a plus sign.
        inner_folds: Of nested cross-validation; None where a trial is a single run.
        pruning: Whether the runs report to the study and may be given up.
    """

    trials: Trials
    journal: Path
    overrides: tuple[str, ...]
    keys: dict[str, str]
    inner_folds: int | None = None
    pruning: bool = True

    def first(self, trial: FrozenTrial) -> tuple[str, ...]:
        """The run of a trial that others are compared with; none of a trial's runs sees test persons."""
        told = f"trial={{storage:{quoted(str(self.journal.resolve()))},study:{quoted(self.trials.name)},"
        report = (f"{told}number:{trial.number}}}",) if self.pruning else ()
        return (*self._common(trial), *self._inner(0), "test=false", *report)

    def others(self, trial: FrozenTrial) -> list[tuple[str, ...]]:
        """The further inner folds, which are trained where the first one was not pruned."""
        folds = range(1, self.inner_folds or 1)
        return [(*self._common(trial), *self._inner(fold), "test=false") for fold in folds]

    def final(self, trial: FrozenTrial) -> tuple[str, ...]:
        """The run that is tested: with the parameters of the best trial, and all that may be trained on."""
        return (*self._common(trial), *self._inner(None))

    def _common(self, trial: FrozenTrial) -> list[str]:
        return [*self.overrides, *assign({self.keys[name]: value for name, value in trial.params.items()})]

    def _inner(self, fold: int | None) -> list[str]:
        if self.inner_folds is None:
            return []
        return [f"protocol.inner={'null' if fold is None else fold}"]


def run_batches(tunings: Sequence[Tuning], engine: Runs) -> None:
    """Complete studies: a batch of each at a time, since studies know nothing of each other."""
    while batch := [(tuning, trial) for tuning in tunings for trial in tuning.trials.batch()]:
        jobs = _run(batch, engine)
        for tuning, trial in batch:
            known = outcome_of(tuning.trials.first_alike(trial))  # told before, having the smaller number
            outcome = known or judge(jobs[tuning.trials.name, trial.number])
            if tuning.pruning and known is None:
                tuning.trials.report(trial, learning_curve(jobs[tuning.trials.name, trial.number][0].run.metrics))
            tuning.trials.tell(trial, outcome)


def _run(batch: list[tuple[Tuning, FrozenTrial]], engine: Runs) -> dict[tuple[str, int], list[Job]]:
    """Run what is new in a batch; returns the jobs of each trial."""
    new = [(tuning, trial) for tuning, trial in batch if _is_new(tuning, trial)]
    jobs = {(tuning.trials.name, trial.number): [engine.job(tuning.first(trial))] for tuning, trial in new}
    if jobs:
        engine.run([job for firsts in jobs.values() for job in firsts])
    further = []
    for tuning, trial in new:
        mine = jobs[tuning.trials.name, trial.number]
        if judge(mine).value is not None:
            mine += (added := [engine.job(overrides) for overrides in tuning.others(trial)])
            further += added
    if further:
        engine.run(further)
    return jobs


def _is_new(tuning: Tuning, trial: FrozenTrial) -> bool:
    return tuning.trials.first_alike(trial).number == trial.number and outcome_of(trial) is None


def judge(jobs: Sequence[Job]) -> Outcome:
    """What the runs of a trial amount to: the mean of their best validation Dice, if all of them have one."""
    values = []
    for job in jobs:
        state, folder = run_state(job.run.folder), job.run.folder
        if state.name == "pruned":
            return Outcome(reason=state.reason, pruned=True)
        if state.name not in ("done", "fitted"):
            return Outcome(reason=f"{folder} {state.name}: {state.reason or 'it ended without a word'}")
        if state.val_dice is None:
            return Outcome(reason=f"{folder}: its validation Dice is not a number")
        values.append(state.val_dice)
    return Outcome(statistics.fmean(values))


def learning_curve(metrics: Path) -> dict[int, float]:
    """Epoch -> validation Dice, of a run's ``metrics.csv``; empty without one."""
    if not metrics.is_file():
        return {}
    with metrics.open(newline="") as stream:
        rows = [(row.get("epoch"), row.get("val/dice")) for row in csv.DictReader(stream)]
    values = {int(epoch): float(dice) for epoch, dice in rows if epoch and dice}
    return {epoch: value for epoch, value in values.items() if not math.isnan(value)}
