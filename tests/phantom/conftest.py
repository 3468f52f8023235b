from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinelab.phantom.anatomy import Anatomy, create_anatomy
from spinelab.phantom.dataset import generate
from spinelab.phantom.lesions import LESION_KINDS

SEED = 5


@pytest.fixture(scope="session")
def anatomies() -> dict[str, Anatomy]:
    """One spine with every kind of lesion in turn."""
    return {kind: create_anatomy(np.random.default_rng(SEED), kind) for kind in LESION_KINDS}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("phantom") / "set", persons=6, seed=1, progress=False, processes=1)
