"""Checkpoints that carry their own checksum, and which of them a training goes on from. Needs no torch.

A checkpoint of torch is a zip archive, and a zip archive ends with a comment of any text. The SHA-256 of all that
stands before it is written there. A checksum in a file of its own could be lost, or belong to the file before; here
one rename puts both in place, and a copy of the file keeps its checksum.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import BinaryIO

from spinelab.files import sync_folder

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
"""The newest checkpoint and the one before it."""
MARK = b"spinelab sha256 "
SIZE = len(MARK) + 64
NO_COMMENT = b"\0\0"


def seal(file: Path) -> None:
    """Append the checksum to a zip archive that has no comment yet, and wait until the disk has it all.

    Raises:
        ValueError: The file does not end as an archive without comment does.
    """
    with file.open("r+b") as stream:
        stream.seek(-len(NO_COMMENT), os.SEEK_END)
        if stream.read() != NO_COMMENT:
            raise ValueError(f"{file} has a comment already, or is no zip archive")
        stream.seek(-len(NO_COMMENT), os.SEEK_END)
        stream.write(SIZE.to_bytes(2, "little"))
        stream.seek(0)
        stream.write(MARK + _digest(stream, stream.seek(0, os.SEEK_END)))
        stream.flush()
        os.fsync(stream.fileno())


def intact(file: Path) -> bool | None:
    """Whether a file is what was sealed; None if it carries no checksum.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as stream:
        length = stream.seek(0, os.SEEK_END) - SIZE
        stream.seek(max(length, 0))
        end = stream.read()
        if not end.startswith(MARK):
            return None
        return _digest(stream, length) == end[len(MARK) :]


def resume_point(folder: Path) -> Path | None:
    """The newest intact checkpoint; None if there is none, so that training starts from the beginning.

    A damaged one is renamed, so that it neither takes the place of a good one at the next checkpoint nor is lost.
    """
    for file in (folder / LAST, folder / PREVIOUS):
        try:
            if intact(file):
                return file
        except FileNotFoundError:
            continue
        except OSError as error:
            warnings.warn(f"{file} cannot be read ({error})", stacklevel=2)
        aside = file.with_name(f"{file.name}.damaged")
        warnings.warn(
            f"{file} is damaged and now called {aside.name}; training goes on from what is older", stacklevel=2
        )
        file.replace(aside)
        sync_folder(folder)
    return None


def _digest(stream: BinaryIO, length: int) -> bytes:
    """SHA-256 of the first bytes of a file, in hexadecimal digits; the stream stands behind them afterwards."""
    stream.seek(0)
    digest = hashlib.sha256()
    while length > 0 and (piece := stream.read(min(length, 1 << 20))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()
