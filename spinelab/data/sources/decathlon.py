"""The Medical Segmentation Decathlon's layout (Antonelli et al., Nature Communications 13:4128, 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinelab.data.sources.description import channels, raw_names, read_description
from spinelab.data.sources.listing import below, check_root, in_order, raw_labels, safe, stem
from spinelab.data.sources.patterns import extract
from spinelab.errors import DataError
from spinelab.types import Case, MaskFiles


@dataclass(frozen=True)
class DecathlonSource:
    r"""The training pairs of a task's ``dataset.json``, which also names the labels; its test images have no masks.

    Attributes:
        root: The task's folder, such as ``Task04_Hippocampus``.
        labels: Raw value in the masks -> class name; by default as ``dataset.json`` names them, with ``_`` for blanks.
        person: Regular expression with one group, searched in the image's name without extension. By default each
            image is of a person of its own, which is true of the published tasks as far as their names tell.
        site: Hospital or scanner of all images.
    """

    root: str | Path
    labels: Mapping[int, str] | None = None
    person: str = "(.+)"
    site: str = ""

    def cases(self) -> list[Case]:
        """All cases, sorted by name; images and masks are listed whether or not they are there.

        Raises:
            DataError: The folder or ``dataset.json`` is missing or damaged, the images have several channels in one
                file, an entry leads out of the folder, the person's pattern does not match, or names are not unique.
        """
        root = check_root(self.root)
        file = root / "dataset.json"
        description = read_description(file)
        _refuse_4d(channels(description, file), file)
        labels = raw_names(file) if self.labels is None else raw_labels(self.labels)
        cases = [self._case(root, image, mask, labels) for image, mask in _training(description, root, file)]
        _refuse_nnunet(cases, root)
        return in_order(cases, root, "correct the list of training images in dataset.json")

    def _case(self, root: Path, image: Path, mask: Path, labels: Mapping[int, str]) -> Case:
        person = extract(self.person, stem(image), "person", root)
        return Case(safe(stem(image)), person, ((image,),), (MaskFiles((mask,), labels),), self.site)


def _training(description: Mapping[str, Any], root: Path, file: Path) -> list[tuple[Path, Path]]:
    entries = description.get("training")
    if not isinstance(entries, list) or not entries:
        raise DataError("it lists no training images", 'write them as "training": [{"image": ..., "label": ...}]', file)
    pairs = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
            raise DataError(f"training entry {number} is {entry!r}", 'write {"image": ..., "label": ...}', file)
        image, mask = (below(root, entry[key], file, f"training entry {number}") for key in ("image", "label"))
        pairs.append((image, mask))
    return pairs


def _refuse_4d(names: list[str], file: Path) -> None:
    if len(names) > 1:
        raise DataError(
            f"its images hold {len(names)} channels ({', '.join(names)}) in one 4-D file each",
            "write one file a channel with nnU-Net's `nnUNetv2_convert_MSD_dataset`, and use data=nnunet",
            file,
        )


def _refuse_nnunet(cases: list[Case], root: Path) -> None:
    images = [case.images[0][0] for case in cases]
    if not any(image.is_file() for image in images) and any(
        image.with_name(image.name.replace(stem(image), f"{stem(image)}_0000", 1)).is_file() for image in images
    ):
        raise DataError("its images are named ..._0000, as nnU-Net's are", "use data=nnunet", root)
