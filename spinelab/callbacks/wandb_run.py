"""Weights & Biases: a view of the run. What is on disk is the truth, so nothing here may stop a training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import wandb
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from spinelab.callbacks.wandb_table import cases_table

Panel = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(image, truth, prediction) of one slice, each (H, W)."""


CONNECT_SECONDS = 30
"""How long a training waits for the server before it records offline."""


class WandbRun(Logger):
    """One job, one W&B run: offline by default, closed with the right exit state, silent about its own failures.

    Lightning's `WandbLogger` adopts whatever run is open in the process, so that jobs of a sweep merge, and lets an
    error of the W&B service end the training; this logger opens its own run by id and turns into a warning any error.

    Args:
        id: Identifier, the run's own hash, so that a resumed job continues its W&B run.
        name: Display name.
        folder: Where offline files go.
        config: The resolved configuration.
        project: W&B project.
        mode: "offline" (no account, no network), "online", or "disabled".
        group: Runs shown together, e.g. one sweep or one data set.
        tags: Words to filter by.
    """

    def __init__(
        self,
        id: str,
        name: str,
        folder: str,
        config: Mapping[str, Any],
        project: str = "spinelab",
        mode: str = "offline",
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._id, self._name = id, name
        self._init: dict[str, Any] = {
            "project": project, "id": id, "name": name, "group": group, "tags": list(tags), "job_type": "train",
            "dir": folder, "config": dict(config), "mode": mode, "reinit": "create_new",
            "resume": "allow" if mode == "online" else None,
        }  # fmt: skip
        if "WANDB_SWEEP_ID" in os.environ:  # W&B's own agent names the run and says where it belongs
            self._init |= {"id": None, "group": None, "resume": None, "mode": "online"}
        self._run: Any = None
        self._broken = mode == "disabled"

    @property
    def name(self) -> str:
        """Display name."""
        return self._name

    @property
    def version(self) -> str:
        """Identifier."""
        return self._id

    @rank_zero_only
    def open(self) -> None:
        """Start the W&B run; training goes on without it if that fails."""
        self._safely(lambda: None)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The configuration is given at the start; Lightning has nothing to add."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values at a training step."""
        self._safely(lambda: self._run.log({**metrics, "trainer/global_step": step}))

    @rank_zero_only
    def log_panels(self, key: str, panels: Sequence[Panel], classes: Sequence[str]) -> None:
        """Log pictures whose truth and prediction can be switched on and off by class name.

        Args:
            key: Name in W&B.
            panels: Slices.
            classes: Names of the foreground classes.
        """
        height, width = (max(panel[0].shape[axis] for panel in panels) for axis in (0, 1))
        pictures = [_picture(panel, classes, height, width) for panel in panels]
        self._safely(lambda: self._run.log({key: pictures}))

    @rank_zero_only
    def log_cases(self, cases: pd.DataFrame, summary: Mapping[str, float]) -> None:
        """Log the table of cases, and the mean scores as the run's summary."""
        self._safely(lambda: self._run.log({"cases": cases_table(cases)}))
        self._safely(lambda: self._run.summary.update(dict(summary)))

    def close(self, failed: bool = False) -> None:
        """Finish the W&B run, as failed or as done; without it the next job's run would merge with this one."""
        if self._run is not None:
            self._safely(lambda: self._run.finish(exit_code=int(failed)))
            self._run = None

    def _start(self) -> Any:
        """Open the run; offline where it should be online and the server does not answer."""
        settings = wandb.Settings(console="off", silent=True, init_timeout=CONNECT_SECONDS)
        try:
            return wandb.init(**self._init, settings=settings)
        except Exception as error:
            if self._init["mode"] != "online":
                raise
            wandb.teardown()
            self._init |= {"mode": "offline", "resume": None}
            reason = str(error).splitlines()[0]
            remedy = f"recording offline; send it later with `spinelab sync {self._init['dir']}`"
            warnings.warn(f"Weights & Biases cannot be reached ({reason}); {remedy}", stacklevel=2)
            return wandb.init(**self._init, settings=settings)

    def _safely(self, action: Callable[[], object]) -> None:
        """Do something with the W&B run, and give it up with a warning if that fails."""
        if self._broken:
            return
        try:
            if self._run is None:
                self._run = self._start()
                self._run.define_metric("trainer/global_step")
                self._run.define_metric("*", step_metric="trainer/global_step")
            action()
        except Exception as error:
            self._broken = True
            with suppress(Exception):
                wandb.teardown()  # so that the next job of this process starts a service of its own
            warnings.warn(f"Weights & Biases stopped ({error}); the files in the run folder go on.", stacklevel=2)


def _picture(panel: Panel, classes: Sequence[str], height: int, width: int) -> wandb.Image:
    """A picture of the given size, since W&B shows the pictures of a list in the size of its first."""
    image, truth, prediction = (_pad(array, height, width) for array in panel)
    low, high = np.percentile(panel[0], (1, 99))
    grey = (255 * np.clip((image - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
    names = {0: "background", **dict(enumerate(classes, start=1))}
    masks = {
        name: {"mask_data": mask.astype(np.uint8), "class_labels": names}
        for name, mask in (("truth", truth), ("prediction", prediction))
    }
    return wandb.Image(grey, masks=masks)


def _pad(array: np.ndarray, height: int, width: int) -> np.ndarray:
    below, right = height - array.shape[0], width - array.shape[1]
    return np.pad(array, ((0, below), (0, right)), constant_values=array.min())
