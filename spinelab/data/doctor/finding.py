"""What the doctor says: one thing that is wrong, what comes of it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spinelab.errors import SpinelabError

Severity = Literal["error", "warning", "note"]
Mending = Literal["nan", "labels", "affine", "squeeze", "sform"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
REFUSED = "training refuses the data set until this is mended"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: ``error``: training refuses or would be wrong; ``warning``: look at it; ``note``: good to know.
        check: Short name of the check that found it, the same in every version.
        file: The file or folder that it is about.
        found: What was found.
        consequence: What comes of it if nothing is done.
        remedy: What to do about it.
        case: Name of the case, "" if it is about more than one.
        picture: An overlay that shows it, "" if there is none.
        mending: What `fix=` can do about it by itself, None if a person has to decide.
    """

    severity: Severity
    check: str
    file: str
    found: str
    consequence: str
    remedy: str
    case: str = ""
    picture: str = ""
    mending: Mending | None = None

    def of(self, case: str) -> Finding:
        """The same finding, told of a case."""
        return replace(self, case=case)


def error(check: str, file: Path | str, found: str, remedy: str, consequence: str = REFUSED) -> Finding:
    """Training refuses, or would be wrong."""
    return Finding("error", check, str(file), found, consequence, remedy)


def warning(check: str, file: Path | str, found: str, consequence: str, remedy: str) -> Finding:
    """Something to look at."""
    return Finding("warning", check, str(file), found, consequence, remedy)


def note(check: str, file: Path | str, found: str, consequence: str, remedy: str) -> Finding:
    """Good to know."""
    return Finding("note", check, str(file), found, consequence, remedy)


def from_exception(check: str, problem: Exception, file: Path | str) -> Finding:
    """An exception as a finding; those that are not spinelab's own are told by their type and first line."""
    if isinstance(problem, SpinelabError):
        return error(check, problem.file or file, problem.found, problem.remedy)
    said = " ".join(str(problem).split())[:300]
    what = "not enough memory to read it" if isinstance(problem, MemoryError) else f"{type(problem).__name__}: {said}"
    return error(check, file, what, "look at the file or setting named here; if it is in order, report this message")
