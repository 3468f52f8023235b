"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr) through SimpleITK, which trusts files too much.

SimpleITK reads a MetaImage whose compressed pixels were damaged without a word, and allocates what a header asks for.
So the header is looked at here first, and the bytes of the voxels are counted (and their check sum compared) before
SimpleITK may read them.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from spinelab.data.volumes.formats import (
    COPY_AGAIN,
    DEFLATE_RATIO,
    META,
    NRRD,
    Array,
    Header,
    check_affine,
    check_claim,
    check_shape,
    format_of,
    lps_to_ras,
    plain,
)
from spinelab.errors import DataError

_TYPES: dict[int, type[np.generic]] = {
    sitk.sitkUInt8: np.uint8, sitk.sitkInt8: np.int8, sitk.sitkUInt16: np.uint16, sitk.sitkInt16: np.int16,
    sitk.sitkUInt32: np.uint32, sitk.sitkInt32: np.int32, sitk.sitkUInt64: np.uint64, sitk.sitkInt64: np.int64,
    sitk.sitkFloat32: np.float32, sitk.sitkFloat64: np.float64,
}  # fmt: skip
_META_TYPES = {f"MET_{u}{name}" for u in ("", "U") for name in ("CHAR", "SHORT", "INT", "LONG", "LONG_LONG")} | {
    "MET_FLOAT",
    "MET_DOUBLE",
}
_HEADER_BYTES, _CHUNK, _INFLATED = 1 << 16, 1 << 16, 1 << 20
_DATA_FILE = "give the volume one data file, beside its header: convert it to .mha or .nrrd"


@dataclass(frozen=True)
class _Payload:
    """Where the voxels lie: `encoding` is raw, deflate or other, and `exact` whether the file ends with them."""

    file: Path
    offset: int
    encoding: str
    exact: bool = True


def read_itk(file: Path) -> tuple[Array, Array]:
    """Voxels (X, Y, Z), and the affine to RAS+ millimetres; `DataError` if there is anything wrong."""
    payload, header = _read_header(file)
    shape = check_shape(header.shape, file)
    assert header.affine is not None
    affine = check_affine(header.affine, file)
    _check_payload(file, payload, header.claimed_bytes)
    try:
        image = sitk.ReadImage(str(file))  # kept, as a view does not keep its image alive
        return plain(sitk.GetArrayViewFromImage(image).T.reshape(shape, order="F")), affine
    except RuntimeError as error:
        raise _broken(file, _reason(error)) from error


def itk_header(file: Path) -> Header:
    """Everything but the voxels; `DataError` if the header is broken."""
    return _read_header(file)[1]


def data_file(file: Path) -> Path:
    """The file that holds the voxels: another one for .mhd and .nhdr; `DataError` if the header does not tell."""
    return _payload(file).file


def write_itk(path: Path, array: Array, affine: Array) -> None:
    """Write labels (X, Y, Z), compressed, in a grid given in RAS+ millimetres; `ValueError` for another extension."""
    if not path.name.lower().endswith(META + NRRD):
        raise ValueError(f"{path}: a mask is written as {', '.join(META + NRRD)}")
    matrix = lps_to_ras(affine)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        sitk.WriteImage(image, str(Path(folder, path.name)), True)
        written = sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name)  # the header comes last
        for file in written:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        for file in written:
            file.replace(path.parent / file.name)


def _payload(file: Path) -> _Payload:
    try:
        with file.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
    except OSError as error:
        raise _broken(file, str(error)) from error
    return _nrrd_payload(file, start) if file.name.lower().endswith(NRRD) else _meta_payload(file, start)


def _read_header(file: Path) -> tuple[_Payload, Header]:
    payload = _payload(file)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _broken(file, _reason(error)) from error
    if reader.GetNumberOfComponents() != 1 or reader.GetPixelID() not in _TYPES:
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
        raise DataError(f"voxels of type {kind} are not grey values", "convert it to a grey scan", file)
    shape, dtype = tuple(reader.GetSize()), np.dtype(_TYPES[reader.GetPixelID()])
    claimed = math.prod(shape) * dtype.itemsize
    size = sum(part.stat().st_size for part in {payload.file, file})
    return payload, Header(format_of(file), shape, dtype, _affine(reader), claimed, size)


def _affine(reader: Any) -> Array:
    """The first three axes of an ITK image, or two and a made-up third."""
    count = reader.GetDimension()
    used = min(count, 3)
    direction = np.reshape(reader.GetDirection(), (count, count))[:used, :used]
    matrix = np.eye(4)
    matrix[:used, :used] = direction * np.array(reader.GetSpacing()[:used])
    matrix[:used, 3] = reader.GetOrigin()[:used]
    return lps_to_ras(matrix)


def _meta_payload(file: Path, start: bytes) -> _Payload:
    """Check a MetaImage header, as far as MetaIO would crash on it or print, and find its voxels."""
    found = re.search(rb"^\s*ElementDataFile\s*=\s*([^\r\n]*?)\s*?(\r?\n|\Z)", start, re.MULTILINE)
    if found is None:
        raise _broken(file, "its header has no ElementDataFile")
    text = start[: found.start()].decode("latin-1")
    fields = dict(re.findall(r"^\s*(\w+)\s*=[ \t]*(.*?)\s*$", text, re.MULTILINE))
    _check_meta(file, fields)
    compressed = fields.get("CompressedData", "False").lower() in ("true", "1", "t")
    binary = fields.get("BinaryData", "True").lower() in ("true", "1", "t")
    encoding = "other" if not binary else "deflate" if compressed else "raw"
    exact, name = fields.get("HeaderSize", "0") == "0", found[1].decode("latin-1")
    if name.upper() == "LOCAL":
        return _Payload(file, found.end(), encoding, exact)
    return _Payload(_beside(file, name), 0, encoding, exact)


def _check_meta(file: Path, fields: dict[str, str]) -> None:
    try:
        count = int(fields["NDims"])
        sizes = [int(size) for size in fields["DimSize"].split()]
        spacing = [float(mm) for mm in fields.get("ElementSpacing", fields.get("ElementSize", "1 " * count)).split()]
        numbers = [float(n) for key in ("TransformMatrix", "Offset") for n in fields.get(key, "0").split()]
    except (KeyError, ValueError) as error:
        raise _broken(file, f"its header lacks or garbles {error}") from error
    if not (2 <= count <= 4 and len(sizes) == len(spacing) == count and min(sizes) > 0):
        raise _broken(file, f"its header claims {count} axes of {sizes} voxels")
    if not (all(0 < mm < math.inf for mm in spacing) and all(map(math.isfinite, numbers))):
        raise _broken(file, f"its header claims a spacing of {spacing} mm, or an endless offset")
    if fields.get("ElementType") not in _META_TYPES:
        raise _broken(file, f"its header has the ElementType {fields.get('ElementType')}")


def _nrrd_payload(file: Path, start: bytes) -> _Payload:
    """Find the voxels of an NRRD file, which teem itself checks well."""
    if not start.startswith(b"NRRD"):
        raise _broken(file, "it does not begin with NRRD")
    end = re.search(rb"\r?\n\r?\n|\Z", start)
    assert end is not None
    text = start[: end.start()].decode("latin-1")
    lines = re.findall(r"^([\w ]+):[ \t]*(.*?)\s*$", text, re.MULTILINE)
    fields = {key.replace(" ", "").lower(): value for key, value in lines}
    encodings = {"raw": "raw", "gz": "deflate", "gzip": "deflate"}
    encoding = encodings.get(fields.get("encoding", "").lower(), "other")
    exact = not {"lineskip", "byteskip"} & set(fields)
    if "datafile" in fields:
        return _Payload(_beside(file, fields["datafile"]), 0, encoding, exact)
    return _Payload(file, end.end(), encoding, exact)


def _beside(file: Path, name: str) -> Path:
    """The file that a header names for its voxels."""
    if name.upper().startswith("LIST") or "%" in name:
        raise DataError("its voxels lie in several files", _DATA_FILE, file)
    if Path(name).name != name.removeprefix("./"):
        raise DataError(f"its header names a file in another folder, {name!r}", _DATA_FILE, file)
    if not (file.parent / name).is_file():
        raise DataError(f"its voxels should lie in {name!r}, which is not there", "copy both files", file)
    return file.parent / name


def _check_payload(file: Path, payload: _Payload, claimed: int) -> None:
    """Compare the bytes that there are with those that the header claims."""
    there = payload.file.stat().st_size - payload.offset
    possible = {"raw": there, "deflate": there * DEFLATE_RATIO}.get(payload.encoding, claimed)
    check_claim(file, claimed, possible)
    if payload.encoding == "other" or not payload.exact:
        return
    found = there if payload.encoding == "raw" else _inflated(file, payload, claimed)
    if found != claimed:
        raise _broken(file, f"it holds {found} bytes of voxels{' at least' * (found > claimed)}, not {claimed}")


def _inflated(file: Path, payload: _Payload, limit: int) -> int:
    """Count the bytes of a compressed stream, up to a little beyond the limit, without keeping them."""
    stream, count = zlib.decompressobj(wbits=47), 0
    with payload.file.open("rb") as source:
        source.seek(payload.offset)
        try:
            while count <= limit and not stream.eof:
                chunk = stream.unconsumed_tail or source.read(_CHUNK)
                inflated = len(stream.decompress(chunk, _INFLATED))
                count += inflated
                if not chunk and not inflated and not stream.eof:
                    raise _broken(file, f"its voxels are cut short after {count} of {limit} bytes")
        except zlib.error as error:
            raise _broken(file, f"its voxels are damaged: {error}") from error
        if stream.eof and (stream.unused_data + source.read(1)).strip(b"\0"):
            raise _broken(file, "something follows its voxels")
    return count


def _broken(file: Path, reason: str) -> DataError:
    return DataError(f"this is no whole {format_of(file)} file ({reason})", COPY_AGAIN, file)


def _reason(error: RuntimeError) -> str:
    """The last line of SimpleITK's several."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"^(\[\w+\] |\w+::ERROR: |ITK ERROR: )", "", lines[-1]) if lines else "unreadable"
