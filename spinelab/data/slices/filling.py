"""The pixel files of a cache, filled while further cases are still being prepared."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128

from spinelab.data.slices.parts import Part, storage_type

PIECE = 1 << 20
"""Pixels that are converted at a time."""
FLUSH = 1 << 26
"""Bytes after which the disk is asked to write what it was given."""


class Filling:
    """Appends parts to the image and the mask file in the order of their cases, as soon as their turn has come.

    A part that comes early stays parked on disk. The image file has the smallest type that holds what is in it: a part
    that needs another has what is there written anew, which integer scans of one scanner hardly ever do.

    Args:
        images: The image file to write.
        masks: The mask file to write.

    Attributes:
        parts: What is in the files, in order.
    """

    def __init__(self, images: Path, masks: Path) -> None:
        self._images, self._masks = _Pixels(images, np.dtype(np.uint8)), _Pixels(masks, np.dtype(np.uint8))
        self.parts: list[Part] = []
        self._early: dict[int, Part] = {}

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the image file."""
        return self._images.dtype

    def take(self, position: int, part: Part) -> None:
        """Append a part, or keep it until those before it are there.

        Raises:
            OSError: The disk is full, among others.
        """
        self._early[position] = part
        while (following := self._early.pop(len(self.parts), None)) is not None:
            self.parts.append(following)
            if (dtype := storage_type(self.parts)) != self._images.dtype:
                self._images = self._images.converted(dtype)
            for slice_ in following.take("image"):
                self._images.append(slice_)
            for slice_ in following.take("mask"):
                self._masks.append(slice_)

    def close(self) -> dict[str, dict[str, Any]]:
        """Finish the files; name -> bytes and checksum."""
        return {pixels.path.name: pixels.close() for pixels in (self._images, self._masks)}

    def abandon(self) -> None:
        """Close the files as they are."""
        for pixels in (self._images, self._masks):
            with suppress(OSError):
                pixels.close()


class _Pixels:
    """A file of pixels of one type, with its checksum; a thread waits for the disk beside the writing.

    Not a memory map: on a full disk that ends the process by a signal, while a write raises `OSError`.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype, self._bytes = path, dtype, 0
        self._file, self._sum = path.open("wb"), xxh3_128()
        self._disk = ThreadPoolExecutor(1)
        self._flushed: Future[Any] = self._disk.submit(int)
        self._due = FLUSH

    def append(self, pixels: np.ndarray[Any, Any]) -> None:
        piece = np.ascontiguousarray(pixels, dtype=self.dtype).data.cast("B")
        self._sum.update(piece)
        self._file.write(piece)
        self._bytes += len(piece)
        if self._bytes >= self._due and self._flushed.done():  # not all at the end, while every core waits
            self._flushed.result()
            self._flushed, self._due = self._disk.submit(os.fsync, self._file.fileno()), self._bytes + FLUSH

    def close(self) -> dict[str, Any]:
        self._disk.shutdown()
        self._file.close()
        self._flushed.result()  # the system tells a failed write once: to this call, not to a later one
        return {"bytes": self._bytes, "xxh3_128": self._sum.hexdigest()}

    def converted(self, dtype: np.dtype[Any]) -> _Pixels:
        """The same pixels in a file of another type, which takes this one's place."""
        self.close()
        other = _Pixels(self.path.with_name(f"{self.path.name}.new"), dtype)
        if self._bytes:
            before = np.memmap(self.path, self.dtype, "r")
            for start in range(0, len(before), PIECE):
                other.append(before[start : start + PIECE])
        other.path = other.path.replace(self.path)
        return other
