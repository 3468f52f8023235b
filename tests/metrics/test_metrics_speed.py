"""Counting a volume is not what an evaluation waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torchmetrics.segmentation import DiceScore

from spinelab.metrics.confusion import confusion_matrix

CLASSES = 7


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest time of several, which what else the machine does hardly changes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def balls() -> np.ndarray:
    """(64, 256, 256) six structures in a row, mostly background."""
    z, y, x = np.ogrid[:64, :256, :256]
    volume = np.zeros((64, 256, 256), dtype=np.uint8)
    for index in range(6):
        volume[((z - 32) / 14) ** 2 + ((y - 20 - 40 * index) / 14) ** 2 + ((x - 130) / 22) ** 2 < 1] = index + 1
    return volume


def noise() -> np.ndarray:
    """(64, 256, 256) no background at all: the worst case."""
    return np.random.default_rng(0).integers(1, CLASSES, (64, 256, 256)).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("make", [balls, noise])
def test_counting_against_torchmetrics_and_reading(make: Callable[[], np.ndarray], tmp_path: Path) -> None:
    """At least 100 times faster than DiceScore, and no more than five times reading the two volumes.

    DiceScore takes nothing but int64, so it is given the same classes in that type.
    """
    truth = make()
    files = [tmp_path / "truth.nii", tmp_path / "prediction.nii"]
    for file, array in zip(files, (truth, np.roll(truth, 2, axis=1)), strict=True):
        nib.save(nib.Nifti1Image(array, np.eye(4)), file)
    target, prediction = (torch.from_numpy(np.array(nib.load(file).dataobj)) for file in files)
    score = DiceScore(CLASSES, input_format="index", average="none")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours = seconds(lambda: confusion_matrix(prediction, target, CLASSES))
        long = prediction.long()[None], target.long()[None]
        theirs = seconds(lambda: score.update(*long), repeats=3)
        reading = seconds(lambda: [np.array(nib.load(file).dataobj) for file in files])
    finally:
        torch.set_num_threads(threads)
    assert theirs / ours >= 100
    assert ours / reading <= 5
