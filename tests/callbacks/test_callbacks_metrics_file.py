"""metrics.csv: a row an epoch, also after a kill."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from spinelab.callbacks.metrics_file import MetricsFile


def trainer(epoch: int, **logged: float) -> SimpleNamespace:
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=10 * epoch,
        is_global_zero=True,
        optimizers=[optimizer],
        callback_metrics=logged,
    )


def run_epochs(path, first: int, last: int) -> None:
    callback = MetricsFile(path)
    callback.on_fit_start(trainer(first), None)
    callback.on_train_start(trainer(first), None)
    for epoch in range(first, last):
        callback.on_train_epoch_end(trainer(epoch, **{"val/dice": epoch / 10}), None)


def test_rows_are_on_disk_after_each_epoch(tmp_path):
    path = tmp_path / "metrics.csv"
    run_epochs(path, 0, 3)
    table = pd.read_csv(path)
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["val/dice"].tolist() == [0.0, 0.1, 0.2]


def test_a_resumed_run_repeats_no_row_and_goes_on_counting_seconds(tmp_path):
    path = tmp_path / "metrics.csv"
    run_epochs(path, 0, 3)
    before = pd.read_csv(path)
    before["seconds"] += 100
    before.to_csv(path, index=False)
    run_epochs(path, 2, 5)  # epoch 2 had not reached the checkpoint
    after = pd.read_csv(path)
    assert after["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert after["seconds"].is_monotonic_increasing
    assert after["seconds"].iloc[-1] > 100
