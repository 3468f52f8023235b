"""How scans and masks lie in NIfTI and picture files; the only module that opens them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from PIL import Image

from spinelab.errors import DataError
from spinelab.files import replacing, write_atomically
from spinelab.types import Files

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz")
COPY_AGAIN = "copy or convert the file again; if the original is damaged as well, leave this scan out"

Array = np.ndarray[Any, Any]

_GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, SyntaxError, ImageFileError, HeaderDataError, WrapStructError)


def is_picture(file: Path) -> bool:
    """Whether a file is one slice (PNG, JPEG, TIFF) and not a volume."""
    return file.name.lower().endswith(PICTURES)


def read_nifti(file: Path) -> tuple[Array, Array]:
    """Voxels (X, Y, Z), native byte order, and the affine; `DataError` if there is anything wrong."""
    image = _load_nifti(file)
    try:
        array = np.asanyarray(image.dataobj)
    except _UNREADABLE as error:
        raise DataError(f"the voxels cannot be read, the file may be cut short ({error})", COPY_AGAIN, file) from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"voxels of type {array.dtype} are not grey values", "convert it to a grey scan", file)
    shape = _shape_3d(array.shape)
    if len(shape) != 3:
        raise DataError(
            f"the image has shape {array.shape}, not three dimensions",
            "save each volume of a series (or each slice) as a 3-D file of its own",
            file,
        )
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError("the affine is not invertible", "write a correct sform or qform into the header", file)
    return _plain(array.reshape(shape)), affine


def read_pictures(files: Files, *, colours_as_labels: bool) -> Array:
    """Slices (S, H, W); `colours_as_labels` reads palette pictures as the numbers behind the colours."""
    slices = [_read_picture(file, colours_as_labels) for file in files]
    for file, picture in zip(files, slices, strict=True):
        if picture.shape != slices[0].shape:
            raise DataError(
                f"its size is {picture.shape}, the volume's first slice ({files[0].name}) has "
                f"{slices[0].shape} rows and columns",
                "the slices of one volume have one size: pad them, or tell volumes apart",
                file,
            )
    return _plain(np.stack(slices))


def write_nifti(path: Path, array: Array, like: Path) -> None:
    """Write labels with the header of another scan: its shape, sform, qform and their codes; `ValueError` if unfit."""
    image = _load_nifti(like)
    if array.shape != _shape_3d(image.shape):
        raise ValueError(f"the mask has shape {array.shape}, {like} has {image.shape}")
    if not path.name.endswith(VOLUMES):
        raise ValueError(f"{path}: a mask of a NIfTI scan is written as .nii or .nii.gz")
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    data = type(image)(array.reshape(image.shape), None, header).to_bytes()
    if path.name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    write_atomically(path, data)


def write_pictures(path: Path, array: Array, files: Files) -> None:
    """Write one PNG a slice into a folder, or a single slice into a .png file; `ValueError` if shapes differ."""
    if array.ndim != 3 or len(array) != len(files):
        raise ValueError(f"the mask has shape {array.shape}, the stack has {len(files)} slices")
    single = len(files) == 1 and path.suffix.lower() == ".png"
    targets = [path] if single else [path / f"{file.stem}.png" for file in files]
    for target, file, labels in zip(targets, files, array, strict=True):
        with Image.open(file) as picture:
            if (picture.height, picture.width) != labels.shape:
                raise ValueError(f"the mask slice has shape {labels.shape}, {file} has {picture.size}")
        mask = Image.fromarray(labels)
        with replacing(target) as temporary:
            mask.save(temporary, format="PNG")


def _load_nifti(file: Path) -> Any:
    """Read all bytes first: a cut or damaged gzip stream fails its check sum here and never later."""
    if not file.name.lower().endswith(VOLUMES):
        raise DataError("the file type is not supported", f"convert it to one of {', '.join(VOLUMES + PICTURES)}", file)
    try:
        data = file.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        kind = (
            nib.Nifti2Image if data[:4] in ((540).to_bytes(4, "little"), (540).to_bytes(4, "big")) else nib.Nifti1Image
        )
        return kind.from_bytes(data)
    except _UNREADABLE as error:
        raise DataError(f"this is no whole NIfTI file ({error})", COPY_AGAIN, file) from error


def _shape_3d(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop trailing axes of length one beyond the third."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _plain(array: Array) -> Array:
    """Native byte order; float32 unless integer."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array.astype(array.dtype.newbyteorder("="))


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
