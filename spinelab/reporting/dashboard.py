"""The comparison inside Weights & Biases: a saved workspace, and a report with the same tables.

Needs the extra ``spinelab[dashboard]`` (wandb-workspaces). Making the objects needs no server; only `save` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spinelab.reporting.facts import facts
from spinelab.reporting.groups import Group, find_problems
from spinelab.reporting.results import Results
from spinelab.reporting.tables import Table
from spinelab.reporting.writers import to_markdown

STEP = "trainer/global_step"


@dataclass(frozen=True)
class Place:
    """Where in W&B: whose account or team, and which project."""

    entity: str
    project: str


def make_workspace(results: Results, place: Place, name: str) -> Any:
    """A `wandb_workspaces.workspaces.Workspace`: test scores by class, learning curves, pictures of cases."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    sections = {
        "Test persons": [_bars(wr, cls) for cls in _classes(results)],
        "Training": _curves(wr, results),
        "Cases": [wr.MediaBrowser(media_keys=["test/panels"]), wr.MediaBrowser(media_keys=["val/panels"])],
    }
    return ws.Workspace(
        entity=place.entity,
        project=place.project,
        name=name,
        sections=[ws.Section(name=title, panels=panels, is_open=True) for title, panels in sections.items()],
    )


def make_report(
    results: Results, groups: tuple[Group, ...], tables: tuple[Table, ...], place: Place, title: str
) -> Any:
    """A `wandb_workspaces.reports.v2.Report`: warnings, the tables of `spinelab compare`, curves of these very runs."""
    import wandb_workspaces.reports.v2 as wr

    names = sorted({str(run["run"]) for run in results.runs})
    ids = ", ".join(f"'{name}'" for name in names)
    runs = wr.Runset(entity=place.entity, project=place.project, name="these runs", filters=f"ID in [{ids}]")
    problems = find_problems(results, groups)
    warning = [wr.H2("Before you believe the table"), wr.UnorderedList(items=list(problems))] if problems else []
    panels = [*_curves(wr, results), *(_bars(wr, cls) for cls in _classes(results))]
    blocks = [
        *warning,
        wr.MarkdownBlock(text=to_markdown(tables, facts(results, groups))),
        wr.H2("Curves"),
        wr.PanelGrid(runsets=[runs], panels=panels),
        wr.H2("Cases"),
        wr.PanelGrid(runsets=[runs], panels=[wr.MediaBrowser(media_keys=["test/panels"])]),
    ]
    return wr.Report(entity=place.entity, project=place.project, title=title, blocks=blocks, width="fluid")


def spec(made: Any) -> dict[str, Any]:
    """What would be sent to the server."""
    found: dict[str, Any] = made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _classes(results: Results) -> list[str]:
    return [str(cls) for cls in results.cases["class"].unique() if cls != "all"]


def _bars(wr: Any, cls: str) -> Any:
    return wr.BarPlot(title=f"test Dice: {cls}", metrics=[f"test/dice/{cls}"])


def _curves(wr: Any, results: Results) -> list[Any]:
    keys = ["val/dice", *(f"val/dice/{cls}" for cls in _classes(results)), "train/loss"]
    return [wr.LinePlot(title=key, x=STEP, y=[key]) for key in keys]
