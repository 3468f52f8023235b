"""Prepared slices on disk: every case is read once, and every later read is a piece of one memory map.

A cache is a folder whose name is a hash over everything that its pixels depend on::

    <key>/images.npy       all usable slices, one after the other, flat, in the smallest type that holds them
          masks.npy        the same, uint8 class indices
          slices.parquet   one row a slice: volume, slice, offset (in pixels), height, width
          volumes.json     one entry a volume: name, person, site, spacing, intensity, number of slices
          meta.json        key, versions, types, and size and SHA-256 of the other files

Images are kept as `prepare_case` returns them, before normalisation: integers take half the space of floats, and the
intensity that belongs to a volume is applied when a slice is drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spinelab.data.volumes.normalisation import Intensity
from spinelab.errors import ConfigError, DataError

FORMAT = 1
"""Raise it when the files below, or the meaning of what `prepare_case` returns, change."""

IMAGES, MASKS, SLICES, VOLUMES, META = "images.npy", "masks.npy", "slices.parquet", "volumes.json", "meta.json"
COLUMNS = ("volume", "slice", "offset", "height", "width")


@dataclass(frozen=True)
class VolumeInfo:
    """What is known of a cached volume, without its pixels.

    Attributes:
        name: Name of the case.
        person: The unit of a split.
        site: Hospital or scanner, "" if unknown.
        spacing: Slice, row and column spacing in mm, NaN where unknown.
        intensity: One normalisation a channel.
        slices: Number of slices of the volume, usable or not.
    """

    name: str
    person: str
    site: str
    spacing: tuple[float, float, float]
    intensity: tuple[Intensity, ...]
    slices: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VolumeInfo:
        """The inverse of `dataclasses.asdict`, from plain JSON values."""
        intensity = tuple(Intensity(**channel) for channel in values["intensity"])
        return cls(**{**values, "spacing": tuple(values["spacing"]), "intensity": intensity})


@dataclass(frozen=True, eq=False)
class Cache:
    """Prepared slices, memory-mapped read-only. Open one with `Cache.open`, make one with `build`.

    Pickling stores the folder alone, so that a loader's workers map the files themselves.

    Attributes:
        folder: Where the files lie.
        volumes: One entry a volume; its position is the "volume position" everywhere below.
        table: Column name -> (N,) int64 values, one a usable slice, in volume and slice order.
        images: Flat pixels of all slices, channels last.
        masks: Flat uint8 class indices of all slices.
        channels: Number of channels C, the same in every volume.
    """

    folder: Path
    volumes: tuple[VolumeInfo, ...]
    table: Mapping[str, NDArray[np.int64]]
    images: NDArray[Any]
    masks: NDArray[np.uint8]
    channels: int

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> Cache:
        """Map the files of a finished cache.

        Args:
            folder: A cache folder, as `build` makes it.
            verify: Also compare the checksums of the pixel files, which reads them whole. Their sizes and the
                checksums of the small files are always compared.

        Raises:
            DataError: The folder is missing, incomplete or damaged.
        """
        try:
            meta = json.loads((folder / META).read_text())
            _check_files(folder, meta["files"], verify)
            volumes = tuple(VolumeInfo.from_dict(entry) for entry in json.loads((folder / VOLUMES).read_text()))
            columns = pq.read_table(folder / SLICES)
            table = {name: columns[name].to_numpy().astype(np.int64) for name in COLUMNS}
            images, masks = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (IMAGES, MASKS))
            return cls(folder, volumes, table, images, masks, int(meta["channels"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"no usable cache ({error})", "run `spinelab prepare` again", folder) from error

    def __len__(self) -> int:
        """Number of usable slices N."""
        return len(self.table["volume"])

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache.open, (self.folder,)

    def image(self, index: int) -> NDArray[Any]:
        """(H, W, C) view of slice number `index`, as prepared, not normalised."""
        start, height, width = self._place(index)
        flat = self.images[start * self.channels : (start + height * width) * self.channels]
        return cast("NDArray[Any]", flat.reshape(height, width, self.channels))

    def mask(self, index: int) -> NDArray[np.uint8]:
        """(H, W) view of the class indices of slice number `index`."""
        start, height, width = self._place(index)
        return self.masks[start : start + height * width].reshape(height, width)

    def _place(self, index: int) -> tuple[int, int, int]:
        offset, height, width = (int(self.table[name][index]) for name in ("offset", "height", "width"))
        return offset, height, width

    @property
    def sites(self) -> dict[str, str]:
        """Person -> site, sorted by person: what a protocol is called with."""
        return {volume.person: volume.site for volume in sorted(self.volumes, key=lambda volume: volume.person)}

    def volumes_of(self, persons: Collection[str]) -> list[int]:
        """Positions of all volumes of some persons, in cache order.

        Raises:
            ConfigError: A person has no volume here.
        """
        if unknown := sorted(set(persons) - set(self.sites)):
            raise ConfigError(
                f"the split names persons without data: {', '.join(unknown)}",
                "use a split that was made for this data set",
                self.folder,
            )
        return [position for position, volume in enumerate(self.volumes) if volume.person in persons]


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_facts(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Name -> size in bytes and SHA-256, for `meta.json`."""
    return {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in paths}


def volumes_json(volumes: Iterable[VolumeInfo]) -> str:
    """Text of `volumes.json`; unknown spacings stand there as NaN."""
    return json.dumps([asdict(volume) for volume in volumes], indent=1)


def _check_files(folder: Path, facts: Mapping[str, Mapping[str, Any]], verify: bool) -> None:
    for name in (IMAGES, MASKS, SLICES, VOLUMES):
        path, expected = folder / name, facts[name]
        if (size := path.stat().st_size) != expected["bytes"]:
            raise ValueError(f"{name} has {size} bytes and should have {expected['bytes']}")
        if (verify or name in (SLICES, VOLUMES)) and digest(path) != expected["sha256"]:
            raise ValueError(f"{name} does not have the checksum it was written with")
