"""The end of a run: the test persons are scored, and what it took is written down."""

from __future__ import annotations

import pandas as pd
import torch

from spinelab import build
from spinelab.commands._checked import Fitted, parameter_count
from spinelab.commands._scoring import print_scores, score_cases, summary
from spinelab.run import Run
from spinelab.run_state import run_state


def close(fitted: Fitted, run: Run, seconds: float) -> None:
    """End a run whose test persons are not scored: a trial of a search."""
    write_facts(fitted, run, seconds)
    fitted.view.close()
    print(f"validation Dice {fitted.val_dice:.4f}; the test persons are not scored (test=false)")


def write_facts(fitted: Fitted, run: Run, seconds: float) -> None:
    """Write ``environment.json``."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    facts = {"seconds": round(_trained(run, seconds), 1), "val_dice": fitted.val_dice, "gpu": gpu}
    run.write_environment(parameters=parameter_count(fitted.network), **facts)


def _trained(run: Run, seconds: float) -> float:
    """Seconds of training over all commands that worked on the run, where they are known; else of this one."""
    if run.metrics.is_file():
        return float(pd.read_csv(run.metrics)["seconds"].max())
    known = run_state(run.folder).seconds  # of a technique that was fitted before, and is scored now
    return seconds if known is None else known


def score(fitted: Fitted, run: Run, seconds: float) -> pd.DataFrame:
    """Score the test persons, write the table and the panels, and close the W&B run."""
    failed = True
    try:
        wanted = [case for case in fitted.cases if case.person in fitted.split.test]
        how = build.preprocessing(fitted.config), build.scoring(fitted.config)
        table, panels = score_cases(fitted.network, wanted, fitted.labels, *how, run.folder / "panels")
        table = describe(table, fitted, run)
        write_facts(fitted, run, seconds)
        run.write_cases(table)
        fitted.view.log_cases(table, summary(table))
        fitted.view.log_panels("test/panels", panels, fitted.labels.classes)
        failed = False
    finally:
        fitted.view.close(failed)
    print_scores(table, title=f"{fitted.config.name} on {fitted.config.data.name}: test persons")
    return table


def describe(table: pd.DataFrame, fitted: Fitted, run: Run) -> pd.DataFrame:
    """Put the columns that name the run before the columns that name the case."""
    facts = {
        "run": run.id,
        "model": fitted.config.name,
        "dataset": fitted.config.data.name,
        "protocol": fitted.split.protocol,
        "fold": fitted.split.fold,
        "seed": fitted.config.seed,
        "split_hash": fitted.split.hash,
    }
    return pd.concat([pd.DataFrame([facts] * len(table)), table], axis=1)
