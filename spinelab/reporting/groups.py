"""Runs pooled into the rows of a table, and what stands in the way of comparing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from spinelab.reporting.conditions import budget, check_label_maps, selection, split_families, split_key
from spinelab.reporting.results import Results, Run
from spinelab.reporting.statistics import DISTINGUISHABLE_FROM, TRUSTED_FROM, Scores, score_persons

SETTINGS = ("model", "encoder", "loss", "optimizer", "scheduler", "augmentation")
"""Parts of a configuration that runs of one row should share."""


@dataclass(frozen=True)
class Conditions:
    """What rows must share to be compared.

    Attributes:
        dataset: Data set that was scored.
        persons: Persons who were scored.
        splits: Hashes of the splits, which name the persons who were trained on and chosen by, too.
        budget: How long a run could train.
        selection: How the checkpoint was chosen.
    """

    dataset: str
    persons: frozenset[str]
    splits: frozenset[str]
    budget: str
    selection: str


@dataclass(frozen=True)
class Group:
    """One row of a table: the runs of one model on one data set under one protocol, over all folds and seeds.

    Attributes:
        label: Unique in the comparison: the model, and what else tells it from the other rows.
        runs: The runs that are pooled; they share the budget, the way to choose a checkpoint, and the partition of
            the persons that their splits are folds of.
        note: Why the row cannot be held beside the others; "" if it can.
    """

    label: str
    runs: tuple[Run, ...]
    note: str = ""

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The case tables of the pooled runs."""
        return pd.concat([run.cases for run in self.runs], ignore_index=True)

    @cached_property
    def scores(self) -> Scores:
        """Every metric and class by person."""
        return score_persons(self.cases)

    @cached_property
    def persons(self) -> frozenset[str]:
        """Persons scored in any run."""
        return frozenset(map(str, self.scores.persons))

    @cached_property
    def comparable(self) -> Conditions:
        """Rows that share this are compared; others stand beside them with a note."""
        run, splits = self.runs[0], frozenset(map(str, self.distinct("split_hash")))
        return Conditions(str(run["dataset"]), self.persons, splits, budget(run), selection(run))

    @cached_property
    def lines(self) -> pd.DataFrame:
        """What the lines of `scores.by_run` are: `person` (its position), `run`, `fold`, `seed`."""
        facts = pd.DataFrame([{"name": str(run["run"]), "fold": run["fold"], "seed": run["seed"]} for run in self.runs])
        runs = pd.Index(facts["name"]).get_indexer(pd.Index(self.scores.run))
        lines = facts[["fold", "seed"]].iloc[runs].reset_index(drop=True)
        return lines.assign(person=self.scores.person, run=runs)

    def by_run(self, metric: str, cls: str) -> pd.DataFrame:
        """One metric and class, a line a person and run: `lines` and the `value`; empty if there is none."""
        at = self.scores.columns.get((metric, cls))
        return self.lines.assign(value=self.scores.by_run[:, at] if at is not None else float("nan"))

    def distinct(self, column: str) -> list[Any]:
        """Distinct values of a column that is constant within a run, e.g. "seed"."""
        return sorted({run[column] for run in self.runs})

    def measured(self, key: str) -> float | None:
        """Mean over runs of a number in ``environment.json``; None if no run has it."""
        values = [run.environment[key] for run in self.runs if run.environment.get(key) is not None]
        return sum(values) / len(values) if values else None


def group_runs(results: Results) -> tuple[Group, ...]:
    """Pools runs of the same model, data set and protocol, and notes which rows were not trained and tested alike.

    Runs of another budget, another way to choose the checkpoint, or another partition of the persons become rows of
    their own, named by what differs.

    Raises:
        RunError: The runs have different label maps.
    """
    check_label_maps(results.runs)
    families = split_families(results.runs)
    pooled: dict[tuple[str, ...], list[Run]] = {}
    for run in results.runs:
        names = [str(run[key]) for key in ("model", "dataset", "protocol")]
        key = (*names, str(families[split_key(run)]), budget(run), selection(run))
        pooled.setdefault(key, []).append(run)
    groups = [Group(_label(key, pooled), tuple(pooled[key])) for key in sorted(pooled)]
    most = Counter(group.comparable for group in groups).most_common(1)[0][0]
    return tuple(Group(group.label, group.runs, _note(group.comparable, most)) for group in groups)


def _label(key: tuple[str, ...], pooled: Mapping[tuple[str, ...], list[Run]]) -> str:
    """The model; data set and protocol where the comparison has several; the rest where this model has several."""
    alike = [other for other in pooled if other[:3] == key[:3]]
    words = [*key[:3], f"splits {min(str(run['split_hash']) for run in pooled[key])}", *key[4:]]
    told = [i for i in range(1, 6) if len({other[i] for other in (pooled if i < 3 else alike)}) > 1]
    return " · ".join(words[i] for i in [0, *told])


def _note(row: Conditions, usual: Conditions) -> str:
    """Why a row is not compared with those that most rows are like; "" if nothing keeps it from that."""
    if row.dataset != usual.dataset:
        return f"tested on the data set {row.dataset}, not {usual.dataset}: not comparable with the other rows"
    reasons = []
    if row.persons != usual.persons:
        reasons.append(
            f"tested on other persons ({len(row.persons)}, of whom {len(row.persons & usual.persons)} are among the "
            f"{len(usual.persons)} of the other rows): not comparable with them"
        )
    elif row.splits != usual.splits:
        reasons.append("same test persons, but another split: trained on other persons than the other rows")
    if row.budget != usual.budget:
        reasons.append(f"another budget ({row.budget}) than the other rows ({usual.budget})")
    if row.selection != usual.selection:
        reasons.append(f"its checkpoint was chosen by another rule ({row.selection}, not {usual.selection})")
    return "; ".join(reasons)


def find_problems(results: Results, groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Everything a reader should know before believing the table, one sentence each."""
    problems = [*results.skipped]
    problems += [f"{group.label}: {group.note}." for group in groups if group.note]
    problems += [sentence for group in groups for sentence in _pooling_problems(group)]
    alike = len({group.comparable for group in groups})
    if alike > 1:
        problems.append(
            f"The rows fall into {alike} sets that were not trained and tested alike: differences, ranks and best "
            "means are found within each set only."
        )
    fewest = min(len(group.persons) for group in groups)
    if fewest < TRUSTED_FROM:
        problems.append(
            f"A row rests on {fewest} test persons: intervals from fewer than {TRUSTED_FROM} persons are too narrow, "
            f"and with fewer than {DISTINGUISHABLE_FROM} no difference between models is called."
        )
    return tuple(problems)


def _pooling_problems(group: Group) -> list[str]:
    twice = [key for key, n in Counter((run["fold"], run["seed"]) for run in group.runs).items() if n > 1]
    problems = [f"{group.label}: fold {fold} with seed {seed} was run more than once." for fold, seed in twice]
    differing = [key for key in SETTINGS if len({str(run.setting(key)) for run in group.runs}) > 1]
    if differing:
        problems.append(
            f"{group.label}: its runs differ in {', '.join(differing)}, and were pooled because they share a name; "
            "give them different names to tell them apart."
        )
    return problems
