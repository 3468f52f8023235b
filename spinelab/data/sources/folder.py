"""Images and masks in folders: NIfTI volumes, or PNG slices that are stacked into volumes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinelab.data.sources.listing import check_root, in_order, raw_labels, safe, stem
from spinelab.data.sources.patterns import companion, expand, extract, find, natural
from spinelab.data.volumes.formats import is_picture
from spinelab.errors import ConfigError, DataError
from spinelab.types import Case, Files, MaskFiles


@dataclass(frozen=True)
class FolderSource:
    r"""Image and mask pairs whose paths follow a pattern.

    Attributes:
        root: The data set's folder.
        image: Glob pattern below the root. ``{a,b}`` means either: ``{t1/t1w,t2/t2}.nii.gz``.
        person: Regular expression with one group, searched in the image's path below the root:
            ``(sub-\d+)``. A plain name without parentheses says that all images are of this one person.
        mask: The mask's path below the root, made from the image's: ``{folder}`` is the image's folder, ``{name}`` its
            file name, ``{stem}`` that without extension, ``{person}`` its person. Of ``{a,b}``, one must be there.
            None: no truth.
        labels: Raw value in the mask -> class name.
        overlays: Further masks, drawn over the first in this order: path -> labels, written as `mask` and `labels`.
        channels: Further contrasts of the same volume, a channel each in this order: paths written as `mask`. The first
            channel is `image`, whose grid the masks have.
        volume: Regular expression with one group that tells the volumes of a person apart. By default each NIfTI file
            is a volume, and all PNG slices of a person are one.
        slice: Regular expression with one group that orders PNG slices; by default their paths' natural order.
        site: Hospital or scanner of all images.
    """

    root: str | Path
    image: str
    person: str
    mask: str | None = None
    labels: Mapping[int, str] | None = None
    overlays: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    channels: Sequence[str] = ()
    volume: str | None = None
    slice: str | None = None
    site: str = ""

    def cases(self) -> list[Case]:
        """All cases, sorted by name; masks and further channels are listed whether or not they are there.

        Raises:
            DataError: The folder or all images are missing; a pattern does not match; names are not unique; a file
                lies outside the folder.
            ConfigError: A pattern is not well formed.
        """
        root = check_root(self.root)
        volumes: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for file in find(root, expand(self.image)):
            volumes[self._person_and_name(root, file)].append(file)
        templates = self._templates()
        cases = []
        for (person, name), found in volumes.items():
            files = self._ordered(root, name, found)
            channels = (_companions(root, files, template, person) for template in self.channels)
            masks = tuple(
                MaskFiles(_companions(root, files, template, person), raw_labels(labels))
                for template, labels in templates.items()
            )
            cases.append(Case(name, person, (files, *channels), masks, self.site))
        return in_order(cases, root)

    def _templates(self) -> dict[str, Mapping[int, str]]:
        if self.mask is None:
            return {}
        if not self.labels:
            raise ConfigError(
                "the source does not say what the values in the masks mean",
                "give data.source.labels, such as {1: vertebra, 2: disc}, and the same names as data.labels.classes",
            )
        return {self.mask: self.labels, **self.overlays}

    def _person_and_name(self, root: Path, file: Path) -> tuple[str, str]:
        path = file.relative_to(root).as_posix()
        person = extract(self.person, path, "person", root)
        if self.volume is not None:
            volume = extract(self.volume, path, "volume", root)
            name = volume if volume.startswith(person) else f"{person}_{volume}"
        else:
            name = person if is_picture(file) else stem(file)
        return person, safe(name)

    def _ordered(self, root: Path, name: str, files: list[Path]) -> Files:
        if len(files) == 1:
            return tuple(files)
        if not all(is_picture(file) for file in files):
            raise DataError(
                f"{len(files)} files make one volume, {name}: {files[0].name}, {files[1].name} ...",
                "correct data.source.volume: only PNG slices are stacked",
                root,
            )
        if self.slice is None:
            return tuple(files)
        keys = {file: extract(self.slice, file.relative_to(root).as_posix(), "slice", root) for file in files}
        number, count = Counter(keys.values()).most_common(1)[0]
        if count > 1:
            raise DataError(
                f"volume {name} has {count} slices {number}", "tell its volumes apart with data.source.volume", root
            )
        return tuple(sorted(files, key=lambda file: natural(keys[file])))


def _companions(root: Path, images: Files, template: str, person: str) -> Files:
    return tuple(_companion(root, image, template, person) for image in images)


def _companion(root: Path, image: Path, template: str, person: str) -> Path:
    """Path of an image's mask or further channel; the first spelling of the pattern where none is there."""
    fields: dict[str, Any] = {
        "folder": image.parent.relative_to(root).as_posix(),
        "stem": stem(image),
        "name": image.name,
        "person": person,
    }
    return companion(root, image, template, fields)
