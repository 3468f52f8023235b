"""What a user reads when input is bad: the file, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path


class SpinelabError(Exception):
    """Bad data, a bad configuration or a bad run folder; never a bug of the caller's code (that is `ValueError`).

    Args:
        found: What was found, in one sentence.
        remedy: What to do about it, in one sentence.
        file: The file or folder that it is about.
    """

    def __init__(self, found: str, remedy: str, file: Path | str | None = None) -> None:
        self.found, self.remedy, self.file = found, remedy, None if file is None else Path(file)
        super().__init__(f"{f'{file}: ' if file is not None else ''}{found}\n  what to do: {remedy}")

    def __reduce__(self) -> tuple[type[SpinelabError], tuple[str, str, Path | None]]:
        """Cross process borders whole, which exceptions of several arguments do not by themselves."""
        return type(self), (self.found, self.remedy, self.file)


class DataError(SpinelabError):
    """An image, a mask or a data set cannot be used as it is."""


class ConfigError(SpinelabError):
    """A configuration names something unknown, or parts of it do not go together."""


class RunError(SpinelabError):
    """A run folder is missing, unfinished or does not fit the request."""


class RunBusy(RunError):
    """Another process works on the run."""


class RunPruned(RunError):
    """A search gave the run up because others were better at the same epoch."""


class JobsFailed(RunError):
    """Jobs of a sweep failed; the others are done, and nothing is lost."""


def near(wrong: str, known: Sequence[str]) -> str:
    """A remedy that names the nearest known words, or all of them."""
    matches = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(matches)}? " if matches else ""
    return f"{hint}choices: {', '.join(known)}"
