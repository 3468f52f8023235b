"""train a network and score it on the test persons

usage: spinelab train [key=value ...]            one run
       spinelab train -m key=value,value ...     a Hydra multirun: one run for every combination

Examples:
  spinelab train                                      U-Net on the phantom
  spinelab train model=attention_unet encoder=resnet18 data=gm_challenge protocol=leave_one_person_out
  spinelab train -m model=unet,unetpp,fcn,attention_unet seed=0,1,2 trainer.max_epochs=30

A run's folder is named by the hash of what determines it. A finished run is not trained again; an interrupted one
goes on from its last checkpoint. Every key of every configuration group can be overridden:
  trainer.max_epochs=100 optimizer.lr=3e-4 loader.batch_size=16 model.base=16 logger.mode=online
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from omegaconf import DictConfig

from spinelab.config import compose_config, finish, settle
from spinelab.groups import conf_dir
from spinelab.run import Run


def main(arguments: Sequence[str]) -> int:
    """Compose the configuration and train; Hydra itself takes over for multiruns and for its own flags."""
    if any(argument.startswith("-") for argument in arguments):
        return _hydra(arguments)
    train(compose_config(arguments))
    return 0


def train(config: DictConfig) -> float:
    """Train, score and record one run; returns the best validation Dice, which sweepers maximise.

    Raises:
        SpinelabError: The configuration or the data cannot be used; raised before any training time is spent.
    """
    run = Run.of(config)
    if run.cases.is_file():
        print(f"already finished: {run.folder}")
        return _finished_score(run)
    from spinelab.commands._training import fit, score  # imports torch

    started = time.monotonic()
    fitted = fit(config, run)
    if fitted.main_process:  # with several processes each volume is still scored once
        score(fitted, run, seconds=time.monotonic() - started)
        print(f"run: {run.folder}")
    return fitted.val_dice


def _finished_score(run: Run) -> float:
    import json

    return float(json.loads((run.folder / "environment.json").read_text())["val_dice"])


def _hydra(arguments: Sequence[str]) -> int:
    import hydra

    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = settle([argument for argument in arguments if not argument.startswith("-")])
    sys.argv = ["spinelab train", *flags, *overrides]
    hydra.main(config_path=str(conf_dir()), config_name="train")(job)()
    return 0


def job(config: DictConfig) -> float:
    """One job of a multirun (a function of its own, so that launchers can send it to other processes)."""
    from hydra.core.hydra_config import HydraConfig

    return train(finish(config, HydraConfig.get().runtime.choices))
