"""Unpacking archives that others have made: nothing leaves the folder, no links, nothing half-done."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from spinelab.errors import DataError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

Member = tuple[str, int]
"""Name and size."""


def is_archive(name: str) -> bool:
    """Whether a file name is that of an archive that `unpack` reads."""
    return name.lower().endswith(ARCHIVES)


def unpack(archive: Path, folder: Path, *, skip_links: bool = False) -> list[Path]:
    """Unpack a zip or tar archive.

    Where everything in it lies in one folder, that folder is left out. What macOS adds (``__MACOSX``, ``._*``) is too.

    Args:
        archive: The archive.
        folder: Where to; made if needed. It should be one that the caller throws away if this raises.
        skip_links: Leave links out instead of refusing the archive.

    Returns:
        The files.

    Raises:
        DataError: The archive is broken, a name leads out of the folder, an entry is a link or a device, or the
            unpacked files do not fit on the disk.
    """
    try:
        with _opened(archive) as opened:
            members = [member for member in opened.members(skip_links) if not _litter(member[0])]
            targets = strip_top(archive, [name for name, _ in members])
            _check_room(archive, folder, sum(size for _, size in members))
            return [_write(opened.read(name), folder / targets[name]) for name, _ in members]
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise DataError(f"the archive is broken ({error})", "delete it and download it again", archive) from error


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self.archive, self.path = archive, path

    def members(self, skip_links: bool) -> list[Member]:
        found = []
        for info in self.archive.infolist():
            link = stat.S_ISLNK(info.external_attr >> 16)
            if link and not skip_links:
                raise _unsafe(self.path, info.filename, "is a link")
            if not (link or info.is_dir()):
                found.append((info.filename, info.file_size))
        return found

    def read(self, name: str) -> IO[bytes]:
        return self.archive.open(name)


class _Tar:
    def __init__(self, archive: tarfile.TarFile, path: Path) -> None:
        self.archive, self.path = archive, path

    def members(self, skip_links: bool) -> list[Member]:
        found = []
        for info in self.archive.getmembers():
            plain = info.isfile() or info.isdir() or (skip_links and info.issym())
            if not plain:
                raise _unsafe(self.path, info.name, "is a link or a device")
            if info.isfile():
                found.append((info.name, info.size))
        return found

    def read(self, name: str) -> IO[bytes]:
        stream = self.archive.extractfile(name)
        assert stream is not None  # `members` lists files only
        return stream


@contextmanager
def _opened(path: Path) -> Iterator[_Zip | _Tar]:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as zipped:
            yield _Zip(zipped, path)
    else:
        with tarfile.open(path) as tarred:
            yield _Tar(tarred, path)


def strip_top(archive: Path, names: list[str]) -> dict[str, PurePosixPath]:
    """Name in the archive -> path, without the one folder that everything lies in; `DataError` for unsafe names."""
    paths = {name: safe_path(archive, name) for name in names}
    tops = {path.parts[0] for path in paths.values()}
    alone = len(tops) == 1 and all(len(path.parts) > 1 for path in paths.values())
    return {name: PurePosixPath(*path.parts[1:]) if alone else path for name, path in paths.items()}


def safe_path(archive: Path, name: str) -> PurePosixPath:
    """A member's path.

    Raises:
        DataError: It is absolute, leads upwards, or holds what another system would take for a folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or any(mark in name for mark in ("\\", ":", "\0")):
        raise _unsafe(archive, name, "leads out of the folder")
    return path


def _unsafe(archive: Path, name: str, why: str) -> DataError:
    return DataError(f"the archive's entry {name!r} {why}", "do not unpack this archive; report it", archive)


def _check_room(archive: Path, folder: Path, needed: int) -> None:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DataError(
            f"unpacked it takes {needed / 1e9:.2f} GB, free on {there} are {free / 1e9:.2f} GB",
            "make room, or give a root= on a larger disk",
            archive,
        )


def _write(stream: IO[bytes], target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # a second entry of one name would overwrite the first unseen
        raise DataError(f"{target.name} comes twice", "do not unpack this archive; report it", target)
    with stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return target


def _litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1].startswith("._"))
