"""How steady a ranking is: the blob plot of challengeR, rank by rank.

Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge results (Scientific
Reports 11:2369, 2021).
"""

from __future__ import annotations

import plotly.graph_objects as go

from spinelab.reporting.figures.style import colours, layout
from spinelab.reporting.tables import Table


def rank_figure(table: Table, column: str) -> go.Figure | None:
    """Rank of every row: observed (ring), mean over resamples of the persons (dot) and 95 % interval (line).

    Returns:
        None where no two rows were trained and tested alike.
    """
    colour = colours(row.group.label for row in table.rows)
    places = [(place, ranking.n) for ranking in table.rankings.get(column, ()) for place in ranking.ranks]
    if not places:
        return None
    figure = go.Figure()
    for place, n in places:
        label, tint = place.label, colour[place.label]
        said = f"{label}: rank {place.observed}, first in {place.first:.0%} of the resamples, n={n} persons"
        figure.add_scatter(
            x=[place.low, place.high], y=[label] * 2, mode="lines", line={"color": tint, "width": 2},
            showlegend=False, hoverinfo="text", text=said,
        )  # fmt: skip
        figure.add_scatter(
            x=[place.observed, round(place.mean, 3)], y=[label] * 2, mode="markers", showlegend=False,
            hoverinfo="text", text=said,
            marker={"color": tint, "size": [15, 8], "symbol": ["circle-open", "circle"], "line": {"width": 2}},
        )  # fmt: skip
    figure.update_layout(layout(), height=80 + 40 * len(places))
    figure.update_xaxes(title="rank", dtick=1, range=[0.5, len(places) + 0.5])
    figure.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    return figure
