"""Checksums of files, remembered, so that gigabytes are not read anew at each start.

What is trusted: a file whose path, size, inode, time of modification and time of change are those of an earlier
reading has the content of then. The time of change is set by the system at every write, and no program can set it
back, as it can the time of modification. What this cannot see is a disk that loses bits by itself; therefore no
reading is trusted for longer than `KEEP` days. A file that changed in the last moments is never remembered: it could
be written again within the resolution of the clock.

The checksum is XXH3 of 128 bits: it finds what disks and interrupted copies do to a file as surely as SHA-256 does, at
the speed of memory; it is no protection from somebody who forges files.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from xxhash import xxh3_128

from spinelab.files import write_atomically

NAME = "checksums.json"
KEEP = 30
"""Days that a reading is trusted for."""
SETTLED = 2.0
"""Seconds after which the clock surely tells a further change."""

Signature = tuple[int, int, int, int]


class Digests:
    """Checksums of files, from a table in a folder of caches where they are unchanged.

    The table is a help, never needed: it is ignored when damaged and not written where that is not allowed. Of two
    processes that write it, the later wins, and the other's files are read once more.

    Args:
        folder: Folder of all caches; the table is its file ``checksums.json``.

    Attributes:
        read: Number of files whose content had to be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self.read, self._now = folder / NAME, 0, time.time()
        self._known: dict[str, tuple[Signature, float, str]] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            for path, (signature, when, digest) in json.loads(self._path.read_text()).items():
                if self._now - KEEP * 86400 < when <= self._now:
                    self._known[path] = tuple(signature), when, str(digest)  # type: ignore[assignment]

    def of(self, path: Path) -> str:
        """Checksum of a file's content; safe to call from several threads.

        Raises:
            OSError: The file cannot be read.
        """
        name, signature = str(path.absolute()), _signature(path)
        known = self._known.get(name)
        if known and known[0] == signature:
            return known[2]
        self.read += 1
        found = digest(path)
        if signature == _signature(path) and time.time() - signature[3] / 1e9 > SETTLED:
            self._known[name] = signature, time.time(), found
        return found

    def save(self) -> None:
        """Write the table, if anything was learnt and the folder can be written to."""
        if self.read:
            with suppress(OSError):
                write_atomically(self._path, json.dumps(self._known))


def digest(path: Path) -> str:
    """Checksum of a file's content, 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxh3_128).hexdigest()


def _signature(path: Path) -> Signature:
    """Size, inode, and times of modification and change in nanoseconds."""
    facts = path.stat()
    return facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns
