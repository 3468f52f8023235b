"""lay finished runs side by side: one table, intervals, figures, a page that opens offline

usage: spinelab compare FOLDER [FOLDER ...] [out=FOLDER]

Examples:
  spinelab compare runs/phantom
  spinelab compare runs/gm_challenge/unet-* runs/gm_challenge/fcn-* out=comparison

Folders are runs or hold runs. Writes index.html, table.md, table.csv, table.tex, comparisons.csv (all pairs of rows),
ranks.csv, all_cases.parquet and boxes.png to out= (default: "comparison" in the first folder).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spinelab.errors import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Compare runs and print the page's path."""
    from spinelab.reporting.compare import compare, first_table

    paths = [argument for argument in arguments if not argument.startswith("out=")]
    if not paths:
        raise ConfigError("no runs are named", "give run folders, or a folder that holds them: spinelab compare runs")
    out = next(
        (argument[4:] for argument in arguments if argument.startswith("out=")), str(Path(paths[0]) / "comparison")
    )
    page = compare(paths, Path(out))
    print(first_table(page.parent), end="\n\n")
    print(f"page: {page.resolve()}")
    return 0
