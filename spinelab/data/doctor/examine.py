"""One case, read whole: all that is wrong with it, and the few numbers that the others are compared by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spinelab.data.doctor import grid, intensity, labels
from spinelab.data.doctor.files import check_files, files_of, read_as_is
from spinelab.data.doctor.finding import Finding, error, from_exception
from spinelab.data.doctor.intensity import Channel
from spinelab.data.doctor.mirror import check_mirrored
from spinelab.data.doctor.picture import overlay
from spinelab.data.volumes.geometry import Geometry, make_geometry
from spinelab.data.volumes.io import RawVolume
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import SpinelabError
from spinelab.types import Case, Files, MaskFiles

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Examined:
    """What is known of a case after it was read once.

    Attributes:
        case: The case.
        findings: What is wrong with it.
        channels: Its channels in a few numbers; those that could not be read are left out.
        voxels: Class name -> number of voxels in the masks, before later masks are drawn over earlier ones.
        truth: SHA-256 of the first mask, "" where it could not be read.
        slice_shape: Rows and columns of a prepared slice, None where the first channel could not be read.
        slices: Slices to train and score on.
        pixel_bytes: Bytes of a pixel in the cache, without the mask.
    """

    case: Case
    findings: tuple[Finding, ...]
    channels: tuple[Channel, ...] = ()
    voxels: Mapping[str, int] = field(default_factory=dict)
    truth: str = ""
    slice_shape: tuple[int, int] | None = None
    slices: int = 0
    pixel_bytes: int = 0


def examine(case: Case, preprocessing: Preprocessing, pictures: Path | None = None) -> Examined:
    """Read a case and say all that is wrong with it; never raises for bad data.

    Args:
        case: What a source listed.
        preprocessing: How it is going to be prepared.
        pictures: Folder for overlays of masks that do not fit; None draws none.
    """
    place = next(files_of(case), Path(case.name))
    try:
        return _Reading(case, preprocessing, pictures).result()
    except (Exception, MemoryError) as problem:
        return Examined(case, (from_exception("unreadable", problem, place).of(case.name),))


class _Reading:
    """The state of one examination: findings add up while the files are read one after the other."""

    def __init__(self, case: Case, preprocessing: Preprocessing, pictures: Path | None) -> None:
        self.case, self.preprocessing, self.pictures = case, preprocessing, pictures
        self.findings: list[Finding] = list(check_name(case))
        self.geometry: Geometry | None = None
        self.truth: Array | None = None

    def result(self) -> Examined:
        """Read everything."""
        volumes = [self._image(files) for files in self.case.images]
        first = volumes[0] if volumes else None
        channels = [
            Channel.of(volume, files[0], self._oriented(volume))
            for volume, files in zip(volumes, self.case.images, strict=True)
            if volume is not None and np.isfinite(volume.array).all()
        ]
        if first is not None:
            self._plan(first)
        masks = [self._mask(mask, first) for mask in self.case.masks]
        self._doubts(first)
        voxels: dict[str, int] = {}
        for mask, array in zip(self.case.masks, masks, strict=True):
            if array is not None:
                for name, count in labels.class_voxels(labels.Values.of(array), mask.labels).items():
                    voxels[name] = voxels.get(name, 0) + count
        slices = self._usable(masks, first)
        return Examined(
            self.case,
            tuple(finding.of(self.case.name) for finding in self.findings),
            tuple(channels),
            voxels,
            intensity.digest(masks[0]) if masks and masks[0] is not None else "",
            self.geometry.slice_shape if self.geometry else None,
            slices,
            sum(_bytes(v, self.geometry) for v in volumes if v is not None),
        )

    def _image(self, files: Files) -> RawVolume | None:
        volume = self._read(files, "image")
        if volume is not None:
            self.findings += intensity.check_values(volume.array, files)
            self.findings += grid.check_header(files)
            self.findings += grid.check_spacing(volume, files[0])
        return volume

    def _read(self, files: Files, what: str, image: RawVolume | None = None) -> RawVolume | None:
        wrong = list(check_files(files, what))
        self.findings += wrong
        if any(finding.severity == "error" for finding in wrong):
            return None
        try:
            return read_as_is(files, mask=what == "mask", image=image)
        except SpinelabError as problem:
            self.findings.append(_renamed(from_exception("unreadable", problem, files[0])))
        except (Exception, MemoryError) as problem:
            self.findings.append(from_exception("unreadable", problem, files[0]))
        return None

    def _plan(self, image: RawVolume) -> None:
        if image.affine is None and self.preprocessing.spacing_mm is not None:
            found, remedy = "pictures have no spacing to resample from", "set data.preprocessing.spacing_mm=null"
            self.findings.append(error("no-spacing", self.case.images[0][0], found, remedy))
            return
        settings = self.preprocessing
        self.geometry = make_geometry(image, settings.plane, settings.spacing_mm, settings.crop)

    def _oriented(self, volume: RawVolume) -> Array:
        return make_geometry(volume, self.preprocessing.plane).orient(volume.array)

    def _mask(self, mask: MaskFiles, image: RawVolume | None) -> Array | None:
        """The raw values of a mask that lies on the image's grid, None if it does not."""
        volume = self._read(mask.files, "mask", image)
        if volume is None:
            return None
        file = mask.files[0]
        self.findings += [f for f in grid.check_header(mask.files) if f.check == "trailing-axis"]
        wrong = list(labels.check_values(labels.Values.of(volume.array), mask.labels, file))
        self.findings += [_in_slice(finding, mask, volume.array) for finding in wrong]
        if image is None:
            return volume.array
        beside = list(grid.check_grid(volume, image, file))
        if beside:
            self.findings += [self._drawn(finding, volume, image) for finding in beside]
            return volume.array if volume.array.shape == image.array.shape else None
        self.truth = _drawn_over(self.truth, volume.array)
        return volume.array

    def _doubts(self, image: RawVolume | None) -> None:
        """Look at all masks together: the outline of a small one inside another may well fit mirrored."""
        if image is None or self.truth is None or not np.isfinite(image.array).all():
            return
        for finding in check_mirrored(image, self.truth, self.case.masks[0].files[0]):
            self.findings.append(self._drawn(finding, RawVolume(self.truth, image.affine), image))

    def _drawn(self, finding: Finding, mask: RawVolume, image: RawVolume) -> Finding:
        if self.pictures is None:
            return finding
        path = self.pictures / f"{re.sub(r'[^A-Za-z0-9._-]', '-', self.case.name)}-{finding.check}.png"
        overlay(image, mask, path)
        return replace(finding, picture=str(path))

    def _usable(self, masks: list[Array | None], image: RawVolume | None) -> int:
        """Number of slices that the policy keeps; says so if there is none."""
        if image is None or any(mask is None or mask.shape != image.array.shape for mask in masks):
            return 0
        orient = make_geometry(image, self.preprocessing.plane).orient
        total = orient(image.array).shape[0]
        if not masks or self.preprocessing.slices == "all":
            return total
        there = np.stack([orient(mask).astype(bool).any(axis=(1, 2)) for mask in masks if mask is not None])
        usable = int((there.any(0) if self.preprocessing.slices == "annotated" else there.all(0)).sum())
        if usable == 0:
            found = f"no slice is {self.preprocessing.slices}"
            remedy = "annotate it, set data.preprocessing.slices=all, or leave the case out"
            self.findings.append(error("no-usable-slice", self.case.masks[0].files[0], found, remedy))
        return usable


def check_name(case: Case) -> Iterator[Finding]:
    """Names that cannot be file names."""
    for what, name in (("case", case.name), ("person", case.person)):
        if not name or name in (".", "..") or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
            found = f"the {what}'s name {name!r} cannot be a file name"
            place = next(files_of(case), Path(case.name))
            yield error(f"{what}-name", place, found, f"correct the pattern data.source.{what}, or the table of cases")


def _in_slice(finding: Finding, mask: MaskFiles, array: Array) -> Finding:
    """A finding about a stack, told of the first slice in which it is so."""
    if len(mask.files) > 1 and finding.severity == "error":
        for file, plane in zip(mask.files, array, strict=True):
            for one in labels.check_values(labels.Values.of(plane), mask.labels, file):
                if one.check == finding.check:
                    return replace(finding, file=str(file))
    return finding


def _drawn_over(below: Array | None, above: Array) -> Array:
    """Two masks as one, the second with values of its own; whole numbers whatever was in the files."""
    whole = np.nan_to_num(above, posinf=0, neginf=0).astype(np.int32)
    if below is None:
        return whole
    return np.where(whole != 0, whole + int(np.abs(below).max()) + 1, below)


def _bytes(volume: RawVolume, geometry: Geometry | None) -> int:
    return 4 if geometry is not None and geometry.is_resampled else volume.array.dtype.itemsize


def _renamed(finding: Finding) -> Finding:
    """A reader's refusal under the name of the check that it is about."""
    words = {
        "header claims the shape": "bad-shape",
        "header claims": "claims-too-much",
        "three dimensions": "not-3d",
        "affine": "bad-affine",
        "colour": "colour",
        "size is": "slice-sizes",
        "no whole": "truncated",
        "cut short": "truncated",
        "beyond its": "trailing-bytes",
        "grey values": "not-grey",
        "not supported": "file-type",
    }
    check = next((name for word, name in words.items() if word in finding.found), finding.check)
    return replace(finding, check=check)
