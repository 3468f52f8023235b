"""A search from the command line, with real trainings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests_shared import disc_overrides, write_disc

from spinelab.cli import main
from spinelab.run_state import run_state


@pytest.fixture
def search(tmp_path, monkeypatch, capsys):
    """Runs a search over the learning rate of a tiny U-Net; returns the status and what was printed."""
    for number in range(8):
        write_disc(tmp_path / "discs", f"sub-{number}", np.random.default_rng(number))
    monkeypatch.chdir(tmp_path)
    usual = disc_overrides(tmp_path / "discs", tmp_path / "runs")
    usual = [text for text in usual if not text.startswith("optimizer.lr")]
    usual += [f"paths.data={tmp_path / 'cache'}", "logger=none", "trainer.max_epochs=1", "hparams_search=learning_rate"]

    def run(*overrides: str) -> tuple[int, str, str]:
        status = main(["train", "-m", *usual, *overrides])
        return (status, *capsys.readouterr())

    return run


def states(tmp_path: Path) -> dict[str, str]:
    return {run.name: run_state(run).name for run in (tmp_path / "runs" / "discs").iterdir()}


def test_only_the_best_trial_is_tested_and_more_trials_add_to_what_is_there(search, tmp_path):
    status, out, err = search("hydra.sweeper.n_trials=3", "sweep=lr")
    assert (status, err) == (0, "")
    assert "best of 3 trials (3 complete)" in out
    assert sorted(states(tmp_path).values()) == ["done", "fitted", "fitted"]
    page = (tmp_path / "runs/sweeps/lr/comparison/index.html").read_text(encoding="utf-8")
    assert "how the settings were chosen" in page
    best = max(run_state(tmp_path / "runs/discs" / name).val_dice for name in states(tmp_path))
    (done,) = (name for name, state in states(tmp_path).items() if state == "done")
    assert run_state(tmp_path / "runs/discs" / done).val_dice == best

    status, out, _ = search("hydra.sweeper.n_trials=4", "sweep=lr")
    assert status == 0
    assert "best of 4 trials" in out
    assert len(states(tmp_path)) == 4
    assert search("hydra.sweeper.n_trials=4", "sweep=lr")[0] == 0
    assert len(states(tmp_path)) == 4


def test_nested_folds_are_studies_of_their_own_whose_trials_know_no_test_person(search, tmp_path):
    nested = ["protocol=nested", "protocol.folds=2", "protocol.fold=all", "protocol.inner_folds=2"]
    status, out, err = search(*nested, "hydra.sweeper.n_trials=1")
    assert (status, err) == (0, "")
    assert "protocol.fold=0: best of 1 trials" in out
    assert "protocol.fold=1: best of 1 trials" in out
    assert "n=8" in out  # everybody is tested once
    runs = list((tmp_path / "runs/discs").iterdir())
    splits = {run: json.loads((run / "split.json").read_text()) for run in runs}
    tested = {split["fold"]: set(split["test"]) for split in splits.values() if split["test"]}
    assert len(tested) == 2
    inner = [split for split in splits.values() if not split["test"]]
    assert len(inner) == 4
    for split in inner:
        assert not tested[split["fold"]] & {*split["train"], *split["val"]}
    assert sum((run / "cases.parquet").is_file() for run in runs) == 2
