"""Sees to it that a run's table of cases is on W&B's server; a command of its own, so that it can be given up.

`wandb sync` reads tables from a folder of its own. It says nothing if that is gone (another machine, another home) or
if the server refuses a table, and marks the run as sent all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
import yaml

from spinelab.callbacks.wandb_table import cases_table
from spinelab.commands._arguments import options
from spinelab.commands.sync import CASES, receipt
from spinelab.files import write_atomically


def main(arguments: Sequence[str]) -> int:
    """Send the table of a run: its folder, its identifier in W&B, and perhaps `entity=` and `project=`."""
    folder, id, *words = arguments
    try:
        arrived = send_table(Path(folder), id, **options(words, ("entity", "project")))
    except Exception as error:  # wandb's errors have no common class
        print(f"sending the table of cases failed: {(str(error).strip() or repr(error)).splitlines()[0]}")
        return 1
    if not arrived:
        print("sending the table of cases failed: the server did not take it")
    return int(not arrived)


def send_table(folder: Path, id: str, entity: str | None = None, project: str | None = None) -> bool:
    """Ask the server for a run's table, and send it from ``cases.parquet`` if it is not there.

    Args:
        folder: The run folder.
        id: Identifier in W&B.
        entity: Where the run is; without it, the user's own.
        project: Where the run is; without it, the one of the run's configuration.

    Returns:
        Whether the server has the table; if so, a receipt lies in the run folder.
    """
    api = wandb.Api()
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    entity, project = entity or api.default_entity, project or config["logger"]["project"]
    name = f"{entity}/{project}/run-{id}-cases:latest"
    if not api.artifact_exists(name):
        where: dict[str, Any] = {"id": id, "entity": entity, "project": project, "dir": str(folder)}
        settings = wandb.Settings(console="off", silent=True)
        with wandb.init(**where, mode="online", resume="must", settings=settings) as run:
            run.log({"cases": cases_table(pd.read_parquet(folder / CASES))})
        if not api.artifact_exists(name):
            return False
    write_atomically(receipt(folder, id), f"{name}\n")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
