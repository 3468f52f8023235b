"""What is known of the runs behind a reproduced table."""

from __future__ import annotations

from spinelab.reporting.beside import Sheet
from spinelab.reporting.facts import facts
from spinelab.reporting.groups import find_problems
from spinelab.reporting.results import Results, Run


def runs_of(sheet: Sheet) -> tuple[Run, ...]:
    """All runs that a sheet rests on."""
    return tuple(run for group in sheet.groups for run in group.runs)


def facts_of(sheet: Sheet) -> dict[str, str]:
    """As on the page of a comparison; empty if there are no runs."""
    return facts(Results(runs), sheet.groups) if (runs := runs_of(sheet)) else {}


def problems_of(sheet: Sheet) -> tuple[str, ...]:
    """What a reader should know before believing the table, one sentence each."""
    return find_problems(Results(runs_of(sheet)), sheet.groups) if sheet.groups else ()
