"""From facts to choices, each with its reason (after nnU-Net's rules, Isensee et al. 2021, as far as 2-D goes)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from nibabel.orientations import io_orientation

from spinelab.data.adopt.fingerprint import Fingerprint, Presence, grid
from spinelab.data.volumes.formats import Header
from spinelab.data.volumes.geometry import Geometry, make_geometry
from spinelab.types import Plane

THICK = 1.5
"""A scan whose slices lie this much further apart than its pixels was made to be looked at in that plane."""
ANISOTROPIC = 3.0
"""nnU-Net's threshold, above which it takes the 10th percentile of the slice distance instead of the median."""
SAME = 0.01
REFERENCE_PIXELS = 12 * 512 * 512
"""nnU-Net's batch for 2-D on a card of 8 GB."""
MARGIN_MM, MULTIPLE = 20.0, 32
WORTH = 0.6
"""A crop is suggested where it leaves at most this share of the pixels."""

PLANES: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
ACROSS = {"sagittal": "left-right", "coronal": "front-back", "axial": "head-foot"}

Pair = tuple[int, int]


class Choice(NamedTuple):
    """A value and why."""

    value: Any
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """What the configuration is filled in with; `count` is the number of slices in the data set."""

    plane: Choice
    spacing_mm: Choice
    crop: Choice
    normalisation: Choice
    slices: Choice
    batch_size: Choice
    count: int


def suggest(facts: Fingerprint) -> Suggestion:
    """Choose plane, spacing, crop, normalisation and batch size.

    Args:
        facts: Of at least one scan that can be used.
    """
    headers = list(facts.headers.values())
    plane = choose_plane(headers)
    grids = {name: _grid(header, plane.value) for name, header in facts.headers.items()}
    spacing = choose_spacing(list(grids.values()))
    sizes = {name: _resampled(geometry, spacing.value) for name, geometry in grids.items()}
    crop = choose_crop(facts, grids, sizes, spacing.value)
    count = sum(geometry.oriented_shape[0] for geometry in grids.values())
    batch = choose_batch(crop.value or _median_size(list(sizes.values())), count)
    return Suggestion(plane, spacing, crop, choose_normalisation(facts), choose_slices(facts, grids), batch, count)


def choose_plane(headers: Sequence[Header]) -> Choice:
    """The plane in which scans have their fine pixels: across it slices are thick."""
    votes: Counter[Plane] = Counter()
    distances: dict[Plane, list[float]] = {plane: [] for plane in PLANES}
    known = [header.affine for header in headers if header.affine is not None]
    for affine in known:
        spacing = _world_spacing(affine)
        thick = int(np.argmax(spacing))
        if spacing[thick] >= THICK * np.median(np.delete(spacing, thick)):
            votes[PLANES[thick]] += 1
            distances[PLANES[thick]].append(float(spacing[thick]))
    if not known:
        return Choice("sagittal", "CHECK: pictures do not say what they show, and are taken as they are")
    if not votes:
        return Choice("sagittal", "voxels are nearly as deep as wide in all scans; the spine is read sagittally")
    plane, count = votes.most_common(1)[0]
    middle = float(np.median(distances[plane]))
    rest = f"; others: {', '.join(f'{n} {p}' for p, n in votes.items() if p != plane)}" if len(votes) > 1 else ""
    reason = f"{count} of {len(known)} scans have thick slices {ACROSS[plane]}, {middle:.3g} mm apart (median){rest}"
    return Choice(plane, reason)


def choose_spacing(grids: Sequence[Geometry]) -> Choice:
    """The median of rows and columns; null where all scans have it."""
    spacing = np.array([geometry.raw_spacing for geometry in grids])
    if np.isnan(spacing).any():
        return Choice(None, "pictures have no spacing")
    distance, middle = np.median(spacing[:, 0]), np.median(spacing[:, 1:], axis=0)
    told = f"rows {_range(spacing[:, 1])}, columns {_range(spacing[:, 2])} mm"
    if np.ptp(spacing[:, 1:], axis=0).max() <= SAME * middle.min():
        return Choice(None, f"all scans have the same: {told}")
    if abs(middle[0] - middle[1]) <= 0.05 * middle.min():
        middle[:] = middle.mean()
    reason = f"the median of {told}; slices, {_range(spacing[:, 0])} mm apart, are never resampled across"
    if distance > ANISOTROPIC * middle.max():
        low = float(np.percentile(spacing[:, 0], 10))
        reason += f" (nnU-Net in 3-D would take their 10th percentile, {low:.3g} mm)"
    return Choice([float(f"{value:.3g}") for value in middle], reason)


def choose_crop(
    facts: Fingerprint, grids: dict[str, Geometry], sizes: dict[str, Pair], spacing: list[float] | None
) -> Choice:
    """The central window that holds all foreground of the masks read, where it is much smaller than the slices."""
    typical = _median_size(list(sizes.values()))
    largest = tuple(max(size[i] for size in sizes.values()) for i in (0, 1))
    told = f"slices have {typical[0]} x {typical[1]} pixels (median), {largest[0]} x {largest[1]} at most"
    halves = [_half_sizes(present, grids[name], spacing) for name, present in facts.present.items() if name in grids]
    boxes = [half for half in halves if half is not None]
    if not boxes:
        return Choice(None, told)
    window = [int(np.ceil(2 * half / MULTIPLE)) * MULTIPLE for half in np.max(boxes, axis=0)]
    if window[0] * window[1] > WORTH * typical[0] * typical[1]:
        return Choice(None, f"{told}; foreground reaches too far from the centre for a crop to save much")
    pictures = any(np.isnan(geometry.raw_spacing[1]) for geometry in grids.values())
    margin = f"{MULTIPLE // 2} pixels" if pictures else f"{MARGIN_MM:.0f} mm"
    reason = f"{told}; the centre of this size holds all foreground of {len(boxes)} masks and {margin} more"
    return Choice(window, f"{reason}. CHECK: what lies outside in other scans is never found")


def choose_normalisation(facts: Fingerprint) -> Choice:
    """z-score for MRI, whose grey values have no unit."""
    if not facts.grey:
        return Choice("zscore", "no image could be read")
    grey = np.array(facts.grey)
    low, high = grey[:, 0].min(), grey[:, 2].max()
    told = f"grey values (0.5 to 99.5 %) from {low:.4g} to {high:.4g} in {len(grey)} scans read"
    if facts.whole_numbers and low < -500:
        return Choice("zscore", f"{told}. CHECK: negative values as in CT, in which grey values have a unit")
    scale = float(grey[:, 2].max() / max(grey[:, 2].min(), 1e-9))
    return Choice("zscore", f"MRI has no unit, so each volume by itself; {told}, scales differ {scale:.2g}-fold")


def choose_slices(facts: Fingerprint, grids: dict[str, Geometry]) -> Choice:
    """All slices; whether some have only one of several masks is told, since only a person knows what that means."""
    told = "all, annotated (any mask has foreground) or complete (every mask has)"
    uneven = []
    for name, present in facts.present.items():
        if name in grids and len({kind[grids[name].axes[0]].tobytes() for kind in present}) > 1:
            uneven.append(name)
    if uneven:
        told += f". CHECK: in {len(uneven)} of {len(facts.present)} cases some slices have one mask and not another: "
        told += "if they are half annotated, complete keeps them from teaching background"
    return Choice("all", told)


def choose_batch(size: Pair | Sequence[int], slices: int) -> Choice:
    """As many slices as nnU-Net's 2-D batch has pixels, at most 64, and at most a twentieth of the data set."""
    padded = [int(np.ceil(n / MULTIPLE)) * MULTIPLE for n in size]
    by_memory = min(64, REFERENCE_PIXELS // (padded[0] * padded[1]))
    batch = int(max(2, min(by_memory, slices // 20)))
    why = f"{padded[0]} x {padded[1]} pixels a slice, {slices} slices"
    return Choice(batch, f"{why}; as many pixels as nnU-Net puts into a 2-D batch, at most a twentieth of all slices")


def _grid(header: Header, plane: Plane) -> Geometry:
    """The scan as slices, from its header alone."""
    return make_geometry(grid(header), plane)


def _world_spacing(affine: Any) -> Any:
    """Voxel size along right, front and up."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    out = np.zeros(3)
    out[io_orientation(affine)[:, 0].astype(int)] = sizes
    return out


def _resampled(geometry: Geometry, spacing: list[float] | None) -> Pair:
    shape = geometry.oriented_shape[1:]
    if spacing is None:
        return shape
    rows, columns = (round(n * old / new) for n, old, new in zip(shape, geometry.raw_spacing[1:], spacing, strict=True))
    return rows, columns


def _median_size(sizes: Sequence[Pair]) -> Pair:
    rows, columns = (int(n) for n in np.median(np.array(sizes), axis=0))
    return rows, columns


def _half_sizes(present: list[Presence], geometry: Geometry, spacing: list[float] | None) -> list[float] | None:
    """How far the foreground reaches from the centre of the slice, with a margin, in pixels of the target spacing."""
    halves = []
    for i, axis in enumerate(geometry.axes[1:]):
        old = geometry.raw_spacing[i + 1]
        new = old if spacing is None else spacing[i]
        centre = (geometry.raw_shape[axis] - 1) / 2
        there = np.flatnonzero(np.any([kind[axis] for kind in present], axis=0))
        if not there.size:
            return None
        reach = float(np.abs(there - centre).max()) + 0.5
        margin, scale = (MULTIPLE / 2, 1.0) if np.isnan(old) else (MARGIN_MM / new, old / new)
        halves.append(reach * scale + margin)
    return halves


def _range(values: Any) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if high - low <= SAME * low else f"{low:.3g} to {high:.3g}"
