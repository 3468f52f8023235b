"""What a search found: Optuna's own figures, and a table of its trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from spinelab.errors import RunError
from spinelab.journal import open_journal
from spinelab.reporting.figures.style import GREY, OKABE_ITO, layout

LEAST = 4
"""Completed trials below which importance would be read from noise alone."""


@dataclass(frozen=True)
class SearchSection:
    """One study of a search.

    Attributes:
        name: What it is a study of, such as "model=unet".
        counts: State -> how many trials ended so.
        best: Parameters of the best trial, None if no trial was completed.
        value: Its validation Dice.
        trials: One row a trial, see `trials_table`.
        figures: Title -> figure: history, parallel coordinates and importance, those that there are data for.
    """

    name: str
    counts: dict[str, int]
    best: dict[str, object] | None
    value: float
    trials: pd.DataFrame
    figures: dict[str, go.Figure]


def search_sections(journal: Path) -> list[SearchSection]:
    """The studies in a search's journal, in the order in which they were begun.

    Raises:
        RunError: There is no such journal.
    """
    if not journal.is_file():
        raise RunError("there is no search here", "give the folder of a sweep that searched", journal)
    storage = open_journal(journal)
    sampler = optuna.samplers.RandomSampler(seed=0)
    names = [study.study_name for study in storage.get_all_studies()]
    return [search_section(optuna.load_study(study_name=name, storage=storage, sampler=sampler)) for name in names]


def search_section(study: optuna.Study) -> SearchSection:
    """One study as a table and figures."""
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = max(done, key=lambda trial: float(trial.value or 0), default=None)
    counts = pd.Series([trial.state.name.lower() for trial in trials], dtype=object).value_counts().sort_index()
    return SearchSection(
        name=study.study_name,
        counts={str(state): int(count) for state, count in counts.items()},
        best=dict(best.params) if best else None,
        value=float(best.value or 0) if best else math.nan,
        trials=trials_table(trials),
        figures=dict(_figures(study, done)),
    )


def trials_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """One row a trial, the best first: trial, state, value, epochs reported, each parameter, reason."""
    rows = [
        {"trial": trial.number, "state": trial.state.name.lower(), "value": _value(trial)}
        | {"epochs": len(trial.intermediate_values) or None}
        | trial.params
        | {"reason": trial.user_attrs.get("reason", "")}
        for trial in trials
    ]
    table = pd.DataFrame(rows, columns=list(dict.fromkeys(key for row in rows for key in row)))
    return table.sort_values(["value", "trial"], ascending=[False, True], ignore_index=True) if rows else table


def _value(trial: FrozenTrial) -> float:
    """Only a completed trial has one; Optuna gives pruned ones their last epoch's."""
    return float(trial.value or 0) if trial.state is TrialState.COMPLETE else math.nan


def _figures(study: optuna.Study, done: list[FrozenTrial]) -> Iterator[tuple[str, go.Figure]]:
    if not done:
        return
    yield "History", _history(study)
    yield "Parameters", _parallel(study)
    searched = {name for trial in done for name, value in trial.distributions.items() if not value.single()}
    if len(done) >= LEAST and len(searched) > 1:
        yield "Importance", _importances(study)


def _history(study: optuna.Study) -> go.Figure:
    """Each trial's score and the best so far."""
    figure = _styled(optuna.visualization.plot_optimization_history(study, target_name="validation Dice"), 310)
    for trace, colour in zip(figure.data, OKABE_ITO, strict=False):
        trace.update(marker={"color": colour}, line={"color": colour} if "lines" in (trace.mode or "") else None)
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return figure


def _parallel(study: optuna.Study) -> go.Figure:
    """A line a trial through its parameters, the better the darker."""
    figure = _styled(optuna.visualization.plot_parallel_coordinate(study, target_name="validation Dice"), 360)
    figure.update_layout(margin={"l": 60, "r": 60, "t": 32, "b": 32})  # names and values stand beside the axes
    return figure.update_annotations(font_color="#808080")  # else black, also on a dark page


def _importances(study: optuna.Study) -> go.Figure:
    """How much each parameter tells good trials from all trials.

    Watanabe et al., PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces (IJCAI 2023).
    """
    drawn = optuna.visualization.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    figure = _styled(drawn, 90 + 34 * len(drawn.data[0].y))
    figure.update_traces(marker_color=OKABE_ITO[0])
    figure.update_xaxes(title="importance")
    return figure.update_yaxes(title=None)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    """Optuna's figure in the page's colours; the page gives it a title of its own."""
    figure.update_layout(layout(), title=None, height=height)
    figure.update_xaxes(gridcolor=GREY)
    figure.update_yaxes(gridcolor=GREY)
    return figure
