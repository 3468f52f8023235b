"""Small data that several tests make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from spinelab.errors import RunError


def write_disc(root: Path, person: str, rng: np.random.Generator) -> None:
    """Write one image and its mask."""
    rows, columns = np.mgrid[:40, :48]
    centre = rng.uniform(15, 25, 2)
    mask = np.repeat((((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) < 81)[None], 6, axis=0)
    image = 100 * mask + rng.normal(50, 10, mask.shape)
    for folder, array in (("images", image.astype(np.int16)), ("masks", mask.astype(np.uint8))):
        (root / folder).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.diag([3.0, 1, 1, 1])), root / folder / f"{person}.nii.gz")


def disc_overrides(root: Path, runs: Path) -> list[str]:
    """Overrides that train a very small U-Net on the discs in a second or two."""
    return [
        "data=folder", f"data.root={root}", "data.source.labels={1: disc}", "data.labels.classes=[disc]",
        "data.name=discs", f"paths.runs={runs}", "model.base=4", "model.dropout=0", "trainer=cpu",
        "trainer.max_epochs=2", "optimizer.lr=0.01", "loader.num_workers=0", "augmentation=none",
        "callbacks.progress=null",
    ]  # fmt: skip


def assert_refused_in_its_place(path: Path, other: str, load: Callable[[], object]) -> None:
    """What a run keeps as JSON is not loaded if it is another file, half a file or none; it is put back afterwards."""
    text = path.read_text()
    try:
        for written, told in ((other, path.name), (text[: len(text) // 2], "cannot be read")):
            path.write_text(written)
            with pytest.raises(RunError, match=told):
                load()
        path.unlink()
        with pytest.raises(RunError, match="not fitted yet"):
            load()
    finally:
        path.write_text(text)
