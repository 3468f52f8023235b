"""save the comparison in Weights & Biases: a workspace, and a report with its tables

usage: spinelab dashboard FOLDER [FOLDER ...] entity=NAME [project=spinelab] [title=TEXT]

Examples:
  spinelab dashboard runs/gm_challenge entity=my-team
  spinelab dashboard runs/phantom entity=my-team project=spine title="Architectures on the phantom"

Folders are runs or hold runs. The runs themselves must be in the project already: train with logger.mode=online, or
send offline ones with `spinelab sync`. Needs pip install 'spinelab[dashboard]' and `wandb login`. Prints both
addresses; run again, it saves new ones beside the old.
"""

from __future__ import annotations

from collections.abc import Sequence

from spinelab.commands._arguments import options
from spinelab.errors import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Save a workspace and a report."""
    paths = [argument for argument in arguments if "=" not in argument]
    given = options([a for a in arguments if "=" in a], ("entity", "project", "title"), required=("entity",))
    if not paths:
        raise ConfigError("no runs are named", "give run folders: spinelab dashboard runs entity=my-team")
    for made in save(paths, given["entity"], given.get("project", "spinelab"), given.get("title")):
        print(made)
    return 0


def save(paths: Sequence[str], entity: str, project: str, title: str | None = None) -> tuple[str, str]:
    """Save both; returns their addresses.

    Raises:
        ConfigError: wandb-workspaces is not installed, or the server refuses (the message is its own).
        RunError: There is nothing to compare.
    """
    from spinelab.reporting.dashboard import Place, make_report, make_workspace
    from spinelab.reporting.groups import group_runs
    from spinelab.reporting.results import read_runs
    from spinelab.reporting.tables import make_tables

    results = read_runs(paths)
    groups = group_runs(results)
    name = title or f"spinelab: {', '.join(sorted({str(run['dataset']) for run in results.runs}))}"
    place = Place(entity, project)
    try:
        report = make_report(results, groups, make_tables(groups), place, name)
        workspace = make_workspace(results, place, name)
        return f"workspace: {workspace.save().url}", f"report: {report.save().url}"
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", "pip install 'spinelab[dashboard]'") from error
    except Exception as error:  # of many kinds: no login, no network, no such entity
        remedy = "check `wandb login`, the entity and the network; the same tables are in `spinelab compare`"
        raise ConfigError(f"Weights & Biases did not save it: {error}", remedy) from error
