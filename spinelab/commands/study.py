"""run a whole table: rows x data sets x folds x seeds, what is missing of it

usage: spinelab study run|status|table NAME [budget=NAME] [data=NAME,...] [hydra/launcher=...] [key=value ...]

Examples:
  spinelab study run architectures                          its first budget: smoke, minutes
  spinelab study run architectures budget=cpu hydra/launcher=joblib
  spinelab study run architectures budget=cpu data=phantom  one of its data sets
  spinelab study status architectures budget=cpu            what is done, running, failed and missing
  spinelab study table architectures budget=cpu             compare what is done so far; trains nothing

NAME is a file experiments/NAME.yaml, yours or the project's, or a path. Runs go to runs/NAME/BUDGET (paths.runs= names
another folder than runs), the comparison of each data set to comparison/ there. run skips what is done, copies what
another study there has done, goes on with what was interrupted and tries again what failed; with other key=value it is
about other runs, so that status and table need the same ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spinelab.config import parse_overrides, settle
from spinelab.errors import ConfigError, near
from spinelab.run_state import RunState, StateName
from spinelab.sweeps.study import Plan, StudyJob, compare_finished, pretrainings
from spinelab.sweeps.study_file import find_study, read_study

ACTIONS = ("run", "status", "table")
SHOWN: tuple[StateName, ...] = ("done", "fitted", "running", "interrupted", "failed", "pruned", "queued")
"""States in the order of their columns."""


def main(arguments: Sequence[str]) -> int:
    """Run a study, or tell about it."""
    words = [argument for argument in arguments if "=" not in argument]
    if len(words) != 2:
        raise ConfigError("which study, and what to do with it?", f"give {'|'.join(ACTIONS)} and one name")
    action, name = words
    if action not in ACTIONS:
        raise ConfigError(f"a study cannot {action!r}", near(action, ACTIONS))
    plan, launch = planned(name, [argument for argument in arguments if "=" in argument])
    print(f"{plan.study.title}\n{plan.study.question}\nbudget {plan.budget.name}: {plan.budget.cost}", flush=True)
    if action == "run":
        return run(plan, launch)
    jobs = plan.jobs(check=False)
    if action == "status":
        print_status([*pretrainings(jobs), *jobs])
    else:
        compare_finished(jobs, plan.folder / "comparison")
    return 0


def planned(name: str, given: Sequence[str]) -> tuple[Plan, list[str]]:
    """The plan, and the overrides that are Hydra's own (launcher and sweeper).

    Raises:
        ConfigError: There is no such study, budget or data set, or the file is wrong.
    """
    study = read_study(find_study(name))
    budget, top = "", "runs"
    data: list[str] = []
    launch: list[str] = []
    extra: list[str] = []
    for override in parse_overrides(given):
        text = str(override.input_line)
        if override.key_or_group == "budget":
            budget = str(override.value())
        elif override.key_or_group == "paths.runs":
            top = str(override.value())
        elif override.key_or_group == "data":
            data = [part.strip("'\" ") for part in text.partition("=")[2].split(",")]
        else:
            (launch if override.key_or_group.startswith("hydra") else extra).append(text)
    return Plan(study, study.budget(budget, data), tuple(extra), Path(top)), launch


def run(plan: Plan, launch: Sequence[str] = ()) -> int:
    """Run what is missing, through the configured launcher; returns 0, or 1 if a job failed."""
    from spinelab.commands.train import sweep

    own = {"study": str(plan.study.file), "budget": plan.budget.name, "top": str(plan.top)}
    own_overrides = [f"hydra.sweeper.{key}={json.dumps(value)}" for key, value in own.items()]
    extra = [f"hydra.sweeper.overrides={json.dumps(list(plan.extra))}"] if plan.extra else []
    extra.append(f"hydra.sweeper.data={json.dumps(list(plan.budget.data))}")
    places = [f"paths.runs={plan.folder}", f"sweep={plan.sweep}"]
    return sweep(settle(["hydra/sweeper=study", *launch, *own_overrides, *extra, *places]))


def print_status(jobs: Sequence[StudyJob]) -> None:
    """Counts by row and data set, how many there are in all, and why jobs failed."""
    states = [(job, job.state()) for job in jobs]
    counts = Counter(state.name for _, state in states)
    columns = [name for name in SHOWN if counts[name]]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("row", "data"):
        table.add_column(head)
    for name in columns:
        table.add_column(_word(name), justify="right")
    for row, data in dict.fromkeys((job.row, job.data) for job in jobs):
        here = Counter(state.name for job, state in states if (job.row, job.data) == (row, data))
        table.add_row(row, data, *(str(here[name] or "") for name in columns))
    console = Console()
    console.print(table)
    told = ", ".join(f"{counts[name]} {_word(name)}" for name in columns)
    console.print(f"{len(jobs)} jobs: {told}", highlight=False)
    for job, state in states:
        if state.reason:
            console.print(_reason(job, state), highlight=False, markup=False)


def _word(state: str) -> str:
    return "missing" if state == "queued" else state


def _reason(job: StudyJob, state: RunState) -> str:
    return f"{job.run.folder}: {state.name}: {state.reason.splitlines()[0]}"
