"""A study's jobs: every row on every data set, fold and seed; run by the engine, compared one data set at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from spinelab.config import compose_config, parse_overrides, settle
from spinelab.errors import ConfigError, RunError
from spinelab.groups import groups
from spinelab.run import Run
from spinelab.run_state import RunState, run_state
from spinelab.sweeps.finish import require_finished
from spinelab.sweeps.folds import count
from spinelab.sweeps.study_file import Budget, StudyFile, read_study
from spinelab.sweeps.sweeper import EngineSweeper


@dataclass(frozen=True)
class StudyJob:
    """One run of a study.

    Attributes:
        row: Display name of its row.
        data: Name of its data set in the study.
        overrides: What it is composed from.
        run: Its folder and hash.
    """

    row: str
    data: str
    overrides: tuple[str, ...]
    run: Run

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

        Args:
            check: Also look whether what the overrides name are arguments of what they configure, which may load
                torch. What a composed job is called does not depend on it.

        Raises:
            ConfigError: An override is wrong (the message names the file, the key and near matches), or two rows are
                the same run.
        """
        pairs = itertools.product(self.budget.data, self.budget.rows)
        jobs = [job for data, row in pairs for job in self._expand(row, data, check)]
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

    def _expand(self, row: str, data: str, check: bool) -> Iterator[StudyJob]:
        parts = self.parts(row, data)
        try:
            overrides = [*merged(*parts.values()), f'name="{row}"', f"paths.runs={self.folder}", f"sweep={self.sweep}"]
            if check:
                overrides = [text for text in settle(overrides) if not text.startswith("hydra.")]
            config = compose_config(overrides if check else _unchecked(overrides))
            folds = self.budget.folds if self.budget.folds is not None else all_folds(config)
        except ConfigError as error:
            where = f"{_culprit(error, parts)}: " if error.file is None else ""
            raise ConfigError(f"{where}{error.found}", error.remedy, error.file or self.study.file) from None
        folded = "fold" in config.protocol
        for fold, seed in itertools.product(folds if folded else (0,), self.budget.seeds):
            own = {"seed": seed} | ({"protocol.fold": fold} if folded else {})
            for key, value in own.items():
                OmegaConf.update(config, key, value)
            yield StudyJob(row, data, (*overrides, *(f"{key}={value}" for key, value in own.items())), Run.of(config))


def all_folds(config: DictConfig) -> tuple[int, ...]:
    """The folds of a protocol; one that names their number is believed, others are asked with the data set's persons.

    Raises:
        SpinelabError: The data set cannot be listed, or has too few persons.
    """
    if "fold" not in config.protocol:
        return (0,)
    return tuple(range(config.protocol.folds if "folds" in config.protocol else count(config)))


def merged(*parts: Sequence[str]) -> list[str]:
    """Overrides one after the other, where a later one takes the place of an earlier one of the same key.

    Raises:
        ConfigError: One is no override, or sweeps over several values.
    """
    found: dict[str, str] = {}
    for override in parse_overrides(itertools.chain(*parts)):
        text = str(override.input_line)
        if override.is_sweep_override():
            raise ConfigError(f"{text} sweeps over values", "give each a row, or use spinelab train -m")
        found.pop(override.key_or_group, None)
        found[override.key_or_group] = text
    return list(found.values())


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
        max_batch_size: Jobs that are given to the launcher at once; None gives it all of them.
    """

    def __init__(
        self, study: str, budget: str = "", overrides: Sequence[str] = (), top: str = "runs",
        max_batch_size: int | None = None,
    ) -> None:  # fmt: skip
        file = read_study(Path(study))
        self.plan = Plan(file, file.budget(budget), tuple(overrides), Path(top))
        self.max_batch_size = max_batch_size

    def sweep(self, arguments: list[str]) -> None:
        """Compose all jobs, run those that are not done, and compare.

        Args:
            arguments: Paths and the sweep's name, which the plan knows.

        Raises:
            ConfigError: A row is wrong; nothing has run.
            JobsFailed: At the end, if a job failed.
        """
        jobs = self.plan.jobs()
        self.engine.run([self.engine.job(job.overrides) for job in jobs])
        if self.engine.finished():
            compare_finished(jobs, self.plan.folder / "comparison")
        require_finished(self.engine)


def _unchecked(overrides: Iterable[str]) -> list[str]:
    """Overrides that are set whether or not the key is there, so that nobody loads a constructor to look."""
    known = groups()
    return [
        text if override.is_delete() or override.key_or_group.split("@")[0] in known else f"++{text.lstrip('+')}"
        for override in parse_overrides(overrides)
        for text in (str(override.input_line),)
    ]


def _culprit(error: ConfigError, parts: dict[str, Sequence[str]]) -> str:
    """Where the override is written that an error speaks of: the last place that names it."""
    for told in (str, lambda text: text.lstrip("+~").partition("=")[0]):  # the whole override, then its key alone
        for where, overrides in reversed(parts.items()):
            if any(told(text) in error.found for text in overrides):
                return where
    return ", ".join(parts)
