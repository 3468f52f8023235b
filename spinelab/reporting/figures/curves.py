"""Learning curves."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from spinelab.reporting.figures.style import OKABE_ITO, colours, layout
from spinelab.reporting.groups import Group

_DASHES = ("solid", "dash", "dot")
"""Lines of one colour that would otherwise look the same."""


def curve_figure(groups: tuple[Group, ...], against: str) -> go.Figure | None:
    """Validation Dice of every run while it learns.

    Args:
        groups: Rows of the comparison.
        against: Column of ``metrics.csv``: "epoch" or "seconds" (drawn in minutes).

    Returns:
        A line a run, or None if no run has logged both.
    """
    labels = [group.label for group in groups]
    colour = colours(labels)
    dash = {label: _DASHES[i // len(OKABE_ITO) % len(_DASHES)] for i, label in enumerate(sorted(labels))}
    figure = go.Figure()
    for group in groups:
        for curve in _curves(group, against):
            x = curve[against] / 60 if against == "seconds" else curve[against]
            figure.add_scatter(
                x=x.tolist(), y=curve["val/dice"].tolist(), name=group.label, legendgroup=group.label,
                showlegend=all(trace.name != group.label for trace in figure.data),
                mode="lines" if len(curve) > 2 else "lines+markers",
                line={"color": colour[group.label], "width": 1.8, "dash": dash[group.label]}, opacity=0.85,
                hovertemplate="%{y:.3f} at %{x:.4g}<extra>" + group.label + "</extra>",
            )  # fmt: skip
    figure.update_layout(
        layout(), height=310 + 12 * len(groups), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    figure.update_xaxes(title="minutes of training" if against == "seconds" else "epoch", rangemode="tozero")
    figure.update_yaxes(title="validation Dice")
    return figure if figure.data else None


def _curves(group: Group, against: str) -> list[pd.DataFrame]:
    wanted = [against, "val/dice"]
    return [run.curve.dropna(subset=wanted) for run in group.runs if set(wanted) <= set(run.curve.columns)]
