"""Run folders in, a folder with the comparison out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spinelab.files import write_atomically
from spinelab.reporting.figures import box_figure_png
from spinelab.reporting.groups import group_runs
from spinelab.reporting.page import make_page
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import make_tables
from spinelab.reporting.writers import to_frame, to_latex, to_markdown


def compare(paths: Iterable[Path | str], out: Path) -> Path:
    """Compares finished runs and writes what a paper, a README and a reader need.

    Args:
        paths: Run folders, folders that hold them at any depth, or glob patterns.
        out: Folder for ``table.md``, ``table.csv``, ``table.tex``, ``boxes.png`` and ``index.html``.

    Returns:
        The page, ``out/index.html``.

    Raises:
        RunError: There is nothing to compare, or the runs do not go together.
    """
    results = read_runs(paths)
    groups = group_runs(results)
    tables = make_tables(groups)
    page = make_page(results, groups, tables)  # first: what fails here leaves an older comparison whole
    write_atomically(out / "table.md", to_markdown(tables))
    write_atomically(out / "table.csv", to_frame(tables).to_csv(index=False))
    write_atomically(out / "table.tex", to_latex(tables))
    box_figure_png(tables[0], out / "boxes.png")
    return write_atomically(out / "index.html", page)
