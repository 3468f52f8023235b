"""The review's own numbers, cell by cell: what it prints, what its source says, and how far the cell can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from spinelab.errors import ConfigError, near
from spinelab.reporting.measures import TITLES

TRUST = {
    "ok": "plain, and its source, where it names one that could be read, says the same",
    "unsourced": "the review's own figure, of data that it does not name",
    "garbled": "misprinted, or under the name of another metric, unit or modality",
    "contradicted": "its source says otherwise",
    "unsupported": "its source is about something else",
    "unchecked": "its source could not be read",
}
"""Grade -> what it means."""
NEEDS_NOTE = ("garbled", "contradicted", "unsupported")
UNITS = ("1", "%", "mm", "px", "level", "epoch", "image", "iteration", "name")
OTHER_METRICS = (
    "epochs", "batch_size", "learning_rate", "loss", "levels", "kernel_size", "dropout", "activation", "iterations",
    "canal_stenosis", "foraminal_stenosis",
)  # fmt: skip
"""What the review prints and no table of cases holds."""


@dataclass(frozen=True)
class PublishedCell:
    """A number that the review prints.

    Attributes:
        table: ``table1`` to ``table8``, or ``text``.
        row: The system.
        metric: As in the tables of cases, or one of `OTHER_METRICS`.
        value: As printed, misprints included; text where the unit is ``name``.
        unit: One of `UNITS`; "1" is a ratio.
        trust: One of `TRUST`.
        citation: Number of the review's reference; None if it gives none.
        source: What that reference itself reports, in the same unit; None if it is not known.
        corrected: What must have been meant by a misprint, in the same unit.
        sd: Standard deviation as printed.
        bound: ">" where the review gives a bound only.
        note: What is wrong with the cell, or what else is known.
        setting: Key of the configuration that sets it.
    """

    table: str
    row: str
    metric: str
    value: float | str
    unit: str
    trust: str
    citation: int | None = None
    source: float | None = None
    corrected: float | None = None
    sd: float | None = None
    bound: str = ""
    note: str = ""
    setting: str = ""

    @property
    def printed(self) -> str:
        """The value as the review prints it, with its unit: ``84.9 ± 9.1 %``."""
        value = f"{self.value}"
        if self.metric in TITLES and self.unit == "1" and len(value) < len("0.80"):
            value = f"{self.value:.2f}"  # YAML keeps no zeros at the end
        words = [self.bound, value, *([f"± {self.sd}"] if self.sd is not None else [])]
        return " ".join([word for word in words if word] + ([self.unit] if self.unit not in ("1", "name") else []))

    @property
    def scaled(self) -> float | None:
        """The value in the unit of the tables of cases (ratios of 1, not per cent), a misprint corrected."""
        value = self.value if self.corrected is None else self.corrected
        if isinstance(value, str):
            return None
        return value / 100 if self.unit == "%" else float(value)


@dataclass(frozen=True)
class PublishedTable:
    """A table of the review.

    Attributes:
        name: ``table3``.
        title: A few words.
        compares: What is held against what.
        caveat: What a reader must know before comparing anything with it.
        not_yet_run: Row -> why no study has it.
        cells: In the review's order.
        same: Row -> the row whose runs stand for it, since nothing is known that tells the two apart.
    """

    name: str
    title: str
    compares: str
    caveat: str
    not_yet_run: Mapping[str, str]
    cells: tuple[PublishedCell, ...]
    same: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """Its systems, in the review's order."""
        return tuple(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it measures, in the review's order."""
        return tuple(dict.fromkeys(cell.metric for cell in self.cells))

    def cell(self, row: str, metric: str) -> PublishedCell | None:
        """A cell; None where the review has none."""
        return next((cell for cell in self.cells if (cell.row, cell.metric) == (row, metric)), None)


def read_published(file: Path) -> dict[str, PublishedTable]:
    """Read and check the review's numbers.

    Returns:
        Name -> table, in the file's order.

    Raises:
        ConfigError: The file cannot be read, or an entry is wrong; the message names the entry and what to write.
    """
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot be read: {' '.join(str(error).split())}", "correct the file", file) from error
    try:
        return _tables(told)
    except ValueError as error:
        found, remedy = error.args
        raise ConfigError(found, remedy, file) from None


def _tables(told: Any) -> dict[str, PublishedTable]:
    _keys(told, "the file", ("tables", "cells"), ())
    cells = _cells(told["cells"], tuple(told["tables"]))
    found = {}
    for name, part in told["tables"].items():
        _keys(part, f"tables.{name}", ("title", "compares", "caveat"), ("not_yet_run", "same"))
        own = tuple(cell for cell in cells if cell.table == name)
        title, compares, caveat = (" ".join(str(part[key]).split()) for key in ("title", "compares", "caveat"))
        missing, same = part.get("not_yet_run", {}), part.get("same", {})
        found[name] = PublishedTable(name, title, compares, caveat, missing, own, same)
        for key, named in {"not_yet_run": missing, "same": [*same, *same.values()]}.items():
            for row in named:
                _demand(row in found[name].rows, f"tables.{name}.{key}: {row!r}", near(row, found[name].rows))
    return found


def _cells(told: Sequence[Any], tables: Sequence[str]) -> list[PublishedCell]:
    cells: dict[tuple[str, str, str], PublishedCell] = {}
    required = tuple(item.name for item in fields(PublishedCell)[:6])
    optional = tuple(item.name for item in fields(PublishedCell)[6:])
    for position, entry in enumerate(told):
        names = [entry.get(key) for key in required[:3]] if isinstance(entry, Mapping) else []
        where = f"cells[{position}] ({', '.join(map(str, names))})"
        _keys(entry, where, required, optional)
        cell = PublishedCell(**entry)
        _check(cell, where, tables)
        key = (cell.table, cell.row, cell.metric)
        _demand(key not in cells, f"{where} is there twice", "leave one out")
        cells[key] = cell
    return list(cells.values())


def _check(cell: PublishedCell, where: str, tables: Sequence[str]) -> None:
    """What one cell must fulfil by itself."""
    choices = {"table": tables, "unit": UNITS, "trust": tuple(TRUST), "metric": (*TITLES, *OTHER_METRICS)}
    choices |= {"bound": ("", ">", "<")}
    for key, known in choices.items():
        value = getattr(cell, key)
        _demand(value in known, f"{where}: {key} is {value!r}", near(str(value), known))
    for key in ("row", "note", "setting"):
        _demand(isinstance(getattr(cell, key), str), f"{where}: {key} is {getattr(cell, key)!r}", "write text")
    for key in ("citation", "source", "corrected", "sd"):
        value = getattr(cell, key)
        _demand(value is None or _is_number(value), f"{where}: {key} is {value!r}", "write a number, or leave it out")
    if cell.unit == "name":
        _demand(isinstance(cell.value, str), f"{where}: value is {cell.value!r}", "write text, or name its unit")
    else:
        _demand(_is_number(cell.value), f"{where}: value is {cell.value!r}", "write a number, or unit: name")
        _check_number(cell, where)
    needs = cell.trust in NEEDS_NOTE and not cell.note
    _demand(not needs, f"{where}: trust is {cell.trust} without a note", "say in note what is wrong with the cell")


def _check_number(cell: PublishedCell, where: str) -> None:
    if cell.metric in TITLES and cell.unit in ("1", "%"):
        ratio = cell.scaled
        found = f"{where}: value {cell.printed} is no ratio"
        _demand(ratio is not None and 0 <= ratio <= 1, found, "give corrected, with trust: garbled")
    if cell.source is not None and cell.trust in ("ok", "contradicted"):
        agrees = math.isclose(float(cell.source), float(cell.value))
        found = f"{where}: trust is {cell.trust}, value {cell.value} and source {cell.source}"
        _demand(agrees == (cell.trust == "ok"), found, "ok is what its source confirms, contradicted what it does not")
    misprint = cell.corrected is not None and cell.trust != "garbled"
    _demand(not misprint, f"{where}: corrected, but trust is {cell.trust}", "write trust: garbled")


def _keys(part: Any, where: str, required: Sequence[str], optional: Sequence[str]) -> None:
    known = (*required, *optional)
    _demand(isinstance(part, Mapping), f"{where} is no mapping", f"keys: {', '.join(known)}")
    for key in part:
        _demand(key in known, f"{where}: there is no key {key!r}", near(str(key), known))
    for key in required:
        _demand(part.get(key) not in (None, ""), f"{where}: {key} is missing", f"needed: {', '.join(required)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _demand(fulfilled: bool, found: str, remedy: str) -> None:
    """What is found wrong, as an error that `read_published` gives the file's name."""
    if not fulfilled:
        raise ValueError(found, remedy)
