"""Runs pooled into the rows of a table, and what stands in the way of comparing them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from spinelab.reporting.results import Results, Run
from spinelab.reporting.statistics import DISTINGUISHABLE_FROM, TRUSTED_FROM

SETTINGS = ("model", "encoder", "loss", "optimizer", "scheduler", "augmentation", "trainer.max_epochs")
"""Parts of a configuration that runs of one row should share."""


@dataclass(frozen=True)
class Group:
    """One row of a table: the runs of one model on one data set under one protocol, over all folds and seeds.

    Attributes:
        label: Unique in the comparison: the model, and the data set or the protocol where these differ.
        runs: The runs that are pooled.
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
    def persons(self) -> frozenset[str]:
        """Persons scored in any run."""
        return frozenset().union(*(run.persons for run in self.runs))

    @property
    def comparable(self) -> tuple[str, frozenset[str]]:
        """Rows that share this were scored on the same persons."""
        return str(self.runs[0]["dataset"]), self.persons

    def distinct(self, column: str) -> list[Any]:
        """Distinct values of a column that is constant within a run, e.g. "seed"."""
        return sorted({run[column] for run in self.runs})

    def measured(self, key: str) -> float | None:
        """Mean over runs of a number in ``environment.json``; None if no run has it."""
        values = [run.environment[key] for run in self.runs if run.environment.get(key) is not None]
        return sum(values) / len(values) if values else None


def group_runs(results: Results) -> tuple[Group, ...]:
    """Pools runs of the same model, data set and protocol, and notes which rows were not tested alike."""
    keys = ("model", "dataset", "protocol")
    pooled: dict[tuple[str, ...], list[Run]] = {}
    for run in results.runs:
        pooled.setdefault(tuple(str(run[key]) for key in keys), []).append(run)
    told = [0] + [i for i in (1, 2) if len({key[i] for key in pooled}) > 1]
    groups = [Group(" · ".join(key[i] for i in told), tuple(pooled[key])) for key in sorted(pooled)]
    most = Counter(group.comparable for group in groups).most_common(1)[0][0]
    reference = next(group for group in groups if group.comparable == most)
    return tuple(Group(group.label, group.runs, _note(group, reference)) for group in groups)


def _note(group: Group, reference: Group) -> str:
    (dataset, persons), (usual, others) = group.comparable, reference.comparable
    if dataset != usual:
        return f"tested on the data set {dataset}, not {usual}: not comparable with the other rows"
    if persons != others:
        return (
            f"tested on other persons ({len(persons)}, of whom {len(persons & others)} are among the {len(others)} "
            "of the other rows): not comparable with them"
        )
    if group.distinct("split_hash") != reference.distinct("split_hash"):
        return "same test persons, but another split: trained on other persons than the other rows"
    return ""


def find_problems(results: Results, groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Everything a reader should know before believing the table, one sentence each."""
    problems = [*results.skipped]
    problems += [f"{group.label}: {group.note}." for group in groups if group.note]
    problems += [sentence for group in groups for sentence in _pooling_problems(group)]
    budgets = {str(run.setting("trainer.max_epochs")) for run in results.runs} - {"None"}
    if len(budgets) > 1:
        problems.append(f"The models had different budgets: {', '.join(sorted(budgets, key=_number))} epochs at most.")
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


def _number(text: str) -> tuple[float, str]:
    return (float(text), "") if text.lstrip("-").isdigit() else (float("inf"), text)
