"""The journal of a search: Optuna's own file format, opened so that a killed process does it no harm."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

BATCH = "batch"
"""Trial attribute: number of the first trial of those that were asked for together."""
PRUNED = "pruned"
"""Trial attribute: the step at which the trial was given up, written before its run ends."""


class _Lock(BaseJournalFileLock):
    """A lock that the system opens when its holder dies; with Optuna's own, everybody waits 30 seconds for the dead."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def open_journal(path: Path) -> JournalStorage:
    """The trials in a journal file, which is made if it is not there.

    A line that a killed process left half written is cut off: whatever came after it could not be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it tells of every study that it looks into
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _Lock(path)
    lock.acquire()
    try:
        _cut_half_line(path)
    finally:
        lock.release()
    backend: BaseJournalBackend = JournalFileBackend(str(path), lock_obj=lock)
    return JournalStorage(backend)


def _cut_half_line(path: Path) -> None:
    content = path.read_bytes() if path.is_file() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
