"""average the predictions of finished runs, and score that like a run

usage: spinelab ensemble RUN RUN [RUN ...] [out=FOLDER]

Examples:
  spinelab ensemble runs/spider/unet-*               seeds of one split, or all folds and seeds of protocol=kfold_test
  spinelab compare runs/spider                       shows the ensemble as a row
  spinelab predict run=runs/spider/unet-ensemble-1a2b3c4d input=scan.nii.gz output=mask.nii.gz

Runs of the same name, protocol and test persons become one ensemble: the mean of their class probabilities, scored on
those persons, whom none of them has seen. Each ensemble is a run folder in out= (default: beside its first member), and
names its members relative to itself. Folds of protocol=kfold test different persons, so there each fold needs further
seeds; folds of protocol=kfold_test become one ensemble. New persons can be predicted with any runs that share classes,
channels and preprocessing: spinelab predict run=RUN,RUN,...
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from spinelab.commands._arguments import options
from spinelab.commands._plans import Plan, plans
from spinelab.errors import ConfigError, RunError
from spinelab.files import write_atomically
from spinelab.run import Run


def main(arguments: Sequence[str]) -> int:
    """Make the ensembles of some runs."""
    folders = [argument for argument in arguments if not argument.startswith("out=")]
    given = options([argument for argument in arguments if argument.startswith("out=")], ("out",))
    if not folders:
        raise ConfigError("no runs are named", "give the folders of finished runs: spinelab ensemble RUN RUN ...")
    ensemble([Run.open(folder) for folder in folders], Path(given["out"]) if "out" in given else None)
    return 0


def ensemble(runs: Sequence[Run], out: Path | None = None) -> list[Run]:
    """Score the ensembles that some runs make; one that is there already is not scored again.

    Args:
        runs: Finished runs; ensembles among them are left out, since a pattern such as ``unet-*`` finds them, too.
        out: Folder for the ensembles' run folders; None: beside the first member of each.

    Returns:
        The ensembles' runs.

    Raises:
        RunError: A run is not finished, runs do not go together, or only one of them has not seen its test persons.
    """
    from spinelab.commands._members import require_alike

    trained = [run for run in runs if not run.config().get("members")]
    for run in trained:
        if not run.cases.is_file():
            raise RunError("the run is not finished", "let its training end, or leave it out", run.folder)
    if not trained:
        raise RunError("this is an ensemble already", "give the runs that were trained", runs[0].folder)
    require_alike(trained, scored=True)
    made = [(plan, plan.run(out)) for plan in plans(trained)]
    for plan, run in made:
        if run.cases.is_file():
            print(f"already finished: {run.folder}")
        else:
            _score(plan, run)
    return [run for _, run in made]


def _score(plan: Plan, run: Run) -> None:
    """Score the members' mean and write the run folder; the table of cases, which makes it finished, comes last."""
    from spinelab import build
    from spinelab.commands._members import trained_network
    from spinelab.commands._scoring import print_scores, score_cases

    config = plan.config(run.folder)
    wanted = [case for case in build.cases(config) if case.person in plan.split.test]
    how = build.labels(config), build.preprocessing(config), build.scoring(config)
    table, _ = score_cases(trained_network(plan.members), wanted, *how, run.folder / "panels")
    write_atomically(run.folder / "config.yaml", OmegaConf.to_yaml(config))
    plan.split.save(run.split)
    run.write_environment(**plan.costs())
    table = _described(table, config, plan, run)
    run.write_cases(table)
    print_scores(table, title=f"{config.name} on {config.data.name}: test persons")
    print(f"ensemble: {run.folder}")


def _described(table: pd.DataFrame, config: DictConfig, plan: Plan, run: Run) -> pd.DataFrame:
    """Put the columns that name the run before the columns that name the case."""
    facts = {"run": run.id, "model": config.name, "dataset": config.data.name, "protocol": plan.split.protocol}
    facts |= {"fold": plan.split.fold, "seed": config.seed, "split_hash": plan.split.hash}
    return pd.concat([pd.DataFrame([facts] * len(table)), table], axis=1)
