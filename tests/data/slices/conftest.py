from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.data.slices.build import build
from spinelab.data.slices.cache import Cache
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap, MaskFiles

LABELS = LabelMap(("vertebra", "disc"))
MakeCase = Callable[..., Case]


@pytest.fixture
def labels() -> LabelMap:
    return LABELS


@pytest.fixture
def preprocessing() -> Preprocessing:
    return Preprocessing()


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Writes a small scan with random grey values and a mask in which 10 is vertebra and 20 disc."""

    def make(
        name: str,
        person: str | None = None,
        *,
        shape: tuple[int, int, int] = (3, 12, 16),
        dtype: str = "int16",
        high: int = 200,
        low: int = 0,
        site: str = "",
    ) -> Case:
        rng = np.random.default_rng(list(name.encode()))
        image = rng.integers(low, high, shape, endpoint=True).astype(dtype)
        image.flat[:2] = low, high
        mask = rng.choice(np.array([0, 10, 20], np.uint8), shape)
        files = (tmp_path / f"{name}.nii", tmp_path / f"{name}_mask.nii")
        for path, array in zip(files, (image, mask), strict=True):
            nib.save(nib.Nifti1Image(array, np.diag([4.0, 0.5, 0.75, 1.0])), path)
        truth = MaskFiles((files[1],), {10: "vertebra", 20: "disc"})
        return Case(name, person or name, ((files[0],),), (truth,), site)

    return make


@pytest.fixture
def cases(make_case: MakeCase) -> list[Case]:
    """Four volumes of three persons, of two sizes."""
    return [
        make_case("a1", "a", site="north"),
        make_case("b1", "b", shape=(4, 10, 20), site="south"),
        make_case("a2", "a", shape=(2, 12, 16), site="north"),
        make_case("c1", "c", dtype="uint8", site="south"),
    ]


@pytest.fixture
def cache(cases: list[Case], labels: LabelMap, preprocessing: Preprocessing, tmp_path: Path) -> Cache:
    return build(cases, labels, preprocessing, tmp_path / "cache", progress=False)


@pytest.fixture
def many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small work be shared by processes as large work is."""
    monkeypatch.setattr("spinelab.data.slices.plan.WORTH", 0)
