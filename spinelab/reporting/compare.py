"""Run folders in, a folder with the comparison out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from spinelab.files import replacing, write_atomically
from spinelab.reporting.facts import facts
from spinelab.reporting.figures import box_figure_png
from spinelab.reporting.groups import group_runs
from spinelab.reporting.page import make_page
from spinelab.reporting.results import Results, read_runs
from spinelab.reporting.tables import make_tables
from spinelab.reporting.writers import comparisons_frame, ranks_frame, to_frame, to_latex, to_markdown


def compare(paths: Iterable[Path | str], out: Path, journal: Path | None = None) -> Path:
    """Compares finished runs and writes what a paper, a README and a reader need.

    Args:
        paths: Run folders, folders that hold them at any depth, or glob patterns.
        out: Folder for ``table.md``, ``table.csv``, ``table.tex``, ``comparisons.csv`` (all pairs), ``ranks.csv``,
            ``all_cases.parquet`` (the cases of all runs), ``boxes.png`` and ``index.html``.
        journal: Of the search that chose the runs' settings, whose trials the page shall show.

    Returns:
        The page, ``out/index.html``.

    Raises:
        RunError: There is nothing to compare, or the runs do not go together.
    """
    results = read_runs(paths)
    groups = group_runs(results)
    tables = make_tables(groups)
    page = make_page(results, groups, tables, out, journal)  # first: what fails here leaves an older comparison whole
    write_atomically(out / "table.md", to_markdown(tables, facts(results, groups)))
    write_atomically(out / "table.tex", to_latex(tables))
    frames = {"table": to_frame(tables), "comparisons": comparisons_frame(tables), "ranks": ranks_frame(tables)}
    for name, frame in frames.items():
        write_atomically(out / f"{name}.csv", frame.to_csv(index=False))
    with replacing(out / "all_cases.parquet") as temporary:  # a folder with a cases.parquet would be taken for a run
        _pooled(results).to_parquet(temporary, index=False)
    box_figure_png(tables[0], out / "boxes.png")
    return write_atomically(out / "index.html", page)


def first_table(out: Path) -> str:
    """The first table of a comparison and what it says, for the terminal; ``table.md`` has all of them."""
    text = (out / "table.md").read_text(encoding="utf-8")
    first, *_ = re.split(r"\n\n(?:## |### (?!What))", text)
    return first


def _pooled(results: Results) -> pd.DataFrame:
    """All cases; what repeats on every line is kept once each, which makes the file small."""
    cases = results.cases
    return cases.astype({name: "category" for name in cases.columns if not pd.api.types.is_numeric_dtype(cases[name])})
