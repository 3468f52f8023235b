"""Trainings that the rows of a study start from: ``pretrained`` in its file, ``init=NAME`` in a row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from spinelab.errors import ConfigError, near
from spinelab.run_state import write_state
from spinelab.sweeps.overrides import init_of
from spinelab.sweeps.study_file import Budget, StudyFile

if TYPE_CHECKING:
    from spinelab.sweeps.engine import Engine, Job
    from spinelab.sweeps.study import StudyJob

OF_ROWS = ("protocol", "init", "train_persons", "encoder_lr", "test")
"""What a pretraining does not take over from base, budget and command line."""
USUAL = ("test=false", "protocol=holdout")


@dataclass(frozen=True)
class Pretraining:
    """One entry of ``pretrained`` under a budget.

    Attributes:
        config: Of any of its runs.
        jobs: Seed -> run.
    """

    config: DictConfig
    jobs: dict[int, StudyJob]


def start_of(overrides: Iterable[str], known: Collection[str]) -> str | None:
    """The pretraining that a row starts from; None if it starts from random weights or from a folder.

    Args:
        overrides: Of the row, each key once.
        known: Names of the study's pretrainings.

    Raises:
        ConfigError: There are pretrainings, and `init` names neither one of them nor a folder.
    """
    name = init_of(overrides)
    if name in known:
        return name
    if name and known and not Path(name).is_dir():
        raise ConfigError(f"init={name}: no pretraining is called so, and no folder", near(name, tuple(known)))
    return None


def parts_of(study: StudyFile, budget: Budget, name: str, extra: Sequence[str]) -> dict[str, Sequence[str]]:
    """The overrides of a pretraining by where they are written, later ones before earlier ones.

    It shares base, budget and command line with the rows, but for their split and their start, and has its own last
    word on its budget.
    """
    at = f"budgets.{budget.name}"
    own = {"base": _shared(study.base), "what pretrainings usually are": USUAL}
    own |= {f"pretrained.{name}": study.pretrained[name], f"{at}.overrides": _shared(budget.overrides)}
    own |= {f"{at}.pretrained.{name}": budget.pretrained.get(name, ()), "the command line": _shared(extra)}
    return {where: overrides for where, overrides in own.items() if overrides}


def _shared(overrides: Iterable[str]) -> tuple[str, ...]:
    keys = {text: text.lstrip("+~").partition("=")[0] for text in overrides}
    return tuple(text for text, key in keys.items() if key.split(".")[0] not in OF_ROWS)


def require_other_persons(config: DictConfig, data: str, source: DictConfig, name: str) -> None:
    """Refuse a pretraining on the persons whom rows are tested on.

    Data sets have the same persons if they lie in the same folder, or are phantoms of the same seed, of whatever
    number and contrast. Of copies elsewhere nothing is known.

    Args:
        config: Of a row.
        data: Name of its data set in the study.
        source: Of the pretraining.
        name: Of the pretraining.

    Raises:
        ConfigError: They have the same persons.
    """
    if common := _persons_of(config) & _persons_of(source):
        raise ConfigError(
            f"pretrained.{name} trains on persons whom data.{data} tests: both have {' and '.join(sorted(common))}",
            "pretrain on another data set or, of phantoms, on those of another data.generate.seed",
        )


def _persons_of(config: DictConfig) -> set[str]:
    """Where a data set's persons come from."""
    data = config.data
    root, generate = data.get("root"), data.get("generate")
    found = {f"data.root={Path(root).expanduser().resolve()}" if root else OmegaConf.to_yaml(data.source, resolve=True)}
    return found | ({f"phantoms of data.generate.seed={generate.get('seed', 0)}"} if generate else set())


def run_rows(rows: Sequence[tuple[StudyJob, Job]], engine: Engine) -> None:
    """Run the pretrainings that unfinished rows need, then the rows.

    A row whose pretraining failed fails with its reason. One whose pretraining is still being trained by somebody else,
    or by a cluster, is left alone.

    Args:
        rows: What each is in the study, and as a job.
        engine: Runs them.
    """
    needed = dict.fromkeys(row.init for row, job in rows if row.init and job.state().name != "done")
    if needed:
        engine.run([engine.job(first.overrides) for first in needed if first])
    ready = []
    for row, job in rows:
        reason = _hindrance(row)
        if not reason or job.state().name == "done":
            ready.append(job)
        elif row.init and row.init.state().name in ("failed", "pruned"):
            write_state(job.run.folder, "failed", reason=reason)
            engine.jobs[job.run.id] = job  # so that it is told at the end
        else:
            print(f"{row.row} on {row.data} waits: {reason}; call again when that has ended")
    if ready:
        engine.run(ready)


def _hindrance(row: StudyJob) -> str:
    """Why a row cannot be trained; "" if it can."""
    if row.init is None:
        return ""
    state, folder = row.init.state(), row.init.run.folder
    if state.name in ("done", "fitted"):
        return ""
    return f"its pretraining {row.init.row} ({folder}) {state.name}: {state.reason or 'it has not ended'}"
