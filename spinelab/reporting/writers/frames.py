"""Tables as tidy frames, numbers unrounded."""

from __future__ import annotations

import pandas as pd

from spinelab.reporting.tables import Cell, Row, Table


def to_frame(tables: tuple[Table, ...]) -> pd.DataFrame:
    """All tables as one tidy frame: a row for every metric, model and class, numbers unrounded."""
    records = [
        _identity(row) | {"metric": table.metric, "unit": table.unit, "class": column} | _numbers(cell)
        for table in tables
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    ]
    return pd.DataFrame(records)


def comparisons_frame(tables: tuple[Table, ...]) -> pd.DataFrame:
    """Every pair of rows that were trained and tested alike, of every metric and class."""
    columns = ["metric", "unit", "class", "first", "second", "difference", "low", "high", "n", "p", "p_holm",
               "rank_biserial", "d_z", "persons_needed", "real"]  # fmt: skip
    records = [
        (table.metric, table.unit, column, pair.first, pair.second, *vars(pair.difference).values(), pair.p,
         pair.adjusted, pair.effect, pair.d_z, pair.needed, pair.real)
        for table in tables
        for column in table.columns
        for pair in table.comparisons.get(column, ())
    ]  # fmt: skip
    return pd.DataFrame(records, columns=columns).astype({"persons_needed": "Int64"})


def ranks_frame(tables: tuple[Table, ...]) -> pd.DataFrame:
    """The rank of every row among those that were trained and tested alike, of every metric and class."""
    columns = ["metric", "unit", "class", "row", "rank", "mean_rank", "low", "high", "first", "of", "tau", "n"]
    records = [
        (table.metric, table.unit, column, *vars(place).values(), len(ranking.ranks), ranking.tau, ranking.n)
        for table in tables
        for column in table.columns
        for ranking in table.rankings.get(column, ())
        for place in ranking.ranks
    ]
    return pd.DataFrame(records, columns=columns)


def _identity(row: Row) -> dict[str, object]:
    group = row.group
    return {
        "row": group.label,
        **{key: group.runs[0][key] for key in ("model", "dataset", "protocol")},
        "runs": len(group.runs),
        "folds": " ".join(map(str, group.distinct("fold"))),
        "seeds": " ".join(map(str, group.distinct("seed"))),
        "split_hashes": " ".join(map(str, group.distinct("split_hash"))),
        "parameters": group.measured("parameters"),
        "training_seconds": group.measured("seconds"),
        "note": group.note,
    }


def _numbers(cell: Cell) -> dict[str, object]:
    difference = cell.difference
    return {
        **vars(cell.summary),
        **{f"variance_{name}": getattr(cell.spread, name) for name in ("persons", "folds", "seeds", "rest")},
        "seed_noise": cell.spread.noise,
        "best": cell.best,
        "tied": cell.tied,
        "difference": None if difference is None else difference.mean,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "difference_n": None if difference is None else difference.n,
    }
