"""send offline Weights & Biases runs to the server, with their groups, tables and artifacts

usage: spinelab sync [FOLDER ...] [entity=NAME] [project=NAME] [jobs=4] [minutes=60]

Examples:
  spinelab sync                                 everything below the folder runs
  spinelab sync runs/architectures entity=my-team

Sends what `logger=wandb` recorded offline, through `wandb sync`; log in first with `wandb login`, or set WANDB_API_KEY,
and WANDB_BASE_URL for a server of your own. What is sent is not sent again, so that the same command goes on after an
interruption; a run that was interrupted and resumed becomes one run. Runs that are being trained are left for later.
A run that takes longer than minutes= is given up: wandb itself waits for days on a server that does not answer. Ends
with a table, and with exit status 1 if something could not be sent. wandb keeps tables (artifacts) outside of the run,
in ~/.local/share/wandb or $WANDB_DATA_DIR, and says nothing where they are missing, on another machine for one:
the server is asked afterwards for each run's table of cases, and one that did not arrive is sent from cases.parquet.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from spinelab.commands._arguments import options
from spinelab.errors import ConfigError, RunError
from spinelab.run_state import run_state

CASES = "cases.parquet"
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class OfflineRun:
    """One W&B run as it lies in a run folder.

    Attributes:
        folder: The run folder.
        id: Identifier in W&B.
        records: Its ``run-ID.wandb`` files, one for each time that the run was started, the earliest first.
    """

    folder: Path
    id: str
    records: tuple[Path, ...]

    @property
    def unsent(self) -> tuple[Path, ...]:
        """The records that wandb has not marked as sent."""
        return tuple(record for record in self.records if not record.with_suffix(".wandb.synced").is_file())

    @property
    def owes_table(self) -> bool:
        """Whether it has a table of cases of which is not known yet that it arrived."""
        return (self.folder / CASES).is_file() and not receipt(self.folder, self.id).is_file()


def receipt(folder: Path, id: str) -> Path:
    """The file that says that a run's table of cases is on the server."""
    return folder / "wandb" / f"run-{id}.cases.sent"


@dataclass(frozen=True)
class Outcome:
    """What became of a run: "sent", "sent before", "running" or "failed", and why it failed."""

    run: OfflineRun
    name: str
    reason: str = ""


def main(arguments: Sequence[str]) -> int:
    """Send what is not sent yet."""
    paths = [argument for argument in arguments if "=" not in argument] or ["runs"]
    given = options([a for a in arguments if "=" in a], ("entity", "project", "jobs", "minutes"))
    jobs, minutes = (_number(key, given.pop(key, usual)) for key, usual in (("jobs", "4"), ("minutes", "60")))
    runs = offline_runs(paths)
    if not runs:
        print(f"nothing was recorded offline in {', '.join(paths)}")
        return 0
    outcomes = send(runs, given, jobs, minutes)
    print_outcomes(outcomes)
    return int(any(outcome.name == "failed" for outcome in outcomes))


def _number(key: str, value: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise ConfigError(f"{key}={value} is no whole number from 1", f"give one, such as {key}=4")
    return int(value)


def offline_runs(paths: Iterable[str | Path]) -> list[OfflineRun]:
    """The W&B runs that were recorded offline at or below folders.

    Raises:
        RunError: A folder does not exist.
    """
    found: dict[tuple[Path, str], set[Path]] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise RunError("there is no such folder", "give a folder that holds runs, such as runs", path)
        for name, folders, files in os.walk(path.resolve()):
            if Path(name).name.startswith("offline-run-"):
                folders.clear()
                for file in files:
                    if file.startswith("run-") and file.endswith(".wandb"):
                        record = Path(name) / file
                        found.setdefault((record.parents[2], file[4:-6]), set()).add(record)
    # the folders are named by their time
    return [OfflineRun(folder, id, tuple(sorted(found[folder, id]))) for folder, id in sorted(found)]


def send(runs: Sequence[OfflineRun], place: Mapping[str, str], jobs: int = 4, minutes: int = 60) -> list[Outcome]:
    """Send runs, several at a time.

    Args:
        runs: What to send.
        place: Where to, if not where the runs say: ``entity``, ``project``.
        jobs: How many at the same time.
        minutes: After which the sending of a run is given up.
    """
    with ThreadPoolExecutor(jobs) as pool:
        sent = pool.map(lambda run: send_run(run, place, minutes), runs)
        try:
            return list(track(sent, "sending", total=len(runs), transient=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def send_run(run: OfflineRun, place: Mapping[str, str], minutes: int = 60) -> Outcome:
    """Send one W&B run, and see to it that its table of cases arrives."""
    if run_state(run.folder).name == "running":
        return Outcome(run, "running")
    if not run.unsent and not run.owes_table:
        return Outcome(run, "sent before")
    problem = _send_records(run, place, minutes) if run.unsent else ""
    if not problem and run.owes_table:
        words = [str(run.folder), run.id, *(f"{key}={value}" for key, value in place.items())]
        problem = _problem(["spinelab.commands._sync_table", *words], minutes, lambda: not run.owes_table)
    return Outcome(run, "failed", problem) if problem else Outcome(run, "sent")


def _send_records(run: OfflineRun, place: Mapping[str, str], minutes: int) -> str:
    """Send what is recorded, and return what went wrong; what counts as sent is what wandb itself marks as sent.

    The records of a resumed run go together: wandb then sends them one after the other, as parts of one run. It adds to
    what the server has, so that a record that was sent must not go with them.
    """
    words = [*(f"--{key}={value}" for key, value in place.items()), *(str(record.parent) for record in run.unsent)]
    return _problem(["wandb", "sync", *words], minutes, lambda: not run.unsent)


def _problem(module: Sequence[str], minutes: int, done: Callable[[], bool]) -> str:
    """Run a Python module with its words, and return why it did not do what it should."""
    command = [sys.executable, "-m", *module]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60 * minutes
        )
    except subprocess.TimeoutExpired:
        return f"not sent after {minutes} minutes; is the server there?"
    return "" if done() and not ended.returncode else _reason(ended.stderr + ended.stdout)


def _reason(said: str) -> str:
    """The last thing that wandb said, without its colours and prefix; errors before anything else."""
    lines = [COLOURS.sub("", line).removeprefix("wandb: ").strip() for line in said.splitlines()]
    told = [line for line in lines if line]
    errors = [
        line for line in told if re.search(r"error|fail|denied|not authenticated|not logged", line, re.IGNORECASE)
    ]
    return (errors or told or ["wandb sync said nothing"])[-1].removeprefix("ERROR ")


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """A table of what became of each run, and of how many."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("W&B run", "run folder", "parts", ""):
        table.add_column(head, overflow="fold")
    for outcome in outcomes:
        words = f"{outcome.name}: {outcome.reason}" if outcome.reason else outcome.name
        table.add_row(outcome.run.id, outcome.run.folder.name, str(len(outcome.run.records)), words)
    console = Console()
    console.print(table, markup=False)
    counts = Counter(outcome.name for outcome in outcomes)
    console.print(f"{len(outcomes)} runs: {', '.join(f'{n} {name}' for name, n in counts.items())}", highlight=False)
