"""A multirun from the command line: what is launched, what is skipped, what is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests_shared import disc_overrides, write_disc

from spinelab.cli import main
from spinelab.errors import ConfigError
from spinelab.run_state import run_state
from spinelab.sweeps.folds import with_folds
from spinelab.sweeps.grid import combinations
from spinelab.sweeps.naming import named


@pytest.fixture(scope="module")
def discs(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("discs")
    for number in range(6):
        write_disc(root, f"sub-{number}", np.random.default_rng(number))
    return root


@pytest.fixture
def sweep(discs, tmp_path, monkeypatch, capsys):
    """Runs a multirun of tiny trainings; returns the status and what was printed."""
    monkeypatch.chdir(tmp_path)
    usual = [*disc_overrides(discs, tmp_path / "runs"), f"paths.data={tmp_path / 'cache'}", "logger=none"]

    def run(*overrides: str) -> tuple[int, str, str]:
        status = main(["train", "-m", *usual, "trainer.max_epochs=1", *overrides])
        return (status, *capsys.readouterr())

    return run


def folders(tmp_path: Path) -> dict[str, Path]:
    return {run.name.rsplit("-", 1)[0]: run for run in (tmp_path / "runs" / "discs").iterdir()}


def test_every_combination_the_last_changing_fastest():
    found = list(combinations(["model=unet,fcn", "seed=0,1", "optimizer.lr=0.1"]))
    assert found == [
        ("model=unet", "seed=0", "optimizer.lr=0.1"),
        ("model=unet", "seed=1", "optimizer.lr=0.1"),
        ("model=fcn", "seed=0", "optimizer.lr=0.1"),
        ("model=fcn", "seed=1", "optimizer.lr=0.1"),
    ]
    assert list(combinations(["seed=range(0,3)"])) == [("seed=0",), ("seed=1",), ("seed=2",)]
    with pytest.raises(ConfigError, match="hydra/sweeper=search"):
        list(combinations(["optimizer.lr=interval(0, 1)"]))


def test_a_sweep_is_named_by_what_is_swept_and_not_by_who_runs_it():
    base = named(["model=unet,fcn", "seed=0,1"])[-1]
    assert named(["seed=0,1", "model=unet,fcn"])[-1] == base
    for other in ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=9", "paths.runs=x"):
        assert named(["model=unet,fcn", "seed=0,1", other])[-1] == base, other
    for other in ("optimizer.lr=1", "hydra/sweeper=search", "hydra.sweeper.params={}"):
        assert named(["model=unet,fcn", "seed=0,1", other])[-1] != base, other
    assert named(["seed=0,1", "sweep=mine"]) == ["seed=0,1", "sweep=mine"]


def test_jobs_run_are_compared_and_are_skipped_the_next_time(sweep, tmp_path):
    status, out, err = sweep("seed=0,1", "sweep=two")
    assert (status, err) == (0, "")
    assert "2/2 done" in out
    assert "| unet |" in out
    runs = folders(tmp_path)
    assert sorted(runs) == ["unet-s0-f0", "unet-s1-f0"]
    assert "persons to train" in (runs["unet-s0-f0"] / "log.txt").read_text()
    assert "persons to train" not in out  # a job's own words stay in its folder
    assert (tmp_path / "runs/sweeps/two/comparison/index.html").is_file()
    assert [Path(job["run"]).name for job in json.loads((tmp_path / "runs/sweeps/two/sweep.json").read_text())["jobs"]]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/discs").rglob("*.ckpt")}
    status, out, _ = sweep("seed=0,1", "sweep=two")
    assert status == 0
    assert "2 of 2 jobs were done before" in out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/discs").rglob("*.ckpt")}


def test_a_failed_job_is_told_and_the_others_go_on(sweep, tmp_path):
    status, out, err = sweep("protocol=kfold", "protocol.folds=3", "protocol.fold=7,0")
    assert status == 1
    assert "1 of 2 jobs failed" in err
    assert "has no fold 7" in err
    assert "2/2 done" in out
    runs = folders(tmp_path)
    failed = run_state(runs["unet-s0-f7"])
    assert failed.name == "failed"
    assert "has no fold 7" in failed.reason
    assert run_state(runs["unet-s0-f0"]).name == "done"
    assert "has no fold 7" in (runs["unet-s0-f7"] / "log.txt").read_text()


def test_an_error_of_code_is_marked_failed_with_its_trace(sweep, tmp_path, monkeypatch):
    from spinelab.tasks.segmentation import SegmentationTask

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(SegmentationTask, "training_step", broken)
    status, _, err = sweep("seed=0")
    assert status == 1
    assert "ZeroDivisionError: by nothing" in err
    (run,) = folders(tmp_path).values()
    assert "broken" in json.loads((run / "status.json").read_text())["traceback"]


def test_wrong_words_are_refused_before_anything_runs(sweep, tmp_path):
    for wrong, hint in (
        ("model=unet,unett", "did you mean unet"),
        ("hydra/launcher=jolib", "did you mean joblib"),
        ("model.bse=4,8", "did you mean base"),
    ):
        status, _, err = sweep(wrong)
        assert status == 2, wrong
        assert hint in err
    assert not (tmp_path / "runs").exists()


def test_fold_all_is_every_fold_that_the_persons_make(sweep, tmp_path):
    status, out, _ = sweep("protocol=leave_one_person_out", "protocol.fold=all")
    assert status == 0
    assert "6/6 done" in out
    assert sorted(folders(tmp_path)) == [f"unet-s0-f{fold}" for fold in range(6)]
    assert "n=6" in out


def test_jobs_without_all_are_left_as_they_are():
    def never(overrides: object) -> None:
        raise AssertionError(overrides)

    assert list(with_folds([("seed=0", "protocol.fold=1")], never)) == [["seed=0", "protocol.fold=1"]]


def test_a_run_of_which_only_the_training_was_wanted_is_scored_later(sweep, tmp_path):
    status, _, _ = sweep("seed=0", "test=false")
    (run,) = folders(tmp_path).values()
    assert status == 0
    assert run_state(run).name == "fitted"
    assert not (run / "cases.parquet").exists()
    assert not (run / "panels").exists()
    trained = (run / "checkpoints/last.ckpt").stat().st_mtime_ns
    seconds = run_state(run).seconds
    assert seconds > 0
    assert sweep("seed=0")[0] == 0
    assert run_state(run).seconds == seconds  # the time of training, not of the command that came last
    assert run_state(run).name == "done"
    assert (run / "checkpoints/last.ckpt").stat().st_mtime_ns == trained
