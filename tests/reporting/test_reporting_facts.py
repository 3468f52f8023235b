from __future__ import annotations

import json

import pytest

from spinelab.reporting.compare import compare
from spinelab.reporting.facts import facts
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs


def facts_below(folder):
    results = read_runs([folder])
    return facts(results, group_runs(results))


@pytest.mark.parametrize(
    ("trainer", "budget"),
    [
        ({"max_epochs": 20}, "20 epochs"),
        ({"max_epochs": 20, "max_steps": -1}, "20 epochs"),
        ({"max_epochs": -1, "max_steps": 150}, "150 steps"),
        ({"max_epochs": None, "max_steps": 150}, "150 steps"),
        ({"max_epochs": 20, "max_steps": 150}, "20 epochs or 150 steps"),
        ({"max_epochs": -1}, None),
    ],
)
def test_the_budget_is_what_limits_the_training(write_run, tmp_path, trainer, budget):
    write_run("A", settings={"trainer": trainer})
    assert facts_below(tmp_path).get("Budget") == budget


def test_the_days_on_which_runs_ended(write_run, tmp_path):
    first, second, third = write_run("A"), write_run("A", seed=1), write_run("A", seed=2)
    assert "Runs ended" not in facts_below(tmp_path)
    (first / "status.json").write_text(json.dumps({"state": "done", "when": "2026-11-23T08:00:00+00:00"}))
    (second / "status.json").write_text("{")
    assert facts_below(tmp_path)["Runs ended"] == "2026-11-23"
    (third / "status.json").write_text(json.dumps({"state": "done", "when": "2026-11-21T08:00:00+00:00"}))
    assert facts_below(tmp_path)["Runs ended"] == "2026-11-21 to 2026-11-23"


def test_the_written_table_says_what_it_was_made_of(write_run, tmp_path):
    write_run("A")
    text = (compare([tmp_path], tmp_path / "out").parent / "table.md").read_text(encoding="utf-8")
    told = text[text.index("## Runs") :]
    assert "- Code: 0123456789ab\n" in told
    assert "- Machine: test machine, 2 cores\n" in told
    assert "- Persons: 3 train / 1 val / 5 test / 5 scored in all\n" in told
