"""How numbers and facts are put into words, the same in every table."""

from __future__ import annotations

import math

from spinelab.reporting.statistics import RESAMPLES, Comparison, Difference, Rank, Spread, Summary
from spinelab.reporting.tables import Row, Table

NOTE = (
    "Mean over persons, 95 % bootstrap interval over persons, n persons. Bold: the best mean of its column among rows "
    "trained and tested alike, which is no claim of significance. †: not distinguishable from the runner-up."
)
PAIR_NOTE = (
    "Paired by person: mean difference, 95 % bootstrap interval, Wilcoxon signed-rank p (zeros by Pratt), adjusted by "
    "Holm over the pairs of the column, matched-pairs rank-biserial correlation, and an estimate of how many persons "
    "would tell a difference of this size (two-sided 0.05, power 80 %)."
)
RANK_NOTE = f"Ranks by the mean in {RESAMPLES} resamples of the persons, drawn jointly; first: share of the resamples."
SPREAD_NOTE = (
    "Standard deviations between persons, folds, trainings with other seeds, and what remains; seed noise is that of "
    "the mean over persons. Not known: the runs cannot tell, e.g. with one seed."
)
PAIRS = ("pair", "difference", "95 % interval", "n", "p", "p (Holm)", "effect", "persons needed")
"""Heads of a table of paired comparisons, as `pair` fills it."""
RANKS = ("model", "rank", "mean rank", "95 % interval", "first")
"""Heads of a table of ranks, as `rank` fills it."""
SPREADS = ("model", "persons", "folds", "seeds", "rest", "seed noise of the mean")
"""Heads of a table of standard deviations, as `spreads` fills it."""


def number(value: float, unit: str = "1") -> str:
    """A score with three decimals, a measure with one or (from a thousand) none; a dash if there is no value."""
    if math.isnan(value):
        return "–"
    form = ".3f" if unit == "1" else ".1f" if abs(value) < 1000 else ",.0f"
    return f"{value:{form}}".replace("-", "−")


def interval(part: Summary | Difference, unit: str = "1") -> str:
    """``[0.897, 0.925]``; "" if there is no interval."""
    return "" if math.isnan(part.low) else f"[{number(part.low, unit)}, {number(part.high, unit)}]"


def signed(part: Difference, unit: str = "1") -> str:
    """A difference, its sign always shown."""
    return ("+" if part.mean >= 0 else "") + number(part.mean, unit)


def millions(parameters: float | None) -> str:
    """Number of parameters in millions."""
    return "–" if parameters is None else f"{parameters / 1e6:.2f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person would say them: ``48 s``, ``12.5 min``, ``3.2 h``."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def extras(row: Row) -> tuple[str, str]:
    """The last columns of every table: parameters in millions and the mean training time of a run."""
    return millions(row.group.measured("parameters")), duration(row.group.measured("seconds"))


def marks(tables: tuple[Table, ...]) -> dict[str, str]:
    """Row label -> number of its footnote, for rows that cannot be held beside the others."""
    noted = [row.group.label for row in tables[0].rows if row.group.note]
    return {label: str(i) for i, label in enumerate(noted, start=1)}


def p_value(value: float) -> str:
    """``0.031`` or ``<0.001``; a dash if no test was called."""
    return "–" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def pair(comparison: Comparison, unit: str = "1") -> tuple[str, ...]:
    """A line of the table of paired comparisons."""
    difference = comparison.difference
    return (
        f"{comparison.first} − {comparison.second}", signed(difference, unit), interval(difference, unit),
        str(difference.n), p_value(comparison.p), p_value(comparison.adjusted), _hundredths(comparison.effect),
        "–" if comparison.needed is None else f"{comparison.needed:,}",
    )  # fmt: skip


def _hundredths(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f}".replace("-", "−")


def share(part: float) -> str:
    """``93 %``; what is not quite none or all does not round to it."""
    return "<1 %" if 0 < part < 0.01 else ">99 %" if 0.99 < part < 1 else f"{100 * part:.0f} %"


def pair_lines(table: Table) -> list[tuple[str, ...]]:
    """All pairs of a table's last column (mean over classes)."""
    return [pair(comparison, table.unit) for comparison in table.comparisons.get(table.columns[-1], ())]


def spread_lines(table: Table) -> list[tuple[str, ...]]:
    """The spread of every row in a table's last column."""
    return [spreads(row.group.label, row.cells[-1].spread, table.unit) for row in table.rows]


def rank(place: Rank) -> tuple[str, ...]:
    """A line of the table of ranks."""
    return place.label, str(place.observed), f"{place.mean:.2f}", f"{place.low} to {place.high}", share(place.first)


def spreads(label: str, spread: Spread, unit: str = "1") -> tuple[str, ...]:
    """A line of the table of standard deviations."""
    parts = [None if part is None else part**0.5 for part in (spread.persons, spread.folds, spread.seeds, spread.rest)]
    return label, *("not known" if part is None else number(part, unit) for part in (*parts, spread.noise))


def plain(value: object) -> str:
    """A value of whatever kind in a table cell: numbers in four digits, nothing for what is missing."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)
