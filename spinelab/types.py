"""The few types that every part of spinelab shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:  # the phantom and the reports work without loading torch
    from torch import Tensor

Plane = Literal["sagittal", "coronal", "axial"]
Files = tuple[Path, ...]
"""One file that holds a volume, or one file a slice, in slice order."""


@dataclass(frozen=True)
class MaskFiles:
    """A mask on disk and what its raw values mean.

    Attributes:
        files: One volume file or one file a slice.
        labels: Raw value -> class name. 0 is background and is not listed. Any other value is an error.
    """

    files: Files
    labels: Mapping[int, str]


@dataclass(frozen=True)
class Case:
    """One volume to segment, as a source lists it: names and files, no pixels.

    Attributes:
        name: Unique within the data set and safe as a file name.
        person: The unit of a split. All visits, contrasts and runs of a person carry the same name.
        images: One entry a channel.
        masks: Later masks overwrite earlier ones (grey matter lies inside the cord). Empty if there is no truth.
        site: Hospital or scanner, "" if unknown.
        group: What splits are stratified by beside the site, such as the kind of lesion; "" if unknown.
    """

    name: str
    person: str
    images: tuple[Files, ...]
    masks: tuple[MaskFiles, ...] = ()
    site: str = ""
    group: str = ""


@dataclass(frozen=True)
class LabelMap:
    """Named classes of a data set, and the regions that are scored.

    Attributes:
        classes: Names of the foreground classes; class index 0 is background, `classes[i]` has index i + 1.
        regions: Scored name -> the class names that it unites, e.g. ``cord: (white_matter, grey_matter)``.
            Empty means: every class by itself.
        lesions: Scored names whose connected parts are lesions, which are also counted one by one.

    Raises:
        ValueError: A class is named twice or is called `background`, a region unites a class that there is not, or
            lesions name what is not scored.
    """

    classes: tuple[str, ...]
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lesions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", self.regions or {})  # yaml says null
        if len(set(self.classes)) != len(self.classes) or "background" in self.classes:
            raise ValueError(f"classes are different names without `background`, not {list(self.classes)}")
        for region, names in self.regions.items():
            if unknown := sorted(set(names) - set(self.classes)):
                raise ValueError(f"region {region} unites {unknown}; the classes are {list(self.classes)}")
        if unknown := sorted(set(self.lesions) - set(self.region_indices())):
            raise ValueError(f"lesions names {unknown}; scored are {list(self.region_indices())}")

    @property
    def count(self) -> int:
        """Number of classes K, background included."""
        return len(self.classes) + 1

    def index(self, name: str) -> int:
        """Class index of a foreground class."""
        return self.classes.index(name) + 1

    def region_indices(self) -> dict[str, tuple[int, ...]]:
        """Scored name -> the class indices that it unites."""
        regions = self.regions or {name: (name,) for name in self.classes}
        return {region: tuple(self.index(name) for name in names) for region, names in regions.items()}


class Batch(TypedDict):
    """What a data loader yields and a task takes.

    Attributes:
        image: (B, C, H, W) float32; slices of different size are padded at the bottom and right to the largest.
        mask: (B, H, W) int64 class indices; padding is background.
        size: (B, 2) int64, height and width before padding.
        volume: (B,) int64, position of the volume in the data set's list of volumes.
        slice: (B,) int64, position of the slice in its volume.
        spacing: (B, 2) float32, row and column spacing in mm (NaN where unknown).
    """

    image: Tensor
    mask: Tensor
    size: Tensor
    volume: Tensor
    slice: Tensor
    spacing: Tensor
