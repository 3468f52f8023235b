"""Weights & Biases gone in the middle of a training: the training does not notice."""

from __future__ import annotations

import os
import signal

import pandas as pd
import psutil
from tests_runs import discs, finish, same, state, tiny

from spinelab.run import Run


class KillService:
    """Kills the W&B service at the start of the third training step."""

    def __call__(self) -> None:
        from spinelab.tasks.segmentation import SegmentationTask

        for name in [name for name in os.environ if name.startswith("WANDB_SERVICE")]:
            os.environ.pop(name)  # another test's service, which must not die here
        original, steps = SegmentationTask.training_step, iter(range(10**6))

        def step(task, batch, index):
            if next(steps) == 2:
                service = [p for p in psutil.Process().children(recursive=True) if "wandb" in " ".join(p.cmdline())]
                assert service
                for process in service:
                    os.kill(process.pid, signal.SIGKILL)
            return original(task, batch, index)

        SegmentationTask.training_step = step


class NoHome:
    """No home directory, and none that could be made."""

    def __call__(self) -> None:
        os.environ.pop("HOME", None)
        os.environ |= {"WANDB_DIR": "/proc/none", "WANDB_CONFIG_DIR": "/proc/none", "WANDB_CACHE_DIR": "/proc/none"}


def test_training_is_the_same_bit_for_bit_without_it(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    root = discs(tmp_path / "discs")
    plain = tiny(root, tmp_path / "plain")
    assert finish(plain)[0] == 0
    for name, hurt in (("killed", KillService()), ("homeless", NoHome())):
        watched = tiny(root, tmp_path / name, logger__mode="offline")
        status, log = finish(watched, hurt)
        assert status == 0, log
        assert same(state(plain), state(watched)), name
        rows = pd.read_csv(Run.of(watched).metrics)
        assert len(rows) == 3, "a row an epoch is on disk, whatever W&B does"
    assert "Weights & Biases stopped" in (tmp_path / "killed" / "log.txt").read_text()
