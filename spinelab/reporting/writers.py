"""Tables as text: Markdown for a README, LaTeX for a paper, CSV for everything else."""

from __future__ import annotations

import math

import pandas as pd

from spinelab.reporting.statistics import Difference, Summary
from spinelab.reporting.tables import Cell, Row, Table

NOTE = (
    "Mean over persons, 95 % bootstrap interval over persons, n persons. Bold: the best mean of its column among rows "
    "tested on the same persons, which is no claim of significance. †: not distinguishable from the runner-up."
)
_LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "−": "$-$", "·": r"\textperiodcentered{}", "†": r"$^{\dagger}$",
}  # fmt: skip


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


def to_markdown(tables: tuple[Table, ...]) -> str:
    """All tables, each under a heading, with the footnotes they need."""
    parts = [part for table in tables for part in (f"## {table.title}", _markdown(table, marks(tables)))]
    notes = [f"<sup>{marks(tables)[row.group.label]}</sup> {row.group.label}: {row.group.note}."
             for row in tables[0].rows if row.group.note]  # fmt: skip
    return "\n\n".join([*parts, *notes, NOTE]) + "\n"


def _markdown(table: Table, mark: dict[str, str]) -> str:
    header = ["model", *table.columns, "parameters (M)", "training"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for row in table.rows:
        label = row.group.label.replace("|", "\\|")
        label += f" <sup>{mark[row.group.label]}</sup>" if row.group.label in mark else ""
        lines.append([label, *(_markdown_cell(cell, table.unit) for cell in row.cells), *extras(row)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: Cell, unit: str) -> str:
    mean = number(cell.summary.mean, unit)
    mean = f"**{mean}**" if cell.best else mean
    words = (mean + ("†" if cell.tied else ""), interval(cell.summary, unit), f"n={cell.summary.n}")
    return " ".join(word for word in words if word)


def to_latex(tables: tuple[Table, ...]) -> str:
    r"""All tables as ``table`` environments; they need ``\usepackage{booktabs}``."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(table, marks(tables)) for table in tables)


def _latex(table: Table, mark: dict[str, str]) -> str:
    header = ["model", *table.columns, "parameters (M)", "training"]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(f'{table.title}. {NOTE}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        " & ".join(map(escape_latex, header)) + r" \\",
        r"\midrule",
        *(_latex_row(row, table.unit, mark) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize $^{{{mark[row.group.label]}}}$ {escape_latex(row.group.note)}."
          for row in table.rows if row.group.note),
        r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _latex_row(row: Row, unit: str, mark: dict[str, str]) -> str:
    label = escape_latex(row.group.label)
    label += f"$^{{{mark[row.group.label]}}}$" if row.group.label in mark else ""
    cells = [label, *(_latex_cell(cell, unit) for cell in row.cells), *map(escape_latex, extras(row))]
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell, unit: str) -> str:
    mean = escape_latex(number(cell.summary.mean, unit))
    mean = rf"\textbf{{{mean}}}" if cell.best else mean
    words = (
        mean + (r"$^{\dagger}$" if cell.tied else ""),
        escape_latex(interval(cell.summary, unit)),
        f"$n={cell.summary.n}$",
    )
    return " ".join(word for word in words if word)


def escape_latex(text: str) -> str:
    """Text in which every character stands for itself."""
    return "".join(_LATEX.get(char, char) for char in text)


def to_frame(tables: tuple[Table, ...]) -> pd.DataFrame:
    """All tables as one tidy frame: a row for every metric, model and class, numbers unrounded."""
    records = [
        _identity(row) | {"metric": table.metric, "unit": table.unit, "class": column} | _numbers(cell)
        for table in tables
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    ]
    return pd.DataFrame(records)


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
        "best": cell.best,
        "tied": cell.tied,
        "difference": None if difference is None else difference.mean,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "difference_n": None if difference is None else difference.n,
    }
