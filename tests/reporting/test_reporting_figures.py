"""Figures of the page: what they show, and that they stay light."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spinelab.reporting.figures import agreement_figure, cloud_figure, rank_figure, site_figure
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import MEAN, make_tables


def rows(person: str, cls: str, site: str = "", **scores: tuple[float, str]) -> list[dict[str, object]]:
    place = {"person": person, "site": site, "case": person, "class": cls, "state": "present"}
    return [place | {"metric": metric, "value": value, "unit": unit} for metric, (value, unit) in scores.items()]


@pytest.fixture
def group(write_run):
    def make(made, model="U-Net"):
        folder = write_run(model, rows=made, persons=tuple(sorted({str(row["person"]) for row in made})))
        return group_runs(read_runs([folder]))

    return make


def test_a_thousand_persons_are_drawn_by_their_quantiles(group):
    values = np.random.default_rng(0).beta(8, 2, 1000)
    groups = group([row for i, v in enumerate(values) for row in rows(f"p{i:04}", "cord", dice=(v, "1"))])
    cloud = cloud_figure(make_tables(groups)[0], "cord").data[0]
    assert cloud.type == "violin"
    assert len(cloud.x) == len(cloud.text) == 250
    for part in (0, 0.25, 0.5, 0.75, 1):
        assert np.quantile(cloud.x, part) == pytest.approx(np.quantile(values, part), abs=2e-3)
    assert cloud.text[0] == "0.0% of 1000 persons below"


def test_few_persons_get_no_density(group):
    groups = group([row for i in range(14) for row in rows(f"p{i}", "cord", dice=(0.5 + i / 50, "1"))])
    assert cloud_figure(make_tables(groups)[0], "cord").data[0].type == "box"


def test_volumes_are_compared_as_bland_and_altman_did(group):
    """Predicted 2, 3, 4 ml against true 1, 3, 3: differences 1, 0, 1; bias 2/3, SD 0.5774."""
    pairs = [(1000, 2000), (3000, 3000), (3000, 4000), (0, 0)]
    made = [
        row
        for i, (true, found) in enumerate(pairs)
        for row in rows(f"p{i}", "cord", dice=(0.9, "1"), truth_volume=(true, "mm3"), predicted_volume=(found, "mm3"))
    ]
    figure = agreement_figure(group(made), "cord")
    points, bias, low, high = figure.data
    assert list(points.text) == ["p0", "p1", "p2"]  # the last has the class in neither
    assert list(points.x) == [1.5, 3.0, 3.5]
    assert list(points.y) == [1.0, 0.0, 1.0]
    assert bias.y[0] == pytest.approx(2 / 3)
    assert (low.y[0], high.y[0]) == pytest.approx((2 / 3 - 1.96 * 0.57735, 2 / 3 + 1.96 * 0.57735), abs=1e-4)
    assert "ml" in figure.layout.xaxis.title.text
    assert agreement_figure(group(rows("p1", "cord", dice=(0.9, "1")), "other"), "cord") is None


def test_sites_are_shown_apart(group):
    values = {"a": (0.9, 0.8), "b": (0.5,)}
    made = [
        row
        for site, scores in values.items()
        for i, value in enumerate(scores)
        for row in rows(f"{site}{i}", "cord", site, dice=(value, "1"))
    ]
    table = make_tables(group(made))[0]
    trace = site_figure(table, "cord").data[0]
    assert list(trace.x) == [0.85, 0.5]
    assert list(trace.text) == ["a, n=2", "b, n=1"]
    assert trace.error_x.array[1] is None  # one person has no interval
    one = [{**row, "site": "a"} for row in made]
    groups = tuple(dataclasses.replace(g) for g in group(one, "other"))
    assert site_figure(make_tables(groups)[0], "cord") is None


def test_the_mean_over_classes_has_a_figure_too(four_models):
    table = make_tables(group_runs(read_runs([four_models])))[0]
    assert [len(cloud.x) for cloud in cloud_figure(table, MEAN).data] == [5] * 4
    assert isinstance(table.rows[0].cells[-1].persons, pd.DataFrame)


def test_ranks_are_shown_as_they_are(four_models):
    table = make_tables(group_runs(read_runs([four_models])))[0]
    lines = rank_figure(table, MEAN).data
    (ranking,) = table.rankings[MEAN]
    for place, interval, points in zip(ranking.ranks, lines[::2], lines[1::2], strict=True):
        assert list(interval.x) == [place.low, place.high]
        assert list(points.x) == [place.observed, round(place.mean, 3)]
        assert set(interval.y) == set(points.y) == {place.label}
        assert "n=5 persons" in points.text


def test_one_row_has_no_rank(group):
    table = make_tables(group(rows("p1", "cord", dice=(0.9, "1"))))[0]
    assert rank_figure(table, "cord") is None
