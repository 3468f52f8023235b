"""The findings as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from spinelab import __version__
from spinelab.data.doctor.finding import SEVERITIES, Finding
from spinelab.files import write_atomically

SHOWN = 8
"""Rows of one kind in the table; JSON has all."""
COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def table(findings: Sequence[Finding], root: Path) -> Table:
    """One row a finding; where many are of one kind, the first few and how many more there are."""
    shown = Table(show_lines=True, expand=True)
    for heading, ratio in (("", None), ("where", 2), ("found, what comes of it, and what to do", 5)):
        shown.add_column(heading, overflow="fold", ratio=ratio)
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.check].append(finding)
    for (severity, check), members in groups.items():
        colour = COLOURS[severity]
        for one in members[:SHOWN]:
            text = f"{escape(one.found)}\n[dim]{escape(one.consequence)}[/]\nto do: {escape(one.remedy)}"
            shown.add_row(f"[{colour}]{severity}[/]\n{check}", escape(_where(one, root)), text)
        if (more := len(members) - SHOWN) > 0:
            shown.add_row(f"[{colour}]{severity}[/]\n{check}", f"and {more} more", "json=FILE lists all")
    return shown


def summary(findings: Sequence[Finding]) -> str:
    """How many of each severity, in words."""
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{counts[s]} {s}{'s' * (counts[s] != 1)}" for s in SEVERITIES if counts[s]]
    return ", ".join(parts) or "nothing is wrong"


def write_json(path: Path, findings: Sequence[Finding], facts: Mapping[str, Any]) -> None:
    """Write all findings, after facts about the data set; whole or not at all."""
    counts = Counter(finding.severity for finding in findings)
    content = {
        "spinelab": __version__,
        **facts,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "findings": [asdict(finding) for finding in findings],
    }
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False))


def _where(finding: Finding, root: Path) -> str:
    file = Path(finding.file)
    place = file.relative_to(root).as_posix() if file.is_relative_to(root) and file != root else finding.file
    return f"{place}\npicture: {finding.picture}" if finding.picture else place
