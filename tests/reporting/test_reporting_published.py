"""The review's numbers as data, and beside what runs measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spinelab.errors import ConfigError, RunError
from spinelab.reporting.alike import check_alike
from spinelab.reporting.beside import RowRuns, lay_beside
from spinelab.reporting.beside_text import Page, to_frame, to_latex, to_markdown, write_page
from spinelab.reporting.meaning import differences
from spinelab.reporting.published import PublishedCell, PublishedTable, read_published
from spinelab.sweeps.study_file import read_study

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHIPPED = read_published(EXPERIMENTS / "published.yaml")
TABLE3 = SHIPPED["table3"]


def cell(table: str, row: str, metric: str) -> PublishedCell:
    found = SHIPPED[table].cell(row, metric)
    assert found is not None
    return found


def test_every_table_of_the_review_is_there():
    assert list(SHIPPED) == [*(f"table{number}" for number in range(1, 9)), "text"]
    counts = [len(table.cells) for table in SHIPPED.values()]
    assert counts[:8] == [4, 4, 6, 5, 18, 6, 2, 17]
    assert [len(table.rows) for table in SHIPPED.values()][2:8] == [2, 5, 6, 2, 2, 14]


def test_the_misprint_is_shown_as_printed_and_counted_as_meant():
    dice = cell("table6", "U-Net", "dice")
    assert (dice.printed, dice.scaled) == ("862.8 %", pytest.approx(0.8628))
    assert cell("table3", "U-Net", "sensitivity").printed == "0.80"
    assert cell("table8", "Zhou 2D U-Net", "dice").printed == "84.9 ± 9.1 %"
    assert cell("table4", "threshold", "dice").printed == "> 0.85"


def implied_foreground(row: tuple[float, float, float]) -> float:
    """Part of the pixels that is foreground if Dice, sensitivity and specificity are of the same pixels.

    By bisection of Dice = 2 TP / (2 TP + FP + FN), which rises with the foreground.
    """
    dice, sensitivity, specificity = row
    low, high = 0.0, 1.0
    for _ in range(60):
        part = (low + high) / 2
        hit, missed, false = sensitivity * part, (1 - sensitivity) * part, (1 - specificity) * (1 - part)
        low, high = (part, high) if 2 * hit / (2 * hit + missed + false) < dice else (low, part)
    return low


def test_what_the_notes_say_of_the_foreground_follows_from_the_cells():
    def implied(table: str, row: str) -> float:
        values = [cell(table, row, name).scaled or 0.0 for name in ("dice", "sensitivity", "specificity")]
        return implied_foreground((values[0], values[1], values[2]))

    assert [round(100 * implied("table3", row)) for row in TABLE3.rows] == [55, 65]
    assert "55 %" in cell("table3", "U-Net", "dice").note
    assert "65 %" in cell("table3", "Attention U-Net", "dice").note
    table5 = [implied("table5", row) for row in SHIPPED["table5"].rows]
    assert (round(100 * min(table5)), round(100 * max(table5))) == (51, 60)
    assert "51 to 60 %" in SHIPPED["table5"].caveat


def test_the_bounds_of_the_misprint_follow_from_its_row():
    def dice(sensitivity: float, ppv: float) -> float:
        return 2 * sensitivity * ppv / (sensitivity + ppv)

    sensitivity, ppv = (float(cell("table6", "U-Net", name).value) for name in ("sensitivity", "ppv"))
    low, high = dice(sensitivity - 0.5, ppv - 0.5), dice(sensitivity + 0.5, ppv + 0.5)
    assert f"{low:.1f} to {high:.1f} %" in cell("table6", "U-Net", "dice").note
    assert low < (cell("table6", "U-Net", "dice").corrected or 0) < high


@pytest.mark.parametrize("name", ["table3", "table6", "table7"])
def test_every_row_of_a_table_has_a_study_row_or_a_reason(name):
    study, paper = read_study(EXPERIMENTS / f"{name}.yaml"), SHIPPED[name]
    assert set(paper.rows) <= set(study.rows) | set(paper.not_yet_run)
    assert {"smoke", "cpu", "paper"} <= set(study.budgets)
    assert set(study.data) == {"phantom", "spider_t2space", "gm_challenge"}


def test_tables_without_a_study_say_why():
    for name in ("table4", "table5", "table8"):
        if not (EXPERIMENTS / f"{name}.yaml").is_file():
            assert set(SHIPPED[name].rows) == set(SHIPPED[name].not_yet_run)


GOOD = {"table": "table3", "row": "U-Net", "metric": "dice", "value": 0.85, "unit": "1", "trust": "unsourced"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"trust": "unsorced"}, r"trust is 'unsorced'.*did you mean unsourced"),
        ({"metric": "dicee"}, r"metric is 'dicee'.*did you mean dice"),
        ({"unit": "percent"}, r"unit is 'percent'"),
        ({"value": "0,85"}, r"value is '0,85'"),
        ({"value": True}, r"value is True"),
        ({"value": 862.8, "unit": "%"}, r"value 862.8 % is no ratio.*corrected"),
        ({"corrected": 0.8}, r"corrected, but trust is unsourced"),
        ({"trust": "garbled"}, r"garbled without a note"),
        ({"trust": "ok", "source": 0.9}, r"value 0.85 and source 0.9"),
        ({"trust": "contradicted", "source": 0.85, "note": "x"}, r"value 0.85 and source 0.85"),
        ({"citation": "[3]"}, r"citation is '\[3\]'"),
        ({"cite": 3}, r"no key 'cite'.*citation"),
        ({"table": "table9"}, r"table is 'table9'"),
        ({"trust": None}, r"trust is missing"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, change, told):
    head = {"table3": {"title": "t", "compares": "c", "caveat": "k"}}
    other = GOOD | {"metric": "ppv"}
    file = tmp_path / "published.yaml"
    file.write_text(yaml.safe_dump({"tables": head, "cells": [other, GOOD]}))
    assert len(read_published(file)["table3"].cells) == 2
    file.write_text(yaml.safe_dump({"tables": head, "cells": [other, GOOD | change]}))
    with pytest.raises(ConfigError, match=rf"(?s)published\.yaml: cells\[1\] \(.*U-Net.*{told}"):
        read_published(file)


def test_an_entry_that_is_there_twice_or_no_mapping_is_refused(tmp_path):
    file = tmp_path / "published.yaml"
    head = {"table3": {"title": "t", "compares": "c", "caveat": "k"}}
    for cells, told in (([GOOD, GOOD], "there twice"), ([3], r"cells\[0\] .*no mapping")):
        file.write_text(yaml.safe_dump({"tables": head, "cells": cells}))
        with pytest.raises(ConfigError, match=told):
            read_published(file)


TERMS = {
    "data": {"name": "phantom", "root": "/a", "preprocessing": {"spacing_mm": [1, 1]}},
    "protocol": {"folds": 5, "fold": 0}, "trainer": {"max_epochs": 5},
    "callbacks": {"checkpoint": {"monitor": "val/dice", "mode": "max"}, "early_stopping": {"patience": 9}},
    "augmentation": {"shift": 0}, "loader": {"batch_size": 8, "num_workers": 1}, "loss": {"_target_": "a"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"protocol": {"folds": 4, "fold": 0}}, r"split: protocol\.folds is 5 for U-Net, 4 for FCN"),
        ({"trainer": {"max_epochs": 6}}, r"budget: trainer\.max_epochs is 5 for U-Net, 6 for FCN"),
        ({"augmentation": {"shift": 2}}, r"augmentation: augmentation\.shift is 0 for U-Net, 2 for FCN"),
        ({"callbacks": TERMS["callbacks"] | {"checkpoint": {"monitor": "val/loss", "mode": "max"}}},
         r"selection rule: callbacks\.checkpoint\.monitor is val/dice for U-Net, val/loss for FCN"),
        ({"loader": {"batch_size": 4}}, r"budget: loader\.batch_size is 8 for U-Net, 4 for FCN"),
        ({"data": {"name": "phantom", "preprocessing": {"spacing_mm": [2, 2]}}}, r"split: data\.preprocessing"),
    ],
)  # fmt: skip
def test_rows_on_other_terms_are_refused_by_name(change, told):
    check_alike({"U-Net": TERMS, "FCN": TERMS | {"loss": {"_target_": "b"}, "protocol": {"folds": 5, "fold": 3}}})
    with pytest.raises(ConfigError, match=told):
        check_alike({"U-Net": TERMS, "FCN": TERMS | change})


@pytest.fixture
def rows(write_run) -> dict[str, RowRuns]:
    labels = {"data": {"name": "phantom", "labels": {"classes": ["cord", "vertebra", "lesion"], "lesions": ["lesion"]}}}
    persons = tuple(f"p{i}" for i in range(1, 13))
    done = {
        name: tuple(write_run(name, level=level, seed=seed, persons=persons, settings=labels) for seed in (0, 1))
        for name, level in (("U-Net", 0.9), ("Attention U-Net", 0.8))
    }
    return {"U-Net": RowRuns(done["U-Net"], 2, "model=unet"), "Attention U-Net": RowRuns(done["Attention U-Net"], 3)}


def test_measured_values_stand_beside_the_printed_ones(rows):
    sheet = lay_beside(TABLE3, "phantom", rows)
    assert sheet.columns == ("mean over classes", "lesion")
    line = next(line for line in sheet.lines if (line.row, line.metric) == ("U-Net", "dice"))
    assert line.paper is TABLE3.cell("U-Net", "dice")
    cases = pd.concat([pd.read_parquet(folder / "cases.parquet") for folder in rows["U-Net"].done])
    dice = cases[cases["metric"] == "dice"]
    by_class = dice.groupby(["run", "person", "class"])["value"].mean()
    mean = by_class.groupby(["run", "person"]).mean().groupby("person").mean().mean()
    found = line.measured["mean over classes"]
    assert found.mean == pytest.approx(mean)
    assert found.low < mean < found.high
    assert found.n == 12
    assert line.measured["lesion"].n == 11  # p4 has none
    other = [line.why for line in sheet.lines if line.row == "Attention U-Net"]
    assert set(other) == {"2 of 3 runs are done"}


def test_a_difference_keeps_its_direction(rows):
    sheet = lay_beside(TABLE3, "phantom", rows)
    said, *others = differences(TABLE3, sheet)
    assert [sentence.partition(",")[0] for sentence in others] == ["Sensitivity", "Specificity"]
    assert said.startswith("Dice, Attention U-Net − U-Net: printed +0.030; measured −0.")
    swapped = {"U-Net": RowRuns(rows["Attention U-Net"].done, 2), "Attention U-Net": RowRuns(rows["U-Net"].done, 2)}
    said, *_ = differences(TABLE3, lay_beside(TABLE3, "phantom", swapped))
    assert "measured +0." in said


def test_the_page_tells_trust_notes_and_meaning(rows, tmp_path):
    other = {"U-Net": RowRuns((), 5, "model=unet")}
    sheets = lay_beside(TABLE3, "phantom", rows), lay_beside(TABLE3, "gm_challenge", other)
    page = Page(TABLE3, "smoke", "Minutes.", sheets)
    text = to_markdown(page)
    assert "| row | metric | printed | trust | measured, mean over classes | measured, lesion |" in text
    assert "| U-Net | Dice | 0.85 <sup>1</sup> | unsourced | 0." in text
    assert "| U-Net | Dice | 0.85 <sup>1</sup> | unsourced | not yet run: none of its runs is done |" in text
    assert "| Attention U-Net | Sensitivity | 0.82 | unsourced | not yet run: this budget does not hold it |" in text
    assert "<sup>1</sup> U-Net, Dice: 0.85; with its sensitivity" in text
    assert "6 unsourced" in text.split("does and does not show")[1]
    assert "unchecked:" not in text, "only grades that occur are explained"
    file = write_page(page, tmp_path / "out")
    assert file.read_text() == text
    frame = pd.read_csv(tmp_path / "out" / "table.csv")
    line = frame[(frame["row"] == "U-Net") & (frame["metric"] == "dice") & (frame["class"] == "lesion")].iloc[0]
    assert (line["printed_value"], line["printed_trust"], line["n"]) == (0.85, "unsourced", 11)
    assert set(frame.loc[frame["data"] == "gm_challenge", "n"].isna()) == {True}


def test_the_latex_table_escapes_and_fits_its_columns(rows):
    text = to_latex(Page(SHIPPED["table6"], "smoke", "Minutes.", (lay_beside(SHIPPED["table6"], "phantom", rows),)))
    assert r"862.8 \% [1]" in text
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    assert {line.count(" & ") for line in body.splitlines() if line.endswith(r"\\")} == {5}


def test_the_frame_has_one_line_a_class(rows):
    frame = to_frame(Page(TABLE3, "smoke", "Minutes.", (lay_beside(TABLE3, "phantom", rows),)))
    assert not frame.duplicated(["data", "row", "metric", "class"]).any()


def test_runs_of_other_splits_are_refused(rows, write_run):
    settings = {"data": {"name": "phantom", "labels": {"classes": ["cord", "vertebra", "lesion"]}}}
    other = write_run("Attention U-Net", split_hash="fff999", settings=settings)
    mixed = {"U-Net": rows["U-Net"], "Attention U-Net": RowRuns((other,), 1)}
    with pytest.raises((RunError, ConfigError), match="U-Net"):
        lay_beside(TABLE3, "phantom", mixed)


def test_a_metric_that_runs_do_not_have_is_told():
    paper = PublishedTable("t", "t", "c", "k", {"B": "no network"}, (
        PublishedCell("t", "A", "accuracy", 0.9, "1", "unchecked"),
        PublishedCell("t", "B", "accuracy", 91, "%", "unchecked"),
    ))  # fmt: skip
    sheet = lay_beside(paper, "phantom", {"A": RowRuns((), 1)})
    assert [line.why for line in sheet.lines] == ["none of its runs is done", "no network"]
    assert "no network" in to_markdown(Page(replace(paper, caveat="k"), "smoke", "Minutes.", (sheet,)))
