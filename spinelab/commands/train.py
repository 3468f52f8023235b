"""train a network, or fit a technique without one, and score it on the test persons

usage: spinelab train [key=value ...]            one run
       spinelab train -m key=value,value ...     a Hydra multirun: one run for every combination

Examples:
  spinelab train                                      U-Net on the phantom
  spinelab train model=attention_unet encoder=resnet18 data=gm_challenge protocol=leave_one_person_out
  spinelab train -m model=unet,unetpp,fcn,attention_unet seed=0,1,2 trainer.max_epochs=30
  spinelab train -m classical=otsu,k_means,watershed  techniques without a network, tuned on the training persons
  spinelab train -m protocol=kfold protocol.fold=all hydra/launcher=cores    every fold, a job a core
  spinelab train -m hparams_search=learning_rate model=unet,fcn              a search for each network

A run's folder is named by the hash of what determines it. A finished run is not trained again; an interrupted one
goes on from its last checkpoint; of a multirun, a failed one is marked and the others go on. Every key of every
configuration group can be overridden:
  trainer.max_epochs=100 optimizer.lr=3e-4 loader.batch_size=16 model.base=16 logger.mode=online
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from spinelab.config import HYDRA_ERRORS, compose_config, finish, settle, unwritable
from spinelab.errors import JobsFailed
from spinelab.groups import conf_dir
from spinelab.run import Run
from spinelab.run_state import run_state
from spinelab.tasks.seal import PREVIOUS

if TYPE_CHECKING:
    from spinelab.commands._checked import Fitted


def main(arguments: Sequence[str]) -> int:
    """Compose the configuration and train; Hydra itself takes over for multiruns and for its own flags."""
    if any(argument.startswith("-") for argument in arguments):
        return _hydra(arguments)
    train(compose_config(arguments))
    return 0


def train(config: DictConfig) -> float:
    """Train (or fit), score and record one run; returns the best validation Dice, which searches maximise.

    Raises:
        SpinelabError: The configuration or the data cannot be used; raised before any training time is spent.
    """
    if "SPINELAB_SWEEP_PROCESS" in os.environ:  # it is a job's own command
        from spinelab.sweeps.processes import end_with_sweep

        end_with_sweep()
    run = Run.of(config)
    state = run_state(run.folder)
    if state.name == "done" or (state.name == "fitted" and not config.test):
        print(f"already finished: {run.folder}")
        return float("nan") if state.val_dice is None else state.val_dice
    from spinelab.commands._ending import close, score  # imports torch
    from spinelab.commands._training import working

    check, fit = _steps(config)

    started = time.monotonic()
    ready = check(config)
    with working(run, "done" if config.test else "fitted"):
        fitted = fit(ready, run)
        if fitted.main_process:  # with several processes each volume is still scored once
            (score if config.test else close)(fitted, run, seconds=time.monotonic() - started)
            (run.checkpoints / PREVIOUS).unlink(missing_ok=True)  # a third of the disk, and what is done never goes on
            print(f"run: {run.folder}")
    return fitted.val_dice


def _steps(config: DictConfig) -> tuple[Callable[[DictConfig], Any], Callable[[Any, Run], Fitted]]:
    """How a run is checked, and how what was checked is fitted."""
    if config.get("classical"):
        from spinelab.commands import _classical  # imports scikit-image

        return _classical.check, _classical.fit
    from spinelab.commands import _training

    return _training.check, _training.fit


def _hydra(arguments: Sequence[str]) -> int:
    import hydra

    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = settle([argument for argument in arguments if not argument.startswith("-")])
    if {"-m", "--multirun"} & set(flags):
        return sweep(overrides, flags)
    sys.argv = ["spinelab train", *flags, *overrides]
    hydra.main(config_path=str(conf_dir()), config_name="train")(job)()
    return 0


def sweep(overrides: Sequence[str], flags: Sequence[str] = ("-m",)) -> int:
    """Run all jobs of a multirun; returns 0, or 1 if a job failed."""
    import hydra
    from hydra.core.plugins import Plugins

    from spinelab.sweeps import SWEEPERS
    from spinelab.sweeps.naming import named

    for sweeper in SWEEPERS:
        Plugins.instance().register(sweeper)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come out as they are, and are told by the command line
    sys.argv = ["spinelab train", *flags, *named(overrides)]
    try:
        hydra.main(config_path=str(conf_dir()), config_name="train")(job)()
    except JobsFailed as failed:
        print(f"spinelab: {failed}", file=sys.stderr)
        return 1
    except HYDRA_ERRORS as error:
        raise unwritable(error) from None
    return 0


def job(config: DictConfig) -> float:
    """One job of a multirun (a function of its own, so that launchers can send it to other processes)."""
    from hydra.core.hydra_config import HydraConfig

    from spinelab.sweeps.job import run_job

    hydra = HydraConfig.get()
    found = [override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath")]
    return run_job(finish(config, hydra.runtime.choices), [*hydra.overrides.task, *found], train)
