"""What is known of a cached volume without its pixels; apart from the cache, so that building it loads little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinelab.data.volumes.normalisation import Intensity


@dataclass(frozen=True)
class VolumeInfo:
    """One entry of `volumes.json`.

    Attributes:
        name: Name of the case.
        person: The unit of a split.
        site: Hospital or scanner, "" if unknown.
        spacing: Slice, row and column spacing in mm, NaN where unknown.
        intensity: One normalisation a channel.
        slices: Number of slices of the volume, usable or not.
        group: What splits are stratified by beside the site, "" if unknown.
    """

    name: str
    person: str
    site: str
    spacing: tuple[float, float, float]
    intensity: tuple[Intensity, ...]
    slices: int
    group: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VolumeInfo:
        """The inverse of `dataclasses.asdict`, from plain JSON values."""
        intensity = tuple(Intensity(**channel) for channel in values["intensity"])
        return cls(**{**values, "spacing": tuple(values["spacing"]), "intensity": intensity})
