"""Files that are either the old ones or the new ones, never half of one."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names that `replacing` gives to its temporary files."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write to, in the same folder; it takes the place of `path` when the block ends well.

    Args:
        path: File to write or replace; its folder is made if needed.

    Yields:
        The temporary file. It is deleted, and `path` left alone, if the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)  # mkstemp makes files that only their owner reads
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write text (as UTF-8) or bytes, whole or not at all; returns `path`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file's content, whole or not at all."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def sync_folder(folder: Path) -> None:
    """Have the disk know by which names the files of a folder go, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> list[Path]:
    """Delete the temporary files that killed processes left behind, and say which; nobody may be writing there."""
    stale = [path for path in folder.glob(".*") if path.is_file() and TEMPORARY.fullmatch(path.name)]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale
