"""What a cache needs of its disk, and what is done when that is full."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinelab.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REMEDY = "free some space, or put the caches on another disk (paths.cache=..., or the variable SPINELAB_CACHE)"


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full(error: OSError) -> bool:
    """Whether the error says that a disk, a quota or a file is full."""
    return error.errno in FULL


def check_space(folder: Path, needed: int) -> None:
    """Refuse work that the disk has no room for.

    Args:
        folder: Where it will be written.
        needed: Bytes.

    Raises:
        DataError: Less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(f"the cache needs about {size(needed)} and the disk has {size(free)} free", REMEDY, folder)


@contextmanager
def told_when_full(folder: Path, needed: int) -> Iterator[None]:
    """Turn the system's error of a full or read-only disk into one that says how much is needed and free.

    Args:
        folder: Where the cache is written.
        needed: Bytes that it takes, by estimate.

    Raises:
        DataError: The block ran into a full disk, or may not write.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            free = shutil.disk_usage(folder).free if folder.exists() else 0
            found = f"the disk is full ({error.strerror}): the cache needs about {size(needed)}, {size(free)} are free"
            raise DataError(found, REMEDY, folder) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            found = f"the cache is not there yet and cannot be made: {error.strerror} ({error.filename})"
            raise DataError(found, "make it with a user who may write there, or choose another paths.cache") from error
        raise


def size(amount: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
