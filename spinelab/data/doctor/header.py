"""The first bytes of a NIfTI file, without its voxels and without trusting them.

Only what the doctor asks: whether its two orientations agree, and where which bytes lie. Voxels are read by
`spinelab.data.volumes`; this stands apart because a mending changes single bytes and leaves all others alone.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}


@dataclass(frozen=True)
class Layout:
    """Where fields lie in a NIfTI-1 or NIfTI-2 header: offset and `struct` type."""

    size: int
    dim: tuple[int, str]
    datatype: tuple[int, str]
    pixdim: tuple[int, str]
    vox_offset: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    sform: tuple[int, str]


ONE = Layout(348, (40, "8h"), (70, "h"), (76, "8f"), (108, "f"), (252, "2h"), (256, "6f"), (280, "12f"))
TWO = Layout(540, (16, "8q"), (12, "h"), (104, "8d"), (168, "q"), (344, "2i"), (352, "6d"), (400, "12d"))


@dataclass(frozen=True)
class Header:
    """What a NIfTI header says.

    Attributes:
        order: Byte order as `struct` writes it, ``<`` or ``>``.
        layout: Version of the format.
        shape: All axes, trailing ones of length one included.
        datatype: NIfTI's number of the voxel type.
        offset: Where the voxels begin.
        qform: (4, 4) matrix of the quaternion, None if it is not set.
        sform: (4, 4) matrix of the rows, None if it is not set.
    """

    order: str
    layout: Layout
    shape: tuple[int, ...]
    datatype: int
    offset: int
    qform: Array | None
    sform: Array | None


def read_header(file: Path) -> Header | None:
    """The header of a NIfTI file, None where there is none that can be understood; only its first bytes are read."""
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file) if packed else file.open("rb") as stream:
            return parse(stream.read(TWO.size))
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError):
        return None


def parse(data: bytes | bytearray) -> Header | None:
    """The header that some bytes begin with, None if it is no NIfTI header."""
    for layout in (ONE, TWO):
        for order in "<>":
            if data[:4] == struct.pack(f"{order}i", layout.size) and len(data) >= layout.size:
                return _parse(data, order, layout)
    return None


def _parse(data: bytes | bytearray, order: str, layout: Layout) -> Header:
    def field(place: tuple[int, str]) -> tuple[Any, ...]:
        return struct.unpack_from(order + place[1], data, place[0])

    dim, codes = field(layout.dim), field(layout.codes)
    rows = np.vstack([np.reshape(field(layout.sform), (3, 4)), [0, 0, 0, 1]])
    return Header(
        order,
        layout,
        tuple(int(n) for n in dim[1 : 1 + min(max(int(dim[0]), 0), 7)]),
        int(field(layout.datatype)[0]),
        int(field(layout.vox_offset)[0]),
        _quaternion(field(layout.quaternion), field(layout.pixdim)) if codes[0] > 0 else None,
        rows if codes[1] > 0 else None,
    )


def _quaternion(values: tuple[float, ...], pixdim: tuple[float, ...]) -> Array | None:
    """The matrix of a quaternion as the NIfTI standard defines it; None if it is no rotation."""
    b, c, d = values[:3]
    rest = 1 - (b * b + c * c + d * d)
    if not np.isfinite([*values, *pixdim[:4]]).all() or rest < -1e-5:
        return None
    a = max(rest, 0.0) ** 0.5
    turn = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array([pixdim[1], pixdim[2], pixdim[3] * (-1 if pixdim[0] < 0 else 1)])
    matrix[:3, 3] = values[3:6]
    return matrix


def bytes_of(file: Path) -> tuple[bytearray, bool]:
    """All bytes of a file, unpacked, and whether it was packed."""
    data = file.read_bytes()
    packed = data[:2] == b"\x1f\x8b"
    return bytearray(gzip.decompress(data) if packed else data), packed
