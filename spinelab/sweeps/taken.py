"""Runs that another study has done: a U-Net that stands in three tables is trained once."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from omegaconf import OmegaConf
from yaml import YAMLError

from spinelab.config import resolved
from spinelab.errors import RunBusy, RunError
from spinelab.files import copy_atomically, write_atomically
from spinelab.run import Run
from spinelab.run_state import run_state, write_state
from spinelab.tasks.seal import intact

if TYPE_CHECKING:
    from spinelab.sweeps.study import StudyJob

OWN = (
    ".lock",
    "config.yaml",
    "status.json",
    "environment.json",
    "cases.parquet",
    "wandb",
    "evaluations",
    "checkpoints",
)
"""What is not copied as it is: written anew, of the other run's view in W&B, or made from it later."""


def take_over(jobs: Iterable[StudyJob], top: Path) -> None:
    """Copy what other studies have done of these jobs, and print which runs those are.

    A run is the same if its hash, its data set's folder and its scoring are. The copy has the job's own name; its
    ``environment.json`` tells where it came from. It is no run of its own in W&B.

    Args:
        jobs: Of one study.
        top: Folder of all studies' runs.
    """
    taken = Counter[tuple[str, str, Path]]()
    for job in jobs:
        if job.state().name in ("done", "fitted", "running"):
            continue
        for source in _elsewhere(job, top):
            try:
                if _same(source, job) and _copied(source, job):
                    taken[job.row, job.data, source.folder.parents[1]] += 1
                    break
            except (OSError, ValueError, YAMLError, RunError) as error:
                print(f"{source.folder} is not copied, as a file of it is damaged: {str(error).splitlines()[0]}")
    for (row, data, study), count in taken.items():
        print(f"{row} on {data}: {count} run{'s' * (count > 1)} copied from {study}, not trained again")


def _elsewhere(job: StudyJob, top: Path) -> list[Run]:
    """Finished runs of the job's hash in all studies' folders."""
    data = glob.escape(job.config["data"]["name"])
    folders = sorted(top.glob(f"*/*/{data}/*-{job.run.id}"))
    return [Run.open(folder) for folder in folders if run_state(folder).name == "done"]


def _same(run: Run, job: StudyJob) -> bool:
    """Whether what the hash leaves out, and scores depend on, is the same."""
    theirs = resolved(run.config())
    return all(theirs.get(key) == job.config.get(key) for key in ("data", "scoring"))


def _copied(source: Run, job: StudyJob) -> bool:
    """Copy a run, its table of cases last, since that is what makes it done; False if another process works there."""
    target = job.run
    files = [path for path in source.folder.rglob("*") if path.relative_to(source.folder).parts[0] not in OWN]
    if not job.config.get("classical"):  # a technique without a network has no weights
        files.append(source.weights())
        if not intact(files[-1]):
            raise RunError("its checkpoint is not what was written", "train it again", files[-1])
    try:
        with target.alone():
            for path in filter(Path.is_file, files):
                copy_atomically(path, target.folder / path.relative_to(source.folder))
            target.start(OmegaConf.create(dict(job.config)))
            environment = json.loads((source.folder / "environment.json").read_text(encoding="utf-8"))
            told = json.dumps(environment | {"taken_from": str(source.folder)}, indent=2)
            write_atomically(target.folder / "environment.json", told)
            target.write_cases(pd.read_parquet(source.cases).assign(model=job.config["name"]))
            write_state(target.folder, "done")
    except RunBusy:
        return False
    return True
