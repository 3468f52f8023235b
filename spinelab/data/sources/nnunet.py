"""nnU-Net's raw data layout, versions 1 and 2 (Isensee et al., Nature Methods 18:203, 2021)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spinelab.data.sources.description import channels, raw_names, read_description
from spinelab.data.sources.listing import check_root, in_order, raw_labels, safe
from spinelab.data.sources.patterns import extract, find
from spinelab.errors import DataError
from spinelab.types import Case, MaskFiles


@dataclass(frozen=True)
class NnunetSource:
    r"""Images ``imagesTr/<case>_<channel>`` with a four-digit channel, masks ``labelsTr/<case>``, ``dataset.json``.

    nnU-Net's own division into folds is taken with ``protocol=nnunet``.

    Attributes:
        root: The data set's folder, such as ``nnUNet_raw/Dataset042_Spine``.
        labels: Raw value in the masks -> class name; by default as ``dataset.json`` names them, with ``_`` for blanks.
            A value that only regions name is ``label_<value>``: unite such classes again with ``data.labels.regions``.
        person: Regular expression with one group, searched in the case's name. By default each case is a person of its
            own: set it wherever a person was scanned twice, or folds will leak.
        site: Hospital or scanner of all images.
    """

    root: str | Path
    labels: Mapping[int, str] | None = None
    person: str = "(.+)"
    site: str = ""

    def cases(self) -> list[Case]:
        """All training cases, sorted by name; masks and channels are listed whether or not they are there.

        Raises:
            DataError: The folder, ``dataset.json`` or all images are missing; the labels have an ``ignore`` value; an
                image has no channel number or one that ``dataset.json`` does not name; the person's pattern does not
                match; names are not unique; a file lies outside the folder.
        """
        root = check_root(self.root)
        file = root / "dataset.json"
        description = read_description(file)
        names = channels(description, file)
        labels = raw_names(file) if self.labels is None else raw_labels(self.labels)
        ending = str(description.get("file_ending", ".nii.gz"))
        found: dict[str, list[int]] = defaultdict(list)
        for image in find(root, [f"imagesTr/*{ending}"]):
            case, channel = _case_and_channel(image, ending, names)
            found[case].append(channel)
        return in_order(
            (self._case(root, case, ending, len(names), labels) for case in found), root, "rename one of the cases"
        )

    def _case(self, root: Path, case: str, ending: str, count: int, labels: Mapping[int, str]) -> Case:
        images = tuple((root / "imagesTr" / f"{case}_{channel:04d}{ending}",) for channel in range(count))
        mask = MaskFiles((root / "labelsTr" / f"{case}{ending}",), labels)
        return Case(safe(case), extract(self.person, case, "person", root), images, (mask,), self.site)


def _case_and_channel(image: Path, ending: str, names: list[str]) -> tuple[str, int]:
    found = re.fullmatch(r"(.+)_(\d{4})", image.name.removesuffix(ending))
    if found is None:
        raise DataError("its name does not end in a channel such as _0000", "name it <case>_<channel>", image)
    channel = int(found[2])
    if channel >= len(names):
        raise DataError(
            f"it is channel {channel}, dataset.json names {len(names)}: {', '.join(names)}",
            "add the channel to dataset.json, or take the file away",
            image,
        )
    return found[1], channel
