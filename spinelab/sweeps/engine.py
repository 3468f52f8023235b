"""Runs jobs through a Hydra launcher: skips what is finished, takes up what was interrupted, marks what failed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from spinelab.config import finish
from spinelab.files import write_atomically
from spinelab.run import Run
from spinelab.run_state import RunState, run_state, write_state
from spinelab.sweeps.live import Watch
from spinelab.sweeps.threads import at_once, threads_each

ATTEMPTS = 2
"""How often a job is launched whose process ends without a word, by the system's hand or a neighbour's."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: What Hydra composes it from.
        run: Its folder and hash.
        name: Display name.
        epochs: That it may train; 0 if that is not limited.
        test: Whether its test persons are scored.
    """

    overrides: tuple[str, ...]
    run: Run
    name: str
    epochs: int
    test: bool

    def state(self) -> RunState:
        """How far it is; a fitted run whose test persons are wanted has a step to go."""
        state = run_state(self.run.folder)
        return RunState("interrupted", epoch=state.epoch) if self.test and state.name == "fitted" else state


class Engine:
    """Launches jobs and watches them.

    Args:
        config: The composed configuration of the multirun, Hydra's own part included.
        hydra_context: From the sweeper's `setup`.
        launcher: Any Hydra launcher.
    """

    def __init__(self, config: DictConfig, hydra_context: HydraContext, launcher: Launcher) -> None:
        self.config, self.context, self.launcher = config, hydra_context, launcher
        self.folder = Path(config.hydra.sweep.dir)
        self.jobs: dict[str, Job] = {}
        self._launched: Counter[str] = Counter()
        self._excuse = ""
        threads = threads_each(config)
        self._shared = [f"threads={threads}"] if threads and not config.threads else []

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose a job, which finds out what is wrong with its configuration.

        Raises:
            ConfigError: A value is missing.
        """
        composed = self.context.config_loader.load_sweep_config(self.config, [*overrides, *self._shared])
        choices = composed.hydra.runtime.choices
        config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        config = finish(config, choices)
        epochs = config.trainer.get("max_epochs") or 0
        return Job((*overrides, *self._shared), Run.of(config), config.name, max(epochs, 0), bool(config.test))

    def run(self, jobs: Iterable[Job]) -> None:
        """Launch the jobs that are not finished; returns when each is done, fitted, pruned or failed."""
        wanted = {job.run.id: job for job in jobs}
        self.jobs |= wanted
        self._write()
        with Watch(self.folder.name, list(self.jobs.values()), self._launched, at_once(self.config)):
            for _ in range(ATTEMPTS):
                waiting = [job for job in wanted.values() if self._is_open(job)]
                for batch in _batches(waiting, self.config.hydra.sweeper.get("max_batch_size")):
                    self._launch(batch)
        for job in wanted.values():
            self._explain(job)

    def unfinished(self) -> list[tuple[Job, RunState]]:
        """Jobs of this sweep that are neither done nor fitted nor pruned, with their state."""
        states = [(job, job.state()) for job in self.jobs.values()]
        return [(job, state) for job, state in states if state.name not in ("done", "fitted", "pruned")]

    def finished(self) -> list[Path]:
        """Run folders of the jobs that are done."""
        return [job.run.folder for job in self.jobs.values() if job.state().name == "done"]

    def _is_open(self, job: Job) -> bool:
        """What failed before this sweep is tried again; what failed in it is not."""
        state, tried = job.state().name, self._launched[job.run.id]
        return state not in ("done", "fitted") and not (tried and state in ("failed", "pruned"))

    def _launch(self, batch: list[Job]) -> None:
        first = sum(self._launched.values())
        self._launched.update(job.run.id for job in batch)
        for job in batch:  # an old reason shall not be taken for a new one
            if job.state().name in ("failed", "pruned"):
                write_state(job.run.folder, "interrupted")
        try:
            self.launcher.launch([job.overrides for job in batch], initial_job_idx=first)
        except (
            Exception
        ) as error:  # a launcher gives up when one of its processes is killed; the files tell who is done
            self._excuse = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"

    def _explain(self, job: Job) -> None:
        """Give a job that ended without a word a reason."""
        if job.state().name in ("queued", "interrupted"):
            reason = "its process ended without a word; the system kills processes that take too much memory"
            write_state(job.run.folder, "failed", reason=f"{reason} ({self._excuse})" if self._excuse else reason)

    def _write(self) -> None:
        """``sweep.json``: which runs belong to the sweep."""
        jobs = [
            {"run": os.path.relpath(job.run.folder, self.folder), "name": job.name, "overrides": list(job.overrides)}
            for job in self.jobs.values()
        ]
        told: dict[str, Any] = {"sweep": self.folder.name, "jobs": jobs}
        write_atomically(self.folder / "sweep.json", json.dumps(told, indent=1))


def _batches(jobs: list[Job], size: int | None) -> list[list[Job]]:
    size = size or len(jobs) or 1
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]
