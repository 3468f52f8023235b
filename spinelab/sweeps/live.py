"""What a sweep is doing, while it does it: a table that follows in a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from spinelab.run_state import ENDED, RunState, StateName

if TYPE_CHECKING:
    from spinelab.sweeps.engine import Job

SECONDS = 1.0
"""Between two looks at the run folders."""
SHOWN = 12
"""Jobs that ended whose lines stay in the table; the comparison at the end has all."""


class Watch:
    """Follows jobs in a thread of its own, from entering to leaving, as often as it is entered.

    Args:
        title: The sweep's name.
        launched: How often each job was launched by this sweep, by its run's id; may change meanwhile.
    """

    def __init__(self, title: str, launched: Mapping[str, int]) -> None:
        self.title, self.launched = title, launched
        self.jobs: list[Job] = []
        self.states: dict[str, RunState] = {}
        self._before: set[str] = set()
        self._begun: dict[str, float] = {}
        self._started = time.monotonic()
        self._stop = threading.Event()
        # bound now: a job of this very process sends sys.stdout to its own file
        self._console = Console(file=sys.stdout)

    def follow(self, jobs: Iterable[Job]) -> None:
        """Say which jobs there are; those that are done already are not told of one by one."""
        self.jobs = list(jobs)
        new = [job for job in self.jobs if job.run.id not in self.states]
        done = {job.run.id for job in new if job.state().name in ("done", "fitted")}
        self._before |= done
        if done and not self._console.is_terminal:
            self._console.print(f"sweep {self.title}: {len(done)} of {len(new)} jobs were done before", highlight=False)

    def __enter__(self) -> Watch:
        self._stop.clear()
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        if self._console.is_terminal:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        if self._console.is_terminal:
            self._live.stop()

    def _follow(self) -> None:
        while not self._stop.wait(SECONDS):
            self._look()

    def _look(self) -> None:
        """Read the states of all jobs that had not ended yet, and show what is new."""
        for job in self.jobs:
            known = self.states.get(job.run.id)
            if known is None or known.name not in ENDED:
                self._update(job, known)
        if self._console.is_terminal:
            self._live.update(self.table(), refresh=True)

    def _update(self, job: Job, known: RunState | None) -> None:
        state, key = job.state(), job.run.id
        if not self.launched.get(key) and state.name not in ("done", "fitted"):
            state = RunState("queued")  # what it was when an earlier sweep ended
        if state.name == "running":
            self._begun.setdefault(key, time.monotonic())
        self.states[key] = state
        news = known is None or known.name != state.name
        if news and state.name in ENDED and key not in self._before and not self._console.is_terminal:
            self._console.print(self._line(job, state), highlight=False, soft_wrap=True)

    def _line(self, job: Job, state: RunState) -> str:
        ended = sum(one.name in ENDED for one in self.states.values())
        return f"{ended}/{len(self.jobs)} {state.name:<7} {job.run.folder.name}{_result(state)}"

    def table(self) -> Group:
        """Counts and the time left above, jobs that run, failed or ended last below."""
        rows = Table(box=None, pad_edge=False)
        for column in ("job", "state", "epoch", "val Dice", "time"):
            rows.add_column(column, justify="left" if column in ("job", "state") else "right")
        for job in self._shown():
            state = self.states[job.run.id]
            epoch = f"{state.epoch}/{job.epochs}" if job.epochs else str(state.epoch)
            dice = "" if state.val_dice is None else f"{state.val_dice:.3f}"
            rows.add_row(job.run.folder.name, _coloured(state.name), epoch, dice, self._time(job, state))
        return Group(Text(self.summary()), rows)

    def summary(self) -> str:
        """One line: how many jobs are in which state, and how long the rest will take."""
        counts = Counter(state.name for state in self.states.values())
        order: tuple[StateName, ...] = ("queued", "running", "interrupted", "done", "fitted", "pruned", "failed")
        told = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
        left = self.seconds_left()
        return f"sweep {self.title}: {told}" + (f"; about {clock(left)} left" if left else "")

    def seconds_left(self) -> float | None:
        """From the jobs that ended in this sweep, and the epochs of those that run; None before there is anything."""
        work = sum(self._part(job) for job in self.jobs if job.run.id not in self._before)
        todo = len(self.jobs) - len(self._before) - work
        return self.seconds_since() / work * todo if work > 0 and todo > 0 else None

    def seconds_since(self) -> float:
        """Since the sweep began."""
        return time.monotonic() - self._started

    def _part(self, job: Job) -> float:
        state = self.states.get(job.run.id, RunState("queued"))
        if state.name in ENDED:
            return 1.0
        return min(state.epoch / job.epochs, 0.95) if state.name == "running" and job.epochs else 0.0

    def _shown(self) -> list[Job]:
        running = [job for job in self.jobs if self._is(job, "running", "interrupted")]
        failed = [job for job in self.jobs if self._is(job, "failed")]
        ended = [job for job in self.jobs if self._is(job, "done", "fitted", "pruned")]
        return [*ended[-SHOWN:], *failed[-SHOWN:], *running]

    def _is(self, job: Job, *names: StateName) -> bool:
        state = self.states.get(job.run.id)
        return state is not None and state.name in names

    def _time(self, job: Job, state: RunState) -> str:
        if state.seconds is not None:
            return clock(state.seconds)
        begun = self._begun.get(job.run.id)
        return clock(time.monotonic() - begun) if begun is not None and state.name == "running" else ""


def clock(seconds: float) -> str:
    """Seconds as people say them: ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _coloured(name: str) -> Text:
    return Text(name, style={"failed": "red", "running": "cyan", "done": "green", "fitted": "green"}.get(name, ""))


def _result(state: RunState) -> str:
    if state.name == "failed":
        return f": {state.reason.splitlines()[0] if state.reason else 'no reason is known'}"
    dice = "" if state.val_dice is None else f": val Dice {state.val_dice:.3f}"
    return dice + ("" if state.seconds is None else f", {clock(state.seconds)}")
