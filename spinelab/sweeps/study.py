"""A study's jobs: every row on every data set, fold and seed; run by the engine, compared one data set at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from spinelab.config import compose_config, compose_settled, resolved, settle
from spinelab.errors import ConfigError, RunError
from spinelab.run import Run
from spinelab.run_state import RunState, run_state
from spinelab.sweeps.finish import require_finished
from spinelab.sweeps.folds import count
from spinelab.sweeps.overrides import merged, placed, unchecked
from spinelab.sweeps.pretrained import Pretraining, parts_of, require_other_persons, run_rows, start_of
from spinelab.sweeps.study_file import Budget, StudyFile, read_study
from spinelab.sweeps.sweeper import EngineSweeper
from spinelab.sweeps.taken import take_over


@dataclass(frozen=True)
class StudyJob:
    """One run of a study.

    Attributes:
        row: Display name of its row, or name of a pretraining.
        data: Name of its data set in the study.
        overrides: What it is composed from.
        run: Its folder and hash.
        config: The resolved configuration.
        init: The pretraining whose weights it starts from.
    """

    row: str
    data: str
    overrides: tuple[str, ...]
    run: Run
    config: Mapping[str, Any] = field(repr=False, compare=False)
    init: StudyJob | None = None

    def state(self) -> RunState:
        """How far it is."""
        return run_state(self.run.folder)


@dataclass(frozen=True)
class Plan:
    """A study under one budget, in one folder.

    Attributes:
        study: The study.
        budget: How much of it.
        extra: Overrides from the command line, which come last.
        top: Folder of all studies' runs.
    """

    study: StudyFile
    budget: Budget
    extra: tuple[str, ...] = ()
    top: Path = Path("runs")

    @property
    def folder(self) -> Path:
        """Where its runs go."""
        return self.top / self.study.name / self.budget.name

    @property
    def sweep(self) -> str:
        """Its name as a sweep, which is the W&B group of its runs."""
        return f"{self.study.name}-{self.budget.name}"

    def jobs(self, *, check: bool = True) -> list[StudyJob]:
        """Compose every row on every data set, and name the run of every fold and seed.

        The pretrainings that they start from are not among them (see `pretrainings`).

        Args:
            check: Also look whether what the overrides name are arguments of what they configure, which may load
                torch. What a composed job is called does not depend on it.

        Raises:
            ConfigError: An override is wrong (the message names the file, the key and near matches), two rows are the
                same run, or a row is tested on persons of its pretraining.
        """
        pretraining = cache(lambda name: self._pretraining(name, check))
        pairs = itertools.product(self.budget.data, self.budget.rows)
        jobs = [job for data, row in pairs for job in self._expand(row, data, check, pretraining)]
        seen: dict[tuple[str, str], StudyJob] = {}
        for job in jobs:
            other = seen.setdefault((job.data, job.run.id), job)
            if other is not job:
                found = f"rows.{job.row} and rows.{other.row} are the same run on {job.data}"
                raise ConfigError(found, "let their overrides differ, or leave one out", self.study.file)
        return jobs

    def parts(self, row: str, data: str) -> dict[str, Sequence[str]]:
        """The overrides of a row on a data set by where they are written, later ones before earlier ones."""
        own = {"base": self.study.base, f"data.{data}": self.study.data[data], f"rows.{row}": self.study.rows[row]}
        own |= {f"budgets.{self.budget.name}.overrides": self.budget.overrides, "the command line": self.extra}
        return {where: overrides for where, overrides in own.items() if overrides}

    def _expand(
        self, row: str, data: str, check: bool, pretraining: Callable[[str], Pretraining]
    ) -> Iterator[StudyJob]:
        parts = self.parts(row, data)
        with placed(parts, self.study.file):
            overrides = merged(*parts.values())
            start = start_of(overrides, self.study.pretrained)
            overrides, config = self._composed(overrides, row, self.folder, check)
            first = pretraining(start) if start else None
            if first and start:
                require_other_persons(config, data, first.config, start)
            folds = self.budget.folds if self.budget.folds is not None else all_folds(config)
        folded = "fold" in config.protocol
        for fold, seed in itertools.product(folds if folded else (0,), self.budget.seeds):
            own = {"seed": seed} | ({"protocol.fold": fold} if folded else {})
            yield _job(row, data, overrides, config, own, first.jobs[seed] if first else None)

    def _pretraining(self, name: str, check: bool) -> Pretraining:
        parts = parts_of(self.study, self.budget, name, self.extra)
        with placed(parts, self.study.file):
            overrides, config = self._composed(merged(*parts.values()), name, self.folder / "pretrained", check)
        jobs = {seed: _job(name, config.data.name, overrides, config, {"seed": seed}) for seed in self.budget.seeds}
        return Pretraining(config, jobs)

    def _composed(self, given: Sequence[str], name: str, runs: Path, check: bool) -> tuple[list[str], DictConfig]:
        """Overrides that compose everywhere, and what they compose."""
        overrides = [*given, f'name="{name}"', f"paths.runs={runs}", f"sweep={self.sweep}"]
        if not check:
            return overrides, compose_config(unchecked(overrides))
        settled = settle(overrides)
        return [text for text in settled if not text.startswith("hydra.")], compose_settled(settled)


def _job(
    row: str,
    data: str,
    overrides: Sequence[str],
    config: DictConfig,
    own: Mapping[str, Any],
    init: StudyJob | None = None,
) -> StudyJob:
    """A job with values of its own, which `config` has afterwards."""
    told = [f"{key}={value}" for key, value in own.items()]
    for key, value in own.items():
        OmegaConf.update(config, key, value)
    if init is not None:  # in the place of its name, which the configuration cannot know
        config.init = str(init.run.folder)
        overrides = [text for text in overrides if text.lstrip("+").partition("=")[0] != "init"]
        told.append(f'init="{init.run.folder}"')
    return StudyJob(row, data, (*overrides, *told), Run.of(config), resolved(config), init)


def pretrainings(jobs: Iterable[StudyJob]) -> list[StudyJob]:
    """What jobs start from, each once."""
    return list(dict.fromkeys(job.init for job in jobs if job.init is not None))


def all_folds(config: DictConfig) -> tuple[int, ...]:
    """The folds of a protocol; one that names their number is believed, others are asked with the data set's persons.

    Raises:
        SpinelabError: The data set cannot be listed, or has too few persons.
    """
    if "fold" not in config.protocol:
        return (0,)
    return tuple(range(config.protocol.folds if "folds" in config.protocol else count(config)))


def compare_finished(jobs: Iterable[StudyJob], out: Path) -> None:
    """Compare what is done, one data set at a time, and print each table with what it rests on.

    Raises:
        RunError: No run is done.
    """
    from spinelab.reporting.compare import compare, first_table

    jobs = list(jobs)
    if not any(job.state().name == "done" for job in jobs):
        raise RunError(f"none of {len(jobs)} runs is done", "run the study first: spinelab study run ...", out.parent)
    for data in dict.fromkeys(job.data for job in jobs):
        wanted = [job.run.folder for job in jobs if job.data == data]
        done = [folder for folder in wanted if run_state(folder).name == "done"]
        print(f"\n{data}: {len(done)} of {len(wanted)} runs are done" + ("" if done else "; there is no table yet"))
        if done:
            page = compare(done, out / data)
            print(f"\n{first_table(page.parent)}\n\npage: {page.resolve()}")


class Study(EngineSweeper):
    """Runs the jobs of a study that are not done.

    Args:
        study: The study's file.
        budget: Name of one of its budgets; "" is the first.
        overrides: Overrides of every job, which come last.
        top: Folder of all studies' runs.
        data: Some of the study's data sets; none is all that the budget holds.
        max_batch_size: Jobs that are given to the launcher at once; None gives it all of them.
    """

    def __init__(
        self, study: str, budget: str = "", overrides: Sequence[str] = (), top: str = "runs", data: Sequence[str] = (),
        max_batch_size: int | None = None,
    ) -> None:  # fmt: skip
        file = read_study(Path(study))
        self.plan = Plan(file, file.budget(budget, data), tuple(overrides), Path(top))
        self.max_batch_size = max_batch_size

    def sweep(self, arguments: list[str]) -> None:
        """Compose all jobs, run those that no study has done, pretrainings first, and compare.

        Args:
            arguments: Paths and the sweep's name, which the plan knows.

        Raises:
            ConfigError: A row is wrong; nothing has run.
            JobsFailed: At the end, if a job failed.
        """
        jobs = self.plan.jobs()
        take_over(jobs, self.plan.top)
        run_rows([(job, self.engine.job(job.overrides)) for job in jobs], self.engine)
        if any(job.state().name == "done" for job in jobs):
            compare_finished(jobs, self.plan.folder / "comparison")
        require_finished(self.engine)
