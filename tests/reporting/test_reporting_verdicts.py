from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from spinelab.reporting.compare import compare
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import make_tables
from spinelab.reporting.verdicts import verdicts
from spinelab.reporting.writers import comparisons_frame, ranks_frame


def scores(values, metric="dice", unit="1"):
    row = {"site": "", "class": "cord", "metric": metric, "unit": unit, "state": "present"}
    return [row | {"person": f"p{i}", "case": f"c{i}", "value": float(v)} for i, v in enumerate(values)]


BASE = np.random.default_rng(0).normal(0.8, 0.05, 30)
NOISE = np.random.default_rng(1).normal(0, 0.02, (30, 12))


def said(folder):
    sentences = verdicts(make_tables(group_runs(read_runs([folder])))[0])
    assert all("n=" in sentence for sentence in sentences)
    return sentences


def test_a_real_difference_and_one_that_needs_more_persons(write_run, tmp_path):
    write_run("A", rows=scores(BASE + 0.05 + NOISE[:, 0]))
    write_run("B", rows=scores(BASE))
    write_run("C", rows=scores(BASE + 0.002 + NOISE[:, 1] - NOISE[:, 1].mean()))
    first, *pairs, seeds = said(tmp_path)
    assert first.startswith("A has the best mean and stays first in 100 % of 9999 resamples of the n=30 persons")
    assert re.match(
        r"A is better than C: 0\.\d+ \[0\.0\d+, 0\.0\d+\] with n=30 persons, adjusted p <0\.001\.", pairs[0]
    )
    assert pairs[1].startswith("A is better than B")
    assert re.match(r"C and B cannot be told apart: 0\.002 \[−0\.\d+, 0\.\d+\] with n=30", pairs[2])
    needed = int(re.search(r"About ([\d,]+) persons would be needed", pairs[2])[1].replace(",", ""))
    assert needed > 300
    assert seeds.startswith("Seed noise is not known for A, C, B (n=30 persons, one seed)")


def test_beyond_and_within_seed_noise(write_run, tmp_path):
    for seed, shift in enumerate((-0.03, 0, 0.03)):
        write_run("A", seed=seed, rows=scores(BASE + 0.02 + shift))
        write_run("B", seed=seed, rows=scores(BASE + shift + NOISE[:, 0]))
        write_run("C", seed=seed, rows=scores(BASE - 0.3 + shift + NOISE[:, 1]))
    pairs = [sentence for sentence in said(tmp_path) if "better" in sentence]
    assert len(pairs) == 3
    assert "A is better than B" in pairs[0]
    assert "is within seed noise (seeds alone would give up to 0.0" in pairs[0]
    assert all("real, and beyond seed noise" in sentence for sentence in pairs[1:])


def test_few_persons_are_no_test(write_run, tmp_path):
    write_run("A", rows=scores(BASE[:5] + 0.1))
    write_run("B", rows=scores(BASE[:5]))
    first, *_ = said(tmp_path)
    assert first == (
        "A and B: with n=5 persons no test is called (6 are the fewest); the difference is 0.100 [0.100, 0.100]."
    )


def test_few_persons_and_many_rows_take_one_sentence(write_run, tmp_path):
    for name, more in (("A", 0.3), ("B", 0.1), ("C", 0.0)):
        write_run(name, rows=scores(BASE[:5] + more))
    first, *rest = said(tmp_path)
    assert first == (
        "With n=5 persons no test is called (6 are the fewest). The 3 differences between rows are "
        "0.100 [0.100, 0.100] (B and C) to 0.300 [0.300, 0.300] (A and C)."
    )
    assert all("Seed noise" in sentence for sentence in rest)


def test_the_lower_distance_is_the_better(write_run, tmp_path):
    write_run("A", rows=scores(10 * BASE + 2 + NOISE[:, 0], "hd95", "mm"))
    write_run("B", rows=scores(10 * BASE, "hd95", "mm"))
    sentence = next(s for s in said(tmp_path) if "better" in s)
    assert sentence.startswith("B is better than A: 2.0 mm [2.0, 2.0] with")


def test_a_pair_that_counts_alone_but_not_among_many(write_run, tmp_path):
    rng = np.random.default_rng(6)
    for i in range(5):  # ten pairs
        write_run("ABCDE"[i], rows=scores(BASE[:8] + (0.02 if i == 0 else 0) + rng.normal(0, 0.02, 8)))
    table = make_tables(group_runs(read_runs([tmp_path])))[0]
    alone = [pair for pair in table.comparisons["cord"] if pair.p < 0.05 <= pair.adjusted]
    assert alone
    assert sum("Alone the pair would count" in s and "among 10 pairs it does not" in s for s in said(tmp_path)) == len(
        alone
    )


def test_many_pairs_are_counted(write_run, tmp_path):
    for i in range(12):
        write_run(f"M{i:02}", rows=scores(BASE - 0.02 * i + 0.1 * NOISE[:, i]))
    sentences = said(tmp_path)
    assert len(sentences) == 1 + 11 + 1 + 1
    assert "Of the other 55 pairs 55 differ (n=30 persons); comparisons.csv lists them all." in sentences


def test_nothing_is_said_of_rows_that_do_not_compare(write_run, tmp_path):
    write_run("A", rows=scores(BASE))
    write_run("B", rows=scores(BASE[:9]))
    assert said(tmp_path) == []


def test_a_test_and_an_interval_that_disagree_are_told(write_run, tmp_path):
    """Nearly all persons are a little better with A, one is much worse: by ranks a difference, in the mean none."""
    difference = np.full(30, 0.01) + NOISE[:, 0] / 10
    difference[0] = -0.4
    write_run("A", rows=scores(BASE + difference))
    write_run("B", rows=scores(BASE))
    (pair,) = [sentence for sentence in said(tmp_path) if "cannot be told apart" in sentence]
    assert (
        "adjusted p <0.001. The test, which goes by ranks, sees a difference; the interval of the mean holds 0" in pair
    )


def test_equal_rows(write_run, tmp_path):
    write_run("A", rows=scores(BASE))
    write_run("B", rows=scores(BASE))
    assert any("A and B cannot be told apart: 0.000 [0.000, 0.000] with n=30 persons, adjusted p = 1.000." in s
               for s in said(tmp_path))  # fmt: skip


def test_frames_hold_every_pair_and_rank(four_models):
    tables = make_tables(group_runs(read_runs([four_models])))
    pairs, ranks = comparisons_frame(tables), ranks_frame(tables)
    assert len(pairs) == 5 * 4 * 6
    assert len(ranks) == 5 * 4 * 4
    dice = pairs[(pairs["metric"] == "dice") & (pairs["class"] == "cord")]
    means = {row.group.label: row.cells[0].summary.mean for row in tables[0].rows}
    expected = [means[a] - means[b] for a, b in zip(dice["first"], dice["second"], strict=True)]
    assert dice["difference"].tolist() == pytest.approx(expected)
    assert dice["p"].isna().all()  # five persons
    assert set(ranks.loc[ranks["metric"] == "dice", "rank"]) == {1, 2, 3, 4}


def test_written_files_agree_and_are_no_runs(four_models, tmp_path):
    out = compare([four_models], tmp_path / "runs" / "comparison").parent
    pooled = pd.read_parquet(out / "all_cases.parquet")
    cases = read_runs([four_models]).cases
    assert len(pooled) == len(cases)
    assert pooled["value"].sum() == pytest.approx(cases["value"].sum())
    assert list(pd.read_csv(out / "comparisons.csv")["class"].unique()) == [
        "cord",
        "vertebra",
        "lesion",
        "mean over classes",
    ]
    again = read_runs([four_models, tmp_path / "runs"])
    assert (len(again.runs), again.skipped) == (8, ())
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "### What can be said: Dice, mean over classes" in text
    assert text.count("### Paired comparisons") == text.count("### Ranks") == text.count("### Where the spread") == 5
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.index("What can be said") < page.index('<section class="metric"')
    assert page.count("Paired comparisons of all rows") == page.count("Ranks and how steady they are") == 5
    assert "With n=5 persons no test is called" in page
