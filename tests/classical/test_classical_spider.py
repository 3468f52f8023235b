"""Real slices: fitted on some persons, scored on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from spinelab.classical.technique import Technique
from spinelab.classical.tuning import confusion, summed_dice

CONF = Path(__file__).resolve().parents[2] / "conf" / "classical"
CLASS = np.array([0, 1, 3, 2], np.uint8)  # vertebra, disc, canal


def slices(root: Path, persons: list[str]) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """The middle slice of each person, every second row and column."""
    images, masks = [], []
    for person in persons:
        files = sorted((root / "images").glob(f"{person}_*.png"))
        file = files[len(files) // 2]
        images.append(np.asarray(Image.open(file))[::2, ::2])
        masks.append(CLASS[np.asarray(Image.open(root / "masks" / file.name))][::2, ::2])
    return images, masks, persons


@pytest.mark.parametrize("name", ["multi_otsu", "k_means", "slic", "watershed", "knn"])
def test_vertebrae_are_found_on_persons_never_seen(shared: Path, name: str) -> None:
    root = shared / "spider_t2space"
    persons = sorted({file.name[:7] for file in (root / "images").glob("*.png")})
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), {"trials": 2, "slices": 12})
    technique: Technique = instantiate(config, _convert_="all", _execution_whitelist_=["spinelab.*"])
    technique.fit(*slices(root, persons[:12]), classes=4)
    counts, chance = np.zeros((4, 4), np.int64), 0.0
    for image, mask, _ in zip(*slices(root, persons[20:26]), strict=True):
        counts += confusion(mask, technique.predict(image), 4)
    share = counts[1].sum() / counts.sum()
    chance = 2 * share / (1 + share)  # Dice of calling every pixel a vertebra, more than any guess by lot gives
    assert summed_dice(counts)[1] > 2 * chance
