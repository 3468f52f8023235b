"""A small healthy data set to break, and a judge who asks both the doctor and the training."""

from __future__ import annotations

import gc
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from spinelab.config import compose_config

SHAPE = (12, 14, 6)
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 0.5, 0, -9], [0, 0, 4, -30], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Verdict:
    """What the doctor said, and whether a training would have started."""

    findings: list[dict[str, Any]]
    status: int
    refusal: str

    def of(self, check: str) -> list[dict[str, Any]]:
        return [finding for finding in self.findings if finding["check"] == check]


Judge = Callable[..., Verdict]


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright and a brighter box in noise, elsewhere in every person, and labels 1 and 2."""
    rng = np.random.default_rng(number)
    mask = np.zeros(SHAPE, np.uint8)
    x, y = rng.integers(0, 4, 2)
    mask[x : x + 5, y : y + 7, 1:5] = 1
    mask[x : x + 3, y + 4 : y + 7, 1:3] = 2
    return (100 * mask + rng.normal(300, 12, SHAPE)).astype(np.int16), mask


def save(file: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), file)
    return file


@cache
def composed(*choices: str) -> str:
    """The configuration of some choices as text, since composing takes longer than all that is tested here."""
    return OmegaConf.to_yaml(compose_config(choices))


def configuration(overrides: Sequence[str]) -> DictConfig:
    """The configuration with overrides, which are written as on the command line but need no quotes."""
    choices = [override for override in overrides if "." not in override.partition("=")[0]]
    config = OmegaConf.create(composed(*(choice for choice in choices if not choice.startswith("channels="))))
    for override in overrides:
        key, _, value = override.partition("=")
        if override not in choices or key == "channels":
            plain = yaml.safe_load(value) if re.match(r"[\[{\d]|null", value) else value
            OmegaConf.update(config, key, plain, merge=False, force_add=True)
    return config


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    """Four persons as NIfTI pairs in folders images and masks."""
    root = tmp_path / "data"
    for number in range(4):
        image, mask = scan(number)
        save(root / f"images/sub-{number:02d}.nii.gz", image)
        save(root / f"masks/sub-{number:02d}.nii.gz", mask)
    return root


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """Four persons as PNG slices."""
    root = tmp_path / "data"
    for number in range(4):
        image, mask = scan(number)
        for folder, array in (("images", (image // 4).astype(np.uint8)), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for position in range(SHAPE[2]):
                Image.fromarray(array[..., position]).save(root / folder / f"sub-{number:02d}_slice-{position}.png")
    return root


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Asks the doctor, then tries what a training does before its first step; only SpinelabError is forgiven."""
    from spinelab import build
    from spinelab.commands.doctor import diagnose
    from spinelab.errors import SpinelabError

    def ask(root: Path, *overrides: str, train: bool = True) -> Verdict:
        usual = [
            "data=folder", f"data.root={root}", "data.source.labels={1: vertebra, 2: disc}",
            "data.labels.classes=[vertebra, disc]", f"paths.cache={tmp_path}/cache",
        ]  # fmt: skip
        if any(text.startswith("data=") for text in overrides):
            usual = [f"paths.cache={tmp_path}/cache", f"data.root={root}"]
        given = {override.partition("=")[0] for override in overrides}
        usual = [text for text in usual if text.partition("=")[0] not in given]
        config = configuration([*usual, *overrides])
        report = tmp_path / "report.json"
        status = diagnose(config, json=report, cost=False, workers=1)
        refusal = ""
        if train:
            try:
                cases = build.cases(config)
                sides = build.split(config, cases)
                build.datamodule(config, build.cache(config, cases), sides)
            except SpinelabError as error:
                refusal = str(error)
        return Verdict(json.loads(report.read_text())["findings"], status, refusal)

    return ask


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """Largest number of bytes that Python and numpy held since the test began."""
    gc.collect()
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
