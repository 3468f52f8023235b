"""DICOM series as scanners and archives export them: folders of files, one file a slice."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinelab.data.sources.listing import check_root, in_order, raw_labels, safe
from spinelab.data.sources.patterns import companion, expand, extract, find, natural
from spinelab.data.volumes.dicom import Series, list_series
from spinelab.data.volumes.formats import is_dicom
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case, MaskFiles

ALL = "**/*"


@dataclass(frozen=True)
class DicomSource:
    r"""Series below a folder, told apart by their folder and SeriesInstanceUID; reads headers, no pixels.

    Attributes:
        root: The data set's folder.
        image: Glob pattern below the root for the files to look at; those among them that are no DICOM are left out.
        series: Regular expression searched in SeriesDescription, upper and lower case alike, such as ``t2.*sag``; only
            series in which it is found are cases. None takes all, and with them localisers, which reading refuses.
        person: None takes PatientID. Else a regular expression with one group, searched in the path of the series'
            folder below the root: ``(sub-\d+)``.
        mask: The mask's path below the root: ``{folder}`` is the series' folder, ``{stem}`` that folder's own name,
            ``{series}`` its SeriesInstanceUID, ``{person}`` its person. Of ``{a,b}``, one must be there. None with
            `labels`: the DICOM-SEG that refers to the series, wherever it lies below the root.
        labels: Raw value in the mask (segment number of a DICOM-SEG) -> class name. None: no truth.
        site: Hospital or scanner of all images.
    """

    root: str | Path
    image: str = ALL
    series: str | None = None
    person: str | None = None
    mask: str | None = None
    labels: Mapping[int, str] | None = None
    site: str = ""

    def cases(self) -> list[Case]:
        """All cases, sorted by name, which is the series' folder; masks are listed whether or not they are there.

        Raises:
            DataError: The folder or all images are missing; a file is no whole DICOM file; a person is unknown; names
                are not unique; two DICOM-SEG files refer to one series.
            ConfigError: A pattern is not well formed, or the extra `dicom` is not installed.
        """
        if self.mask is not None and not self.labels:
            raise ConfigError(
                "the source does not say what the values in the masks mean",
                "give data.source.labels, such as {1: vertebra, 2: disc}, and the same names as data.labels.classes",
            )
        root = check_root(self.root)
        found, segmentations = list_series(file for file in find(root, expand(self.image)) if is_dicom(file))
        if self.image != ALL and self.labels and self.mask is None:  # masks need not lie where images do
            segmentations = list_series(file for file in find(root, [ALL]) if is_dicom(file))[1]
        chosen = [one for one in found if self._is_chosen(one)]
        if not chosen:
            raise DataError(_nothing(found, self.series), "correct data.source.image or data.source.series", root)
        names = _names(chosen, root)
        cases = []
        for one in chosen:
            person = self._person(one, root)
            masks = self._masks(one, person, root, segmentations)
            files = tuple(sorted(one.files, key=lambda file: natural(file.name)))
            cases.append(Case(names[one], person, (files,), masks, self.site))
        return in_order(cases, root, "give each series a folder of its own")

    def _is_chosen(self, one: Series) -> bool:
        return self.series is None or re.search(self.series, one.description, re.IGNORECASE) is not None

    def _person(self, one: Series, root: Path) -> str:
        folder = one.files[0].parent.relative_to(root).as_posix()
        if self.person is not None:
            return extract(self.person, folder, "person", root)
        if not one.person:
            raise DataError(
                "its PatientID is empty", r"tell persons by their folders: data.source.person='(sub-\d+)'", one.files[0]
            )
        return one.person

    def _masks(
        self, one: Series, person: str, root: Path, segmentations: Mapping[str, list[Path]]
    ) -> tuple[MaskFiles, ...]:
        if not self.labels:
            return ()
        path = _segmentation(one, segmentations) if self.mask is None else _from_template(self.mask, one, person, root)
        return (MaskFiles((path,), raw_labels(self.labels)),)


def _names(series: list[Series], root: Path) -> dict[Series, str]:
    """The folder below the root; with the series' number, or its UID, where a folder holds several."""
    by_folder: dict[Path, list[Series]] = defaultdict(list)
    for one in series:
        by_folder[one.files[0].parent].append(one)
    names = {}
    for folder, members in by_folder.items():
        path = folder.relative_to(root).as_posix()
        name = safe(root.resolve().name if path == "." else path)
        numbers = Counter(one.number for one in members)
        for one in members:
            telling = one.number if one.number and numbers[one.number] == 1 else one.uid
            names[one] = name if len(members) == 1 else f"{name}_series-{safe(telling)}"
    return names


def _segmentation(one: Series, segmentations: Mapping[str, list[Path]]) -> Path:
    """The DICOM-SEG that refers to a series, or where it might be put."""
    found = segmentations.get(one.uid, [])
    if len(found) > 1:
        raise DataError(
            f"{len(found)} DICOM-SEG files refer to its series: {', '.join(file.name for file in found)}",
            "leave one of them there, or name the masks by data.source.mask",
            one.files[0].parent,
        )
    return found[0] if found else one.files[0].parent / "segmentation.dcm"


def _from_template(template: str, one: Series, person: str, root: Path) -> Path:
    """Path of a mask; the first spelling of the pattern where none is there."""
    folder = one.files[0].parent
    fields = {
        "folder": folder.relative_to(root).as_posix(),
        "stem": folder.name,
        "series": one.uid,
        "person": person,
    }
    return companion(root, folder, template, fields)


def _nothing(found: list[Series], pattern: str | None) -> str:
    descriptions = ", ".join(sorted({one.description or "(none)" for one in found})[:10])
    return f"no series matches {pattern!r}; their descriptions are {descriptions}" if found else "no DICOM series"
