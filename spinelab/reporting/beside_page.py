"""Reproduced tables as one HTML page: printed beside measured, figures, and a typical case; it opens offline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from spinelab.files import write_atomically
from spinelab.reporting.beside import COMMON, Line, Sheet
from spinelab.reporting.beside_facts import facts_of, problems_of, runs_of
from spinelab.reporting.beside_figure import beside_figures, beside_png
from spinelab.reporting.beside_pictures import Typical, typical_case
from spinelab.reporting.beside_points import SYMBOLS, TRUST_COLOURS
from spinelab.reporting.beside_text import FIGURE, NOTE, Page, footnote, footnotes, grades_of, write_page
from spinelab.reporting.meaning import differences, meaning
from spinelab.reporting.published import TRUST, PublishedCell
from spinelab.reporting.rendering import rendered
from spinelab.reporting.verdicts import verdicts
from spinelab.reporting.writers import comparisons_frame


@dataclass(frozen=True)
class Row:
    """A row of a table on the page: its lines by metric, and why nothing or not everything of it is measured."""

    name: str
    how: str
    why: str
    cells: tuple[Line | None, ...]


@dataclass(frozen=True)
class Part:
    """A table beside one data set, as the page's template shows it."""

    sheet: Sheet
    facts: dict[str, str]
    problems: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    said: tuple[str, ...]
    verdicts: tuple[str, ...]
    figures: list[tuple[str, Markup]]
    typical: Typical | None
    comparison: str


@dataclass(frozen=True)
class Chapter:
    """A table with all its data sets, its footnotes, and what it shows."""

    page: Page
    notes: dict[PublishedCell, str]
    grades: dict[str, str]
    parts: tuple[Part, ...]
    meaning: str
    link: str


def write_reproduction(page: Page, folder: Path) -> Path:
    """Write ``page.html``, ``figure.png``, ``comparisons.csv`` (all pairs of rows) and what `write_page` writes.

    Returns:
        The Markdown.

    Raises:
        RunError: A picture of a run is damaged.
    """
    text = make_page((page,), folder)  # first: what fails here leaves an older page whole
    if beside_png(page.sheets, folder / FIGURE) is None:
        (folder / FIGURE).unlink(missing_ok=True)
    write_atomically(folder / "page.html", text)
    pairs = [comparisons_frame(tuple((sheet.tables or {}).values())).assign(data=sheet.data) for sheet in page.sheets]
    write_atomically(folder / "comparisons.csv", pd.concat(pairs).to_csv(index=False))
    return write_page(page, folder)


def write_overview(pages: Sequence[tuple[Page, Path | None]], file: Path) -> Path:
    """Write one page with several tables, one below the other.

    Args:
        pages: Each with the folder that its own page lies in; None if it has none.
        file: HTML file to write.
    """
    links = [None if folder is None else folder / "page.html" for _, folder in pages]
    return write_atomically(file, make_page([page for page, _ in pages], file.parent, links))


def make_page(pages: Sequence[Page], out: Path, links: Sequence[Path | None] = ()) -> str:
    """The page as text.

    Args:
        pages: Its tables.
        out: Folder that it will lie in; links begin there.
        links: The page of each table alone, where there is one.
    """
    one = pages[0] if len(pages) == 1 else None
    return rendered(
        "beside.html.j2",
        title=f"{one.head}: {one.paper.title}" if one else "The review's tables, printed beside measured",
        chapters=[
            _chapter(page, out, link) for page, link in zip(pages, links or [None] * len(pages), strict=True)
        ],
        alone=one is not None,
        tints=TRUST_COLOURS,
        symbols=[name for name, _ in SYMBOLS],
        trust=TRUST,
        footnote=footnote,
        note=NOTE,
    )  # fmt: skip


def _chapter(page: Page, out: Path, link: Path | None) -> Chapter:
    parts = tuple(_part(page, sheet, out) for sheet in page.sheets)
    told = meaning(page.paper, page.sheets, page.cost) if page.cost else page.paper.caveat
    address = _address(link, out) if link else ""
    return Chapter(page, footnotes(page.paper), grades_of(page.paper), parts, told, address)


def _part(page: Page, sheet: Sheet, out: Path) -> Part:
    common = (sheet.tables or {}).get(COMMON)
    metrics = tuple(dict.fromkeys(line.metric for line in sheet.lines))
    return Part(
        sheet,
        facts_of(sheet),
        problems_of(sheet),
        metrics,
        tuple(_row(sheet, name, metrics) for name in dict.fromkeys(line.row for line in sheet.lines)),
        tuple(differences(page.paper, sheet)),
        tuple(verdicts(common)) if common else (),
        [(name, Markup(figure.to_json().replace("<", "\\u003c"))) for name, figure in beside_figures(sheet)],
        typical_case(sheet.groups),
        _comparison(sheet, out),
    )


def _row(sheet: Sheet, name: str, metrics: Sequence[str]) -> Row:
    lines = {line.metric: line for line in sheet.lines if line.row == name}
    reasons = {line.why for line in lines.values()}
    why = reasons.pop() if len(reasons) == 1 else ""
    return Row(name, (sheet.how or {}).get(name, ""), why, tuple(lines.get(metric) for metric in metrics))


def _comparison(sheet: Sheet, out: Path) -> str:
    """The way to the study's own comparison of these runs; "" if it was not written."""
    top = runs_of(sheet)[0].folder.parents[1] if sheet.groups else None
    file = top / "comparison" / sheet.data / "index.html" if top else None
    return _address(file, out) if file and file.is_file() else ""


def _address(file: Path, out: Path) -> str:
    return quote(Path(os.path.relpath(file.resolve(), out.resolve())).as_posix())
