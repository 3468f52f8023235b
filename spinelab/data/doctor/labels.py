"""What can be wrong with the values in a mask."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.doctor.finding import Finding, error, warning
from spinelab.types import Case, LabelMap

BACKGROUND = "background"
WHOLE = 0.01
"""How far from a whole number a label may be and still be meant as one (rounding of scale factors)."""
SHOWN = 10
SCALES = (255.0, 65535.0, 32767.0, 1000.0, 1 / 255, 1 / 65535)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Values:
    """The values of a mask: each once, and how many voxels hold it."""

    values: Array
    counts: Array

    @classmethod
    def of(cls, array: Array) -> Values:
        """Count the values of a mask."""
        if (
            array.dtype.kind in "iu"
            and array.size
            and (low := int(array.min())) >= 0
            and int(array.max()) - low < 2**16
        ):
            counts = np.bincount(np.ravel(array, order="K") - low)  # much faster than sorting
            return cls(np.flatnonzero(counts) + low, counts[counts > 0])
        values, counts = np.unique(array, return_counts=True)
        return cls(values, counts)


def check_values(content: Values, known: Collection[int], file: Path) -> Iterator[Finding]:
    """Values that are no number, no whole number, scaled, or unknown; and a mask without any."""
    values, counts = content.values.astype(np.float64), content.counts
    finite = np.isfinite(values)
    if not finite.all():
        remedy = "write 0 where nothing is meant"
        yield error("label-nan", file, f"{counts[~finite].sum()} voxels of the mask are NaN or infinite", remedy)
    values, counts = values[finite], counts[finite]
    if not values.any():
        yield warning(
            "empty-mask",
            file,
            "the mask holds background only",
            "the whole scan is taught and scored as background",
            "draw the mask, or leave the scan out if it was never annotated",
        )
    elif scale := scale_of(values, known):
        found = f"the values {_list(values, counts)} look like labels times {scale:g}; known are 0 and {sorted(known)}"
        yield replace(
            error("scaled-labels", file, found, f"divide the mask by {scale:g}; fix=FOLDER does it"), mending="labels"
        )
    else:
        yield from _fractional(values, counts, known, file)
        yield from _unknown(values, counts, known, file)


def _fractional(values: Array, counts: Array, known: Collection[int], file: Path) -> Iterator[Finding]:
    odd = values != np.round(values)
    if not odd.any():
        return
    found = f"{counts[odd].sum()} voxels of the mask hold no whole number, such as {values[odd][0]:g}"
    if np.abs(values - np.round(values)).max() <= WHOLE and set(np.round(values)) <= {0, *known}:
        yield replace(error("fractional-labels", file, found, "round it; fix=FOLDER does it"), mending="labels")
    else:
        remedy = "resample masks with nearest neighbour; threshold a probability map"
        yield error("fractional-labels", file, found, remedy)


def _unknown(values: Array, counts: Array, known: Collection[int], file: Path) -> Iterator[Finding]:
    unknown = (values == np.round(values)) & ~np.isin(values, [0, *known])
    if unknown.any():
        found = f"unknown label values {_list(values[unknown], counts[unknown])}; known are 0 and {sorted(known)}"
        yield error(
            "unknown-labels", file, found, f"name them in data.source's labels (a class, or {BACKGROUND} to drop one)"
        )


def scale_of(values: Array, known: Collection[int]) -> float | None:
    """The one usual factor that all values of a mask were multiplied by; None if there is none or more than one."""
    there, largest = values[values != 0], max(known, default=0)
    if not len(there) or np.isin(there, list(known)).any():
        return None
    factors = {*SCALES, 255 / largest if largest and len(there) > 1 else 255.0}
    fits = [f for f in factors if np.isin(np.round(there / f), list(known)).all() and _whole(there / f)]
    return fits[0] if len(fits) == 1 and (len(there) > 1 or len(known) == 1 or fits[0] in SCALES[:4]) else None


def _whole(values: Array) -> bool:
    return bool(np.abs(values - np.round(values)).max() <= WHOLE)


def mended(array: Array, known: Collection[int]) -> Array:
    """A mask whose values were scaled or nearly whole, as the whole numbers that were meant."""
    scale = scale_of(Values.of(array).values.astype(np.float64), known) or 1.0
    return np.round(array / scale).astype(np.uint8 if max(known) < 256 else np.int32)


def class_voxels(content: Values, names: Mapping[int, str]) -> dict[str, int]:
    """Class name -> number of voxels."""
    found: dict[str, int] = {}
    for value, count in zip(content.values.tolist(), content.counts.tolist(), strict=True):
        if value in names:
            found[names[value]] = found.get(names[value], 0) + int(count)
    return found


def check_names(cases: Collection[Case], labels: LabelMap) -> Iterator[Finding]:
    """Classes that the source and the label map do not agree on; told once for all cases."""
    named = {name for case in cases for mask in case.masks for name in mask.labels.values()}
    place = "data.labels.classes"
    if not labels.classes:
        yield error("no-classes", place, "no class is named", "list the classes, such as [vertebra, disc]")
    if unknown := sorted(named - {*labels.classes, BACKGROUND}):
        found = f"the masks' labels name {', '.join(unknown)}; the classes are {list(labels.classes)}"
        yield error("unknown-class", "data.source", found, f"add to {place}, use one of them, or {BACKGROUND}")


def _list(values: Array, counts: Array) -> str:
    order = np.argsort(-counts)[:SHOWN]
    pairs = ", ".join(f"{values[i]:g} ({counts[i]} voxels)" for i in sorted(order))
    return pairs + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")
