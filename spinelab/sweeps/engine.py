"""Runs jobs through a Hydra launcher: skips what is finished, takes up what was interrupted, marks what failed."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from spinelab.config import HYDRA_ERRORS, finish, unwritable
from spinelab.errors import RunError
from spinelab.files import write_atomically
from spinelab.run import Run
from spinelab.run_state import RunState, run_state, write_state
from spinelab.sweeps.composing import ComposesOnce
from spinelab.sweeps.live import Watch
from spinelab.sweeps.processes import end_with_sweep, outlives, tied
from spinelab.sweeps.threads import batch_size, threads_each

SECONDS = 1.0
"""Between two looks at jobs that go on after their launcher gave up."""


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
        hydra_context.config_loader = ComposesOnce(hydra_context.config_loader, config)  # type: ignore[assignment]
        if hasattr(launcher, "joblib"):  # else its processes without a job would outlive a killed sweep
            launcher.joblib["initializer"] = end_with_sweep
            # it replaces a process whose memory has grown between two jobs, and no job is lost
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
        self.folder = Path(config.hydra.sweep.dir)
        self.jobs: dict[str, Job] = {}
        self._launched: Counter[str] = Counter()
        self._watch = Watch(self.folder.name, self._launched)
        self._shared: list[str] = []
        self._excuse = ""

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration that a job will have.

        Raises:
            ConfigError: Its overrides do not go together.
        """
        try:
            composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        except HYDRA_ERRORS as error:
            raise unwritable(error) from None
        config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        return finish(config, composed.hydra.runtime.choices)

    def job(self, overrides: Sequence[str]) -> Job:
        """Compose a job, which finds out what is wrong with its configuration.

        Raises:
            ConfigError: Its overrides do not go together, or a value is missing.
        """
        config = self.compose(overrides)
        epochs = config.trainer.get("max_epochs") or 0
        return Job(tuple(overrides), Run.of(config), config.name, max(epochs, 0), bool(config.test))

    def run(self, jobs: Iterable[Job]) -> None:
        """Launch the jobs that are not finished; returns when each is done, fitted, pruned or failed."""
        wanted = {job.run.id: job for job in jobs}
        self.jobs |= wanted
        self._write()
        threads = threads_each(self.config, len(wanted))
        self._shared = [f"threads={threads}"] if threads and not self.config.threads else []
        self._watch.follow(self.jobs.values())
        with self._watch, tied(self.config):
            for job in self._rounds([job for job in wanted.values() if self._is_open(job)]):
                self._launch([job])  # by itself, where it takes no other with it, and has all memory
        for job in wanted.values():
            self._explain(job)

    def _rounds(self, waiting: list[Job]) -> list[Job]:
        """Launch jobs until each had its turn; returns those whose processes ended without a word.

        When a process is killed, joblib ends its neighbours and gives up, and many jobs have not begun.

        Raises:
            RunError: Not one job of the sweep could be started.
        """
        died: list[Job] = []
        while waiting:
            before = {job.run.id: self._launchable(job) for job in waiting}
            for batch in _batches(waiting, batch_size(self.config)):
                self._launch(batch)
            still = [job for job in waiting if self._is_open(job) and job.state().name != "running"]
            begun = [job for job in still if job.state() != before[job.run.id]]
            died += begun
            left = [job for job in still if job not in begun]
            if self._excuse and len(left) == len(self.jobs):
                raise RunError(f"no job could be started: {self._excuse}", "see hydra.launcher.*")
            if len(left) == len(waiting) or outlives(self.config):
                break  # it cannot start these, or a cluster will do so when it has room
            waiting = left
        return died

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

    def _launchable(self, job: Job) -> RunState:
        """A job's state before it is launched; an old reason shall not be taken for a new one."""
        if job.state().name in ("failed", "pruned"):
            write_state(job.run.folder, "interrupted")
        return job.state()

    def _launch(self, batch: list[Job]) -> None:
        first = sum(self._launched.values())
        self._launched.update(job.run.id for job in batch)
        try:
            self.launcher.launch([[*job.overrides, *self._shared] for job in batch], initial_job_idx=first)
        except Exception as error:  # it gives up when a process is killed; the files tell who is done
            self._excuse = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            while not outlives(self.config) and any(job.state().name == "running" for job in batch):
                time.sleep(SECONDS)

    def _explain(self, job: Job) -> None:
        """Give a job that ended without a word a reason."""
        name, launched = job.state().name, self._launched[job.run.id]
        if name not in ("queued", "interrupted") or not launched or outlives(self.config):
            return
        reason = "it could not be started"
        if name == "interrupted":
            again = ", and did so again when it was tried alone" if launched > 1 else ""
            reason = f"its process ended without a word{again}; the system kills processes that take too much memory"
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
