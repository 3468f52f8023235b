"""Tables for a paper, ruled by booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from spinelab.reporting.tables import Cell, Row, Table
from spinelab.reporting.words import (
    NOTE,
    PAIR_NOTE,
    PAIRS,
    RANK_NOTE,
    RANKS,
    extras,
    interval,
    marks,
    number,
    pair_lines,
    rank,
)

_LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "−": "$-$", "·": r"\textperiodcentered{}", "†": r"$^{\dagger}$",
}  # fmt: skip


def to_latex(tables: tuple[Table, ...]) -> str:
    r"""All tables as ``table`` environments; they need ``\usepackage{booktabs}``."""
    mark = marks(tables)
    parts = [
        part
        for table in tables
        for part in (_latex(table, mark), *((*_paired(table), *_ranked(table)) if table.main else ()))
    ]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(parts)


def _latex(table: Table, mark: dict[str, str]) -> str:
    heads = ("model", *table.columns, "parameters (M)", "training")
    rows = [_latex_row(row, table.unit, mark) for row in table.rows]
    notes = [rf"\par\footnotesize $^{{{mark[row.group.label]}}}$ {escape_latex(row.group.note)}."
             for row in table.rows if row.group.note]  # fmt: skip
    return _environment(f"{table.title}. {NOTE}", heads, rows, notes)


def _paired(table: Table) -> list[str]:
    """The pairs of the last column (mean over classes)."""
    column = table.columns[-1]
    rows = [_line(words) for words in pair_lines(table)]
    return [_environment(f"{table.title}, {column}: paired comparisons. {PAIR_NOTE}", PAIRS, rows)] if rows else []


def _ranked(table: Table) -> list[str]:
    column = table.columns[-1]
    return [
        _environment(
            f"{table.title}, {column}: ranks, n={ranking.n} persons, mean Kendall's tau {ranking.tau:.2f}. {RANK_NOTE}",
            RANKS,
            [_line(rank(place)) for place in ranking.ranks],
        )
        for ranking in table.rankings.get(column, ())
    ]


def _line(words: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, words)) + r" \\"


def _environment(caption: str, heads: Sequence[str], rows: Sequence[str], notes: Sequence[str] = ()) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        _line(heads),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
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
