"""What can be said about the rows of a table, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from spinelab.reporting.statistics import ALPHA, DISTINGUISHABLE_FROM, RESAMPLES, Comparison, Ranking, seed_limit
from spinelab.reporting.tables import Cell, Table
from spinelab.reporting.words import interval, number, p_value, share

MANY = 10
"""With more pairs than this only those with the best row get a sentence each; the others are counted."""


def verdicts(table: Table, column: str | None = None) -> list[str]:
    """Which differences are real, which are within seed noise, and which these persons cannot tell.

    Args:
        table: Any metric's table.
        column: One of its columns; None for the last (mean over classes, if there are several).

    Returns:
        Sentences, each with its number of persons; none if no two rows were trained and tested alike.
    """
    column = column or table.columns[-1]
    cells = {row.group.label: row.cells[table.columns.index(column)] for row in table.rows}
    comparisons = [pair for pair in table.comparisons.get(column, ()) if pair.difference.n]
    best = {label for label, cell in cells.items() if cell.best}
    if len(comparisons) > 1 and all(pair.difference.n < DISTINGUISHABLE_FROM for pair in comparisons):
        return [_too_few(comparisons, table), *_one_seed(comparisons, cells)]
    told = [pair for pair in comparisons if len(comparisons) <= MANY or best & {pair.first, pair.second}]
    rest = [pair for pair in comparisons if pair not in told]
    return [
        *(_first(ranking) for ranking in table.rankings.get(column, ()) if ranking.n >= DISTINGUISHABLE_FROM),
        *(_sentence(pair, cells, table, len(comparisons)) for pair in told),
        *([_others(rest)] if rest else []),
        *_one_seed(comparisons, cells),
    ]


def _first(ranking: Ranking) -> str:
    top = ranking.ranks[0]
    return (
        f"{top.label} has the best mean and stays first in {share(top.first)} of {RESAMPLES} resamples of the "
        f"n={ranking.n} persons (95 % interval of its rank: {top.low} to {top.high} of {len(ranking.ranks)})."
    )


def _sentence(pair: Comparison, cells: dict[str, Cell], table: Table, pairs: int) -> str:
    limit = seed_limit(cells[pair.first].spread, cells[pair.second].spread)
    within = limit is not None and abs(pair.difference.mean) < limit
    if pair.difference.n < DISTINGUISHABLE_FROM:
        return _untested(pair, table)
    return _real(pair, table, limit, within) if pair.real else _open(pair, table, pairs, within)


def _too_few(pairs: Sequence[Comparison], table: Table) -> str:
    """One sentence where every pair would get the same."""
    small, *_, large = sorted(pairs, key=lambda pair: abs(pair.difference.mean))
    return (
        f"With {_persons(pairs)} no test is called ({DISTINGUISHABLE_FROM} are the fewest). The {len(pairs)} "
        f"differences between rows are {_size(small, table)} ({small.first} and {small.second}) to "
        f"{_size(large, table)} ({large.first} and {large.second})."
    )


def _persons(pairs: Sequence[Comparison]) -> str:
    fewest, most = min(pair.difference.n for pair in pairs), max(pair.difference.n for pair in pairs)
    return f"n={fewest if fewest == most else f'{fewest} to {most}'} persons"


def _untested(pair: Comparison, table: Table) -> str:
    return (
        f"{pair.first} and {pair.second}: with n={pair.difference.n} persons no test is called "
        f"({DISTINGUISHABLE_FROM} are the fewest); the difference is {_size(pair, table)}."
    )


def _real(pair: Comparison, table: Table, limit: float | None, within: bool) -> str:
    better_first = (pair.difference.mean < 0) == table.lower_is_better
    better, worse = (pair.first, pair.second) if better_first else (pair.second, pair.first)
    said = f"{better} is better than {worse}: {_evidence(pair, table)}"
    if limit is None:
        return f"{said}. The difference is real for these trained networks."
    bound = f"seeds alone would give up to {number(limit, table.unit)}"
    if within:
        return f"{said}. That holds for these trained networks, but is within seed noise ({bound}): train more seeds."
    return f"{said}. The difference is real, and beyond seed noise ({bound})."


def _open(pair: Comparison, table: Table, pairs: int, within: bool) -> str:
    said = f"{pair.first} and {pair.second} cannot be told apart: {_evidence(pair, table)}"
    noise = " It is within seed noise, too." if within else ""
    if pair.p < ALPHA <= pair.adjusted:
        return f"{said}. Alone the pair would count (p = {p_value(pair.p)}), among {pairs} pairs it does not.{noise}"
    if pair.adjusted < ALPHA:
        return f"{said}. The test, which goes by ranks, sees a difference; the interval of the mean holds 0.{noise}"
    if pair.needed is not None and pair.needed > pair.difference.n:
        return f"{said}. About {pair.needed:,} persons would be needed for a difference of this size.{noise}"
    return f"{said}.{noise}"


def _evidence(pair: Comparison, table: Table) -> str:
    p = p_value(pair.adjusted)
    return f"{_size(pair, table)} with n={pair.difference.n} persons, adjusted p {p if '<' in p else f'= {p}'}"


def _size(pair: Comparison, table: Table) -> str:
    """The difference without its sign, and the interval turned with it."""
    difference = pair.difference if pair.difference.mean >= 0 else -pair.difference
    unit = "" if table.unit == "1" else f" {table.unit}"
    return " ".join(filter(None, (f"{number(difference.mean, table.unit)}{unit}", interval(difference, table.unit))))


def _others(pairs: Sequence[Comparison]) -> str:
    return (
        f"Of the other {len(pairs)} pairs {sum(pair.real for pair in pairs)} differ ({_persons(pairs)}); "
        "comparisons.csv lists them all."
    )


def _one_seed(pairs: Sequence[Comparison], cells: dict[str, Cell]) -> list[str]:
    labels = {label for pair in pairs for label in (pair.first, pair.second)}
    alone = [label for label in cells if label in labels and cells[label].spread.noise is None]
    if not alone:
        return []
    persons = max(cells[label].summary.n for label in alone)
    return [
        f"Seed noise is not known for {', '.join(alone)} (n={persons} persons, one seed): another seed may change "
        "differences and ranks, and no test over persons can see that."
    ]
