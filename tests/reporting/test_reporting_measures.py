"""Metrics as readers know them."""

from __future__ import annotations

import pytest

from spinelab.reporting.measures import is_main, is_ranked, lower_is_better, place, title


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("dice", "Dice"),
        ("hd95 (mm)", "HD95 (mm)"),
        ("hd95_maximum (px)", "HD95, maximum (px)"),
        ("nsd_2mm", "Normalised surface Dice at 2 mm"),
        ("nsd_0.5px", "Normalised surface Dice at 0.5 px"),
        ("something_new (mm)", "Something new (mm)"),
    ],
)
def test_titles(metric, said):
    assert title(metric) == said


def test_which_way_round():
    assert not lower_is_better("dice", "1")
    assert not lower_is_better("nsd_2mm", "1")
    assert not lower_is_better("lesions_found (lesions)", "lesions")
    for metric, unit in (
        ("hd95 (mm)", "mm"),
        ("ece", "1"),
        ("brier_foreground", "1"),
        ("lesions_missed (lesions)", "lesions"),
    ):
        assert lower_is_better(metric, unit), metric


def test_what_is_neither_better_nor_worse_is_not_ranked():
    for metric in ("truth_volume (mm3)", "volume_difference", "foreground_roi", "lesions_true (lesions)"):
        assert not is_ranked(metric)
    assert is_ranked("absolute_volume_difference")


def test_papers_metrics_come_first():
    metrics = ["zz", "ece", "hd95 (mm)", "nsd_1mm", "dice"]
    assert sorted(metrics, key=place) == ["dice", "hd95 (mm)", "nsd_1mm", "ece", "zz"]
    assert [is_main(metric) for metric in metrics] == [False, False, True, True, True]
