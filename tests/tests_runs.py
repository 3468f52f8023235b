"""Trainings in processes of their own, which tests may kill."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context, set_start_method
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from tests_shared import disc_overrides, write_disc

from spinelab.config import compose_config
from spinelab.run import Run
from spinelab.tasks.seal import LAST, PREVIOUS, intact

SERVER = get_context("forkserver")  # children start from a process that has imported torch: a quarter of a second
SERVER.set_forkserver_preload(["spinelab.commands._training", "spinelab.commands.train", "cv2"])
Hurt = Callable[[], None]


def discs(root: Path, persons: int = 8) -> Path:
    """The tiny data set, on a disk of the test's choice."""
    for number in range(persons):
        write_disc(root, f"sub-{number:02d}", np.random.default_rng(number))
    return root


def tiny(root: Path, runs: Path, **values: object) -> DictConfig:
    """A run of a second or two in which everything is random that can be; double underscores stand for dots."""
    config = OmegaConf.create(_composed())
    own = {"data.root": root, "paths.runs": runs, "paths.data": root.parent / "cache"}
    for key, value in (own | {key.replace("__", "."): value for key, value in values.items()}).items():
        plain = str(value) if isinstance(value, Path) else value
        OmegaConf.update(config, key, plain, merge=False, force_add=True)
    return config


@cache
def _composed() -> str:
    """The configuration as text, since composing takes as long as training."""
    own = ["model.dropout=0.3", "augmentation=default", "logger.mode=disabled", "trainer.max_epochs=3"]
    own += ["loader.batch_size=4", "processes=1", "optimizer.lr=0.003"]
    given = {override.partition("=")[0] for override in own}
    usual = [text for text in disc_overrides(Path("discs"), Path("runs")) if text.partition("=")[0] not in given]
    return OmegaConf.to_yaml(compose_config([*usual, *own]))


def start(config: DictConfig, hurt: Hurt | None = None) -> BaseProcess:
    """Train in another process, which `hurt` may prepare first; what it prints goes to a file beside the runs."""
    log = Path(config.paths.runs) / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    process = SERVER.Process(target=_train, args=(OmegaConf.to_yaml(config), str(log), dict(os.environ), hurt))
    process.start()
    return process


def finish(config: DictConfig, hurt: Hurt | None = None) -> tuple[int, str]:
    """Train in another process to its end; its exit status, and all that was printed about this run."""
    process = start(config, hurt)
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode, (Path(config.paths.runs) / "log.txt").read_text()


def _train(text: str, log: str, environment: dict[str, str], hurt: Hurt | None) -> None:
    from spinelab.commands._training import check, fit, working
    from spinelab.errors import SpinelabError

    os.environ.update(environment)
    with Path(log).open("a", buffering=1) as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    set_start_method("fork", force=True)  # of loader processes, as in a training from the command line
    torch.set_num_threads(1)
    config = OmegaConf.create(text)
    if hurt is not None:
        hurt()
    try:
        with working(Run.of(config), "fitted"):
            fit(check(config), Run.of(config))
    except SpinelabError as error:
        print(error, flush=True)
        os._exit(2)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


class KillAtStep:
    """Dies, as by the system's hand, at the start of a training step of this process."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self) -> None:
        from spinelab.tasks.segmentation import SegmentationTask

        original = SegmentationTask.training_step

        def step(task, batch, index):
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(task, batch, index)

        SegmentationTask.training_step = step


def state(config: DictConfig) -> dict[str, object]:
    """Everything of a run that must be the same, bit for bit: losses, scores, weights, optimizer and schedule."""
    run = Run.of(config)
    rows = pd.read_csv(run.metrics).drop(columns="seconds")
    last, best = (torch.load(run.checkpoints / f"{name}.ckpt", weights_only=True) for name in ("last", "best"))
    kept = {key: last[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")}
    return {"rows": rows.to_dict("list"), "last": kept, "best": best["state_dict"]}


def same(first: object, second: object) -> bool:
    """Equality of nested containers of tensors, NaN being equal to NaN."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return (
            isinstance(second, dict) and first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
        )
    if isinstance(first, list | tuple):
        return isinstance(second, list | tuple) and len(first) == len(second) and all(map(same, first, second))
    return first == second or (first != first and second != second)


def intact_checkpoints(config: DictConfig) -> list[Path]:
    """Those of a run's checkpoints to resume from that are whole."""
    folder = Run.of(config).checkpoints
    return [path for path in (folder / LAST, folder / PREVIOUS) if path.is_file() and intact(path)]
