"""The Brain Imaging Data Structure: raw scans, and masks among the derivatives (Gorgolewski et al. 2016)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinelab.data.sources.listing import (
    check_inside,
    check_masks,
    check_root,
    extract,
    find,
    in_order,
    raw_labels,
    stem,
)
from spinelab.types import Case, MaskFiles

EXTENSIONS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class BidsSource:
    r"""Scans ``sub-*/[ses-*/]anat/*_<suffix>.nii.gz`` with masks of the same name plus ``_<mask suffix>``.

    Attributes:
        root: The data set's folder.
        suffix: Contrast, such as ``T2w`` or ``T2starw``.
        masks: Mask suffix -> raw value -> class name. Later masks are drawn over earlier ones. Empty: no truth.
        derivatives: Where the masks lie below the root, in the same folders as the scans.
        person: Regular expression with one group, searched in the scan's path below the root. The default takes the
            whole ``sub-`` entity; sessions that are written into it have to be cut off here.
    """

    root: str | Path
    suffix: str
    masks: Mapping[str, Mapping[int, str]]
    derivatives: str = "derivatives/labels"
    person: str = r"(sub-[^_/]+)"

    def cases(self) -> list[Case]:
        """All cases, sorted by name, which is the file name without extension.

        Raises:
            DataError: The folder, a scan or a mask is missing; the person's pattern does not match; names are not
                unique.
        """
        root = check_root(self.root)
        check_inside(root, self.derivatives)
        sites = read_sites(root / "participants.tsv")
        missing: list[Path] = []
        cases = []
        for file in find(root, (f"sub-*/**/*_{self.suffix}{extension}" for extension in EXTENSIONS)):
            path = file.relative_to(root)
            person = extract(self.person, path.as_posix(), "person", root)
            masks = tuple(
                MaskFiles((self._mask_file(root, path, suffix, missing),), raw_labels(labels))
                for suffix, labels in self.masks.items()
            )
            cases.append(Case(stem(file), person, ((file,),), masks, sites.get(path.parts[0], "")))
        check_masks(root, missing)
        return in_order(cases, root)

    def _mask_file(self, root: Path, path: Path, suffix: str, missing: list[Path]) -> Path:
        folder = root / self.derivatives / path.parent
        candidates = [folder / f"{stem(path)}_{suffix}{extension}" for extension in EXTENSIONS]
        there = [file for file in candidates if file.is_file()]
        if not there:
            missing.append(candidates[0])
        return there[0] if there else candidates[0]


def read_sites(participants: Path) -> dict[str, str]:
    """Site of each participant, from a column named site in any case; empty where there is none."""
    if not participants.is_file():
        return {}
    with participants.open(newline="", encoding="utf-8-sig") as stream:
        rows = [
            {(k or "").strip().lower(): v for k, v in row.items()} for row in csv.DictReader(stream, delimiter="\t")
        ]
    sites = {str(row.get("participant_id")): (row.get("site") or "").strip() for row in rows}
    return {name: "" if site.lower() == "n/a" else site for name, site in sites.items()}
