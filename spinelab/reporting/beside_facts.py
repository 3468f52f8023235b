"""What a reader asks of the runs behind a reproduced table: who was scored, when, where, and with which code."""

from __future__ import annotations

import json
from pathlib import Path

from spinelab.reporting.beside import Sheet
from spinelab.reporting.groups import find_problems
from spinelab.reporting.page import facts
from spinelab.reporting.results import Results, Run


def runs_of(sheet: Sheet) -> tuple[Run, ...]:
    """All runs that a sheet rests on."""
    return tuple(run for group in sheet.groups for run in group.runs)


def facts_of(sheet: Sheet) -> dict[str, str]:
    """As on the page of a comparison, and the days on which the runs ended; empty if there are none."""
    runs = runs_of(sheet)
    if not runs:
        return {}
    days = sorted({day for run in runs if (day := _day(run.folder / "status.json"))})
    dates = {"Runs ended": " to ".join(dict.fromkeys((days[0], days[-1])))} if days else {}
    return facts(Results(runs), sheet.groups) | dates


def problems_of(sheet: Sheet) -> tuple[str, ...]:
    """What a reader should know before believing the table, one sentence each."""
    return find_problems(Results(runs_of(sheet)), sheet.groups) if sheet.groups else ()


def _day(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["when"])[:10]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
