"""The workspace and the report that would be sent to Weights & Biases, and what happens where they cannot be."""

from __future__ import annotations

import json
import sys

import pytest

from spinelab.commands import dashboard as command
from spinelab.errors import ConfigError
from spinelab.reporting.dashboard import Place, make_report, make_workspace, spec
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.reporting.tables import make_tables

interface = pytest.importorskip("wandb_workspaces.reports.v2.interface", reason="needs spinelab[dashboard]")
PLACE = Place("team", "spine")
CLASSES = ("cord", "vertebra", "lesion")


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """The library asks the server for the project's number when it writes a report's spec."""
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    monkeypatch.setattr(interface, "execute_graphql", lambda *_: {"project": {"internalId": "abc"}})


@pytest.fixture(scope="module")
def results(four_models):
    return read_runs([four_models])


def _metrics(panels):
    return {metric for panel in panels for metric in panel["config"].get("metrics", [])}


def test_the_workspace_shows_every_score_curve_and_picture(results):
    found = spec(make_workspace(results, PLACE, "four models"))
    assert (found["entity"], found["project"], found["displayName"]) == ("team", "spine", "four models")
    sections = {s["name"]: s["panels"] for s in found["spec"]["section"]["panelBankConfig"]["sections"]}
    assert _metrics(sections["Test persons"]) == {f"test/dice/{cls}" for cls in CLASSES}
    assert _metrics(sections["Training"]) >= {"val/dice", "train/loss", *(f"val/dice/{cls}" for cls in CLASSES)}
    keys = [key for panel in sections["Cases"] for key in panel["config"]["mediaKeys"]]
    assert keys == ["test/panels", "val/panels"]


def test_the_report_holds_the_tables_of_exactly_these_runs(results):
    groups = group_runs(results)
    tables = make_tables(groups)
    blocks = spec(make_report(results, groups, tables, PLACE, "four models"))["spec"]["blocks"]
    text = next(block for block in blocks if block["type"] == "markdown-block")["content"]
    for row in tables[0].rows:
        assert row.group.label in text
        assert f"{row.cells[0].summary.mean:.3f}" in text
    grid = next(block for block in blocks if block["type"] == "panel-grid")["metadata"]
    (runs,) = grid["runSets"]
    (only,) = runs["filters"]["filters"]
    assert only["key"] == {"section": "run", "name": "name"}  # W&B calls a run's identifier its name
    assert set(only["value"]) == {str(run["run"]) for run in results.runs}
    assert "Before you believe the table" in json.dumps(blocks)  # five persons are few


def test_the_command_prints_both_addresses(four_models, monkeypatch, capsys):
    class Saved:
        url = "https://wandb.example/x"

    wandb_workspaces = pytest.importorskip("wandb_workspaces.workspaces")
    monkeypatch.setattr(wandb_workspaces.Workspace, "save", lambda self: Saved)
    monkeypatch.setattr(interface.Report, "save", lambda self: Saved)
    assert command.main([str(four_models), "entity=team"]) == 0
    assert capsys.readouterr().out.split() == ["workspace:", Saved.url, "report:", Saved.url]


def test_a_refusal_is_told(four_models, monkeypatch):
    def refuse(self):
        raise RuntimeError("not logged in")

    monkeypatch.setattr(interface.Report, "save", refuse)
    monkeypatch.setattr(sys.modules["wandb_workspaces.workspaces"].Workspace, "save", refuse)
    with pytest.raises(ConfigError, match=r"(?s)not logged in.*wandb login"):
        command.main([str(four_models), "entity=team"])


def test_without_the_extra_it_says_how_to_get_it(four_models, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(ConfigError, match=r"pip install 'spinelab\[dashboard\]'"):
        command.main([str(four_models), "entity=team"])


def test_the_entity_is_asked_for(four_models):
    with pytest.raises(ConfigError, match="entity"):
        command.main([str(four_models)])
