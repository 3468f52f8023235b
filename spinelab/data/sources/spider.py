"""SPIDER, the public lumbar spine MRI data set (van der Graaf et al., Scientific Data 11:264, 2024).

Zenodo 10159290: 447 sagittal series of 218 persons from four hospitals, 257 persons with the hidden test set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinelab.data.sources.listing import check_root, in_order, raw_labels
from spinelab.data.sources.patterns import find
from spinelab.data.sources.tables import read_table, require_columns
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case, MaskFiles

CONTRASTS = ("t1", "t2", "t2_SPACE")
SCANNER = "ManufacturerModelName"
SERIES = re.compile(rf"(\d+)_({'|'.join(CONTRASTS)})")


def spider_labels() -> dict[int, str]:
    """What the values in the masks mean.

    1 to 25 are vertebrae from the lowest lumbar one upwards, 101 to 125 the same where the scan cuts them off, 100 is
    the spinal canal, 201 to 225 are discs from the lowest (below vertebra 1) upwards.
    """
    numbers = range(1, 26)
    vertebrae = {number + offset: "vertebra" for offset in (0, 100) for number in numbers}
    return {**vertebrae, 100: "canal", **{number + 200: "disc" for number in numbers}}


@dataclass(frozen=True)
class SpiderSource:
    """Series ``images/<person>_<contrast>.mha``, masks of the same name in ``masks``, and ``overview.csv``.

    Each series is a case of its own: the contrasts of a person differ in their grids.

    Attributes:
        root: The data set's folder.
        contrasts: Which series: ``t1``, ``t2``, ``t2_SPACE``. Few persons have the last.
        labels: Raw value in the masks -> class name; by default `spider_labels`.
        subset: ``training`` or ``validation``, as the authors divided the persons; None takes both.
        site_column: Column of ``overview.csv`` with the scanner; it does not say which hospital.
    """

    root: str | Path
    contrasts: Sequence[str] = CONTRASTS
    labels: Mapping[int, str] | None = None
    subset: str | None = None
    site_column: str = SCANNER

    def cases(self) -> list[Case]:
        """All cases, sorted by name such as ``12_t2``; masks are listed whether or not they are there.

        ``overview.csv`` may be missing unless a subset is asked for.

        Raises:
            DataError: The folder or all images are missing, an image has another name, the table is damaged, does not
                know an image or has no such subset, or a file lies outside the folder.
            ConfigError: A contrast is unknown, or the table lacks a column.
        """
        if not self.contrasts or not set(self.contrasts) <= set(CONTRASTS):
            found = f"the contrasts are {', '.join(self.contrasts) or 'none'}"
            raise ConfigError(found, f"set data.source.contrasts to some of {', '.join(CONTRASTS)}")
        root = check_root(self.root)
        images = [file for file in find(root, ["images/*.mha"]) if _series(file)[1] in self.contrasts]
        facts = self._overview(root / "overview.csv")
        return in_order((self._case(root, file, facts) for file in self._of_subset(images, facts, root)), root)

    def _of_subset(self, images: Sequence[Path], facts: Mapping[str, tuple[str, str]], root: Path) -> list[Path]:
        unknown = [file.name for file in images if self.subset and file.stem not in facts]
        if unknown:
            raise DataError(
                f"it does not name {len(unknown)} images, such as {unknown[0]}",
                "restore overview.csv, or set data.source.subset=null to take all images",
                root / "overview.csv",
            )
        chosen = [file for file in images if not self.subset or facts[file.stem][0] == self.subset]
        if not chosen:
            subsets = ", ".join(sorted({subset for subset, _ in facts.values()}))
            raise DataError(
                f"there is no image of {', '.join(self.contrasts)}"
                + (f" in subset {self.subset}; overview.csv has {subsets}" if self.subset else ""),
                "correct data.source.subset or data.source.contrasts",
                root,
            )
        return chosen

    def _case(self, root: Path, file: Path, facts: Mapping[str, tuple[str, str]]) -> Case:
        labels = raw_labels(spider_labels() if self.labels is None else self.labels)
        mask = MaskFiles((root / "masks" / file.name,), labels)
        return Case(file.stem, _series(file)[0], ((file,),), (mask,), facts.get(file.stem, ("", ""))[1])

    def _overview(self, file: Path) -> dict[str, tuple[str, str]]:
        """Series -> subset and scanner."""
        if not file.is_file() and self.subset is None:
            return {}
        table = read_table(file)
        asked = [self.site_column] if self.site_column != SCANNER else []
        require_columns(table, ("new_file_name", *(["subset"] if self.subset else []), *asked), file)
        column = self.site_column.lower()
        return {
            row["new_file_name"].removesuffix(".mha"): (row.get("subset", "").lower(), row.get(column, ""))
            for row in table.values()
        }


def _series(file: Path) -> tuple[str, str]:
    """Person and contrast."""
    found = SERIES.fullmatch(file.stem)
    if found is None:
        raise DataError(
            f"the name is not <number>_<{' | '.join(CONTRASTS)}>.mha",
            "take the file out of images, or list your own scans with data=folder",
            file,
        )
    return found[1], found[2]
