"""A run's table of cases on W&B's server: whether it arrived, and sending it again from the run folder.

`wandb sync` reads tables from a folder of its own. It says nothing if that is gone (another machine, another home) or
if the server refuses a table, and marks the run as sent all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import wandb
import yaml

from spinelab.callbacks.wandb_run import CONNECT_SECONDS, cases_table
from spinelab.files import write_atomically

CASES = "cases.parquet"


def table_is_owed(folder: Path, id: str) -> bool:
    """Whether a run has a table of which is not known yet that it arrived."""
    return (folder / CASES).is_file() and not _receipt(folder, id).is_file()


def send_table(folder: Path, id: str, entity: str | None = None, project: str | None = None) -> bool:
    """Ask the server for a run's table, and send it from ``cases.parquet`` if it is not there.

    Args:
        folder: The run folder.
        id: Identifier in W&B.
        entity: Where the run is; without it, the user's own.
        project: Where the run is; without it, the one of the run's configuration.

    Returns:
        Whether the server has the table.
    """
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    entity, project = entity or wandb.Api().default_entity, project or config["logger"]["project"]
    name = f"{entity}/{project}/run-{id}-cases:latest"
    if not wandb.Api().artifact_exists(name):
        settings = wandb.Settings(console="off", silent=True, init_timeout=CONNECT_SECONDS)
        where: dict[str, Any] = {"id": id, "entity": entity, "project": project, "dir": str(folder)}
        with wandb.init(**where, mode="online", resume="must", reinit="create_new", settings=settings) as run:
            run.log({"cases": cases_table(pd.read_parquet(folder / CASES))})
        if not wandb.Api().artifact_exists(name):
            return False
    write_atomically(_receipt(folder, id), f"{name}\n")
    return True


def _receipt(folder: Path, id: str) -> Path:
    return folder / "wandb" / f"run-{id}.cases.sent"
