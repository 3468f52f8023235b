"""One table that names every scan, for data in no particular order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spinelab.data.sources.listing import below, check_root, in_order, raw_labels, safe, stem
from spinelab.data.sources.tables import Table, read_table, require_columns
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case, MaskFiles


@dataclass(frozen=True)
class ManifestSource:
    """A CSV, TSV or parquet file with one row a scan.

    Columns: ``person``; ``image``, or ``image_<contrast>`` for each of several channels, in the table's order; ``mask``
    if there is a truth; optionally ``case`` (a name of its own; by default the first image's file name), ``site`` and
    ``group``. Paths are relative to the root. Other columns are not looked at.

    Attributes:
        root: Folder below which all files lie.
        table: The table, relative to the root or in full.
        labels: Raw value in the column ``mask`` -> class name.
        overlays: Further masks, drawn over the first in this order: column -> labels, written as `labels`.
    """

    root: str | Path
    table: str | Path = "manifest.csv"
    labels: Mapping[int, str] | None = None
    overlays: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def cases(self) -> list[Case]:
        """All cases, sorted by name; images and masks are listed whether or not they are there.

        Raises:
            DataError: The folder or the table is missing or damaged, a row lacks a value or names a file outside the
                root, or names are not unique.
            ConfigError: Columns are missing or contradict each other, or the labels are not told.
        """
        root = check_root(self.root)
        file = root / self.table
        table = read_table(file)
        images, masks = _image_columns(table, file), self._mask_columns(table, file)
        require_columns(table, ("person", *images, *masks), file)
        cases = (_case(root, file, line, row, images, masks) for line, row in table.items())
        return in_order(cases, root, f"give {file.name} a column `case` with a name of its own for each row")

    def _mask_columns(self, table: Table, file: Path) -> dict[str, Mapping[int, str]]:
        first = {"mask": self.labels} if self.labels else {}
        if not first and "mask" in next(iter(table.values())):
            raise ConfigError(
                "the source does not say what the values in the column `mask` mean",
                "give data.source.labels, such as {1: vertebra, 2: disc}, and the same names as data.labels.classes",
                file,
            )
        return {column.lower(): raw_labels(labels) for column, labels in {**first, **self.overlays}.items()}


def _image_columns(table: Table, file: Path) -> list[str]:
    columns = list(next(iter(table.values())))
    contrasts = [name for name in columns if name.startswith("image_")]
    if contrasts and "image" in columns:
        raise ConfigError(
            f"both `image` and {', '.join(contrasts)} are columns",
            "name a single image `image`, several channels `image_<contrast>`, and other columns otherwise",
            file,
        )
    return contrasts or ["image"]


def _case(
    root: Path, file: Path, line: int, row: dict[str, str], images: list[str], masks: Mapping[str, Mapping[int, str]]
) -> Case:
    if not row["person"]:
        raise DataError(f"row {line} names no person", "name one: a split puts each person on one side", file)
    paths = {column: below(root, row[column], file, f"row {line}, column {column},") for column in (*images, *masks)}
    truth = tuple(MaskFiles((paths[column],), labels) for column, labels in masks.items())
    name = row.get("case") or stem(paths[images[0]])
    channels = tuple((paths[column],) for column in images)
    return Case(safe(name), row["person"], channels, truth, row.get("site", ""), row.get("group", ""))
