"""Downloading a public data set: plan, download, unpack, and only then does its folder appear."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pooch
import requests
from filelock import FileLock, Timeout

from spinelab.data.fetch.annex import pointers, wanted
from spinelab.data.fetch.catalogue import RemoteFile, RemoteSet
from spinelab.data.fetch.download import AGAIN, TIMEOUT_S, Advance, download
from spinelab.data.fetch.unpack import is_archive, unpack
from spinelab.errors import DataError
from spinelab.files import write_atomically

NOTE = "fetched.json"
"""Beside the data: what was downloaded, from where, under which licence, with which hashes."""

Watch = Callable[[RemoteFile], Advance]
"""Told which file comes next; returns what is told about its progress."""


def workshop(root: Path) -> Path:
    """Folder beside the data set that holds partial downloads, and the hashes pinned by the first download."""
    return root.with_name(f".{root.name}.fetch")


def is_fetched(root: Path) -> bool:
    """Whether a data set is there, whole."""
    return (root / NOTE).is_file()


def plan(remote: RemoteSet, root: Path) -> list[RemoteFile]:
    """The files with all that is known of them: pinned hashes, hashes of an earlier download, the publisher's record.

    Args:
        remote: The data set.
        root: Folder that it will be in.

    Raises:
        DataError: The folder is there already, or the publisher's record cannot be read.
    """
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise DataError("this folder holds something else", "give another folder: root=FOLDER", root)
    record = _record(remote.record) if remote.record else {}
    locked = _locked(root)
    return [_filled_in(file, record.get(file.name, {}), locked.get(file.url, "")) for file in remote.files]


def check_room(files: list[RemoteFile], root: Path) -> tuple[int, int]:
    """Bytes that the downloads and what is unpacked from them take at least, and bytes that are free.

    Raises:
        DataError: They do not fit.
    """
    here = workshop(root)
    sizes = [(file.bytes or 0) * (2 if is_archive(file.name) else 1) for file in files]
    there = [path.stat().st_size for file in files for path in _traces(here, file.name) if path.is_file()]
    needed = max(0, sum(sizes) - sum(there))
    free = shutil.disk_usage(next(parent for parent in root.absolute().parents if parent.exists())).free
    if needed > free:
        raise DataError(
            f"it takes at least {needed / 1e9:.2f} GB, free are {free / 1e9:.2f} GB",
            "make room, or give a folder on a larger disk: root=FOLDER",
            root,
        )
    return needed, free


def fetch(remote: RemoteSet, root: Path, watch: Watch = lambda file: lambda done, total: None) -> Path:
    """Download and unpack a data set. Interrupted at any point, the next call goes on from there.

    Args:
        remote: The data set.
        root: Folder that it will be in; it appears when everything is there and checked.
        watch: Told about progress.

    Returns:
        `root`.

    Raises:
        DataError: A download, a check or the unpacking failed; another process is fetching the same set.
    """
    here = workshop(root)
    here.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(here / "busy", timeout=0):
            if not is_fetched(root):
                _fetch(remote, root, watch)
    except Timeout:
        raise DataError("another process is downloading into this folder", "wait for it", root) from None
    return root


def _fetch(remote: RemoteSet, root: Path, watch: Watch) -> None:
    files = plan(remote, root)
    check_room(files, root)
    here = workshop(root)
    for file in files:
        _pin(root, file, _download(file, here, root, watch))
    unpacked = here / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # of an attempt that was killed
    for file in files:
        _place(here / file.name, unpacked / file.into, skip_links=remote.annex is not None)
    if remote.annex is not None:
        _complete(remote, files, unpacked, root, watch)
    write_atomically(unpacked / NOTE, json.dumps(_note(remote, root), indent=2))
    if root.is_dir():
        root.rmdir()  # empty, else `plan` had refused
    unpacked.rename(root)
    for path in here.iterdir():
        if path.name not in ("lock.json", "busy"):
            path.unlink()


def _place(file: Path, folder: Path, skip_links: bool) -> None:
    if is_archive(file.name):
        unpack(file, folder, skip_links=skip_links)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, folder / file.name)


def _complete(remote: RemoteSet, archives: list[RemoteFile], folder: Path, root: Path, watch: Watch) -> None:
    """Put the files in place that the archives only point to, and take away what is left of other pointers."""
    assert remote.annex is not None
    here = workshop(root)
    for archive in archives:
        found = pointers(here / archive.name)
        for path in found:
            (folder / archive.into / path).unlink(missing_ok=True)
        chosen = wanted(found, remote.annex)
        if not chosen:
            raise DataError(
                f"no pointer in the release matches {', '.join(remote.annex.include)}",
                "the release has another layout than expected: report it",
                here / archive.name,
            )
        check_room([pointer.file for pointer in chosen], root)
        for pointer in chosen:
            target = folder / archive.into / pointer.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(_download(pointer.file, here, root, watch), target)


def _link(file: Path, target: Path) -> None:
    """The same bytes under a second name; a copy where the disk knows no such links."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)


def _download(file: RemoteFile, here: Path, root: Path, watch: Watch) -> Path:
    try:
        return download(file, here, watch(file))
    except DataError as error:
        if file.hash and file.hash == _locked(root).get(file.url):
            lock = here / "lock.json"
            remedy = f"{error.remedy}. The hash was pinned by your first download, in {lock}"
            raise DataError(error.found, remedy, error.file) from error
        raise


def _filled_in(file: RemoteFile, published: dict[str, Any], locked: str) -> RemoteFile:
    size = file.bytes or published.get("size") or _asked_size(file.url)
    return replace(file, hash=file.hash or locked or published.get("checksum", ""), bytes=size)


def _record(url: str) -> dict[str, dict[str, Any]]:
    """File name -> entry of a Zenodo record, with ``size`` and ``checksum``."""
    try:
        response = requests.get(url, timeout=TIMEOUT_S)
        response.raise_for_status()
        return {entry["key"]: entry for entry in response.json()["files"]}
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the publisher's record {url} cannot be read ({error})", AGAIN) from error


def _asked_size(url: str) -> int | None:
    """Size as the server tells it; None where it does not."""
    try:
        headers = {"Accept-Encoding": "identity"}
        response = requests.head(url, allow_redirects=True, timeout=TIMEOUT_S, headers=headers)
    except requests.RequestException:
        return None
    length = response.headers.get("Content-Length", "")
    return int(length) if response.ok and length.isdecimal() and int(length) > 0 else None


def _traces(here: Path, name: str) -> tuple[Path, Path]:
    return here / name, here / f"{name}.part"


def _locked(root: Path) -> dict[str, str]:
    lock = workshop(root) / "lock.json"
    return json.loads(lock.read_text(encoding="utf-8")) if lock.is_file() else {}


def _pin(root: Path, file: RemoteFile, path: Path) -> None:
    digest = f"sha256:{pooch.file_hash(str(path))}"
    write_atomically(workshop(root) / "lock.json", json.dumps(_locked(root) | {file.url: digest}, indent=2))


def _note(remote: RemoteSet, root: Path) -> dict[str, Any]:
    about = {key: value for key, value in asdict(remote).items() if key not in ("files", "annex", "persons")}
    return about | {"files": _locked(root), "downloaded": datetime.now(UTC).isoformat(timespec="seconds")}
