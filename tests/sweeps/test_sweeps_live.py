"""What is told while a sweep runs."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from spinelab.run import Run
from spinelab.run_state import write_state
from spinelab.sweeps.engine import Job
from spinelab.sweeps.live import Watch, clock


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    return [Job((), Run(tmp_path / f"unet-s{n}-f0-{n:08x}", f"{n:08x}"), "unet", 4, True) for n in range(4)]


def finished(job: Job, seconds: float = 60.0) -> None:
    write_state(job.run.folder, "done")
    (job.run.folder / "environment.json").write_text(f'{{"val_dice": 0.75, "seconds": {seconds}}}')
    (job.run.folder / "cases.parquet").touch()


def watching(jobs: list[Job], launched: Counter[str], terminal: bool) -> tuple[Watch, io.StringIO]:
    watch, screen = Watch("mine", launched), io.StringIO()
    watch._console = Console(file=screen, force_terminal=terminal, width=100)
    watch.follow(jobs)
    return watch, screen


def text(watch: Watch) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(watch.table())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_state_is_counted_and_shown(jobs):
    done, failed, running, _ = jobs
    launched = Counter({job.run.id: 1 for job in (failed, running)})
    finished(done)
    write_state(failed.run.folder, "failed", reason="no such scan\n  what to do: look")
    write_state(running.run.folder, "running")
    (running.run.folder / "metrics.csv").write_text("epoch\n0\n1\n")
    watch, _ = watching(jobs, launched, terminal=False)
    with watch:
        pass
    assert watch.summary().startswith("sweep mine: 1 queued, 1 running, 1 done, 1 failed")
    shown = text(watch)
    assert "2/4" in shown
    assert "0.750" in shown
    assert "1 min 0 s" in shown
    assert jobs[3].run.folder.name not in shown  # nothing is to be told of it yet


def test_without_a_terminal_each_end_is_one_line_and_told_once(jobs):
    launched = Counter({job.run.id: 1 for job in jobs})
    watch, screen = watching(jobs, launched, terminal=False)
    with watch:
        write_state(jobs[0].run.folder, "failed", reason="no such scan\n  what to do: look")
        finished(jobs[1])
    with watch:
        finished(jobs[2])
    lines = screen.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["1/4", "2/4", "3/4"]
    assert lines[0].endswith("unet-s0-f0-00000000: no such scan")
    assert lines[1].endswith("val Dice 0.750, 1 min 0 s")


def test_what_was_done_before_is_counted_and_not_told_one_by_one(jobs):
    finished(jobs[0])
    watch, screen = watching(jobs, Counter(), terminal=False)
    with watch:
        pass
    assert screen.getvalue().splitlines() == ["sweep mine: 1 of 4 jobs were done before"]


def test_a_failure_of_an_earlier_sweep_is_queued_again(jobs):
    write_state(jobs[0].run.folder, "failed", reason="long ago")
    watch, screen = watching(jobs, Counter(), terminal=False)
    with watch:
        pass
    assert screen.getvalue() == ""
    assert watch.summary() == "sweep mine: 4 queued"


def test_the_time_left_follows_from_jobs_and_epochs_done(jobs):
    launched = Counter({job.run.id: 1 for job in jobs})
    watch, _ = watching(jobs, launched, terminal=False)
    assert watch.seconds_left() is None
    finished(jobs[0])
    write_state(jobs[1].run.folder, "running")
    (jobs[1].run.folder / "metrics.csv").write_text("epoch\n0\n1\n")  # half of it
    with watch:
        pass
    watch._started -= 150 - watch.seconds_since()
    assert watch.seconds_left() == pytest.approx(250, abs=1)


def test_a_terminal_sees_the_table(jobs):
    finished(jobs[0])
    watch, screen = watching(jobs, Counter(), terminal=True)
    with watch:
        pass
    assert "1 done" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_time_is_said_as_people_say_it(seconds, said):
    assert clock(seconds) == said


def test_a_run_that_is_only_fitted_is_not_done_where_its_test_is_wanted(tmp_path):
    run = Run(tmp_path / "unet", "1")
    write_state(Path(run.folder), "fitted")
    assert Job((), run, "unet", 4, test=True).state().name == "interrupted"
    assert Job((), run, "unet", 4, test=False).state().name == "fitted"
