"""What the smaller networks inside a U-Net++ are worth: Dice against latency and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from spinelab.files import write_atomically
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

NOTES = (
    "L1 to L4 are the networks inside one trained U-Net++ that end at each of its heads (Zhou et al. 2018, 2020); "
    "nothing is trained again.",
    "Dice: mean over persons, 95 % bootstrap interval over persons, n persons; change: the paired difference to the "
    "whole network.",
    "Latency: one slice of the run's own size at a time through the network alone, median and quartiles after warming "
    "up, the networks taking turns; it holds for the machine that is named.",
)

UNSTEADY = 1.5
"""Ratio of the upper to the lower quartile of the times above which they are not to be relied on."""


@dataclass(frozen=True)
class Timing:
    """What one level costs.

    Attributes:
        parameters: Of the network that is left.
        milliseconds: Median for one slice.
        fastest: Lower quartile.
        slowest: Upper quartile.
        repeats: How often it was timed.
    """

    parameters: int
    milliseconds: float
    fastest: float
    slowest: float
    repeats: int


@dataclass(frozen=True)
class Level:
    """One level of one row.

    Attributes:
        model: Label of its row.
        level: 1 is the smallest network.
        cls: Class, or `MEAN` over a person's classes.
        value: Dice.
        change: Paired difference to the whole network.
        timing: What it costs.
    """

    model: str
    level: int
    cls: str
    value: Estimate
    change: Estimate
    timing: Timing


def write_pruning(
    results: Results,
    scores: Mapping[Path, pd.DataFrame],
    timings: Mapping[str, Mapping[int, Timing]],
    machine: str,
    out: Path,
) -> Path:
    """Write ``curve.csv``, ``curve.md`` and ``curve.html``; returns the last.

    Args:
        results: Runs of U-Net++.
        scores: Folder of a run -> its rows: level, person, case, class, metric, value, state.
        timings: Label of a row -> its levels, from 1.
        machine: What they were timed on, in words.
        out: Where to write.
    """
    groups = group_runs(results)
    levels = [level for group in groups for level in levels_of(group, scores, timings[group.label])]
    page = _page(results, groups, levels, machine)
    rows = [{key: value for key, value in flat(level).items() if key != "timing"} | vars(level.timing)
            for level in levels]  # fmt: skip
    write_atomically(out / "curve.csv", pd.DataFrame(rows).assign(machine=machine).to_csv(index=False))
    write_atomically(out / "curve.md", to_markdown(page))
    return write_atomically(out / "curve.html", to_html(page))


def levels_of(group: Group, scores: Mapping[Path, pd.DataFrame], timings: Mapping[int, Timing]) -> list[Level]:
    """The levels of one row, for every class and their mean."""
    cases = pd.concat([scores[run.folder].assign(run=run["run"]) for run in group.runs], ignore_index=True)
    cases = cases[cases["metric"] == "dice"]
    by_level = {level: score_persons(cases[cases["level"] == level]) for level in timings}
    whole = by_level[max(timings)].values
    found = []
    for level, scored in by_level.items():
        sums = zip(scored.columns, estimates(scored.values), estimates(scored.values - whole), strict=True)
        found += [Level(group.label, level, cls, value, change, timings[level]) for (_, cls), value, change in sums]
    return found


def _page(results: Results, groups: tuple[Group, ...], levels: Sequence[Level], machine: str) -> CurvePage:
    told = facts(results, groups) | {"Timed on": machine}
    note = "Mean over persons with its 95 % interval; the last point of a line is the whole network."
    means = [level for level in levels if level.cls == MEAN]
    figures = (
        ("against latency", _figure(means, "milliseconds", "milliseconds a slice")),
        ("against size", _figure(means, "parameters", "parameters")),
    )
    classes = dict.fromkeys(level.cls for level in levels if level.cls != MEAN)
    by_class = [(cls, [level for level in levels if level.cls == cls]) for cls in classes]
    others = tuple((cls, _figure(own, "milliseconds", "milliseconds a slice")) for cls, own in by_class)
    parts: tuple[Part, ...] = (Part(f"Dice, {MEAN}", note, figures),)
    if len(others) > 1:  # of one class alone it would be the same again
        parts += (Part("Dice of each class against latency", note, others),)
    grid = Grid("What each level is worth and costs", HEADS, tuple(map(_line, means)))
    problems = (*find_problems(results, groups), *_unsteady(means))
    return CurvePage("U-Net++ pruned", told, problems, parts, (grid,), NOTES)


def _unsteady(levels: Sequence[Level]) -> list[str]:
    """A busy machine shows in the spread of the times."""
    wide = [level for level in levels if level.timing.slowest > UNSTEADY * level.timing.fastest]
    names = [f"{level.model} L{level.level}" for level in wide]
    said = f"The times of {', '.join(names)} spread widely: the machine was busy; time again when it is quiet."
    return [said] if wide else []


HEADS = ("network", f"Dice, {MEAN}", "change", "ms a slice", "quartiles", "parameters")


def _line(level: Level) -> tuple[str, ...]:
    timing = level.timing
    return (
        f"{level.model} L{level.level}", f"{level.value} n={level.value.n}", str(level.change),
        f"{timing.milliseconds:.1f}", f"{timing.fastest:.1f} to {timing.slowest:.1f}", f"{timing.parameters:,}",
    )  # fmt: skip


def _figure(levels: Sequence[Level], against: str, title: str) -> go.Figure:
    curves = []
    for model in dict.fromkeys(level.model for level in levels):
        own = [level for level in levels if level.model == model]
        curves.append(
            Curve(
                model,
                tuple(float(getattr(level.timing, against)) for level in own),
                tuple(level.value for level in own),
                tuple(f"L{level.level}: {level.value} n={level.value.n}" for level in own),
                tuple(f"L{level.level}" for level in own),
            )
        )
    return band_figure(curves, title, "Dice").update_xaxes(rangemode="tozero")
