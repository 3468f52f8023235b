"""Scores on scans that were made worse step by step: a curve for each architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from spinelab.files import replacing, write_atomically
from spinelab.reporting.curves import (
    Curve,
    CurvePage,
    Estimate,
    Grid,
    Part,
    band_figure,
    estimates,
    flat,
    to_html,
    to_markdown,
)
from spinelab.reporting.facts import facts
from spinelab.reporting.groups import Group, find_problems, group_runs
from spinelab.reporting.results import Results
from spinelab.reporting.statistics import MEAN, score_persons

UNTOUCHED = "untouched"
"""Effect of the scans as they are, in the tables of single runs; level 0 of every effect in all others."""
EFFECTS = {
    "noise": ("Noise", "standard deviation, as part of the scan's range"),
    "resolution": ("Resolution", "size of a pixel, as a multiple of the scan's own"),
    "bias_field": ("Bias field", "largest departure of brightness from 1"),
}
"""Effect -> its name, and what its strengths are."""
NOTES = (
    "Mean over persons, 95 % bootstrap interval over persons, n persons; before that the volumes of a person, then the "
    "runs (seeds) of an architecture are averaged.",
    "Change: the paired difference to the same person's untouched scan.",
    "Scans are degraded as they lie on the disk, before any preprocessing, and alike for every run: what is drawn at "
    "random depends on the case and the effect alone.",
    "Networks were trained as their runs say: only an augmentation that makes the like can have shown them such scans.",
)


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    Attributes:
        effect: Of `EFFECTS`.
        level: 0 is the untouched scan.
        strength: In the effect's own measure.
        model: Label of its row.
        cls: Class, or `MEAN` over a person's classes.
        value: The score.
        change: Paired difference to the same persons' untouched scans.
    """

    effect: str
    level: int
    strength: float
    model: str
    cls: str
    value: Estimate
    change: Estimate


def write_robustness(
    results: Results, scores: Mapping[Path, pd.DataFrame], levels: Mapping[str, Sequence[float]], out: Path
) -> Path:
    """Write ``robustness.parquet``, ``table.csv``, ``table.md`` and ``index.html``; returns the last.

    Args:
        results: The runs.
        scores: Folder of a run -> its rows: effect, level, person, site, case, class, metric, value, state.
        levels: Effect -> its strengths, level 0 being the untouched scan.
        out: Where to write.
    """
    groups = group_runs(results)
    cases = pool(groups, scores, levels)
    points = robustness_points(cases)
    page = _page(results, groups, points)
    with replacing(out / "robustness.parquet") as temporary:
        cases.to_parquet(temporary, index=False)
    write_atomically(out / "table.csv", to_frame(points).to_csv(index=False))
    write_atomically(out / "table.md", to_markdown(page))
    return write_atomically(out / "index.html", to_html(page))


def pool(
    groups: Sequence[Group], scores: Mapping[Path, pd.DataFrame], levels: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """All runs' rows as one tidy table, in which every effect begins with the untouched scans as level 0.

    Returns:
        run, model (the label of its row), dataset, protocol, fold, seed, effect, level, strength, person, site, case,
        class, metric, value, state.
    """
    parts = []
    for group in groups:
        for run in group.runs:
            who = {key: run[key] for key in ("run", "dataset", "protocol", "fold", "seed")}
            for effect, strengths in levels.items():
                own = scores[run.folder]
                own = own[own["effect"].isin((effect, UNTOUCHED))]
                strength = own["level"].map(dict(enumerate(strengths))).astype(float)
                parts.append(own.assign(**who, model=group.label, effect=effect, strength=strength))
    first = ["run", "model", "dataset", "protocol", "fold", "seed", "effect", "level", "strength"]
    pooled = pd.concat(parts, ignore_index=True)
    return pooled[[*first, *(name for name in pooled.columns if name not in first)]]


def robustness_points(cases: pd.DataFrame, metric: str = "dice") -> tuple[Point, ...]:
    """Every point of every curve.

    Args:
        cases: From `pool`.
        metric: Which score.
    """
    points: list[Point] = []
    rows = cases[cases["metric"] == metric]
    for (effect, model), part in rows.groupby(["effect", "model"], sort=False):
        untouched = score_persons(part[part["level"] == 0])
        for level in sorted(map(int, part["level"].unique())):
            own = part[part["level"] == level]
            scored = score_persons(own).values  # of the same persons and classes as the untouched scans'
            which = str(effect), level, float(own["strength"].iloc[0]), str(model)
            sums = zip(untouched.columns, estimates(scored), estimates(scored - untouched.values), strict=True)
            points += [Point(*which, cls, value, change) for (_, cls), value, change in sums]
    return tuple(points)


def to_frame(points: Sequence[Point]) -> pd.DataFrame:
    """effect, level, strength, model, class, then mean, low, high and n of the score and of its change."""
    return pd.DataFrame([flat(point) for point in points])


def _page(results: Results, groups: tuple[Group, ...], points: Sequence[Point]) -> CurvePage:
    effects = list(dict.fromkeys(point.effect for point in points))
    classes = list(dict.fromkeys(point.cls for point in points if point.cls != MEAN))
    shown = [MEAN, *classes] if len(classes) > 1 else classes
    note = "Mean over persons with its 95 % interval; the first point is the scan as it is."
    parts = []
    for cls in shown:
        figures = [(EFFECTS[effect][0], _figure(_of(points, effect, cls), EFFECTS[effect][1])) for effect in effects]
        parts.append(Part(f"Dice, {cls.replace('_', ' ')}", note, tuple(figures)))
    grids = tuple(grid for effect in effects for grid in _grids(_of(points, effect, MEAN), *EFFECTS[effect]))
    datasets = ", ".join(sorted({str(run["dataset"]) for run in results.runs}))
    problems = find_problems(results, groups)
    return CurvePage(f"Robustness on {datasets}", facts(results, groups), problems, tuple(parts), grids, NOTES)


def _of(points: Sequence[Point], effect: str, cls: str) -> dict[str, list[Point]]:
    """Model -> its points on the curve of an effect and a class, in the order of the levels."""
    found: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: (point.model, point.level)):
        if (point.effect, point.cls) == (effect, cls):
            found.setdefault(point.model, []).append(point)
    return found


def _figure(models: dict[str, list[Point]], measure: str) -> go.Figure:
    curves = [
        Curve(
            model,
            tuple(point.strength for point in curve),
            tuple(point.value for point in curve),
            tuple(f"{point.strength:g}: {point.value} n={point.value.n}" for point in curve),
        )
        for model, curve in models.items()
    ]
    return band_figure(curves, measure, "Dice")


def _grids(models: dict[str, list[Point]], name: str, measure: str) -> tuple[Grid, Grid]:
    """Scores and their changes, a line a model and a column a level."""
    strengths = [f"{point.strength:g}" for point in next(iter(models.values()))]
    scores = [(model, *(f"{p.value} n={p.value.n}" for p in curve)) for model, curve in models.items()]
    changes = [(model, *(str(point.change) for point in curve[1:])) for model, curve in models.items()]
    note = f"Columns: {measure}."
    return (
        Grid(f"{name}: Dice, {MEAN}", ("model", *strengths), tuple(scores), note),
        Grid(f"{name}: change of Dice, {MEAN}", ("model", *strengths[1:]), tuple(changes), note),
    )
