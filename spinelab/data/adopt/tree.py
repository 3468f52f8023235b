"""The files of a folder, listed once, and what their names say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from spinelab.data.sources.listing import check_root
from spinelab.data.sources.patterns import natural
from spinelab.data.volumes.formats import DICOM, PICTURES, VOLUMES
from spinelab.errors import DataError

MOST_FILES = 500_000
_MASK = re.compile(
    r"^(.*seg|seg.*|masks?|labels?|labelstr|gt|groundtruth|truth|annot.*|roi|rois|manual|contours?|dlabel|lesionmask)$"
)


@dataclass(frozen=True)
class Tree:
    """The files below a folder, without hidden ones.

    Attributes:
        root: The folder.
        files: Paths below it, in natural order.
    """

    root: Path
    files: tuple[PurePosixPath, ...]

    @cached_property
    def volumes(self) -> tuple[PurePosixPath, ...]:
        """Files that hold a whole volume each."""
        return tuple(file for file in self.files if file.name.lower().endswith(VOLUMES))

    @cached_property
    def pictures(self) -> tuple[PurePosixPath, ...]:
        """Files that hold a slice each."""
        return tuple(file for file in self.files if file.name.lower().endswith(PICTURES))

    @cached_property
    def dicom(self) -> tuple[PurePosixPath, ...]:
        """Files that may be DICOM by their names, which often have no extension or end in a number."""
        return tuple(
            file
            for file in self.files
            if file.name.lower().endswith(DICOM) or not file.suffix or file.suffix[1:].isdigit()
        )

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return PurePosixPath(path) in set(self.files)


def list_tree(root: str | Path) -> Tree:
    """List a folder.

    Raises:
        DataError: It is no folder, it is empty, or it holds far more files than a data set.
    """
    folder = check_root(root).absolute()
    files: list[PurePosixPath] = []
    for file in _walk(folder):
        files.append(file)
        if len(files) > MOST_FILES:
            raise DataError(f"it holds more than {MOST_FILES} files", "name the folder of one data set", folder)
    if not files:
        raise DataError("the folder holds no files", "name the folder of a data set", folder)
    return Tree(folder, tuple(sorted(files, key=lambda file: natural(str(file)))))


def _walk(folder: Path) -> Iterator[PurePosixPath]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        yield from (below / name for name in names if not name.startswith("."))


def extension(file: PurePosixPath) -> str:
    """Extension, ``.nii.gz`` being one."""
    return file.name[-7:] if file.name.lower().endswith(".nii.gz") else file.suffix


def bare(file: PurePosixPath) -> str:
    """File name without extension."""
    return file.name.removesuffix(extension(file))


def is_mask_word(word: str) -> bool:
    """Whether a part of a name says that a file is a mask: ``seg``, ``gmseg``, ``mask``, ``labelsTr``, ``gt``, ..."""
    return bool(_MASK.match(word.lower()))


def says_mask(file: PurePosixPath) -> bool:
    """Whether the name of a file or of a folder that it is in says that it is a mask."""
    words = [word for part in (*file.parts[:-1], bare(file)) for word in split_words(part)]
    return any(is_mask_word(word) for word in words)


def split_words(text: str) -> list[str]:
    """Parts of a name between ``_``, ``-``, ``.`` and blanks."""
    return [word for word in re.split(r"[-_.\s]+", text) if word]


def common_start(texts: Sequence[str]) -> str:
    """The longest beginning that all texts share."""
    first, last = min(texts), max(texts)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def common_end(texts: Sequence[str]) -> str:
    """The longest end that all texts share."""
    return common_start([text[::-1] for text in texts])[::-1]


def shorten(names: Iterable[object], most: int = 5) -> str:
    """The first few names, for a message."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
