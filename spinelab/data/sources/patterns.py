"""Patterns of paths and names below a data set's root: which files are images, what belongs to them, whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from spinelab.errors import ConfigError, DataError

_ALTERNATIVES = re.compile(r"\{([^{}]*,[^{}]*)\}")
SHOWN = 5
"""How many names a message gives as examples."""


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
        ConfigError: A pattern leads out of the root or is not well formed.
        DataError: Nothing matches.
    """
    patterns = list(patterns)
    for pattern in patterns:
        check_inside(root, pattern)
    files = {file for pattern in patterns for file in _glob(root, pattern) if _listed(file)}
    if not files:
        there = [str(file.relative_to(root)) for file in islice((f for f in root.rglob("*") if f.is_file()), SHOWN)]
        raise DataError(
            f"no image matches {' or '.join(patterns)}; the folder holds {', '.join(sorted(there)) or 'no file'}",
            "correct the pattern in data.source, or point data.root at the folder that the pattern starts from",
            root,
        )
    return sorted(files, key=lambda file: natural(str(file.relative_to(root))))


def _glob(root: Path, pattern: str) -> list[Path]:
    try:
        return list(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        remedy = "write a path below data.root in which * is any text, and ** by itself any folders"
        raise ConfigError(f"the pattern {pattern!r} is not well formed ({error})", remedy) from error


def _listed(file: Path) -> bool:
    """A link whose target is gone counts, or scans that DataLad has not fetched yet would silently be left out."""
    return not file.name.startswith(".") and (file.is_file() or (file.is_symlink() and not file.exists()))


def companion(root: Path, image: Path, template: str, fields: Mapping[str, str]) -> Path:
    """Path of what belongs to an image, such as its mask; the first spelling of the pattern where none is there.

    Args:
        root: The data set's folder.
        image: The image, or the folder of its files.
        template: Pattern below the root, with alternatives as in `expand` and names of fields in braces.
        fields: What the names stand for.

    Raises:
        ConfigError: The pattern is not understood, or leads out of the root.
        DataError: Several of its alternatives are there.
    """
    try:
        paths = [spelt.format(**fields) for spelt in expand(template)]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"the pattern {template!r} is not understood ({error!r})", f"use {', '.join(fields)} in braces"
        ) from error
    for path in paths:
        check_inside(root, path)
    there = [root / path for path in paths if (root / path).is_file()]
    if len(there) > 1:
        raise DataError(
            f"{len(there)} files match {template}: {', '.join(file.name for file in there)}",
            "narrow the pattern in data.source to one",
            image,
        )
    return there[0] if there else root / paths[0]


def check_inside(root: Path, relative: str) -> None:
    """Raise `ConfigError` for a name that leaves the root."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ConfigError(f"{relative!r} leads out of the data set's folder", "write it relative to data.root", root)


def extract(pattern: str, text: str, what: str, root: Path) -> str:
    """What the one group of a pattern finds in a file's relative path; a pattern without special characters is a name.

    Raises:
        ConfigError: The pattern is not well formed or has not exactly one group.
        DataError: The pattern does not match.
    """
    if re.fullmatch(r"[\w-]+", pattern):
        return pattern
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        found, remedy = (
            f"the pattern {pattern!r} for the {what} is not well formed ({error})",
            "correct it in data.source",
        )
        raise ConfigError(found, remedy) from error
    if groups != 1:
        raise ConfigError(
            f"the pattern {pattern!r} for the {what} has {groups} groups in parentheses, not one",
            f"put parentheses around the part that is the {what}'s name, and (?:...) around other groups",
        )
    match = re.search(pattern, text)
    if match is None or not match[1]:
        raise DataError(
            f"the pattern {pattern!r} finds no {what} in {text!r}", f"correct data.source.{what}", root / text
        )
    return match[1]


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which slice 9 comes before slice 10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text))
