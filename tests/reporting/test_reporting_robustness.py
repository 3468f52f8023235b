"""The report of degraded scans from tables written by hand: means, pairs, classes and pages."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from spinelab.reporting.curves import Curve, Estimate, band_figure, estimates
from spinelab.reporting.results import read_runs
from spinelab.reporting.robustness import UNTOUCHED, write_robustness
from spinelab.reporting.statistics import bootstrap_interval

LEVELS = {"noise": (0.0, 0.1, 0.2), "bias_field": (0.0, 0.5, 0.9)}
PERSONS = ("p1", "p2", "p3", "p4")
CLASSES = ("disc", "cord")


def scores(start: float, loss: dict[str, float], absent: bool = False) -> pd.DataFrame:
    """Two volumes a person; the cord is lost twice as fast, and the last person may have none."""
    steps = [(UNTOUCHED, 0), *((effect, level) for effect in LEVELS for level in (1, 2))]
    rows = []
    for effect, level in steps:
        for number, person in enumerate(PERSONS):
            for visit in ("a", "b"):
                for factor, cls in enumerate(CLASSES, start=1):
                    value = start + 0.02 * number + (0.01 if visit == "b" else 0)
                    value -= factor * level * loss.get(effect, 0) * (1 + number / 10)
                    gone = absent and (person, cls) == ("p4", "cord")
                    rows.append({"effect": effect, "level": level, "person": person, "site": "", "metric": "dice",
                                 "case": f"{person}{visit}", "class": cls, "value": math.nan if gone else value,
                                 "state": "absent" if gone else "present"})  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def written(write_run, tmp_path):
    """Two architectures, the second with two seeds."""
    rows = [{"person": p, "site": "", "case": f"{p}a", "class": c, "metric": "dice", "value": 0.8, "unit": "1",
             "state": "present"} for p in PERSONS for c in CLASSES]  # fmt: skip
    one = write_run("U-Net", rows=rows)
    two = [write_run("FCN", rows=rows, seed=seed) for seed in (0, 1)]
    tables = {one: scores(0.9, {"noise": 0.05, "bias_field": 0.01}, absent=True)}
    tables |= {folder: scores(0.7 + 0.1 * seed, {"noise": 0.1}) for seed, folder in enumerate(two)}
    results = read_runs([tmp_path / "runs"])
    found = {run.folder: next(table for folder, table in tables.items() if folder.samefile(run.folder))
             for run in results.runs}  # fmt: skip
    page = write_robustness(results, found, LEVELS, tmp_path / "out")
    return page, pd.read_csv(page.parent / "table.csv").set_index(["model", "effect", "level", "class"])


def test_volumes_then_classes_then_seeds_then_persons_are_averaged(written):
    _, table = written
    persons = 0.9 + 0.02 * np.arange(4) + 0.005
    assert table.loc[("U-Net", "noise", 0, "disc"), "mean"] == pytest.approx(persons.mean())
    worse = persons - 2 * 0.05 * (1 + np.arange(4) / 10)
    row = table.loc[("U-Net", "noise", 2, "disc")]
    assert row["mean"] == pytest.approx(worse.mean())
    assert (row["low"], row["high"]) == pytest.approx(bootstrap_interval(worse))
    assert (row["n"], row["strength"]) == (4, 0.2)
    assert row["change_mean"] == pytest.approx((worse - persons).mean())
    assert (row["change_low"], row["change_high"]) == pytest.approx(bootstrap_interval(worse - persons))
    seeds = np.mean([0.7 + 0.1 * seed + 0.02 * np.arange(4) + 0.005 for seed in (0, 1)], axis=0)
    assert table.loc[("FCN", "noise", 0, "disc"), "mean"] == pytest.approx(seeds.mean())


def test_a_class_that_a_person_lacks_is_left_out(written):
    _, table = written
    assert table.loc[("U-Net", "noise", 1, "cord"), "n"] == 3
    persons = 0.9 + 0.02 * np.arange(3) + 0.005 - 2 * 0.05 * (1 + np.arange(3) / 10)
    assert table.loc[("U-Net", "noise", 1, "cord"), "mean"] == pytest.approx(persons.mean())
    assert table.loc[("U-Net", "noise", 1, "mean over classes"), "n"] == 4


def test_what_does_not_change_says_so(written):
    _, table = written
    row = table.loc[("FCN", "bias_field", 2, "disc")]
    assert (row["change_mean"], row["change_low"], row["change_high"]) == (0, 0, 0)


def test_the_pooled_table_begins_each_effect_with_the_untouched_scans(written):
    page, _ = written
    cases = pd.read_parquet(page.parent / "robustness.parquet")
    assert set(cases["effect"]) == set(LEVELS)
    counts = cases.groupby(["run", "effect", "level"]).size()
    assert len(counts) == 3 * 2 * 3
    assert set(counts) == {len(PERSONS) * 2 * len(CLASSES)}
    for effect, strengths in LEVELS.items():
        own = cases[cases["effect"] == effect].drop_duplicates("level").set_index("level")["strength"]
        assert own.to_dict() == dict(enumerate(strengths))


def test_page_and_markdown_show_every_effect(written):
    page, _ = written
    html, text = page.read_text(encoding="utf-8"), (page.parent / "table.md").read_text(encoding="utf-8")
    assert html.count('class="plot"') == 3 * 2  # the mean over classes, and each of two classes
    assert text.count("| model |") == 2 * 2
    assert "| FCN | 0.785 [" in text
    assert "n=4 |" in text
    assert 'src="http' not in html


def test_a_band_goes_there_and_back_and_leaves_out_what_has_no_interval():
    curve = Curve("a", (0, 1, 2), (Estimate(0.5, 0.4, 0.6, 9), Estimate(0.4, math.nan, math.nan, 1),
                                   Estimate(0.3, 0.2, 0.5, 9)), ("", "", ""))  # fmt: skip
    band, line = band_figure([curve], "x", "y").data
    assert list(band.x) == [0, 2, 2, 0]
    assert list(band.y) == [0.6, 0.5, 0.2, 0.4]
    assert list(line.y) == [0.5, 0.4, 0.3]


def test_estimates_without_persons_have_no_mean():
    nothing, one = estimates(np.array([[math.nan, 0.5], [math.nan, math.nan]]))
    assert (nothing.n, one.n, one.mean) == (0, 1, 0.5)
    assert math.isnan(nothing.mean)
    assert math.isnan(one.low)
    assert str(one) == "0.500"
