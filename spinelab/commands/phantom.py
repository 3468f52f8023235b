"""make a phantom: synthetic spine MRI with masks, written as NIfTI in BIDS

usage: spinelab phantom out=FOLDER [option=value ...]

  persons=24           how many; kinds of lesion and sites take turns
  seed=0               the same seed gives the same bytes
  region=lumbar        cervical, thoracic or lumbar
  extent=narrow        field around the spine, or wide: to the skin, in the lumbar region with the sacrum
  contrasts=T2w        any of T1w,T2w,STIR,T1wCE,T2starw,water,fat: each person is scanned in all of them
  planes=sagittal      any of sagittal,coronal,axial; with several, files carry acq-<plane>
  thickness_mm=4       of the slices
  in_plane_mm=1        voxel size in plane, or site: each of the three sites its own
  lesions=...          kinds that take turns, of extradural,intradural_extramedullary,intramedullary,haemangioma,none
  fractures=0.25       how often a body is fractured
  scoliosis=0.2        how often the spine is bent by 12 to 30 degrees
  visits=1             with 2 or more: ses-01, ses-02, ... of the same person, new noise, another place in the scanner
  growth=1.5           factor on a lesion's volume from one visit to the next

The truth table (truth.csv, explained in README beside it) says what the geometry knows: lesions, heights, angles,
diameters, areas, fat fractions. data=phantom makes its own; this command is for a look at the files, or for a data set
of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spinelab.commands._arguments import options
from spinelab.errors import ConfigError


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.split(","))


def _millimetres(value: str) -> float | None:
    return None if value == "site" else float(value)


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("persons", "seed", "thickness_mm", "visits"), int),
    **dict.fromkeys(("fractures", "scoliosis", "growth"), float),
    **dict.fromkeys(("contrasts", "planes", "lesions"), _words),
    **dict.fromkeys(("region", "extent"), str),
    "in_plane_mm": _millimetres,
}
"""How each option's word becomes an argument of `generate`."""


def main(arguments: Sequence[str]) -> int:
    """Generate a phantom data set."""
    from spinelab.phantom.dataset import generate

    given = options(arguments, ("out", *READ), required=("out",))
    out = Path(given.pop("out"))
    try:
        folder = generate(out, **{key: _read(key, value) for key, value in given.items()})
    except ValueError as error:
        raise ConfigError(str(error), "see spinelab phantom --help") from None
    print(f"phantom: {folder}")
    return 0


def _read(key: str, value: str) -> Any:
    try:
        return READ[key](value)
    except ValueError:
        kind = {int: "a whole number", _millimetres: "a number or site"}.get(READ[key], "a number")
        raise ValueError(f"{key}={value}: {key} is {kind}") from None
