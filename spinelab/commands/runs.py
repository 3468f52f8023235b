"""list, filter and clear away run folders

usage: spinelab runs [FOLDER ...] [state=...] [model=...] [data=...] [seed=...] [fold=...] [sort=KEY]
                     [json=true] [delete=true]

Examples:
  spinelab runs                                       all below the folder runs
  spinelab runs runs/architectures state=failed,interrupted
  spinelab runs model=unet*,fcn data=phantom sort=val_dice
  spinelab runs state=failed delete=true              remove them; says what went

A filter takes several values with commas; `model` is the display name or the choice of model=, with * and ?. States are
queued, running, interrupted, failed, pruned, fitted (trained, not tested) and done. sort= is one of state, name, data,
fold, seed, epoch, val_dice, test_dice, seconds, bytes; scores, times and sizes start with the largest.
delete=true removes the listed runs, only where at least one filter is given, never a run at which a process is at work,
and it does not ask. json=true prints the list for other programs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from spinelab.commands._arguments import flag, options
from spinelab.errors import ConfigError, RunError, near
from spinelab.reporting.listing import ListedRun, list_runs
from spinelab.run_state import StateName
from spinelab.sweeps.live import clock

FILTERS: dict[str, Callable[[ListedRun, str], bool]] = {
    "state": lambda run, value: run.state.name == value,
    "model": lambda run, value: fnmatchcase(run.name, value) or fnmatchcase(run.model, value),
    "data": lambda run, value: fnmatchcase(run.data, value),
    "seed": lambda run, value: str(run.seed) == value,
    "fold": lambda run, value: str(run.fold) == value,
}
LARGEST_FIRST = ("val_dice", "test_dice", "seconds", "bytes", "epoch")
WIDE = 160
"""Columns of the table in a file or a pipe, where nobody knows how wide the screen is."""
SORTED = ("state", "name", "data", "fold", "seed", *LARGEST_FIRST)


def main(arguments: Sequence[str]) -> int:
    """List the runs, and delete them if asked to."""
    paths = [argument for argument in arguments if "=" not in argument]
    given = options([a for a in arguments if "=" in a], (*FILTERS, "sort", "json", "delete"))
    asked = {key: value.split(",") for key, value in given.items() if key in FILTERS}
    _check(asked, given.get("sort"))
    deletes = flag(given.get("delete", "false"))
    if deletes and not asked:
        raise ConfigError("delete=true without a filter would delete every run", "say which: state=failed, model=...")
    runs = ordered(filtered(list_runs(paths or ["runs"]), asked), given.get("sort"))
    if flag(given.get("json", "false")):
        print(json.dumps([facts(run) for run in runs], indent=1))
    elif runs:
        print_runs(runs)
    else:
        print("no run is there" + (" that fits the filters" if asked else ""))
    if deletes:
        delete(runs)
    return 0


def _check(asked: Mapping[str, Sequence[str]], sort: str | None) -> None:
    states = get_args(StateName)
    if wrong := [state for state in asked.get("state", ()) if state not in states]:
        raise ConfigError(f"state={wrong[0]}: there is no such state", near(wrong[0], states))
    if sort is not None and sort not in SORTED:
        raise ConfigError(f"sort={sort}: there is no such column", near(sort, SORTED))


def filtered(runs: Sequence[ListedRun], asked: Mapping[str, Sequence[str]]) -> list[ListedRun]:
    """The runs that fit one of the values of every filter."""
    return [run for run in runs if all(any(FILTERS[key](run, v) for v in values) for key, values in asked.items())]


def ordered(runs: Sequence[ListedRun], sort: str | None = None) -> list[ListedRun]:
    """The runs by a column, those without a value last; by data set, name, fold and seed if no column is named."""
    usual = sorted(runs, key=lambda run: (run.data, run.name, run.fold, run.seed))
    if sort is None:
        return usual
    values = {run.folder: facts(run)[sort] for run in runs}
    known = [run for run in usual if values[run.folder] is not None]
    known.sort(key=lambda run: values[run.folder], reverse=sort in LARGEST_FIRST)
    return known + [run for run in usual if values[run.folder] is None]


def facts(run: ListedRun) -> dict[str, Any]:
    """A run as plain values; the parts of its state stand beside the rest, `state` being its name."""
    told = {"state": run.state.name, **{k: v for k, v in asdict(run.state).items() if k != "name"}}
    values = {key: value for key, value in asdict(run).items() if key != "state"} | told | {"folder": str(run.folder)}
    return {key: None if value != value else value for key, value in values.items()}  # JSON has no NaN


def print_runs(runs: Sequence[ListedRun]) -> None:
    """A terminal table, and below it why runs failed."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("state", "name", "data"):
        table.add_column(head, overflow="fold")
    for head in ("fold", "seed", "epochs", "val Dice", "test Dice", "time", "size"):
        table.add_column(head, justify="right")
    for run in runs:
        table.add_row(*_cells(run))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    console.print(table)
    states = [run.state.name for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in get_args(StateName) if state in states)
    console.print(f"{len(runs)} runs ({counts}), {disk(sum(run.bytes for run in runs))}", highlight=False)
    for run in runs:
        if run.state.reason:
            reason = run.state.reason.splitlines()[0]
            console.print(f"{run.folder.name}: {run.state.name}: {reason}", highlight=False, markup=False)


def _cells(run: ListedRun) -> tuple[str, ...]:
    state = run.state
    epochs = str(state.epoch) if run.max_epochs is None else f"{state.epoch}/{run.max_epochs}"
    scores = ("" if value is None or value != value else f"{value:.3f}" for value in (state.val_dice, run.test_dice))
    taken = "" if state.seconds is None else clock(state.seconds)
    return state.name, run.name, run.data, str(run.fold), str(run.seed), epochs, *scores, taken, disk(run.bytes)


def disk(count: float) -> str:
    """Bytes as a person would say them: ``48 kB``, ``12.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def delete(runs: Sequence[ListedRun]) -> int:
    """Remove run folders but those at which a process is at work; says what it did, and returns the bytes that went."""
    from spinelab.run import Run

    gone: list[ListedRun] = []
    for run in runs:
        if run.state.name == "running":
            print(f"kept, it is running: {run.folder}")
            continue
        try:
            with Run(run.folder, "").alone():  # a process may have started on it since it was listed
                shutil.rmtree(run.folder)
        except (RunError, OSError) as error:
            print(f"kept: {run.folder}: {error}")
            continue
        print(f"deleted {run.folder}")
        gone.append(run)
    total = sum(run.bytes for run in gone)
    print(f"{len(gone)} runs deleted, {disk(total)}")
    return total
