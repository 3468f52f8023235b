"""What all figures share: colours, and a layout that the page's style sheet can colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from spinelab.reporting.tables import Cell

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#F0E442")
"""Told apart by colour-blind readers (Okabe and Ito 2008); grey in place of black, which a dark page would hide."""
GREY = "rgba(128,128,128,0.25)"


def colours(labels: Iterable[str]) -> dict[str, str]:
    """The same colour for the same model in every figure, whatever its rank; they repeat after eight."""
    return {label: OKABE_ITO[i % len(OKABE_ITO)] for i, label in enumerate(sorted(labels))}


def known(cell: Cell) -> pd.DataFrame:
    """The persons of a cell that have a value."""
    return cell.persons.dropna(subset="value")


def transparent(colour: str) -> str:
    """The colour at 15 %, for an area."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def layout() -> dict[str, Any]:
    """No background and no text colour of its own: the page's style sheet decides, in light and in dark."""
    axis = {"gridcolor": GREY, "zeroline": False, "automargin": True}
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
