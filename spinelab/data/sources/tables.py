"""Tables and descriptions that lie beside the scans: CSV, TSV, parquet and JSON, read as plain text and checked."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from spinelab.errors import ConfigError, DataError

Table = dict[int, dict[str, str]]
"""Line in the file (the header is line 1) -> column -> text. Columns are in small letters."""


def read_table(file: Path) -> Table:
    """A table by its lines, all cells as text without blanks around them, missing ones as "".

    ``.tsv`` is separated by tabs, ``.csv`` by commas or, as spreadsheets in much of Europe write it, by semicolons.

    Raises:
        DataError: The file is missing, is no such table, has no rows, or a row is longer than the header.
    """
    try:
        table = _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_text(file)
    except (OSError, ValueError, csv.Error) as error:  # also what is not UTF-8, and pyarrow's errors
        remedy = "save the table as UTF-8 text (.csv or .tsv) or as .parquet, with the columns' names in the first row"
        raise DataError(f"the table cannot be read ({error})", remedy, file) from error
    if not table:
        raise DataError("the table has no rows", "write one row a scan below the columns' names", file)
    return table


def require_columns(table: Table, wanted: Iterable[str], file: Path) -> None:
    """Raise `ConfigError` for columns that a table lacks, with those of it that are named alike."""
    there = list(next(iter(table.values())))
    missing = [name for name in wanted if name.lower() not in there]
    if missing:
        near = sorted({match for name in missing for match in get_close_matches(name.lower(), there)})
        raise ConfigError(
            f"no column {', '.join(missing)}; the table has {', '.join(there)}",
            f"rename {' or '.join(near)}" if near else f"add {'it' if len(missing) == 1 else 'them'} to the table",
            file,
        )


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: The file is missing or is no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"it cannot be read as JSON ({error})", "restore the file, or correct data.root", file
        ) from error


def _read_text(file: Path) -> Table:
    text = file.read_text(encoding="utf-8-sig")
    header = text.partition("\n")[0]
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ";" if ";" in header and "," not in header else ","
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter, strict=True, restval="")
    reader.fieldnames = _columns(reader.fieldnames or ())
    table = {}
    for row in reader:
        if any(row.pop(None, ())):  # type: ignore[call-overload]  # what csv calls the cells beyond the header
            raise ValueError(f"line {reader.line_num} has more cells than the header")
        table[reader.line_num] = {name: cell.strip() for name, cell in row.items()}
    return table


def _read_parquet(file: Path) -> Table:
    frame = pd.read_parquet(file)
    columns = _columns(frame.columns)
    rows = frame.astype(object).where(frame.notna(), "").itertuples(index=False, name=None)
    return {
        line: {c: str(cell).strip() for c, cell in zip(columns, row, strict=True)} for line, row in enumerate(rows, 2)
    }


def _columns(names: Iterable[Any]) -> list[str]:
    columns = [str(name).strip().lower() for name in names]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ValueError(f"columns named twice: {', '.join(twice)}")
    return columns
