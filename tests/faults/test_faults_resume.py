"""A run that is killed and started again ends with the same losses and weights, bit for bit, as one that was not."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests_runs import KillAtStep, discs, finish, intact_checkpoints, same, start, state, tiny

from spinelab.run import Run

KILLED = -9
STEPS = 9  # of an epoch
KILLS = 200


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return discs(tmp_path_factory.mktemp("resume") / "discs")


@pytest.fixture(scope="module")
def whole(data: Path) -> dict[str, object]:
    """What a run leaves that nothing interrupted."""
    config = tiny(data, data.parent / "whole")
    assert finish(config)[0] == 0
    found = state(config)
    assert found["rows"]["step"] == [STEPS, 2 * STEPS, 3 * STEPS]
    return found


@pytest.mark.parametrize(
    ("workers", "step", "minutes"),
    [
        (0, STEPS + 3, None),  # repeats its second epoch
        (0, 4, 0),  # goes on within its first epoch
        (1, 2 * STEPS, 0),  # at the beginning of an epoch
        (2, 2 * STEPS - 1, 0),  # before the last step of an epoch
    ],
)
def test_a_killed_run_ends_as_one_that_was_not(data, whole, tmp_path, workers, step, minutes):
    config = tiny(data, tmp_path, loader__num_workers=workers, callbacks__checkpoint__minutes=minutes)
    assert finish(config, KillAtStep(step))[0] == KILLED
    status, printed = finish(config)
    assert status == 0, printed
    assert "going on in" in printed
    assert same(whole, state(config))


def test_the_comparison_can_fail(data, whole, tmp_path):
    config = tiny(data, tmp_path, seed=1)
    assert finish(config)[0] == 0
    assert not same(whole, state(config))


def test_accumulated_gradients_are_never_lost(data, tmp_path):
    options = {"trainer.accumulate_grad_batches": 2, "callbacks.checkpoint.minutes": 0}
    once, twice = tiny(data, tmp_path / "once", **options), tiny(data, tmp_path / "twice", **options)
    assert finish(once)[0] == 0
    assert finish(twice, KillAtStep(STEPS + 3))[0] == KILLED  # one batch after the checkpoint of an optimizer step
    assert finish(twice)[0] == 0
    assert same(state(once), state(twice))


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(data, whole, tmp_path):
    config = tiny(data, tmp_path, callbacks__checkpoint__minutes=0)
    assert finish(config, KillAtStep(STEPS + 4))[0] == KILLED
    last = Run.of(config).checkpoints / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    status, printed = finish(config)
    assert status == 0, printed
    assert "last.ckpt is damaged" in printed
    assert same(whole, state(config))


def test_a_run_that_had_decided_to_stop_does_not_train_one_epoch_more(data, tmp_path):
    # no score is lower than minus infinity: it stops after the first epoch without improvement
    config = tiny(data, tmp_path, callbacks__early_stopping__patience=1, trainer__max_epochs=5, optimizer__lr=0.0)
    assert finish(config)[0] == 0
    before = state(config)
    assert len(before["rows"]["epoch"]) < 5
    assert finish(config)[0] == 0  # the tables of cases are not there yet, as after a kill at the end
    assert same(before, state(config))


def test_a_run_folder_may_be_moved(data, whole, tmp_path):
    config = tiny(data, tmp_path / "here")
    assert finish(config, KillAtStep(2 * STEPS + 1))[0] == KILLED
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = tiny(data, tmp_path / "there")
    assert finish(moved)[0] == 0
    assert same(whole, state(moved))
    best = pd.DataFrame(state(moved)["rows"])["val/dice"].max()
    import torch

    scores = torch.load(Run.of(moved).checkpoints / "last.ckpt", weights_only=True)["callbacks"]
    assert [float(s["best_model_score"]) for s in scores.values() if "best_model_score" in s] == [pytest.approx(best)]


def test_two_processes_do_not_train_one_run(data, tmp_path):
    config = tiny(data, tmp_path, trainer__max_epochs=200)
    first = start(config)
    try:
        while not (Run.of(config).checkpoints / "last.ckpt").is_file():
            time.sleep(0.1)
        status, printed = finish(config)
        assert status == 2
        assert "another process trains this run" in printed
    finally:
        first.kill()
        first.join()


@pytest.mark.faults
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("temporary", [None, "/dev/shm"])
def test_killed_again_and_again_at_random_moments(data, whole, tmp_path, monkeypatch, workers, temporary):
    if temporary is not None:
        monkeypatch.setenv("TMPDIR", temporary)
    config = tiny(data, tmp_path, loader__num_workers=workers, callbacks__checkpoint__minutes=0)
    folder, rng, kills, runs = Run.of(config).folder, np.random.default_rng(workers), 0, 0
    while kills < KILLS // 4 or runs == 0:
        seen = bool(intact_checkpoints(config)) if folder.is_dir() else False
        process = start(config)
        process.join(rng.uniform(0.2, 3.0))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
            assert intact_checkpoints(config) or not seen, f"after {kills} kills"
        else:
            assert process.exitcode == 0
            assert same(whole, state(config)), f"after {kills} kills"
            shutil.rmtree(folder)
            runs += 1
    print(f"{kills} kills, {runs} whole runs, {workers} workers, TMPDIR {os.environ.get('TMPDIR')}")


@pytest.mark.faults
@pytest.mark.parametrize(
    "options",
    [
        {"trainer.val_check_interval": 0.5, "callbacks.checkpoint.minutes": 0},
        {"trainer.check_val_every_n_epoch": 2, "trainer.max_epochs": 4},
        {"trainer.limit_val_batches": 0, "callbacks.early_stopping": None, "callbacks.checkpoint.monitor": None},
        {"trainer.limit_train_batches": 5, "callbacks.checkpoint.minutes": 0, "loader.num_workers": 2},
    ],
)
def test_other_ways_to_train_resume_too(data, tmp_path, options):
    once, twice = tiny(data, tmp_path / "once", **options), tiny(data, tmp_path / "twice", **options)
    assert finish(once)[0] == 0
    assert finish(twice, KillAtStep(13))[0] == KILLED
    assert finish(twice)[0] == 0
    assert same(state(once), state(twice))
