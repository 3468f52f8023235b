"""How far a run is: told by the files in its folder, so that any process on any machine can ask."""

from __future__ import annotations

import json
import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from spinelab.errors import RunPruned
from spinelab.files import write_atomically

StateName = Literal["queued", "running", "interrupted", "failed", "pruned", "fitted", "done"]
ENDED: tuple[StateName, ...] = ("done", "fitted", "failed", "pruned")
"""States of runs that nobody works on and that need not be taken up again by themselves."""


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        name: queued (nothing is there yet), running, interrupted (its process is gone; the same command goes on),
            failed, pruned (a search gave it up), fitted (trained, its test persons not scored) or done.
        reason: Why it failed or was given up.
        val_dice: Best validation Dice, of a run that ended; None where nobody validates.
        seconds: That its training took, of a run that ended.
        epoch: Epochs that are written down, counted from 1; 0 before the first.
        host: Machine that runs it, or ran it last.
        pid: Process that runs it, or ran it last.
    """

    name: StateName
    reason: str = ""
    val_dice: float | None = None
    seconds: float | None = None
    epoch: int = 0
    host: str = ""
    pid: int = 0


def run_state(folder: Path) -> RunState:
    """The state of the run in a folder, which need not exist yet."""
    told, ended = _mapping(folder / "status.json"), _mapping(folder / "environment.json")
    name, dice = _name(folder, told), ended.get("val_dice")
    return RunState(
        name=name,
        reason=str(told.get("reason", "")) if name in ("failed", "pruned") else "",
        val_dice=None if dice != dice else dice,  # NaN
        seconds=ended.get("seconds"),
        epoch=_epochs(folder),
        host=str(told.get("host", "")),
        pid=int(told.get("pid", 0)),
    )


def _name(folder: Path, told: dict[str, Any]) -> StateName:
    if (folder / "cases.parquet").is_file():
        return "done"
    name = told.get("state")
    if name == "running":
        return "running" if _alive(told) else "interrupted"
    if name in ("failed", "pruned", "fitted", "interrupted"):
        return name  # type: ignore[return-value]
    return "interrupted" if (folder / "config.yaml").is_file() else "queued"


@contextmanager
def recorded(folder: Path, ends_as: StateName) -> Iterator[None]:
    """Write down that this process works on a run, and how that ended.

    Args:
        folder: The run's folder.
        ends_as: What the run is when the block ends well: "done" or "fitted".
    """
    write_state(folder, "running")
    try:
        yield
    except KeyboardInterrupt:
        write_state(folder, "interrupted")
        raise
    except RunPruned as error:
        write_state(folder, "pruned", reason=error.found)
        raise
    except BaseException as error:
        write_state(folder, "failed", reason=str(error) or type(error).__name__, traceback=traceback.format_exc())
        raise
    write_state(folder, ends_as)


def write_state(folder: Path, name: StateName, **facts: str) -> None:
    """Write a run's state with who writes it and when."""
    process = {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid())}
    content = {"state": name, "when": datetime.now(UTC).isoformat(timespec="seconds"), **process, **facts}
    write_atomically(folder / "status.json", json.dumps(content, indent=1))


def _alive(told: dict[str, Any]) -> bool:
    """Whether the process that wrote the state is still there; on another machine it is believed."""
    if told.get("host") != socket.gethostname():
        return True
    return _born(int(told.get("pid", 0))) == told.get("born")


def _born(pid: int) -> float | None:
    """When a process started, which tells it from a later one of the same number; None if there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time(), 1)
    except psutil.Error:
        return None


def _epochs(folder: Path) -> int:
    """Lines of ``metrics.csv`` below its head."""
    try:
        return max((folder / "metrics.csv").read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return 0


def _mapping(file: Path) -> dict[str, Any]:
    """A JSON mapping; empty where there is none, or where it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
