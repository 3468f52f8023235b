"""What a reader asks of the runs behind a table: which data and persons, when, where, and with which code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spinelab.reporting.groups import Group
from spinelab.reporting.results import Results, Run


def facts(results: Results, groups: tuple[Group, ...]) -> dict[str, str]:
    """What a reader asks first, from the data set to the days on which the runs ended; only what is known."""
    runs = results.runs
    sides = {side: [len(run.split[side]) for run in runs if side in run.split] for side in ("train", "val", "test")}
    persons = [f"{_range(counts)} {side}" for side, counts in sides.items() if counts]
    scored = len(frozenset().union(*({(str(g.runs[0]["dataset"]), p) for p in g.persons} for g in groups)))
    named = {
        "Data set": [run["dataset"] for run in runs],
        "Protocol": [run["protocol"] for run in runs],
        "Split": [run["split_hash"] for run in runs],
        "Persons": [" / ".join([*persons, f"{scored} scored in all"])],
        "Folds": [run["fold"] for run in runs],
        "Seeds": [run["seed"] for run in runs],
        "Runs": [len(runs)],
        "Budget": [budget for run in runs if (budget := _budget(run))],
        "Machine": [machine for run in runs if (machine := _machine(run.environment))],
        "Code": [str(run.environment["commit"])[:12] for run in runs if run.environment.get("commit")],
        "Runs ended": _days(runs),
    }
    return {name: _listed(values) for name, values in named.items() if values}


def _budget(run: Run) -> str:
    """Lightning knows no limit as None or -1."""
    limits = {unit: run.setting(f"trainer.max_{unit}") for unit in ("epochs", "steps")}
    return " or ".join(f"{limit} {unit}" for unit, limit in limits.items() if limit is not None and limit >= 0)


def _machine(environment: Mapping[str, Any]) -> str:
    cores = f"{environment['cores']} cores" if environment.get("cores") else ""
    return ", ".join(str(part) for part in (environment.get("gpu"), environment.get("processor"), cores) if part)


def _listed(values: list[Any], most: int = 5) -> str:
    distinct = sorted(set(values))
    return ", ".join(map(str, distinct[:most])) + (f" and {len(distinct) - most} more" if len(distinct) > most else "")


def _range(counts: list[int]) -> str:
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"


def _days(runs: Iterable[Run]) -> list[str]:
    """The first and the last day on which one of the runs ended, as one word; empty if nobody knows."""
    days = sorted({day for run in runs if (day := _day(run.folder / "status.json"))})
    return [" to ".join(dict.fromkeys((days[0], days[-1])))] if days else []


def _day(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["when"])[:10]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
