"""What the sources share: finding files under a root, and telling what is wrong with what was found."""

from __future__ import annotations

import os
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


def check_inside(root: Path, relative: str) -> None:
    """Raise `ConfigError` for a name that leaves the root."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ConfigError(f"{relative!r} leads out of the data set's folder", "write it relative to data.root", root)


def below(root: Path, written: str, table: Path, entry: str) -> Path:
    """Path of a file that a table or description names, relative to the root (or in full, if it lies below it).

    Raises:
        DataError: It is empty, leads out of the root or is no name of a file; the table and its entry are named.
    """
    path = root / written
    if not _can_be_a_file(written) or ".." in Path(written).parts or not path.is_relative_to(root):
        found = (
            f"{entry} names the file {written!r}, which cannot lie below {root}"
            if written
            else f"{entry} names no file"
        )
        raise DataError(found, "write a path below data.root, or give a data.root that holds all files", table)
    return path


def _can_be_a_file(written: str) -> bool:
    """Whether the file system can be asked about a name without an error of its own."""
    try:
        return "\0" not in written and 0 < max(map(len, os.fsencode(written).split(b"/"))) < 256
    except UnicodeEncodeError:
        return False


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key under which slice 9 comes before slice 10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text))


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


def stem(file: Path) -> str:
    """File name without extension, ``.nii.gz`` being one."""
    name = file.name[:-3] if file.name.lower().endswith(".nii.gz") else file.name
    return Path(name).stem


def raw_labels(labels: Mapping[Any, Any]) -> dict[int, str]:
    """Raw value to class name, from yaml whose keys may be text.

    Raises:
        ConfigError: A raw value is no whole number.
    """
    try:
        return {int(raw): str(name) for raw, name in labels.items()}
    except ValueError:
        raise ConfigError(
            f"the source's labels {dict(labels)} have a raw value that is no whole number",
            "write value: name, such as {1: vertebra}",
        ) from None


def safe(name: str) -> str:
    """A case's name that can be a file's name: other characters than letters, digits, ``_ . -`` become ``-``."""
    return re.sub(r"[^\w.-]", "-", name)


def in_order(
    cases: Iterable[Case], root: Path, advice: str = "give data.source.volume a pattern that tells the volumes apart"
) -> list[Case]:
    """Cases sorted by name, after the checks that all layouts share.

    Args:
        cases: What a source found.
        root: The data set's folder.
        advice: How names become unique in this layout.

    Raises:
        DataError: Two cases have one name (upper and lower case do not tell file names apart everywhere), or a file
            lies outside the root.
    """
    ordered = sorted(cases, key=lambda case: natural(case.name))
    twice = [name for name, count in Counter(case.name.casefold() for case in ordered).items() if count > 1]
    if twice:
        found = f"{len(twice)} case names occur more than once, for example {', '.join(twice[:SHOWN])}"
        raise DataError(found, advice, root)
    _check_links(ordered, root)
    return ordered


def require_files(cases: Sequence[Case]) -> None:
    """Raise one `DataError` for all images and masks that are not there.

    A source lists where a file should be without looking, so that all that is missing can be told at once.
    """
    images = [file for case in cases for files in case.images for file in files]
    masks = [file for case in cases for mask in case.masks for file in mask.files]
    missing = {"mask": _missing(masks), "image": _missing(images)}
    if any(missing.values()):
        folder = Path(os.path.commonpath([file.parent for file in images + masks]))
        links = any(file.is_symlink() for files in missing.values() for file in files)
        raise DataError(
            "; ".join(_told(kind, files, folder) for kind, files in missing.items() if files),
            "fetch what the links point to, as with `datalad get .` or `git annex get .`"
            if links
            else "add them, leave their scans out, or correct the paths in data.source",
            folder,
        )


def _missing(files: Iterable[Path]) -> list[Path]:
    return [file for file in dict.fromkeys(files) if not file.exists()]


def _told(kind: str, files: Sequence[Path], folder: Path) -> str:
    shown = ", ".join(file.relative_to(folder).as_posix() for file in files[:SHOWN])
    number = f"{len(files)} {kind} is" if len(files) == 1 else f"{len(files)} {kind}s are"
    return f"{number} missing: {shown}{' ...' if len(files) > SHOWN else ''}"


def _check_links(cases: Sequence[Case], root: Path) -> None:
    """Links that stay inside are fine: git-annex and DataLad keep every file behind one."""
    real = os.path.realpath(root)
    files = [file for case in cases for files in (*case.images, *(m.files for m in case.masks)) for file in files]
    outside = [file for file in files if not Path(os.path.realpath(file)).is_relative_to(real)]
    if outside:
        raise DataError(
            f"{len(outside)} files are links that lead out of the data set's folder: "
            + ", ".join(f"{file.relative_to(root)} -> {os.path.realpath(file)}" for file in outside[:SHOWN]),
            "copy the files into the folder, or point data.root at a folder that holds the files themselves",
            root,
        )
