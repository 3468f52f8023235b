"""What the sources share beside patterns: names and labels as they are used, and files that must be there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spinelab.data.sources.patterns import SHOWN, natural
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case


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
