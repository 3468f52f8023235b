"""Prepared slices on disk: every case is read once, and every later read is a piece of one memory map.

A cache is a folder whose name is a hash over everything that its pixels depend on::

    <key>/images.bin       all usable slices, one after the other, flat, in the smallest type that holds them
          masks.bin        the same, uint8 class indices
          slices.parquet   one row a slice: volume, slice, offset (in pixels), height, width, and how many pixels
                           each class has (pixels_0 is background)
          volumes.json     one entry a volume: name, person, site, group, spacing, intensity, number of slices
          meta.json        key, versions, types, classes, size and checksum of the other files, and its own SHA-256

Images are kept as `prepare_case` returns them, before normalisation: integers take half the space of floats, and the
intensity that belongs to a volume is applied when a slice is drawn.

A finished folder is never written to. A reader keeps its pixels even when the folder is deleted under it, as the
system keeps the files for as long as they are mapped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spinelab.data.slices.digests import digest
from spinelab.data.slices.info import VolumeInfo
from spinelab.data.slices.parts import INTEGERS
from spinelab.errors import ConfigError, DataError

__all__ = ["Cache", "Damaged", "VolumeInfo", "digest"]

FORMAT = 4
"""Raise it when the files below, or the meaning of what `prepare_case` returns, change."""

IMAGES, MASKS, SLICES, VOLUMES, META = "images.bin", "masks.bin", "slices.parquet", "volumes.json", "meta.json"
COLUMNS = ("volume", "slice", "offset", "height", "width")


class Damaged(DataError):
    """The folder holds no whole cache, and building anew is the remedy."""


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
        classes: Names of the foreground classes.
        pixels: (N, K) int64, how many pixels of each slice are of each class, background first.
    """

    folder: Path
    volumes: tuple[VolumeInfo, ...]
    table: Mapping[str, NDArray[np.int64]]
    images: NDArray[Any]
    masks: NDArray[np.uint8]
    channels: int
    classes: tuple[str, ...]
    pixels: NDArray[np.int64]
    _places: NDArray[np.int64] = field(init=False, repr=False)
    _flat: tuple[NDArray[Any], NDArray[np.uint8]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # a slice is found in half a microsecond: one row instead of three columns, plain views instead of memmaps
        places = np.stack([self.table[name] for name in ("offset", "height", "width")], axis=1)
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_flat", (self.images.view(np.ndarray), self.masks.view(np.ndarray)))

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False, checksum: Callable[[Path], str] = digest) -> Cache:
        """Map the files of a finished cache; the folder may be read-only.

        Args:
            folder: A cache folder, as `build` makes it.
            verify: Also compare the checksums of the pixel files. Their sizes and the checksums of the small files
                are always compared.
            checksum: Checksum of a file; `Digests.of` does not read a file that is unchanged since it last did.

        Raises:
            Damaged: The folder is missing, incomplete or damaged.
            DataError: It cannot be read, which says nothing of what is in it.
        """
        try:
            meta = unseal((folder / META).read_text())
            _check_files(folder, meta["files"], verify, checksum)
            volumes = tuple(VolumeInfo.from_dict(entry) for entry in json.loads((folder / VOLUMES).read_text()))
            columns = pq.read_table(folder / SLICES)
            table = {name: columns[name].to_numpy().astype(np.int64) for name in COLUMNS}
            classes = tuple(meta["classes"])
            pixels = [columns[f"pixels_{index}"].to_numpy() for index in range(len(classes) + 1)]
            if meta["dtype"] not in (*INTEGERS, "float32"):
                raise ValueError(f"pixels cannot be {meta['dtype']}")
            types = {IMAGES: meta["dtype"], MASKS: "uint8"}
            images, masks = (np.memmap(folder / name, dtype, "r") for name, dtype in types.items())
            return cls(folder, volumes, table, images, masks, int(meta["channels"]), classes, np.stack(pixels, axis=1))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"no usable cache ({error})", "run `spinelab prepare` again", folder) from error
        except OSError as error:
            remedy = "see to the permissions, the disk and the limits of the system; the cache itself may be good"
            raise DataError(f"the cache cannot be read ({error})", remedy, folder) from error

    def __len__(self) -> int:
        """Number of usable slices N."""
        return len(self._places)

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache.open, (self.folder,)

    def image(self, index: int) -> NDArray[Any]:
        """(H, W, C) view of slice number `index`, as prepared, not normalised."""
        start, height, width = self._places[index].tolist()
        channels = self.channels
        flat = self._flat[0][start * channels : (start + height * width) * channels]
        return cast("NDArray[Any]", flat.reshape(height, width, channels))

    def mask(self, index: int) -> NDArray[np.uint8]:
        """(H, W) view of the class indices of slice number `index`."""
        start, height, width = self._places[index].tolist()
        return self._flat[1][start : start + height * width].reshape(height, width)

    @property
    def sites(self) -> dict[str, str]:
        """Person -> site, sorted by person."""
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
        wanted = set(persons)
        return [position for position, volume in enumerate(self.volumes) if volume.person in wanted]


def file_facts(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Name -> size in bytes and checksum, for `meta.json`."""
    return {path.name: {"bytes": path.stat().st_size, "xxh3_128": digest(path)} for path in paths}


def volumes_json(volumes: Iterable[VolumeInfo]) -> str:
    """Text of `volumes.json`; unknown spacings stand there as NaN."""
    return json.dumps([asdict(volume) for volume in volumes], indent=1)


def seal(meta: Mapping[str, Any]) -> str:
    """Text of `meta.json`: the entries and the SHA-256 over them."""
    return json.dumps({**meta, "sha256": _over(meta)}, indent=1)


def unseal(text: str) -> dict[str, Any]:
    """The inverse of `seal`; `ValueError` if anything was changed."""
    meta: dict[str, Any] = json.loads(text)
    if meta.pop("sha256", None) != _over(meta):
        raise ValueError(f"{META} does not have the checksum it was written with")
    return meta


def _over(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _check_files(
    folder: Path, facts: Mapping[str, Mapping[str, Any]], verify: bool, checksum: Callable[[Path], str]
) -> None:
    for name in (IMAGES, MASKS, SLICES, VOLUMES):
        path, expected = folder / name, facts[name]
        if (size := path.stat().st_size) != expected["bytes"]:
            raise ValueError(f"{name} has {size} bytes and should have {expected['bytes']}")
        if (verify or name in (SLICES, VOLUMES)) and checksum(path) != expected["xxh3_128"]:
            raise ValueError(f"{name} does not have the checksum it was written with")
