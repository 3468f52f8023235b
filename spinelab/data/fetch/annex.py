"""Files that a release of a git-annex repository only points to (https://git-annex.branchable.com/internals/)."""

from __future__ import annotations

import re
import stat
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from spinelab.data.fetch.catalogue import Annex, RemoteFile
from spinelab.data.fetch.unpack import strip_top

KEY = re.compile(r"annex/objects/(?:.+/)?(SHA256E?-s(\d+)--([0-9a-f]{64})[^/\s]*)\s*$")
LONGEST_POINTER = 1000


class Pointer(NamedTuple):
    """A path of the data set, and the file that belongs there (named by its key)."""

    path: str
    file: RemoteFile


def pointers(archive: Path) -> dict[str, str]:
    """Path -> what the pointer says, for the links and the pointer files of a release.

    Args:
        archive: Zip of a repository's tree, everything in one folder.
    """
    with zipfile.ZipFile(archive) as opened:
        infos = [info for info in opened.infolist() if not info.is_dir()]
        paths = strip_top(archive, [info.filename for info in infos])
        small = [i for i in infos if stat.S_ISLNK(i.external_attr >> 16) or i.file_size < LONGEST_POINTER]
        texts = {str(paths[info.filename]): opened.read(info).decode("utf-8", "replace") for info in small}
    return {path: text for path, text in texts.items() if KEY.search(text)}


def wanted(found: dict[str, str], annex: Annex) -> list[Pointer]:
    """The pointers whose paths are asked for, with address, size and hash of their files.

    Args:
        found: From `pointers`.
        annex: Which ones, and where the files lie.
    """
    chosen = []
    for path in sorted(path for path in found if any(fnmatch(path, pattern) for pattern in annex.include)):
        match = KEY.search(found[path])
        assert match is not None  # `pointers` keeps no others
        key, size, digest = match.groups()
        chosen.append(Pointer(path, RemoteFile(key, f"{annex.url}/{key}", f"sha256:{digest}", int(size))))
    return chosen
