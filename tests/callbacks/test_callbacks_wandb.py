"""W&B looks on: one run a job, the right exit state, and no power to stop a training."""

from __future__ import annotations

import os
import signal
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import wandb

from spinelab.callbacks import wandb_run
from spinelab.callbacks.wandb_run import WandbRun


def offline_run(folder, name: str, **options) -> WandbRun:
    return WandbRun(id=name, name=name, folder=str(folder), config={"seed": 0}, **options)


def test_three_jobs_in_one_process_are_three_runs(tmp_path):
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        run = offline_run(tmp_path / str(number), f"job{number}")
        run.log_metrics({"val/dice": 0.5}, step=number)
        run.close()
        assert wandb.run is None
    files = sorted(path.name for path in tmp_path.rglob("*.wandb"))
    assert files == ["run-job0.wandb", "run-job1.wandb", "run-job2.wandb"]


def test_panels_and_cases_are_stored(tmp_path):
    run = offline_run(tmp_path, "job")
    image, mask = np.random.default_rng(0).normal(size=(8, 9)), np.zeros((8, 9), int)
    run.log_panels("test/panels", [(image, mask, np.ones_like(mask))], ["cord"])
    run.log_cases(pd.DataFrame({"case": ["a"], "value": [None]}), {"test/dice/cord": 0.5})
    run.close()
    names = [path.name for path in tmp_path.rglob("*")]
    assert any(name.startswith("cases") and name.endswith(".table.json") for name in names)
    assert sum(name.endswith(".mask.png") for name in names) == 2


def test_the_exit_state_is_told(tmp_path, monkeypatch):
    codes = []
    for failed in (False, True):
        run = offline_run(tmp_path, f"job{failed}")
        run.open()
        monkeypatch.setattr(run._run, "finish", lambda exit_code: codes.append(exit_code))
        run.close(failed)
    assert codes == [0, 1]


def test_a_killed_service_ends_in_one_warning(tmp_path):
    run = offline_run(tmp_path, "job")
    run.log_metrics({"a": 1.0}, step=0)
    service = [p for p in psutil.Process().children(recursive=True) if "wandb" in " ".join(p.cmdline())]
    assert service, "the W&B service was expected to be a child process"
    for process in service:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(1, 50):
            run.log_metrics({"a": 1.0}, step=step)
        run.close()
    assert len([w for w in caught if "Weights & Biases stopped" in str(w.message)]) <= 1
    (tmp_path / "next").mkdir()
    following = offline_run(tmp_path / "next", "next")
    following.log_metrics({"a": 1.0}, step=0)
    following.close()
    assert list(tmp_path.rglob("run-next.wandb")), "the next job of the process has its W&B run again"


def test_disabled_writes_nothing(tmp_path):
    run = offline_run(tmp_path, "job", mode="disabled")
    run.open()
    run.log_metrics({"a": 1.0}, step=0)
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_a_warning(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError("no space left")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.warns(UserWarning, match="no space left"):
        offline_run(tmp_path, "job").open()


def test_without_a_network_the_run_is_recorded_offline(tmp_path, monkeypatch):
    """Nobody listens on port 9 of this machine."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb_run, "CONNECT_SECONDS", 2)
    run = offline_run(tmp_path, "job", mode="online")
    with pytest.warns(UserWarning, match=r"cannot be reached .*recording offline.*spinelab sync"):
        run.log_metrics({"a": 1.0}, step=0)
    run.close()
    (recorded,) = tmp_path.rglob("offline-run-*/run-job.wandb")
    assert recorded.stat().st_size > 0


def test_under_an_agent_of_wandb_the_run_is_the_agent_s(tmp_path, monkeypatch):
    started = {}
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    monkeypatch.setattr(
        wandb, "init", lambda **options: started.update(options) or SimpleNamespace(define_metric=lambda *_, **__: None)
    )
    WandbRun(id="own", name="unet", folder=str(tmp_path), config={}, group="mine").open()
    assert started["mode"] == "online"
    assert (started["id"], started["group"], started["resume"]) == (None, None, None)
