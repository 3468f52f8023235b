"""The public data sets that can be downloaded, one yaml file a set (or a family of sets) in `sets/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SETS = Path(__file__).parent / "sets"


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    Attributes:
        name: File name.
        url: Where it lies.
        hash: ``sha256:...`` or ``md5:...`` as published; "" if the publisher gives none.
        bytes: Size; None if unknown before the server is asked.
        into: Folder of the data set that it goes to. An archive is unpacked there, without the one folder that
            archives often hold everything in.
    """

    name: str
    url: str
    hash: str = ""
    bytes: int | None = None
    into: str = "."


@dataclass(frozen=True)
class Annex:
    """Files that a git-annex repository only points to; a pointer holds a file's size and SHA-256.

    Attributes:
        url: Public address of the store, files lie there under their keys.
        include: Glob patterns (``fnmatch``, in which ``*`` crosses folders) of the paths that are wanted.
    """

    url: str
    include: tuple[str, ...]


@dataclass(frozen=True)
class RemoteSet:
    """A public data set.

    Attributes:
        name: What `spinelab data fetch` calls it; also the name of its folder.
        title: One line.
        persons: Persons with masks.
        gigabytes: About how much is downloaded; None if only the server knows.
        licence: Licence, by its usual short name.
        citation: What a paper that uses the data cites.
        homepage: Where a person reads about it.
        purpose: What it is good for here.
        data: Configuration (``data=...``) that reads it; "" where `spinelab data adopt` has to write one.
        files: What is downloaded.
        record: Address of the publisher's record, whose sizes and hashes fill in what `files` does not pin.
        annex: Further files, which an archive in `files` only points to.
    """

    name: str
    title: str
    persons: int
    gigabytes: float | None
    licence: str
    citation: str
    homepage: str
    purpose: str
    files: tuple[RemoteFile, ...]
    data: str = ""
    record: str = ""
    annex: Annex | None = field(default=None)


def catalogue(folder: Path = SETS) -> dict[str, RemoteSet]:
    """All sets by name.

    Args:
        folder: Where the yaml files lie.
    """
    found: dict[str, RemoteSet] = {}
    for file in sorted(folder.glob("*.yaml")):
        for name, entry in _spelt_out(file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))):
            found[name] = _remote_set(name, entry)
    return found


def _spelt_out(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A family of sets shares most entries; its variants say what differs."""
    variants = entry.pop("variants", None)
    if variants is None:
        yield name, entry
        return
    for variant, differs in variants.items():
        yield f"{name}_{variant}", entry | differs


def _remote_set(name: str, entry: Mapping[str, Any]) -> RemoteSet:
    fields = dict(entry)
    fields["files"] = tuple(RemoteFile(name=file, **about) for file, about in entry["files"].items())
    if annex := entry.get("annex"):
        fields["annex"] = Annex(annex["url"], tuple(annex["include"]))
    return RemoteSet(name=name, **fields)
