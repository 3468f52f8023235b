"""Images that are nearly the same although they are said to be of different persons.

The same scan under two names, or two exports of it, puts a person on both sides of a split, and the
scores tell nothing. Each slice is shrunk to `SIZE` x `SIZE` pixels, its broad shading is taken away (a Gaussian of
`BROAD` pixels), and what is left is compared by Pearson's correlation, which does not see brightness or contrast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from spinelab.data.slices.cache import Cache
from spinelab.data.splits import SIDES, Split

SIZE, BROAD = 32, 2.0
THRESHOLD = 0.9
"""Correlation from which on two slices count as the same. On SPIDER (333 slices of 31 persons) slices of different
persons reach 0.57, on the phantom, whose persons share one anatomy, 0.85; copies with noise or another gamma stay above
0.98, and of a scan shifted by a pixel along both axes the best slice stays above 0.9."""
MOST = 6000
"""Slices that are compared; of larger data sets, as many as this, evenly along the table."""
BLOCK = 2048


@dataclass(frozen=True)
class Pair:
    """Two volumes of different persons, and the two of their slices that are most alike.

    Attributes:
        first: Name of the volume that comes first in the cache.
        second: Name of the other.
        persons: Their persons.
        slices: Positions of the slices in their volumes.
        correlation: Of the two slices, at most 1.
    """

    first: str
    second: str
    persons: tuple[str, str]
    slices: tuple[int, int]
    correlation: float


def near_duplicates(cache: Cache, threshold: float = THRESHOLD) -> list[Pair]:
    """Pairs of volumes of different persons that share a nearly identical slice, the most alike first.

    A copy with other brightness, contrast or gamma, with noise, or shifted by a pixel is found; one that is cropped,
    scaled or turned is not.

    Args:
        cache: Prepared slices; the first channel is compared.
        threshold: Correlation from which on a pair is listed, in (0, 1].

    Raises:
        ValueError: The threshold is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold must be in (0, 1], not {threshold}")
    rows = np.unique(np.linspace(0, len(cache) - 1, min(len(cache), MOST)).astype(np.int64))
    small = thumbnails([cache.image(row)[..., 0] for row in rows.tolist()])
    volumes = cache.table["volume"][rows]
    names = {name: number for number, name in enumerate(sorted({volume.person for volume in cache.volumes}))}
    persons = np.array([names[volume.person] for volume in cache.volumes])[volumes]
    best: dict[tuple[int, int], tuple[float, int, int]] = {}  # minus the correlation, and the rows
    for start in range(0, len(rows), BLOCK):
        alike = small[start : start + BLOCK] @ small[start:].T
        other = persons[start : start + BLOCK, None] != persons[None, start:]
        for a, b in np.argwhere((alike >= threshold) & other).tolist():
            one, two = sorted((start + a, start + b))
            key = int(volumes[one]), int(volumes[two])
            entry = -round(float(alike[a, b]), 4), int(rows[one]), int(rows[two])
            best[key] = min(best.get(key, entry), entry)
    return sorted((_pair(cache, *entry) for entry in best.values()), key=lambda pair: (-pair.correlation, pair.first))


def across_sides(pairs: Sequence[Pair], split: Split) -> list[Pair]:
    """The pairs whose persons are on different sides of a split."""
    side = {person: name for name in SIDES for person in getattr(split, name)}
    return [pair for pair in pairs if len({side.get(person) for person in pair.persons} - {None}) == 2]


def describe(pairs: Sequence[Pair], most: int = 5) -> str:
    """A warning that names the first few pairs."""
    lines = [
        f"  {pair.first} slice {pair.slices[0]} and {pair.second} slice {pair.slices[1]}: {pair.correlation:.3f}"
        for pair in pairs[:most]
    ]
    count = f"{len(pairs)} pair{'s' * (len(pairs) > 1)}"
    more = ["  ..."] if len(pairs) > most else []
    head = f"{count} of nearly the same image on different sides of the split (correlation):"
    remedy = "  what to do: look at them; give scans of one person the same person name, and leave out copies"
    return "\n".join([head, *lines, *more, remedy])


def thumbnails(images: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """(N, SIZE * SIZE) small pictures without broad shading, mean 0 and length 1 each, so that products correlate."""
    small = _without_shading(np.stack([_shrink(image) for image in images]) if images else np.zeros((0, SIZE, SIZE)))
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)


def _without_shading(small: NDArray[np.float64]) -> NDArray[np.float64]:
    """Small pictures (N, SIZE, SIZE) less their Gaussian average."""
    return np.asarray(small - gaussian_filter(small, (0, BROAD, BROAD), mode="nearest"))


def _shrink(image: NDArray[Any]) -> NDArray[np.float64]:
    """(H, W) to (SIZE, SIZE) by the mean over rectangles; a side that is smaller repeats its pixels."""
    for axis in (0, 1):
        length = image.shape[axis]
        edges = np.arange(SIZE + 1) * length // SIZE
        if length < SIZE:
            image = np.take(image, edges[:-1], axis=axis)
            continue
        sums = np.add.reduceat(image, edges[:-1], axis=axis, dtype=np.float64)
        image = sums / np.diff(edges).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.asarray(image, np.float64)


def _pair(cache: Cache, negative: float, one: int, two: int) -> Pair:
    first, second = (cache.volumes[int(cache.table["volume"][row])] for row in (one, two))
    slices = int(cache.table["slice"][one]), int(cache.table["slice"][two])
    return Pair(first.name, second.name, (first.person, second.person), slices, -negative)
