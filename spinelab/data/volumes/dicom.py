"""DICOM files, opened with pydicom (the extra `dicom`) and grouped into series by their headers."""

from __future__ import annotations

import importlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinelab.data.volumes.formats import COPY_AGAIN
from spinelab.errors import ConfigError, DataError
from spinelab.types import Files

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"

_LISTED = ("SOPClassUID", "ReferencedSeriesSequence", "Rows", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
           "PatientID")  # fmt: skip
_CUT = "End of file reached before delimiter"


@dataclass(frozen=True)
class Series:
    """The images of one series, as found on disk.

    Attributes:
        uid: SeriesInstanceUID.
        number: SeriesNumber, "" if unknown.
        description: SeriesDescription, "" if unknown.
        person: PatientID, "" if unknown.
        files: Its files, in the order in which they were found.
    """

    uid: str
    number: str
    description: str
    person: str
    files: Files


def list_series(files: Iterable[Path]) -> tuple[list[Series], dict[str, list[Path]]]:
    """Group DICOM files into series, by their headers.

    Objects without an image (reports, directories, presentation states) are left out.

    Returns:
        The series; and for each SeriesInstanceUID the DICOM-SEG files that refer to it.

    Raises:
        DataError: A file is no whole DICOM file.
        ConfigError: The extra `dicom` is not installed.
    """
    found: dict[tuple[Path, str], list[tuple[Path, Any]]] = defaultdict(list)
    segmentations: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        header = read_dicom(file, _LISTED)
        if str(header.get("SOPClassUID", "")) in (SEGMENTATION, LABEL_MAP):
            for reference in header.get("ReferencedSeriesSequence", ()):
                segmentations[str(reference.get("SeriesInstanceUID", ""))].append(file)
        elif "Rows" in header:
            found[file.parent, str(header.get("SeriesInstanceUID", ""))].append((file, header))
    return [_series(uid, members) for (_, uid), members in found.items()], dict(segmentations)


def is_segmentation(file: Path) -> bool:
    """Whether a DICOM file is a DICOM-SEG."""
    return str(read_dicom(file, ("SOPClassUID",)).get("SOPClassUID", "")) in (SEGMENTATION, LABEL_MAP)


def read_dicom(file: Path, tags: Sequence[str] = (), *, pixels: bool = False) -> Any:
    """A pydicom data set.

    Args:
        file: The file.
        tags: Keywords of the elements to read, and to decode at once; empty reads all, each decoded when it is used.
        pixels: Whether to read on to the end of the file.

    Raises:
        DataError: It is no whole DICOM file.
        ConfigError: The extra `dicom` is not installed.
    """
    pydicom = need("pydicom")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            header = pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=list(tags) or None)
            if tags:
                list(header)  # decodes; errors of damaged values are met here
    except Exception as error:  # pydicom's parser lets through whatever a damaged file makes it raise
        raise broken(file, str(error)) from error
    if any(_CUT in str(warning.message) for warning in caught):
        raise broken(file, "it is cut short")
    return header


def need(package: str) -> Any:
    """Import pydicom or highdicom; `ConfigError` if the extra is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"DICOM needs the package {package}", "pip install spinelab[dicom]") from error


def broken(file: Path, reason: str) -> DataError:
    """The error for a damaged file."""
    return DataError(f"this is no whole DICOM file ({reason.splitlines()[0] if reason else 'unreadable'})",
                     COPY_AGAIN, file)  # fmt: skip


def _series(uid: str, members: list[tuple[Path, Any]]) -> Series:
    first, files = members[0][1], tuple(file for file, _ in members)
    return Series(
        uid, _text(first, "SeriesNumber"), _text(first, "SeriesDescription"), _text(first, "PatientID"), files
    )


def _text(header: Any, key: str) -> str:
    value = header.get(key)
    return "" if value is None else str(value).strip()
