"""Scores site by site: an architecture that fails at one hospital has a good mean all the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from spinelab.reporting.figures.style import colours, layout
from spinelab.reporting.statistics import Summary, person_values, summarise
from spinelab.reporting.tables import MEAN, Table


def site_figure(table: Table, column: str) -> go.Figure | None:
    """Mean over the persons of each site with its 95 % interval, a colour a model; None if there is one site only."""
    sites = sorted({str(site) for row in table.rows for site in row.group.cases["site"].unique() if site})
    if len(sites) < 2:
        return None
    colour = colours(row.group.label for row in table.rows)
    summaries = [[_of_site(row.group.cases, site, table.metric, column) for site in sites] for row in table.rows]
    figure = go.Figure()
    for position, row in enumerate(table.rows):
        found = summaries[position]
        means = np.array([summary.mean for summary in found])
        lows = np.array([summary.low for summary in found])
        highs = np.array([summary.high for summary in found])
        shift = 0.16 * (position - (len(table.rows) - 1) / 2)
        label, tint = row.group.label, colour[row.group.label]
        figure.add_scatter(
            x=_numbers(means), y=[at + shift for at in range(len(sites))], mode="markers", name=label,
            marker={"color": tint, "size": 8},
            error_x={"array": _numbers(highs - means), "arrayminus": _numbers(means - lows), "symmetric": False,
                     "color": tint, "thickness": 1.4, "width": 0},
            text=[f"{site}, n={summary.n}" for site, summary in zip(sites, found, strict=True)],
            hovertemplate="%{text}: %{x:.3f}<extra>" + label + "</extra>",
        )  # fmt: skip
    figure.update_layout(layout(), height=110 + (26 + 16 * len(table.rows)) * len(sites))
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    counts = [max(found[at].n for found in summaries) for at in range(len(sites))]
    names = [f"{site}<br>n={count}" for site, count in zip(sites, counts, strict=True)]
    figure.update_yaxes(tickvals=list(range(len(sites))), ticktext=names, autorange="reversed", ticklabelstandoff=6)
    return figure


def _of_site(cases: pd.DataFrame, site: str, metric: str, column: str) -> Summary:
    return summarise(person_values(cases[cases["site"] == site], metric, None if column == MEAN else column))


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if np.isnan(value) else float(f"{value:.4g}") for value in values]
