"""A split that is given."""

from __future__ import annotations

import json
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
        persons: All persons; the file must name each of them and no other. Those who are left out on purpose stand
            under ``unused``.
        path: The JSON file.
        sites: Not used.
        groups: Not used.

    Raises:
        ConfigError: The file is no split, names other persons than the data set has, or leaves a side empty that is
            needed.
    """
    split, known = Split.load(Path(path)), set(persons)
    unused = {str(person) for person in json.loads(Path(path).read_text()).get("unused", [])}
    if twice := sorted(unused & set(split.persons)):
        raise ConfigError(f"unused, and on a side: {', '.join(twice)}", "name each person once", path)
    if unknown := sorted((unused | set(split.persons)) - known):
        raise ConfigError(f"not in the data set: {', '.join(unknown)}", "use a split made for this data set", path)
    if forgotten := sorted(known - unused - set(split.persons)):
        remedy = "add each person to one side, or to `unused`"
        raise ConfigError(f"on no side: {', '.join(forgotten)}", remedy, path)
    if not split.train or not split.test:
        raise ConfigError("train or test is empty", "name at least one person on each", path)
    return split
