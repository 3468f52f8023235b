"""The Brain Imaging Data Structure: raw scans, and masks among the derivatives (Gorgolewski et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spinelab.data.sources.listing import check_root, in_order, raw_labels, stem
from spinelab.data.sources.patterns import check_inside, extract, find
from spinelab.data.sources.tables import read_table, require_columns
from spinelab.errors import DataError
from spinelab.types import Case, MaskFiles

EXTENSIONS = (".nii.gz", ".nii")
SITE, GROUP = "site", "group"


@dataclass(frozen=True)
class BidsSource:
    r"""Scans ``sub-*/[ses-*/]anat/*_<suffix>.nii.gz`` with masks of the same name plus ``_<mask suffix>``.

    Attributes:
        root: The data set's folder.
        suffix: Contrast, such as ``T2w`` or ``T2starw``; several are the channels of one volume, in this order. Their
            files differ in the suffix alone, and every volume needs all of them.
        masks: Mask suffix -> raw value -> class name. Later masks are drawn over earlier ones. Empty: no truth. The
            masks are those of the first contrast.
        derivatives: Where the masks lie below the root, in the same folders as the scans.
        person: Regular expression with one group, searched in the scan's path below the root. The default takes the
            whole ``sub-`` entity; sessions that are written into it have to be cut off here.
        site_column: Column of ``participants.tsv`` with the hospital or scanner.
        group_column: Column of ``participants.tsv`` that splits are stratified by, such as the kind of lesion.
    """

    root: str | Path
    suffix: str | Sequence[str]
    masks: Mapping[str, Mapping[int, str]]
    derivatives: str = "derivatives/labels"
    person: str = r"(sub-[^_/]+)"
    site_column: str = SITE
    group_column: str = GROUP

    def cases(self) -> list[Case]:
        """All cases, sorted by name, which is the first contrast's file name without extension.

        Masks and contrasts are listed whether or not they are there.

        Raises:
            DataError: The folder or all scans are missing; the person's pattern does not match; names are not unique;
                a scan is there twice; the table of participants is damaged; a file lies outside the folder.
            ConfigError: The table of participants has no such column.
        """
        root = check_root(self.root)
        check_inside(root, self.derivatives)
        participants = read_participants(root / "participants.tsv", self.site_column, self.group_column)
        suffixes = (self.suffix,) if isinstance(self.suffix, str) else tuple(self.suffix)
        found = find(root, (f"sub-*/**/*_{suffix}{end}" for suffix in suffixes for end in EXTENSIONS))
        series = dict.fromkeys(_without_suffix(file, suffixes) for file in found)
        return in_order((self._case(root, base, suffixes, participants) for base in series), root)

    def _case(
        self, root: Path, base: Path, suffixes: Sequence[str], participants: Mapping[str, tuple[str, str]]
    ) -> Case:
        images = tuple((_one_file(base.with_name(f"{base.name}_{suffix}")),) for suffix in suffixes)
        first = images[0][0].relative_to(root)
        masks = tuple(
            MaskFiles(
                (_one_file(root / self.derivatives / first.parent / f"{stem(first)}_{mask}"),), raw_labels(labels)
            )
            for mask, labels in self.masks.items()
        )
        person = extract(self.person, first.as_posix(), "person", root)
        return Case(stem(first), person, images, masks, *participants.get(first.parts[0], ("", "")))


def read_participants(file: Path, site: str = SITE, group: str = GROUP) -> dict[str, tuple[str, str]]:
    """Site and group of each participant; "" where the table, a column of the usual name or a value is missing.

    Raises:
        DataError: The table cannot be read.
        ConfigError: It has no column of a name that is not the usual one, or none with the participants.
    """
    asked = [name for name, usual in ((site, SITE), (group, GROUP)) if name != usual]
    if not file.is_file() and not asked:
        return {}
    table = read_table(file)
    require_columns(table, ["participant_id", *asked], file)
    columns = site.lower(), group.lower()
    rows = [{name: "" if cell.lower() == "n/a" else cell for name, cell in row.items()} for row in table.values()]
    return {row["participant_id"]: (row.get(columns[0], ""), row.get(columns[1], "")) for row in rows}


def _without_suffix(file: Path, suffixes: Sequence[str]) -> Path:
    name = stem(file)
    return file.with_name(next(name.removesuffix(f"_{s}") for s in suffixes if name.endswith(f"_{s}")))


def _one_file(base: Path) -> Path:
    """The file of this name, compressed or not; where it should be if it is not there."""
    candidates = [base.with_name(base.name + extension) for extension in EXTENSIONS]
    there = [file for file in candidates if file.is_file()]
    if len(there) > 1:
        raise DataError(f"it is there twice, as {' and '.join(f.name for f in there)}", "remove one of them", base)
    return there[0] if there else candidates[0]
