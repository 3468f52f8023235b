"""Stacks of PNG, JPEG and TIFF slices."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from spinelab.data.volumes.formats import COPY_AGAIN, Array, Header, check_claim, plain
from spinelab.errors import DataError
from spinelab.files import replacing
from spinelab.types import Files

_GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_TYPES = {"I": np.int32, "F": np.float32, "I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "I;16N": np.uint16}
_UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError)


def read_pictures(files: Files, *, colours_as_labels: bool) -> Array:
    """Slices (S, H, W); `colours_as_labels` reads palette pictures as the numbers behind the colours."""
    pictures_header(files)
    return plain(np.stack([_read_picture(file, colours_as_labels) for file in files]))


def pictures_header(files: Files) -> Header:
    """Size and type of a stack; `DataError` if the slices differ in size or would not fit into memory."""
    sizes = [_size(file) for file in files]
    for file, (size, _) in zip(files, sizes, strict=True):
        if size != sizes[0][0]:
            raise DataError(
                f"its size is {size}, the volume's first slice ({files[0].name}) has {sizes[0][0]} rows and columns",
                "the slices of one volume have one size: pad them, or tell volumes apart",
                file,
            )
    shape, dtype = (len(files), *sizes[0][0]), np.result_type(*{dtype for _, dtype in sizes})
    claimed = math.prod(shape) * dtype.itemsize
    check_claim(files[0], claimed, claimed)  # lossy and run-length codes have no limit that a file's size could tell
    return Header("picture", shape, dtype, None, claimed, sum(file.stat().st_size for file in files))


def write_pictures(path: Path, array: Array, files: Files) -> None:
    """Write one PNG a slice into a folder, or a single slice into a .png file; `ValueError` if shapes differ."""
    if array.ndim != 3 or len(array) != len(files):
        raise ValueError(f"the mask has shape {array.shape}, the stack has {len(files)} slices")
    single = len(files) == 1 and path.suffix.lower() == ".png"
    targets = [path] if single else [path / f"{file.stem}.png" for file in files]
    for target, file, labels in zip(targets, files, array, strict=True):
        size, _ = _size(file)
        if size != labels.shape:
            raise ValueError(f"the mask slice has shape {labels.shape}, {file} has {size}")
        mask = Image.fromarray(labels)
        with replacing(target) as temporary:
            mask.save(temporary, format="PNG")


def _size(file: Path) -> tuple[tuple[int, int], np.dtype[np.generic]]:
    """Rows, columns and type of grey values."""
    try:
        with Image.open(file) as picture:
            return (picture.height, picture.width), np.dtype(_TYPES.get(picture.mode, np.uint8))
    except _UNREADABLE as error:
        raise DataError(f"this is no whole picture ({error})", COPY_AGAIN, file) from error


def _read_picture(file: Path, colours_as_labels: bool) -> Array:
    try:
        with Image.open(file) as picture:
            picture.load()
            pages = getattr(picture, "n_frames", 1)
            if pages > 1:
                raise DataError(
                    f"the file holds {pages} pictures", "save one file a slice, or the stack as NIfTI", file
                )
            if picture.mode in _GREY_MODES or (colours_as_labels and picture.mode == "P"):
                return np.asarray(picture)
            channels = np.asarray(picture.convert("RGB"))
    except _UNREADABLE as error:
        raise DataError(f"this is no whole picture ({error})", COPY_AGAIN, file) from error
    if (channels != channels[..., :1]).any():
        raise DataError(
            "this is a colour picture", "save it in grey (8 or 16 bit), a mask with one value a class", file
        )
    return channels[..., 0]
