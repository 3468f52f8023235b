"""score a finished run on its own or on other data

usage: spinelab evaluate run=FOLDER [data=NAME] [split=test|val|train|all] [predictions=true] [slices=true]
                         [data.KEY=VALUE ...] [scoring.KEY=VALUE ...] [refine=NAME] [refine.KEY=VALUE ...]

Examples:
  spinelab evaluate run=runs/phantom/unet-s0-f0-1a2b3c4d split=val
  spinelab evaluate run=runs/gm_challenge/unet-s0-f1-5e6f7a8b data=sct_t2s predictions=true
  spinelab evaluate run=runs/phantom/unet-s0-f0-1a2b3c4d refine=level_set

With data=, all cases of that data set are scored; its classes must be the run's. Preprocessing is the run's, since the
network was trained with it. Results go to FOLDER/evaluations/NAME-SPLIT: cases.parquet, panels, and where asked for the
predicted masks and slices.parquet, the overlap of every slice. With refine=, what refines the network's output is
fitted on the run's own training or validation persons (refine=none: the network alone), and results go to a folder
NAME-SPLIT-REFINE. What is scored can be chosen anew:
  scoring.tolerance_mm=2    of the normalised surface Dice
  scoring.hd95=pooled       or maximum, weighted: which 95th percentile
  scoring.roi_margin_mm=0   around the truth's box, for the scores within a region of interest
  scoring.min_lesion_mm3=0  smaller lesions are not counted one by one (data.labels.lesions says what is a lesion)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from spinelab.commands._arguments import flag, options
from spinelab.config import compose_config
from spinelab.errors import ConfigError, RunError, near
from spinelab.run import Run, write_table

if TYPE_CHECKING:
    from torch import nn

OWN = ("data=", "data.", "paths.", "scoring.", "refine=", "refine.")
"""What these words override is configuration; the others are the command's own."""
SIDES = ("test", "val", "train", "all")


def main(arguments: Sequence[str]) -> int:
    """Score a run and print the table."""
    overrides = [argument for argument in arguments if argument.startswith(OWN)]
    rest = [argument for argument in arguments if argument not in overrides]
    given = options(rest, ("run", "split", "predictions", "slices"), required=("run",))
    run = Run.open(given["run"])
    side = given.get("split", "all" if any(o.startswith("data=") for o in overrides) else "test")
    if side not in SIDES:
        raise ConfigError(f"split={side}: there is no such side", near(side, SIDES))
    wanted = {key: flag(given.get(key, "false")) for key in ("predictions", "slices")}
    evaluate(run, overrides, side, **wanted)
    return 0


def evaluate(
    run: Run, overrides: Sequence[str], side: str, *, predictions: bool = False, slices: bool = False
) -> pd.DataFrame:
    """Score the cases of one side; returns the tidy table that was written.

    Raises:
        ConfigError: There is no such refinement, or the run is not one network.
        RunError: The data set's classes are not the run's, or the side is empty.
    """
    from spinelab import build
    from spinelab.commands._scoring import print_scores, score_cases

    trained, refinement = run.config(), [o for o in overrides if o.startswith(("refine=", "refine."))]
    overrides = [override for override in overrides if override not in refinement]
    config = _with_data(trained, overrides)
    labels, known = build.labels(config), build.labels(trained)
    if labels.classes != known.classes:
        raise RunError(
            f"the run knows the classes {', '.join(known.classes)}; the data set has {', '.join(labels.classes)}",
            "choose data with the same labels, or map its labels to the run's names (data.source, data.labels)",
            run.folder,
        )
    wanted = _cases(build.cases(config), run, side)
    network, how = _network(run, overrides, refinement)
    preprocessing = replace(build.preprocessing(trained), slices=build.preprocessing(config).slices)
    out = run.folder / "evaluations" / "-".join(filter(None, (config.data.name, side, how)))
    if refinement:
        _keep(network, out)
    table, _ = score_cases(
        network, wanted, labels, preprocessing, build.scoring(config), out / "panels",
        out / "predictions" if predictions else None, out / "slices.parquet" if slices else None,
    )  # fmt: skip
    name = " ".join(filter(None, (trained.name, how)))
    facts = {"run": run.id, "model": name, "dataset": config.data.name, "protocol": f"evaluate-{side}"}
    facts |= {"fold": trained.protocol.get("fold", 0), "seed": trained.seed, "split_hash": _split_hash(run)}
    table = pd.concat([pd.DataFrame([facts] * len(table)), table], axis=1)
    write_table(out / "cases.parquet", table)
    print_scores(table, title=f"{name} on {config.data.name} ({side})")
    print(f"evaluation: {out}")
    return table


def _with_data(trained: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The run's configuration with its data overridden, or another data set's where the overrides name one."""
    if any(override.startswith("data=") for override in overrides):
        return compose_config(overrides)
    moved = [override.replace("data.root=", "data.source.root=") for override in overrides]  # it is resolved by now
    return OmegaConf.merge(trained, OmegaConf.from_dotlist([*overrides, *moved]))  # type: ignore[return-value]


def _network(run: Run, overrides: Sequence[str], refinement: Sequence[str]) -> tuple[nn.Module, str]:
    """The run's network as it is, or refined in another way, whose name is told, too."""
    from spinelab.commands._members import members_of, trained_network

    if not refinement:
        return trained_network(members_of([run])), ""
    from spinelab.commands._refine import refined_anew  # imports scikit-image

    another = any(override.startswith("data=") for override in overrides)
    places = "paths." if another else ("paths.", "data.root=", "data.source.root=")
    config = _with_data(run.config(), [override for override in overrides if override.startswith(places)])
    return refined_anew(run, config, refinement)


def _keep(network: nn.Module, out: Path) -> None:
    from spinelab.commands._refine import keep

    keep(network, out)


def _split_hash(run: Run) -> str:
    from spinelab.data.splits import Split

    return Split.load(run.split).hash


def _cases(listed: list, run: Run, side: str) -> list:  # type: ignore[type-arg]
    from spinelab.data.splits import Split

    if side == "all":
        return listed
    persons = getattr(Split.load(run.split), side)
    wanted = [case for case in listed if case.person in persons]
    if not wanted:
        raise RunError(f"the run has no {side} persons in this data", "choose another split=, or split=all", run.folder)
    return wanted
