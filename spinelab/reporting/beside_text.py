"""Published beside measured as Markdown, LaTeX and a tidy frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from spinelab.files import write_atomically
from spinelab.reporting.beside import UNMEASURED, Line, Sheet
from spinelab.reporting.beside_facts import facts_of
from spinelab.reporting.meaning import differences, meaning
from spinelab.reporting.measures import title
from spinelab.reporting.published import TRUST, PublishedCell, PublishedTable
from spinelab.reporting.statistics import Summary
from spinelab.reporting.words import interval, number
from spinelab.reporting.writers import escape_latex

NOTE = (
    "Printed: as the review prints it. Measured: mean over persons, 95 % bootstrap interval over persons, n persons; "
    "ratios as parts of 1."
)
FIGURE = "figure.png"
"""Lies beside the text where anything is measured."""


@dataclass(frozen=True)
class Page:
    """All that is told about one table under one budget.

    Attributes:
        paper: The review's table.
        budget: Name of the budget.
        cost: What the budget takes, in a sentence.
        sheets: One for each data set.
        command: What makes it again.
    """

    paper: PublishedTable
    budget: str
    cost: str
    sheets: tuple[Sheet, ...]
    command: str = ""

    @property
    def measured(self) -> bool:
        """Whether anything of it is measured."""
        return any(sheet.groups for sheet in self.sheets)

    @property
    def head(self) -> str:
        """A few words on what stands beside what."""
        return f"{self.paper.name.capitalize().replace('Table', 'Table ')} of the review, printed beside measured"


def write_page(page: Page, folder: Path) -> Path:
    """Write ``table.md``, ``table.tex`` and ``table.csv``; returns the first."""
    write_atomically(folder / "table.tex", to_latex(page))
    write_atomically(folder / "table.csv", to_frame(page).to_csv(index=False))
    return write_atomically(folder / "table.md", to_markdown(page))


def to_markdown(page: Page) -> str:
    """The whole page: a table for each data set, then the footnotes, then what it does and does not show."""
    marks = footnotes(page.paper)
    parts = [f"# {page.head}", f"{page.paper.title}: {page.paper.compares}.", f"Budget {page.budget}: {page.cost}"]
    parts += [f"`{page.command}`"] if page.command else []
    parts += [f"![{page.head}: {page.paper.title}]({FIGURE})"] if page.measured else []
    for sheet in page.sheets:
        parts += [f"## {sheet.data}", *([f"All rows: {sheet.terms}."] if sheet.terms else []), *_made(sheet)]
        lines = [[_plain(word) for word in words] for words in _body(sheet, marks, lambda mark: f" <sup>{mark}</sup>")]
        parts += [_grid([_heads(sheet), *lines]), *_rows_of(sheet)]
        if said := differences(page.paper, sheet):
            parts.append("\n".join(f"- {_plain(sentence)}" for sentence in said))
    notes = [f"<sup>{mark}</sup> {footnote(cell)}" for cell, mark in marks.items()]
    grades = [f"{grade}: {meant}" for grade, meant in grades_of(page.paper).items()]
    said_last = ["## What this does and does not show", meaning(page.paper, page.sheets, page.cost)]
    return "\n\n".join([*parts, NOTE, f"Trust: {'; '.join(grades)}.", *notes, *said_last]) + "\n"


def _made(sheet: Sheet) -> list[str]:
    """Where, with which code and when the runs were made."""
    told = facts_of(sheet)
    named = [f"{name.lower()}: {told[name]}" for name in ("Machine", "Code", "Runs ended") if name in told]
    return [f"Runs: {'; '.join(named)}."] if named else []


def to_latex(page: Page) -> str:
    r"""A ``table`` environment for each data set; they need ``\usepackage{booktabs}``."""
    marks = footnotes(page.paper)
    tables = [_latex(page, sheet, marks) for sheet in page.sheets]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(tables)


def to_frame(page: Page) -> pd.DataFrame:
    """A line for every data set, row, metric and class; one without class where nothing is measured."""
    return pd.DataFrame([record for sheet in page.sheets for line in sheet.lines for record in _records(sheet, line)])


def footnotes(paper: PublishedTable) -> dict[PublishedCell, str]:
    """Cell -> number of its footnote, for cells of which there is more to say than their grade."""
    noted = [cell for cell in paper.cells if cell.note or cell.citation is not None]
    return {cell: str(number) for number, cell in enumerate(noted, start=1)}


def grades_of(paper: PublishedTable) -> dict[str, str]:
    """The grades that the table's cells have, and what they mean."""
    there = {cell.trust for cell in paper.cells}
    return {grade: meant for grade, meant in TRUST.items() if grade in there}


def footnote(cell: PublishedCell) -> str:
    """What there is to say of a cell: where it comes from, what that says itself, what is wrong."""
    words = [f"{cell.row}, {title(cell.metric)}: {cell.printed}"]
    words += [f"reference [{cell.citation}] of the review"] if cell.citation is not None else []
    unit = "" if cell.unit in ("1", "name") else f" {cell.unit}"
    words += [f"which itself reports {cell.source}{unit}"] if cell.source is not None else []
    words += [f"read as {cell.corrected}{unit}"] if cell.corrected is not None else []
    return "; ".join([*words, *([cell.note] if cell.note else [])]) + "."


def _heads(sheet: Sheet) -> list[str]:
    names = [f"measured, {name}" for name in sheet.columns] or ["measured"]
    return ["row", "metric", "printed", "trust", *names]


def _body(sheet: Sheet, marks: dict[PublishedCell, str], raised: Callable[[str], str]) -> Iterable[list[str]]:
    for line in sheet.lines:
        paper, mark = line.paper, marks.get(line.paper) if line.paper else None
        printed = "–" if paper is None else paper.printed + (raised(mark) if mark else "")
        yield [line.row, title(line.metric), printed, paper.trust if paper else "–", *_measured(sheet, line)]


def _measured(sheet: Sheet, line: Line) -> list[str]:
    names = sheet.columns or ("",)
    if not line.measured:
        why = line.why if line.why == UNMEASURED else f"not yet run: {line.why}"
        return [why, *[""] * (len(names) - 1)]
    told = [_summary(line.measured.get(name), line.unit) for name in names]
    return [told[0] + (f" ({line.why})" if line.why else ""), *told[1:]]


def _summary(part: Summary | None, unit: str) -> str:
    if part is None:
        return "–"
    return " ".join(word for word in (number(part.mean, unit), interval(part, unit), f"n={part.n}") if word)


def _rows_of(sheet: Sheet) -> list[str]:
    """How each row was made."""
    told = [f"{row}: `{how}`" for row, how in (sheet.how or {}).items() if how]
    return [f"Rows: {'; '.join(told)}."] if told else []


def _grid(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    ruled = [head, ["---"] * 4 + ["---:"] * (len(head) - 4), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _latex(page: Page, sheet: Sheet, marks: dict[PublishedCell, str]) -> str:
    body = _body(sheet, marks, lambda mark: f" [{mark}]")
    lines = [" & ".join(map(escape_latex, words)) + r" \\" for words in (_heads(sheet), *body)]
    notes = [rf"\par\footnotesize [{mark}] {escape_latex(footnote(cell))}" for cell, mark in marks.items()]
    caption = f"{page.head}, {sheet.data}, budget {page.budget}. {sheet.terms}{'. ' if sheet.terms else ''}{NOTE}"
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(caption)}}}",
            rf"\begin{{tabular}}{{llll{'r' * max(len(sheet.columns), 1)}}}", r"\toprule", lines[0], r"\midrule",
            *lines[1:], r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", "",
        ]
    )  # fmt: skip


def _records(sheet: Sheet, line: Line) -> Iterable[dict[str, object]]:
    cell = line.paper
    told = {} if cell is None else {f"printed_{key}": value for key, value in asdict(cell).items() if key in _KEPT}
    start: dict[str, object] = {"data": sheet.data, "row": line.row, "metric": line.metric, "state": line.why or "done"}
    start |= told | {"printed_scaled": None if cell is None else cell.scaled}
    if not line.measured:
        yield start
    for name, part in line.measured.items():
        values = {
            key: value for key, value in vars(part).items() if key in ("mean", "low", "high", "n", "median", "sd")
        }
        yield start | {"class": name} | values


_KEPT = ("value", "unit", "citation", "source", "corrected", "sd", "bound", "trust", "note")
