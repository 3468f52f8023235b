"""Box plots with every person's point, and learning curves: for the page (plotly) and for a README (matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from spinelab.files import write_atomically
from spinelab.reporting.groups import Group
from spinelab.reporting.tables import MEAN, Cell, Table

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#F0E442")
"""Told apart by colour-blind readers (Okabe and Ito 2008); grey in place of black, which a dark page would hide."""
_GREY = "rgba(128,128,128,0.25)"
_POINTS = 12
_DASHES = ("solid", "dash", "dot")
"""Lines of one colour that would otherwise look the same."""


def colours(labels: Iterable[str]) -> dict[str, str]:
    """The same colour for the same model in every figure, whatever its rank; they repeat after eight."""
    return {label: OKABE_ITO[i % len(OKABE_ITO)] for i, label in enumerate(sorted(labels))}


def box_figure(table: Table, column: str) -> go.Figure:
    """One column of a table: a box a model with a point a person, the best-ranked model on top."""
    colour = colours(row.group.label for row in table.rows)
    figure = go.Figure()
    for row in table.rows:
        persons = _known(row.cells[table.columns.index(column)])
        label = row.group.label
        figure.add_box(
            x=persons["value"].tolist(), y=[label] * len(persons), name=label, orientation="h",
            boxpoints="all", jitter=0.5, pointpos=0, line={"color": colour[label], "width": 1.5},
            fillcolor=_transparent(colour[label]), marker={"color": colour[label], "size": 6, "opacity": 0.8},
            text=_hover(row.group, table.metric, column, persons), hoveron="points",
            hovertemplate="%{text}<extra>" + label + "</extra>",
        )  # fmt: skip
    figure.update_layout(_layout(), height=60 + 46 * len(table.rows), showlegend=False, boxgap=0.35)
    figure.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    return figure


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
        _layout(), height=310 + 12 * len(groups), legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    figure.update_xaxes(title="minutes of training" if against == "seconds" else "epoch", rangemode="tozero")
    figure.update_yaxes(title="validation Dice")
    return figure if figure.data else None


def box_figure_png(table: Table, path: Path, dpi: int = 150) -> Path:
    """The box plots of all columns of a table as one picture on white.

    Args:
        table: Any metric's table.
        path: PNG file to write.
        dpi: Dots an inch.
    """
    size = (1.6 + 3.2 * len(table.columns), 1.2 + 0.42 * len(table.rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, table.columns, strict=True):
        _draw_boxes(axis, table, column)
    figure.supxlabel(f"{table.title}; a point is a person", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", facecolor="white")
    return write_atomically(path, buffer.getvalue())


def _draw_boxes(axis: Axes, table: Table, column: str) -> None:
    colour = colours(row.group.label for row in table.rows)
    for i, row in enumerate(table.rows):
        values = _known(row.cells[table.columns.index(column)])["value"].to_numpy()
        if not len(values):
            continue
        tint = colour[row.group.label]
        style = {"color": tint, "linewidth": 1.2}
        axis.bxp(
            [_box(values)], positions=[i], orientation="horizontal", widths=0.55,
            showfliers=False, patch_artist=True, boxprops={"facecolor": tint + "33", "edgecolor": tint},
            medianprops=style, whiskerprops=style, capprops=style,
        )  # fmt: skip
        spread = [i + 0.12 * ((k % 3) - 1) for k in range(len(values))]
        axis.scatter(values, spread, s=_POINTS, color=tint, alpha=0.85, zorder=3, linewidths=0)
    axis.set_yticks(range(len(table.rows)), [row.group.label for row in table.rows], fontsize=9)
    axis.set_ylim(len(table.rows) - 0.4, -0.6)
    axis.set_title(column.replace("_", " "), fontsize=10)
    axis.tick_params(axis="both", length=0, labelsize=9)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)


def _box(values: NDArray[np.float64]) -> dict[str, float]:
    """Quartiles as plotly takes them, so that both pictures of the same scores show the same box."""
    low, middle, high = np.percentile(values, [25, 50, 75], method="hazen")
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    ends = {"whislo": min(inside.min(initial=low), low), "whishi": max(inside.max(initial=high), high)}
    return {"q1": low, "med": middle, "q3": high, **ends}


def _known(cell: Cell) -> pd.DataFrame:
    """The persons that have a value."""
    return cell.persons.dropna(subset="value")


def _hover(group: Group, metric: str, column: str, persons: pd.DataFrame) -> list[str]:
    """A text a person: the value and the cases it is the mean of."""
    rows = group.cases[group.cases["metric"] == metric]
    rows = rows if column == MEAN else rows[rows["class"] == column]
    cases = rows.groupby(["person", "case"])["value"].mean().dropna()
    texts = []
    for person, value in zip(persons.index, persons["value"], strict=True):
        lines = [f"{case}: {score:.3f}" for case, score in cases.loc[person].items()]
        texts.append("<br>".join([f"<b>{person}: {value:.3f}</b>", *lines[:6], *(["…"] if len(lines) > 6 else [])]))
    return texts


def _curves(group: Group, against: str) -> list[pd.DataFrame]:
    wanted = [against, "val/dice"]
    return [run.curve.dropna(subset=wanted) for run in group.runs if set(wanted) <= set(run.curve.columns)]


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _layout() -> dict[str, object]:
    """No background and no text colour of its own: the page's style sheet decides, in light and in dark."""
    axis = {"gridcolor": _GREY, "zeroline": False, "automargin": True}
    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 12, "t": 8, "b": 32},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#808080"},
        "hoverlabel": {"bgcolor": "#22272e", "font": {"color": "#ffffff"}, "bordercolor": "#22272e"},
        "xaxis": axis,
        "yaxis": axis,
    }
