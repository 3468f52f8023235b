"""NIfTI files, read to their last byte: a cut or damaged one is refused whole, whatever its first slices look like."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError

from spinelab.data.volumes.formats import (
    COPY_AGAIN,
    DEFLATE_RATIO,
    NIFTI,
    Array,
    Header,
    check_affine,
    check_claim,
    check_shape,
    plain,
)
from spinelab.errors import DataError
from spinelab.files import write_atomically

_GZIP = b"\x1f\x8b"
_NIFTI2 = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))
_BAD_HEADER = (ValueError, OverflowError, ImageFileError, HeaderDataError, WrapStructError)
_UNREADABLE = (OSError, EOFError, zlib.error, *_BAD_HEADER)


def read_nifti(file: Path) -> tuple[Array, Array]:
    """Voxels (X, Y, Z), native byte order, and the affine; `DataError` if there is anything wrong."""
    header = _read_header(file)
    shape = check_shape(header.get_data_shape(), file)
    affine = check_affine(_best_affine(header, file), file)
    data, offset = _read_whole(file, header), int(header.get_data_offset())
    raw = np.frombuffer(data, header.get_data_dtype(), math.prod(shape), offset).reshape(shape, order="F")
    slope, intercept = _scaling(header, file)
    return plain(apply_read_scaling(raw, slope, intercept)), affine


def _scaling(header: Any, file: Path) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise DataError(f"its scale factor cannot be used ({error})", "export the scan again", file) from error
    return 1.0 if slope is None else slope, intercept or 0.0


def nifti_header(file: Path) -> Header:
    """Everything but the voxels; `DataError` if the header is broken."""
    header = _read_header(file)
    shape, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
    affine = _best_affine(header, file)
    claimed = math.prod(shape) * dtype.itemsize
    return Header("NIfTI", shape, dtype, affine, claimed, file.stat().st_size, _disagreement(header, shape))


def write_nifti(path: Path, array: Array, like: Path) -> None:
    """Write labels with the header of another scan: its shape, sform, qform and their codes; `ValueError` if unfit."""
    header = _read_header(like)
    shape = header.get_data_shape()
    if array.shape != check_shape(shape, like):
        raise ValueError(f"the mask has shape {array.shape}, {like} has {shape}")
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header.set_data_offset(0)
    header["cal_min"], header["cal_max"] = 0, 0
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    _save(path, kind(array.reshape(shape), None, header))


def write_nifti_affine(path: Path, array: Array, affine: Array) -> None:
    """Write pixels with an affine, as sform and (where it has no shear) qform, both in scanner coordinates."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1, strip_shears=True)
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        image.set_qform(None, code=0)
    _save(path, image)


def _save(path: Path, image: Any) -> None:
    if not path.name.endswith(NIFTI):
        raise ValueError(f"{path}: a NIfTI file is called .nii or .nii.gz")
    data = image.to_bytes()
    write_atomically(path, gzip.compress(data, compresslevel=6, mtime=0) if path.name.endswith(".gz") else data)


def _read_header(file: Path) -> Any:
    """The nibabel header, checked for a shape and a type of grey values."""
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP
        with gzip.open(file) if packed else file.open("rb") as stream:
            start = stream.read(540)
        kind = nib.Nifti2Header if start[:4] in _NIFTI2 else nib.Nifti1Header
        header = kind(start[: kind.sizeof_hdr])
        if header["magic"].item()[:3] not in (b"n+1", b"n+2"):
            raise HeaderDataError(f"its magic bytes are {header['magic'].item()!r}, not those of a single file")
        shape, dtype, _ = header.get_data_shape(), header.get_data_dtype(), int(header.get_data_offset())
    except _UNREADABLE as error:
        raise DataError(f"this is no whole NIfTI file ({error})", COPY_AGAIN, file) from error
    if dtype.kind not in "biuf":
        raise DataError(f"voxels of type {dtype} are not grey values", "convert it to a grey scan", file)
    if min(shape, default=0) < 1:
        raise DataError(f"its header claims the shape {shape}", COPY_AGAIN, file)
    return header


def _read_whole(file: Path, header: Any) -> bytes:
    """All bytes of a file, uncompressed: exactly as many as the header announces."""
    wanted = int(header.get_data_offset()) + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP
        check_claim(file, wanted, size * DEFLATE_RATIO if packed else size)
        data = gunzip(file.read_bytes(), wanted) if packed else file.read_bytes()
    except _UNREADABLE as error:
        raise DataError(f"this is no whole NIfTI file ({error})", COPY_AGAIN, file) from error
    if len(data) < wanted:
        raise DataError(f"the file is cut short: it has {len(data)} of {wanted} bytes", COPY_AGAIN, file)
    if len(data) > wanted:
        raise DataError(f"the file goes on beyond its {wanted} bytes: the header or the end is wrong", COPY_AGAIN, file)
    return data


def gunzip(data: bytes, limit: int) -> bytes:
    """Decompress at most one byte more than `limit`; every check sum up to there is compared.

    Raises:
        EOFError, OSError, zlib.error: The data are cut short, damaged, or followed by something else.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        first = stream.decompress(data, limit + 1)
        if len(first) > limit or (stream.eof and not stream.unused_data.strip(b"\0")):
            return first
    except zlib.error:
        pass  # gzip, below, says better what is wrong
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as members:  # slower, but knows files of several members
        return members.read(limit + 1)


def _best_affine(header: Any, file: Path) -> Array:
    try:
        affine: Array = header.get_best_affine()
        return affine
    except (HeaderDataError, ValueError) as error:
        raise DataError(f"its affine cannot be read ({error})", "write a correct sform into the file", file) from error


def _disagreement(header: Any, shape: tuple[int, ...]) -> float | None:
    """Millimetres between sform and qform at the worst corner."""
    if not (int(header["sform_code"]) > 0 and int(header["qform_code"]) > 0):
        return None
    try:
        apart = header.get_sform() - header.get_qform()
    except (HeaderDataError, ValueError):
        return math.inf
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in (*shape, 1, 1)[:3]], [1])).reshape(4, -1)
    distance = float(np.linalg.norm((apart @ corners)[:3], axis=0).max())
    return distance if math.isfinite(distance) else math.inf
