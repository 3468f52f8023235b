"""What the sources share: finding files under a root, and telling what is wrong with what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from spinelab.errors import ConfigError, DataError
from spinelab.types import Case

_ALTERNATIVES = re.compile(r"\{([^{}]*,[^{}]*)\}")
SHOWN = 5


def check_root(root: str | Path) -> Path:
    """The data set's folder.

    Raises:
        DataError: It is no folder.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DataError(
            "the data set's folder does not exist",
            "set the environment variable SPINELAB_DATA to the folder that holds the data sets, or give data.root=...",
            folder,
        )
    return folder


def expand(pattern: str) -> list[str]:
    """Spell out alternatives: ``{t1,t2}/*.png`` becomes ``t1/*.png`` and ``t2/*.png``."""
    found = _ALTERNATIVES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [spelt for choice in found[1].split(",") for spelt in expand(before + choice + after)]


def find(root: Path, patterns: Iterable[str]) -> list[Path]:
    """Files under the root that match a glob pattern, in natural order, without hidden ones.

    Raises:
        ConfigError: A pattern leads out of the root.
        DataError: Nothing matches.
    """
    patterns = list(patterns)
    for pattern in patterns:
        check_inside(root, pattern)
    files = {file for pattern in patterns for file in root.glob(pattern)}
    files = {file for file in files if file.is_file() and not file.name.startswith(".")}
    if not files:
        there = [str(file.relative_to(root)) for file in islice((f for f in root.rglob("*") if f.is_file()), SHOWN)]
        raise DataError(
            f"no image matches {' or '.join(patterns)}; the folder holds {', '.join(sorted(there)) or 'no file'}",
            "correct the pattern in data.source, or point data.root at the folder that the pattern starts from",
            root,
        )
    return sorted(files, key=lambda file: natural(str(file.relative_to(root))))


def check_inside(root: Path, relative: str) -> None:
    """Raise `ConfigError` for a name that leaves the root. Symbolic links may: data sets are often stored that way."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ConfigError(f"{relative!r} leads out of the data set's folder", "write it relative to data.root", root)


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which slice 9 comes before slice 10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text))


def extract(pattern: str, text: str, what: str, root: Path) -> str:
    """What the one group of a pattern finds in a file's relative path; a pattern without special characters is a name.

    Raises:
        ConfigError: The pattern has not exactly one group.
        DataError: The pattern does not match.
    """
    if re.fullmatch(r"[\w-]+", pattern):
        return pattern
    groups = re.compile(pattern).groups
    if groups != 1:
        raise ConfigError(
            f"the pattern {pattern!r} for the {what} has {groups} groups in parentheses, not one",
            f"put parentheses around the part that is the {what}'s name, and (?:...) around other groups",
        )
    found = re.search(pattern, text)
    if found is None or not found[1]:
        raise DataError(
            f"the pattern {pattern!r} finds no {what} in {text!r}", f"correct data.source.{what}", root / text
        )
    return found[1]


def stem(file: Path) -> str:
    """File name without extension, ``.nii.gz`` being one."""
    name = file.name[:-3] if file.name.lower().endswith(".nii.gz") else file.name
    return Path(name).stem


def raw_labels(labels: Mapping[Any, Any]) -> dict[int, str]:
    """Raw value to class name, from yaml whose keys may be text."""
    return {int(raw): str(name) for raw, name in labels.items()}


def check_masks(root: Path, missing: Sequence[Path]) -> None:
    """Raise `DataError` for masks that are not there."""
    if missing:
        shown = ", ".join(str(file.relative_to(root)) for file in missing[:SHOWN])
        raise DataError(
            f"{len(missing)} {'mask is' if len(missing) == 1 else 'masks are'} missing: {shown}"
            + (" ..." if len(missing) > SHOWN else ""),
            "add them, remove their images, or correct the mask's pattern in data.source",
            root,
        )


def in_order(cases: Iterable[Case], root: Path) -> list[Case]:
    """Cases sorted by name.

    Raises:
        DataError: Two have one name (upper and lower case do not tell file names apart everywhere).
    """
    ordered = sorted(cases, key=lambda case: natural(case.name))
    twice = [name for name, count in Counter(case.name.casefold() for case in ordered).items() if count > 1]
    if twice:
        raise DataError(
            f"{len(twice)} case names occur more than once, for example {', '.join(twice[:SHOWN])}",
            "give data.source.volume a pattern that tells the volumes apart",
            root,
        )
    return ordered
