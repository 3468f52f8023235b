"""Corrected copies of what can be mended without a person's judgement; originals are never written.

Only the corrected files are written, at the same relative paths below another folder, beside a list ``fixes.json``.
Copy them over a copy of the data set to use them.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spinelab.data.doctor.files import read_as_is
from spinelab.data.doctor.finding import Finding, Mending
from spinelab.data.doctor.header import TYPES, Header, bytes_of, parse
from spinelab.data.doctor.labels import mended
from spinelab.data.volumes.io import write_mask
from spinelab.errors import ConfigError, SpinelabError
from spinelab.files import write_atomically
from spinelab.types import Case, Files

DONE: dict[Mending, str] = {
    "nan": "NaN and infinite voxels set to 0",
    "labels": "labels written as the whole numbers that were meant",
    "affine": "affine copied from the image",
    "squeeze": "trailing axes of length one dropped",
    "sform": "sform copied from the qform",
}


@dataclass(frozen=True)
class Fix:
    """One file that was mended, or could not be.

    Attributes:
        original: The file as it is.
        written: The corrected copy, "" if that failed.
        done: What was changed, or why nothing was.
    """

    original: str
    written: str
    done: tuple[str, ...]


def check_target(target: Path, root: Path) -> None:
    """Raise `ConfigError` if corrected copies would come to lie among the originals, or the other way round."""
    new, old = target.expanduser().resolve(), root.expanduser().resolve()
    if new.is_relative_to(old) or old.is_relative_to(new):
        raise ConfigError(
            f"fix={target} overlaps the data set's folder {root}",
            "name a folder that is outside it: originals are never overwritten",
            target,
        )


def fix(cases: Iterable[Case], findings: Sequence[Finding], root: Path, target: Path) -> list[Fix]:
    """Write corrected copies of all files with a finding that can be mended, and the list of them.

    Raises:
        ConfigError: The folder overlaps the data set's.
        OSError: It cannot be written to.
    """
    check_target(target, root)
    wanted: dict[Path, set[Mending]] = defaultdict(set)
    for finding in findings:
        if finding.mending is not None:
            wanted[Path(finding.file)].add(finding.mending)
    fixes: list[Fix] = []
    for case in cases:
        for files in case.images:
            if mendings := _of(files, wanted):
                fixes.append(_attempt(files[0], target / _relative(files[0], root), mendings, None))
        for mask in case.masks:
            if mendings := _of(mask.files, wanted):
                write = _mask_writer(mask.files, mask.labels, case.images[0], mendings)
                fixes += [_attempt(file, target / _relative(file, root), mendings, write) for file in mask.files]
    write_atomically(target / "fixes.json", json.dumps([asdict(one) for one in fixes], indent=1))
    return fixes


def _of(files: Files, wanted: Mapping[Path, set[Mending]]) -> set[Mending]:
    return {mending for file in files for mending in wanted.get(file, ())}


def _attempt(file: Path, written: Path, mendings: set[Mending], write: Callable[[Path, Path], None] | None) -> Fix:
    try:
        if write is not None:
            write(file, written)
        if write is None or mendings & {"squeeze", "sform"}:
            patch(file if write is None else written, written, mendings)
        return Fix(str(file), str(written), tuple(DONE[mending] for mending in sorted(mendings)))
    except (SpinelabError, ValueError) as problem:
        return Fix(str(file), "", (f"not mended: {problem}",))


def _mask_writer(
    files: Files, known: Collection[int], image: Files, mendings: set[Mending]
) -> Callable[[Path, Path], None] | None:
    """What writes one file of a mask anew, None where changing single bytes will do."""
    if not mendings & {"affine", "labels"}:
        return None

    def write(file: Path, written: Path) -> None:
        position = files.index(file)
        array = read_as_is(files, mask=True).array
        values = mended(array, known) if "labels" in mendings else array
        written.parent.mkdir(parents=True, exist_ok=True)
        if len(files) > 1:
            write_mask(written, values[position : position + 1], like=(file,))
        else:
            write_mask(written, values, like=image if "affine" in mendings else files)

    return write


def patch(file: Path, written: Path, mendings: set[Mending]) -> None:
    """Change single bytes of a NIfTI file; all others stay as they are.

    Raises:
        ValueError: It is no NIfTI file, or its voxels have no type that can hold NaN.
    """
    data, packed = bytes_of(file)
    header = parse(data)
    if header is None:
        raise ValueError("only NIfTI files are mended by this")
    if "nan" in mendings:
        _without_nan(data, header)
    if "squeeze" in mendings:
        struct.pack_into(f"{header.order}{header.layout.dim[1][-1]}", data, header.layout.dim[0], 3)
    if "sform" in mendings and header.qform is not None:
        _copy_qform(data, header)
    content = gzip.compress(bytes(data), 6, mtime=0) if packed else bytes(data)
    write_atomically(written, content)


def _without_nan(data: bytearray, header: Header) -> None:
    kind = np.dtype(header.order + TYPES.get(header.datatype, "u1"))
    if kind.kind != "f":
        raise ValueError(f"voxels of type {kind} hold no NaN; the scale factor of the header makes it")
    count = int(np.prod(header.shape))
    voxels = np.frombuffer(data, kind, count, header.offset)
    voxels[~np.isfinite(voxels)] = 0


def _copy_qform(data: bytearray, header: Header) -> None:
    assert header.qform is not None
    place, kind = header.layout.sform
    struct.pack_into(header.order + kind, data, place, *header.qform[:3].ravel().tolist())
    place, kind = header.layout.codes
    code = struct.unpack_from(header.order + kind, data, place)[0]
    struct.pack_into(header.order + kind, data, place, code, code)


def _relative(file: Path, root: Path) -> Path:
    """A path below the root; of a file outside it, the name alone."""
    absolute, base = file.absolute(), root.absolute()
    return absolute.relative_to(base) if absolute.is_relative_to(base) else Path(file.name)
