"""What is said of jobs that are not done when a sweep ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from spinelab.errors import JobsFailed
from spinelab.run import Run
from spinelab.run_state import RunState
from spinelab.sweeps.engine import Job
from spinelab.sweeps.finish import require_finished


def ended(launcher: str, *states: RunState) -> SimpleNamespace:
    jobs = [Job((), Run(Path(f"runs/unet-s{n}"), str(n)), "unet", 4, True) for n in range(len(states))]
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": launcher}}})
    return SimpleNamespace(config=config, jobs=jobs, unfinished=lambda: list(zip(jobs, states, strict=True)))


def test_jobs_with_one_reason_are_told_together():
    reason = RunState("failed", "no such scan")
    with pytest.raises(JobsFailed) as told:
        require_finished(ended("BasicLauncher", reason, RunState("failed", "no memory"), reason))
    text = str(told.value)
    assert "3 of 3 jobs failed" in text
    assert text.count("no such scan") == 1
    assert "unet-s0 (runs/unet-s0/log.txt)\n  unet-s2 (runs/unet-s2/log.txt)\n    no such scan" in text


def test_what_waits_with_a_cluster_has_not_failed(capsys):
    require_finished(ended("SlurmLauncher", RunState("queued"), RunState("running")))
    assert "2 of 2 jobs are still with the cluster" in capsys.readouterr().out
    with pytest.raises(JobsFailed, match="1 of 2 jobs failed"):
        require_finished(ended("SlurmLauncher", RunState("queued"), RunState("failed", "no memory")))


def test_nothing_is_said_where_all_is_done(capsys):
    require_finished(ended("BasicLauncher"))
    assert capsys.readouterr().out == ""
