"""Loader processes that raise, exit or are killed, and memory that is not enough."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from tests_runs import discs, finish, tiny

from spinelab.run import Run

ROW, SLICES = 7, 6  # the training slice that fails, and slices of a person
SECONDS = 30


class AtOneSlice:
    """Something happens where one training slice is read."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self) -> None:
        from spinelab.data.slices.dataset import SliceDataset

        original = SliceDataset._write

        def write(slices, key, image, mask):
            if key[1] == ROW and slices.transform is not None:
                self.happen()
            return original(slices, key, image, mask)

        SliceDataset._write = write

    def happen(self) -> None:
        if self.what == "raise":
            raise ValueError("the pixels are gone")
        if self.what == "memory":
            raise MemoryError
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(int(self.what.removeprefix("exit ")))


class InAStep:
    """A training step asks for more memory than there can be, or fails as a GPU does."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self) -> None:
        from spinelab.tasks.segmentation import SegmentationTask

        def step(task, batch, index):
            if self.what == "GPU":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return torch.ones(1 << 50).sum()

        SegmentationTask.training_step = step


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return discs(tmp_path_factory.mktemp("workers") / "discs")


@pytest.mark.parametrize(
    ("what", "workers", "words"),
    [
        ("raise", 0, "cannot be read or augmented: ValueError: the pixels are gone"),
        ("raise", 2, "cannot be read or augmented: ValueError: the pixels are gone"),
        ("kill", 2, "was lost while it was at"),  # "killed", or "exited" where torch finds a closed pipe first
        ("exit 3", 1, "exited unexpectedly"),
        ("exit 0", 2, "exited unexpectedly"),
    ],
)
def test_a_loader_process_that_fails_ends_the_training_by_name(data, tmp_path, what, workers, words):
    config = tiny(data, tmp_path, loader__num_workers=workers)
    began = time.monotonic()
    status, printed = finish(config, AtOneSlice(what))
    assert status == 2, printed
    assert words in printed
    train = json.loads(Run.of(config).split.read_text())["train"]
    assert f"slice {ROW % SLICES} of {sorted(train)[ROW // SLICES]}" in printed
    assert "what to do:" in printed
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("hurt", [InAStep("GPU"), InAStep("processor"), AtOneSlice("memory")])
def test_too_little_memory_names_the_size_and_what_would_fit(data, tmp_path, hurt):
    config = tiny(data, tmp_path, loader__num_workers=int(isinstance(hurt, AtOneSlice)))
    status, printed = finish(config, hurt)
    assert status == 2, printed
    assert "does not fit into memory" in printed
    assert "loader.batch_size=2 trainer.accumulate_grad_batches=2" in printed
    if isinstance(hurt, InAStep):
        assert "a batch of 4 x 1 x 48 x 40" in printed


def test_other_errors_pass_as_they_are(data, tmp_path):
    from spinelab.commands._failures import explained

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), explained(tiny(data, tmp_path), None, None):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
