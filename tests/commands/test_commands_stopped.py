"""Ctrl-C is Ctrl-C, whatever it interrupts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spinelab.commands._training import viewed


def interrupted_while_writing() -> None:
    try:
        raise KeyboardInterrupt
    finally:
        raise RuntimeError("unexpected pos 1215232 vs 1215124")  # as torch ends a half-written file


def test_a_stop_within_a_checkpoint_is_no_error_of_torch():
    told = []
    view = SimpleNamespace(open=lambda: None, close=lambda failed: told.append(failed))
    with pytest.raises(KeyboardInterrupt), viewed(view):
        interrupted_while_writing()
    assert told == [True]


def test_another_error_stays_what_it_is():
    view = SimpleNamespace(open=lambda: None, close=lambda failed: None)
    with pytest.raises(RuntimeError, match="no memory"), viewed(view):
        raise RuntimeError("no memory")
