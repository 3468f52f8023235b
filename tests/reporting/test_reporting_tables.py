from __future__ import annotations

import io
import math
import re

import pandas as pd
import pytest

from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import MEAN, make_tables
from spinelab.reporting.writers import duration, escape_latex, number, to_frame, to_latex, to_markdown


@pytest.fixture(scope="module")
def tables(four_models):
    return make_tables(group_runs(read_runs([four_models])))


def scores(values, metric="dice", unit="1", cls="cord"):
    row = {"site": "", "class": cls, "metric": metric, "unit": unit, "state": "present"}
    return [row | {"person": f"p{i}", "case": f"c{i}", "value": value} for i, value in enumerate(values)]


def test_metrics_and_rows_are_in_order_and_every_cell_tells_its_n(tables):
    assert [table.metric for table in tables] == ["dice", "jaccard", "sensitivity", "ppv", "specificity"]
    dice = tables[0]
    assert dice.columns == ("cord", "vertebra", "lesion", MEAN)
    assert [row.group.label for row in dice.rows] == ["Attention U-Net", "U-Net", "U-Net++", "FCN-8s"]
    assert [[cell.summary.n for cell in row.cells] for row in dice.rows] == [[5, 5, 4, 5]] * 4  # p4 has no lesion
    lesion = dice.rows[0].cells[2].summary
    assert (lesion.absent, lesion.missed) == (4, 4)  # two volumes, two seeds
    assert tables[3].rows[0].cells[2].summary.n == 3  # a missed lesion has no predictive value


def test_cell_is_the_mean_over_persons_of_means_over_runs_and_volumes(tables, four_models):
    cases = pd.concat([pd.read_parquet(file) for file in four_models.rglob("cases.parquet")])
    mine = cases[(cases["model"] == "U-Net") & (cases["metric"] == "dice") & (cases["class"] == "cord")]
    by_hand = [mine.loc[mine["person"] == person, "value"].mean() for person in mine["person"].unique()]
    assert tables[0].rows[1].cells[0].summary.mean == pytest.approx(sum(by_hand) / 5)


def test_best_is_marked_once_a_column_and_tied_where_persons_are_few(tables):
    for table in tables:
        for column in zip(*(row.cells for row in table.rows), strict=True):
            assert sum(cell.best for cell in column) == 1
            assert all(cell.tied for cell in column if cell.best)  # five persons
            assert all((cell.difference is None) == cell.best for cell in column)


def test_best_is_not_tied_when_enough_persons_agree(write_run, tmp_path):
    write_run("A", rows=scores([0.8, 0.7, 0.9, 0.6, 0.8, 0.75]))
    write_run("B", rows=scores([0.75, 0.66, 0.84, 0.56, 0.74, 0.71]))
    best, other = (row.cells[0] for row in make_tables(group_runs(read_runs([tmp_path])))[0].rows)
    assert (best.best, best.tied, other.best) == (True, False, False)
    assert other.difference.mean == pytest.approx(-0.29 / 6)


def test_nothing_is_best_where_only_one_row_has_a_value(write_run, tmp_path):
    write_run("A", rows=scores([0.8, 0.7]))
    write_run("B", rows=scores([None, None]))
    (table,) = make_tables(group_runs(read_runs([tmp_path])))
    assert [(row.cells[0].summary.n, row.cells[0].best) for row in table.rows] == [(2, False), (0, False)]


def test_lower_is_better_for_distances(write_run, tmp_path):
    write_run("A", rows=scores([9.0, 8.0], "hd95", "mm"))
    write_run("B", rows=scores([2.0, 1.0], "hd95", "mm"))
    (table,) = make_tables(group_runs(read_runs([tmp_path])))
    assert [row.group.label for row in table.rows] == ["B", "A"]
    assert table.rows[0].cells[0].best
    assert table.columns == ("cord",)  # one class needs no mean


@pytest.mark.parametrize(
    ("metric", "unit", "best"),
    [("dice", "1", "A"), ("ece", "1", "B"), ("absolute_volume_difference", "1", "B"), ("lesion_f1", "1", "A"),
     ("lesion_false_alarms", "lesions", "B"), ("lesions_found", "lesions", "A"), ("false_positive_volume", "mm3", "B")],
)  # fmt: skip
def test_which_way_round_a_metric_is_read(write_run, tmp_path, metric, unit, best):
    write_run("A", rows=scores([0.9, 0.8], metric, unit))
    write_run("B", rows=scores([0.2, 0.1], metric, unit))
    (table,) = make_tables(group_runs(read_runs([tmp_path])))
    assert [row.group.label for row in table.rows if row.cells[0].best] == [best]
    assert table.rankings["cord"][0].ranks[0].label == table.rows[0].group.label == best


def test_sizes_are_no_scores(write_run, tmp_path):
    rows = scores([500.0, 400.0], "truth_volume", "mm3") + scores([3.0, 0.0], "false_positive_volume", "mm3")
    write_run("A", rows=rows + scores([0.8, 0.9]))
    tables = make_tables(group_runs(read_runs([tmp_path])))
    assert [table.title for table in tables] == ["Dice", "False-positive volume (mm3)"]


def test_rows_tested_on_other_persons_do_not_compete_and_are_marked(write_run, tmp_path):
    write_run("A", level=0.8)
    write_run("B", level=0.7)
    write_run("C", level=0.99, persons=("p1", "p2"), split_hash="other")
    tables = make_tables(group_runs(read_runs([tmp_path])))
    best = {row.group.label: row.cells[0].best for row in tables[0].rows}
    assert best == {"A": True, "B": False, "C": False}
    assert re.search(r"\| C <sup>1</sup> \|", to_markdown(tables, {}))
    assert "<sup>1</sup> C: tested on other persons" in to_markdown(tables, {})
    assert "C$^{1}$" in to_latex(tables)


def test_persons_of_the_same_name_in_two_data_sets_are_not_paired(write_run, tmp_path):
    write_run("A", level=0.8)
    write_run("A", level=0.9, dataset="elsewhere")
    assert all(
        cell.difference is None and not cell.best
        for table in make_tables(group_runs(read_runs([tmp_path])))
        for row in table.rows
        for cell in row.cells
    )


def test_markdown_cells(tables):
    text = to_markdown(tables, {})
    first = next(line for line in text.splitlines() if line.startswith("| Attention U-Net"))
    cell = first.split(" | ")[1]
    assert re.fullmatch(r"\*\*0\.\d{3}\*\*† \[0\.\d{3}, 0\.\d{3}\] n=5", cell)
    assert first.rstrip(" |").endswith("| 27.60 | 12.5 min")
    scores, *_ = text.split("\n### ")
    assert {line.count("|") for line in scores.splitlines() if line.startswith("|")} == {8}


def test_csv_keeps_the_numbers(tables):
    frame = to_frame(tables)
    back = pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=True)
    assert len(back) == 5 * 4 * 4
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                mine = (back["row"] == row.group.label) & (back["metric"] == table.metric) & (back["class"] == column)
                (found,) = back[mine].to_dict("records")
                assert (found["mean"], found["low"], found["high"]) == (
                    cell.summary.mean, cell.summary.low, cell.summary.high,
                )  # fmt: skip
                assert (found["n"], found["absent"], found["best"]) == (cell.summary.n, cell.summary.absent, cell.best)


def test_latex_is_balanced(tables):
    text = to_latex(tables)
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert sorted(begun) == sorted(ended) == sorted(["table", "tabular"] * 5 * 3)  # scores, pairs, ranks
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    for i, block in enumerate(re.findall(r"\\toprule(.*?)\\bottomrule", text, flags=re.S)):
        rows = [line for line in block.splitlines() if line.endswith(r"\\")]
        expected = ([6] * 5, [7] * 7, [4] * 5)[i % 3]  # four rows, six pairs, four ranks, each below a head
        assert [len(re.findall(r"(?<!\\)&", line)) for line in rows] == expected
    assert text.isascii()


def test_latex_escapes_what_would_break_it():
    assert escape_latex("grey_matter & 50% {x}^~\\") == (
        r"grey\_matter \& 50\% \{x\}\textasciicircum{}\textasciitilde{}\textbackslash{}"
    )


def test_numbers_for_people():
    assert number(math.nan) == "–"
    assert [number(0.9126), number(12.34, "mm"), number(-0.5)] == ["0.913", "12.3", "−0.500"]
    assert number(489369.5, "mm3") == "489,370"
    assert [duration(None), duration(48), duration(750), duration(11520)] == ["–", "48 s", "12.5 min", "3.2 h"]
