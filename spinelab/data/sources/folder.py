"""Images and masks in folders: NIfTI volumes, or PNG slices that are stacked into volumes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinelab.data.sources.listing import (
    check_inside,
    check_masks,
    check_root,
    expand,
    extract,
    find,
    in_order,
    natural,
    raw_labels,
    stem,
)
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
            file name, ``{stem}`` that without extension. With ``{a,b}``, exactly one must be there. None: no truth.
        labels: Raw value in the mask -> class name.
        overlays: Further masks, drawn over the first in this order: path -> labels, written as `mask` and `labels`.
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
    volume: str | None = None
    slice: str | None = None
    site: str = ""

    def cases(self) -> list[Case]:
        """All cases, sorted by name.

        Raises:
            DataError: The folder, an image or a mask is missing; a pattern does not match; names are not unique.
            ConfigError: A pattern is not well formed.
        """
        root = check_root(self.root)
        volumes: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for file in find(root, expand(self.image)):
            volumes[self._person_and_name(root, file)].append(file)
        templates = self._templates()
        missing: list[Path] = []
        cases = []
        for (person, name), found in volumes.items():
            files = self._ordered(root, name, found)
            masks = tuple(
                MaskFiles(tuple(_mask_file(root, file, template, missing) for file in files), raw_labels(labels))
                for template, labels in templates.items()
            )
            cases.append(Case(name, person, (files,), masks, self.site))
        check_masks(root, missing)
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
        return person, re.sub(r"[^\w.-]", "-", name)

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


def _mask_file(root: Path, image: Path, template: str, missing: list[Path]) -> Path:
    """Path of an image's mask; noted as missing if none is there."""
    fields: dict[str, Any] = {
        "folder": image.parent.relative_to(root).as_posix(),
        "stem": stem(image),
        "name": image.name,
    }
    try:
        paths = [spelt.format(**fields) for spelt in expand(template)]
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"the mask's pattern {template!r} is not understood ({error!r})", f"use {', '.join(fields)} in braces"
        ) from error
    for path in paths:
        check_inside(root, path)
    there = [root / path for path in paths if (root / path).is_file()]
    if len(there) > 1:
        raise DataError(
            f"{len(there)} masks match: {', '.join(f.name for f in there)}", "narrow data.source.mask to one", image
        )
    if not there:
        missing.append(root / paths[0])
    return there[0] if there else root / paths[0]
