"""Overrides out of a study's file: put together from several places, and traced back to theirs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from spinelab.config import parse_overrides
from spinelab.errors import ConfigError
from spinelab.groups import groups


def merged(*parts: Sequence[str]) -> list[str]:
    """Overrides one after the other, where a later one takes the place of an earlier one of the same key.

    Raises:
        ConfigError: One is no override, or sweeps over several values.
    """
    found: dict[str, str] = {}
    for override in parse_overrides(itertools.chain(*parts)):
        text = str(override.input_line)
        if override.is_sweep_override():
            raise ConfigError(f"{text} sweeps over values", "give each a row, or use spinelab train -m")
        found.pop(override.key_or_group, None)
        found[override.key_or_group] = text
    return list(found.values())


def unchecked(overrides: Iterable[str]) -> list[str]:
    """Overrides that are set whether or not the key is there, so that nobody loads a constructor to look."""
    known = groups()
    return [
        text if override.is_delete() or override.key_or_group.split("@")[0] in known else f"++{text.lstrip('+')}"
        for override in parse_overrides(overrides)
        for text in (str(override.input_line),)
    ]


def init_of(overrides: Iterable[str]) -> str:
    """The value of the last override of `init`, which names a pretraining or a run folder; "" without one."""
    found = ""
    for text in overrides:
        key, _, value = text.partition("=")
        if key.strip().lstrip("+") == "init":
            found = value.strip().strip("\"'")
    return "" if found in ("null", "None") else found


@contextmanager
def placed(parts: Mapping[str, Sequence[str]], file: Path) -> Iterator[None]:
    """Have errors of configuration say where in the file the override is written that they speak of."""
    try:
        yield
    except ConfigError as error:
        where = f"{_culprit(error, parts)}: " if error.file is None else ""
        raise ConfigError(f"{where}{error.found}", error.remedy, error.file or file) from None


def _culprit(error: ConfigError, parts: Mapping[str, Sequence[str]]) -> str:
    """Where the override is written that an error speaks of: the last place that names it."""
    for told in (str, lambda text: text.lstrip("+~").partition("=")[0]):  # the whole override, then its key alone
        for where, overrides in reversed(list(parts.items())):
            if any(told(text) in error.found for text in overrides):
                return where
    return ", ".join(parts)
