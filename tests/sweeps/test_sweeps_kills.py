"""A job that the system kills, and a sweep that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import OmegaConf
from tests_sweeps import assert_same, cases, end, finish, folders, left_over, start, temporary_files, tiny

from spinelab.errors import RunError
from spinelab.run import Run
from spinelab.run_state import run_state, write_state
from spinelab.sweeps.engine import Engine, Job
from spinelab.sweeps.processes import SWEEP

KILLER = '''
import os, signal
from pathlib import Path
from lightning import Callback

class Kill(Callback):
    """Kills its own process, as the system does when memory is short, a number of times."""

    def __init__(self, seed, times, notes):
        self.doomed, self.times, self.notes = seed == 1, times, Path(notes)

    def on_train_start(self, trainer, task):
        done = len(self.notes.read_text()) if self.notes.is_file() else 0
        if self.doomed and done < self.times:
            self.notes.write_text("x" * (done + 1))
            os.kill(os.getpid(), signal.SIGKILL)
'''


class Fragile(Launcher):
    """Behaves as joblib with two processes and one job that its system always kills: both processes go, it gives up."""

    def __init__(self, doomed: str) -> None:
        self.doomed, self.batches = doomed, []
        self.folders: dict[str, Path] = {}

    def setup(self, **_: object) -> None:
        """Nothing."""

    def launch(self, job_overrides, initial_job_idx):
        """Two at a time."""
        names = [overrides[-1] for overrides in job_overrides]
        self.batches.append(names)
        for at in range(0, len(names), 2):
            for name in names[at : at + 2]:
                write_state(self.folders[name], "interrupted", pid=str(len(self.batches)))
            if self.doomed in names[at : at + 2]:
                raise OSError("a worker was killed")
            for name in names[at : at + 2]:
                (self.folders[name] / "cases.parquet").touch()


def test_who_was_running_beside_a_killed_job_is_run_alone_and_who_was_waiting_is_not(tmp_path):
    launcher = Fragile(doomed="seed=3")
    engine = Engine(
        OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}, "launcher": {}, "sweeper": {}}, "threads": None,
                          "trainer": {}}),
        HydraContext(config_loader=None, callbacks=None), launcher,
    )  # fmt: skip
    jobs = [Job((name,), Run(tmp_path / name, name), name, 1, True) for name in (f"seed={seed}" for seed in range(7))]
    launcher.folders = {job.name: job.run.folder for job in jobs}
    engine.run(jobs)
    first = [job.name for job in jobs]
    assert launcher.batches == [first, first[4:], ["seed=2"], ["seed=3"]]
    assert [job.name for job, state in engine.unfinished()] == ["seed=3"]
    reason = run_state(tmp_path / "seed=3").reason
    assert "did so again when it was tried alone" in reason
    assert "a worker was killed" in reason


def test_nothing_can_be_started(tmp_path):
    launcher = Fragile(doomed="seed=0")
    launcher.launch = lambda *_, **__: 1 / 0
    settings = {"hydra": {"sweep": {"dir": str(tmp_path)}, "launcher": {}, "sweeper": {}}, "threads": None}
    context = HydraContext(config_loader=None, callbacks=None)
    engine = Engine(OmegaConf.create(settings | {"trainer": {}}), context, launcher)
    with pytest.raises(RunError, match="no job could be started: ZeroDivisionError"):
        engine.run([Job(("seed=0",), Run(tmp_path / "a", "a"), "a", 1, True)])


@pytest.mark.slow
@pytest.mark.parametrize(("times", "status"), [(99, 1), (1, 0)])
def test_a_killed_job_is_tried_once_more_and_takes_no_other_with_it(discs, tmp_path, monkeypatch, times, status):
    (tmp_path / "killer.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SPINELAB_TRUST", "killer.*")
    kill = f"{{_target_: killer.Kill, seed: ${{seed}}, times: {times}, notes: {tmp_path / 'notes'}}}"
    runs, log = tmp_path / "runs", tmp_path / "log.txt"
    cores = ["hydra/launcher=cores", "hydra.launcher.n_jobs=2", "logger=none"]
    arguments = ["-m", *tiny(discs, runs), *cores, f"+callbacks.kill={kill}", "seed=1,0,2"]
    assert finish(arguments, log) == status, log.read_text()
    assert len((tmp_path / "notes").read_text()) == (2 if status else 1)
    states = {name: run_state(folder) for name, folder in folders(runs).items()}
    assert states["unet-s0-f0"].name == states["unet-s2-f0"].name == "done"
    assert states["unet-s1-f0"].name == ("failed" if status else "done")
    if status:
        assert "ended without a word, and did so again when it was tried alone" in states["unet-s1-f0"].reason
        assert "memory" in log.read_text()


def test_a_killed_sweep_is_completed_by_the_same_command(discs, tmp_path, monkeypatch):
    monkeypatch.setenv(mark := f"SPINELAB_TEST_{os.getpid()}_{tmp_path.name}", "1")
    own = ["-m", "seed=0,1", "logger=none", "callbacks.checkpoint.minutes=0", "trainer.max_epochs=4"]
    whole, runs, log = tmp_path / "whole" / "runs", tmp_path / "killed" / "runs", tmp_path / "log.txt"
    assert finish(tiny(discs, whole, *own), tmp_path / "whole.txt") == 0
    for pattern in ("discs/unet-s0-*/checkpoints/last.ckpt", "discs/unet-s1-*/metrics.csv"):
        process = start(tiny(discs, runs, *own), log)
        wait_for(runs, pattern)
        end(process)
    assert finish(tiny(discs, runs, *own), log) == 0, log.read_text()
    assert "1 of 2 jobs were done before" in log.read_text()
    assert_same(cases(whole), cases(runs))
    assert not temporary_files(runs)
    assert not left_over(mark)


def test_a_process_of_a_sweep_ends_soon_after_it(monkeypatch):
    sweep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setenv(SWEEP, str(sweep.pid))
    code = "from spinelab.sweeps.processes import end_with_sweep as end; end(); import time; print(1, flush=True); "
    with subprocess.Popen([sys.executable, "-c", f"{code}time.sleep(120)"], stdout=subprocess.PIPE) as job:
        assert job.stdout.read(1) == b"1"
        assert job.poll() is None
        sweep.kill()
        sweep.wait()
        assert job.wait(20) == 1


def wait_for(runs: Path, pattern: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not any(runs.glob(pattern)):
        assert time.monotonic() < until, f"no {pattern}"
        time.sleep(0.02)
