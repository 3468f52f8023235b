"""The progress bar's estimate."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spinelab.callbacks import progress
from spinelab.callbacks.progress import Progress


def test_time_left_is_epochs_left_at_the_pace_of_this_session(monkeypatch):
    bar = Progress()
    bar.began, bar.first_epoch = 100.0, 10  # resumed after ten epochs
    monkeypatch.setattr(progress.time, "monotonic", lambda: 100.0 + 2 * 90.0)
    trainer = SimpleNamespace(current_epoch=12, max_epochs=16, callback_metrics={"val/dice": 0.5})
    assert bar.minutes_left(trainer) == pytest.approx(4 * 90 / 60)
    assert bar.get_metrics(trainer, None) == {"val dice": "0.500", "left": "6 min"}


@pytest.mark.parametrize(("epoch", "last"), [(10, 16), (12, -1), (12, None)])
def test_nothing_is_promised_before_it_can_be_known(epoch, last):
    bar = Progress()
    bar.first_epoch = 10
    assert bar.minutes_left(SimpleNamespace(current_epoch=epoch, max_epochs=last)) is None
