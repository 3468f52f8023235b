"""What tests share: a tiny data set on disk, and a home that nothing leaves traces in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests_shared import write_disc

SHARED = Path(__file__).resolve().parents[1] / "../shared/data"


@pytest.fixture
def shared() -> Path:
    """Real data, where it is there."""
    if not SHARED.is_dir():
        pytest.skip("the real data sets are not beside the checkout")
    return SHARED.resolve()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Caches and W&B files go to a folder of the test, which goes with it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SPINELAB_CACHE", str(home / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(home / "wandb"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A folder of NIfTI pairs: 8 persons, a bright disc in noise, 6 sagittal slices of 40 x 48 pixels of 1 mm."""
    root = tmp_path / "discs"
    for number in range(8):
        write_disc(root, f"sub-{number:02d}", np.random.default_rng(number))
    return root
