"""What is done to scans on their way to slices, as a configuration fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from spinelab.data.volumes import filters, nyul
from spinelab.data.volumes.filters import Filter
from spinelab.data.volumes.normalisation import Kind
from spinelab.types import Plane

SlicePolicy = Literal["all", "annotated", "complete"]


@dataclass(frozen=True)
class Preprocessing:
    """How scans become slices. Steps follow each other so: bias field, filters, spacing, body, crop, normalisation.

    Attributes:
        plane: Anatomical plane of the slices; pictures are taken as they are.
        spacing_mm: Row and column spacing to resample to; None keeps the scan's own.
        crop: Rows and columns cut out of the centre (and padded to) after resampling; None keeps all.
        normalisation: Grey values, fitted on each volume: ``zscore``, ``minmax``, ``percentile``, ``nyul`` or None.
        slices: Which slices are trained and scored on: ``all``; ``annotated``, where any mask file has foreground;
            ``complete``, where every mask file has (a half-annotated scan must not teach background).
        neighbours: Slices on each side that a slice gets as further channels (2.5D); a scan of C contrasts then has
            C * (2 neighbours + 1) channels.
        body: Cut the slices of a volume to the body's bounding box in its first channel. `crop` is then central in it.
        bias_correction: Divide each channel by the bias field that N4 finds.
        filters: What is done to the histogram and to edges, in order, at the scan's own resolution; see `filters`.
        landmarks: Standard landmarks of ``nyul``, from training persons (`nyul.learn_landmarks`): eleven numbers, or
            one such list a contrast.

    Raises:
        ValueError: A value is unknown or not positive, or landmarks are missing or no landmarks.
    """

    plane: Plane = "sagittal"
    spacing_mm: tuple[float, float] | None = None
    crop: tuple[int, int] | None = None
    normalisation: Kind | None = "zscore"
    slices: SlicePolicy = "all"
    neighbours: int = 0
    body: bool = False
    bias_correction: bool = False
    filters: tuple[Filter, ...] = ()
    landmarks: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        for name, choices in (("plane", Plane), ("slices", SlicePolicy)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} is one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}")
        if self.normalisation is not None and self.normalisation not in get_args(Kind):
            raise ValueError(f"normalisation is one of {', '.join(get_args(Kind))} or null, not {self.normalisation!r}")
        if self.neighbours < 0:
            raise ValueError(f"neighbours is zero or more, not {self.neighbours}")
        for name, kind in (("spacing_mm", float), ("crop", int)):
            value = getattr(self, name)
            if value is not None:  # yaml gives lists
                object.__setattr__(self, name, _pair(name, value, kind))
        object.__setattr__(self, "filters", _filters(self.filters))
        object.__setattr__(self, "landmarks", _landmarks(self.landmarks))
        if self.normalisation == "nyul" and self.landmarks is None:
            raise ValueError("normalisation nyul needs landmarks, learnt from training persons: nyul.learn_landmarks")


def _pair(name: str, value: Any, kind: type) -> tuple[Any, Any]:
    pair = tuple(kind(v) for v in value)
    if len(pair) != 2 or min(pair) <= 0:
        raise ValueError(f"{name} is two positive numbers (rows, columns), not {value!r}")
    return pair[0], pair[1]


def _filters(names: Any) -> tuple[Filter, ...]:
    filters.check(tuple(names))
    return tuple(names)


def _landmarks(value: Any) -> tuple[tuple[float, ...], ...] | None:
    """One tuple a contrast, from a flat list or a list of lists."""
    if value is None:
        return None
    lists = [value] if all(isinstance(v, int | float) for v in value) else value
    landmarks = tuple(tuple(float(v) for v in marks) for marks in lists)
    for marks in landmarks:
        nyul.check(marks)
    return landmarks
