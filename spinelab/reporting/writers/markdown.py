"""Tables for a README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from spinelab.reporting.tables import Cell, Table
from spinelab.reporting.verdicts import verdicts
from spinelab.reporting.words import (
    NOTE,
    PAIR_NOTE,
    PAIRS,
    RANK_NOTE,
    RANKS,
    SPREAD_NOTE,
    SPREADS,
    extras,
    interval,
    marks,
    number,
    pair_lines,
    rank,
    spread_lines,
)


def to_markdown(tables: tuple[Table, ...], facts: Mapping[str, str]) -> str:
    """All tables, each under a heading, with the footnotes they need, and what is known of the runs behind them."""
    parts = [part for i, table in enumerate(tables) for part in _section(table, marks(tables), said=i == 0)]
    notes = [f"<sup>{marks(tables)[row.group.label]}</sup> {row.group.label}: {row.group.note}."
             for row in tables[0].rows if row.group.note]  # fmt: skip
    told = ["## Runs", "\n".join(f"- {name}: {_plain(value)}" for name, value in facts.items())]
    return "\n\n".join([*parts, *notes, NOTE, PAIR_NOTE, RANK_NOTE, SPREAD_NOTE, *told]) + "\n"


def _section(table: Table, mark: dict[str, str], said: bool) -> list[str]:
    """One metric: its table, and for the last column (mean over classes) of a main one what follows from it."""
    column = table.columns[-1]
    parts = [f"## {table.title}", _markdown(table, mark)]
    if not table.main:
        return parts
    if said and (sentences := verdicts(table)):
        parts += [f"### What can be said: {table.title}, {column}", "\n".join(f"- {_plain(s)}" for s in sentences)]
    if lines := pair_lines(table):
        parts += [f"### Paired comparisons: {column}", _table(PAIRS, lines)]
    for ranking in table.rankings.get(column, ()):
        title = f"### Ranks: {column}, n={ranking.n} persons, mean Kendall's tau {ranking.tau:.2f}"
        parts += [title, _table(RANKS, [rank(place) for place in ranking.ranks])]
    return [*parts, f"### Where the spread comes from: {column}", _table(SPREADS, spread_lines(table))]


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)], *([_plain(word) for word in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _markdown(table: Table, mark: dict[str, str]) -> str:
    header = ["model", *table.columns, "parameters (M)", "training"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for row in table.rows:
        label = _plain(row.group.label)
        label += f" <sup>{mark[row.group.label]}</sup>" if row.group.label in mark else ""
        lines.append([label, *(_markdown_cell(cell, table.unit) for cell in row.cells), *extras(row)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: Cell, unit: str) -> str:
    mean = number(cell.summary.mean, unit)
    mean = f"**{mean}**" if cell.best else mean
    words = (mean + ("†" if cell.tied else ""), interval(cell.summary, unit), f"n={cell.summary.n}")
    return " ".join(word for word in words if word)
