"""What a phantom data set is made with."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from spinelab.phantom.acquisition import SITES, SLICE_AXIS, Scan, Site
from spinelab.phantom.lesions import LESION_KINDS, LesionKind
from spinelab.phantom.regions import EXTENTS, REGIONS, Extent, RegionName
from spinelab.phantom.sequences import SEQUENCES
from spinelab.phantom.spine import Rates
from spinelab.types import Plane


@dataclass(frozen=True)
class Parameters:
    """What a data set was made with; `generate` explains the fields.

    Raises:
        ValueError: A value is out of its range; the message names what is allowed.
    """

    persons: int
    seed: int
    contrasts: tuple[str, ...]
    planes: tuple[Plane, ...]
    thickness_mm: int
    in_plane_mm: float | None
    region: RegionName
    extent: Extent
    lesions: tuple[LesionKind, ...]
    fractures: float
    scoliosis: float
    visits: int
    growth: float
    version: int

    def __post_init__(self) -> None:
        if self.persons < 1 or self.seed < 0:
            raise ValueError(f"persons must be positive and seed not negative: {self.persons}, {self.seed}")
        if self.visits < 1 or not 0.2 <= self.growth <= 5:
            raise ValueError(f"visits must be positive and growth 0.2 to 5: {self.visits}, {self.growth}")
        _check_names("contrasts", self.contrasts, SEQUENCES)
        _check_names("planes", self.planes, SLICE_AXIS)
        _check_names("lesions", self.lesions, LESION_KINDS)
        _check_names("region", (self.region,), REGIONS)
        _check_names("extent", (self.extent,), EXTENTS)
        _ = self.rates
        for plane in self.planes:
            for site in SITES:
                self.scan(plane, site, 1).affine(REGIONS[self.region].fields[self.extent])

    @property
    def rates(self) -> Rates:
        """How often there are fractures and scoliosis."""
        return Rates(self.fractures, self.scoliosis)

    def scan(self, plane: Plane, site: Site, visit: int) -> Scan:
        """How the slices lie; on a later visit they begin elsewhere in the person."""
        spacing = site.spacing if self.in_plane_mm is None else self.in_plane_mm
        skipped = (0, 0, 0) if visit == 1 else (1 + visit % 3, 2, 3)
        return Scan(plane, self.thickness_mm, spacing, skipped)

    def lesion_and_site(self, number: int) -> tuple[LesionKind, Site]:
        """Kind of lesion and site of a person (numbered from 1): they take turns, and every pair occurs."""
        k, kinds = number - 1, len(self.lesions)
        shift = k // kinds if kinds % len(SITES) == 0 else 0  # else each kind would always be at the same site
        return self.lesions[k % kinds], SITES[(k + shift) % len(SITES)]


def _check_names(what: str, names: Collection[str], known: Iterable[str]) -> None:
    known = list(known)
    if not names or len(set(names)) < len(names) or not set(names) <= set(known):
        raise ValueError(f"{what}: some of {', '.join(known)}, each once, not {', '.join(map(str, names)) or 'none'}")
