from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an array as NIfTI."""

    def nifti(name: str, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path = tmp_path / name
        nib.save(nib.Nifti1Image(array, np.diag([2.0, 0.5, 0.75, 1.0]) if affine is None else affine), path)
        return path

    return nifti


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (5, 12, 9)).astype(np.int16)
