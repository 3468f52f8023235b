"""A sweep that is killed again and again ends with the jobs and the scores of one that was not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests_runs import discs
from tests_sweeps import assert_same, end, finish, left_over, start, temporary_files, tiny

KILLS = 10
OWN = ["-m", "seed=0,1,2", "optimizer.lr=0.01,0.003", "sweep=killed", "logger=none", "model.dropout=0.3",
       "augmentation=default", "callbacks.checkpoint.minutes=0", "trainer.max_epochs=4"]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return discs(tmp_path_factory.mktemp("sweep") / "discs")


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> Path:
    """The undisturbed sweep."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    assert finish(tiny(root, runs, *OWN), runs.parent / "log.txt") == 0
    return runs


@pytest.mark.faults
@pytest.mark.parametrize(("launcher", "longest"), [("basic", 4.0), ("cores", 14.0)])
def test_killed_ten_times_at_random_moments(root, whole, tmp_path, monkeypatch, launcher, longest):
    monkeypatch.setenv(mark := f"SPINELAB_TEST_{os.getpid()}_{launcher}", "1")
    rng, kills, log = np.random.default_rng(7), 0, tmp_path / "log.txt"
    runs = tmp_path / "runs"
    arguments = [*tiny(root, runs, *OWN), f"hydra/launcher={launcher}"]
    while kills < KILLS:
        process = start(arguments, log)
        process.join(rng.uniform(0.5, longest))
        if process.exitcode is None:
            end(process)
            kills += 1
        else:  # it came to its end before its ten kills: all of it once more
            assert_whole(whole, runs, process.exitcode, log)
            runs = tmp_path / f"runs{kills}"
            arguments = [*tiny(root, runs, *OWN), f"hydra/launcher={launcher}"]
    assert_whole(whole, runs, finish(arguments, log), log)
    assert not left_over(mark)


def assert_whole(whole: Path, runs: Path, status: int, log: Path) -> None:
    """The same jobs, the same scores and the same epochs; nothing half written."""
    assert status == 0, log.read_text()
    assert_same(named(whole), named(runs))
    told = json.loads((runs / "sweeps" / "killed" / "sweep.json").read_text())["jobs"]
    assert len(told) == len(named(runs)) == 6
    for folder in folders_by_hash(runs).values():
        assert pd.read_csv(folder / "metrics.csv")["epoch"].is_unique
    assert not temporary_files(runs)


def named(runs: Path) -> dict[str, pd.DataFrame]:
    """Tables of cases by run folder."""
    return {folder.name: pd.read_parquet(folder / "cases.parquet") for folder in folders_by_hash(runs).values()}


def folders_by_hash(runs: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in runs.glob("discs/*/cases.parquet")}
