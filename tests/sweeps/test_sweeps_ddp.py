"""Jobs that train with two processes each (gloo), inside a multirun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tests_sweeps import assert_same, cases, finish, folders, left_over, tiny

from spinelab.errors import RunError
from spinelab.run_state import run_state
from spinelab.sweeps.processes import train_apart, trains_with_several

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "logger=none"]


@pytest.mark.parametrize(
    ("trainer", "several"),
    [
        ({}, False),
        ({"devices": 1, "strategy": "auto"}, False),
        ({"devices": 2}, True),
        ({"devices": "auto", "strategy": "ddp"}, True),
        ({"devices": 1, "strategy": "ddp"}, True),
    ],
)
def test_who_needs_a_command_of_its_own(trainer, several):
    assert trains_with_several(OmegaConf.create({"trainer": trainer})) is several


def test_a_command_that_fails_before_it_begins_is_told(tmp_path, monkeypatch):
    with (tmp_path / "log.txt").open("w") as log:
        monkeypatch.setattr("sys.stdout", log)
        with pytest.raises(RunError, match="ended with status 2"):
            train_apart(["seeed=1"], tmp_path / "run", threads=1)
    assert "seeed" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "cores"])
def test_two_gloo_processes_a_job_as_by_the_single_command(discs, tmp_path, monkeypatch, launcher):
    monkeypatch.setenv(mark := f"SPINELAB_TEST_{os.getpid()}_{launcher}", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else Lightning gives each process its share of the cores
    single, runs, log = tmp_path / "single" / "runs", tmp_path / "multi" / "runs", tmp_path / "log.txt"
    command = [*tiny(discs, single), *TWO]
    for seed in (0, 1):  # a real command: Lightning starts the second process by repeating it
        _shell([*command, f"seed={seed}"])
    arguments = ["-m", *tiny(discs, runs), *TWO, "seed=0,1", f"hydra/launcher={launcher}"]
    assert finish(arguments, log, 500) == 0, log.read_text()
    assert_same(cases(single), cases(runs))
    for folder in folders(runs).values():
        assert run_state(folder).name == "done"
        assert "MEMBER: 2/2" in (folder / "log.txt").read_text()
    assert not left_over(mark)


def _shell(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "spinelab.cli", "train", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=300, cwd=Path(__file__).parents[2])
