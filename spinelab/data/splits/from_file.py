"""A split that is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from spinelab.data.splits.split import Split
from spinelab.errors import ConfigError


def split_file(
    persons: Iterable[str],
    *,
    path: Path | str,
    sites: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """A split that was written before, by hand or by `Split.save`.

    Args:
        persons: All persons; the file must name each of them and no other.
        path: The JSON file.
        sites: Not used.
        groups: Not used.

    Raises:
        ConfigError: The file is no split, names other persons than the data set has, or leaves a side empty that is
            needed.
    """
    split, known = Split.load(Path(path)), set(persons)
    if unknown := sorted(set(split.persons) - known):
        raise ConfigError(f"not in the data set: {', '.join(unknown)}", "use a split made for this data set", path)
    if forgotten := sorted(known - set(split.persons)):
        raise ConfigError(f"on no side: {', '.join(forgotten)}", "add each person to one side", path)
    if not split.train or not split.test:
        raise ConfigError("train or test is empty", "name at least one person on each", path)
    return split
