"""The two halves of a run: fit, and score what was fitted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import lightning
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from torch import nn

from spinelab import build
from spinelab.callbacks.wandb_run import WandbRun
from spinelab.commands._failures import explained
from spinelab.commands._scoring import print_scores, score_cases, summary
from spinelab.data.datamodule import SliceDataModule
from spinelab.data.splits import Split
from spinelab.errors import ConfigError, RunPruned
from spinelab.run import Run
from spinelab.run_state import StateName, recorded, run_state
from spinelab.tasks.seal import resume_point
from spinelab.tasks.segmentation import SegmentationTask
from spinelab.tasks.weights import load_weights
from spinelab.types import Case, LabelMap


@dataclass(frozen=True)
class Checked:
    """A run whose configuration and data were checked, and which has not begun."""

    config: DictConfig
    labels: LabelMap
    cases: list[Case]
    split: Split
    data: SliceDataModule

    def fitted(self, network: nn.Module, view: WandbRun, val_dice: float, main_process: bool = True) -> Fitted:
        """What became of it."""
        known = {field.name: getattr(self, field.name) for field in fields(Checked)}
        return Fitted(**known, network=network, view=view, val_dice=val_dice, main_process=main_process)


@dataclass(frozen=True)
class Ready(Checked):
    """A training that has not begun."""

    task: SegmentationTask


@dataclass(frozen=True)
class Fitted(Checked):
    """A trained network, or a fitted technique in the clothes of one, and what is needed to score it."""

    network: nn.Module
    view: WandbRun
    val_dice: float
    main_process: bool


def check(config: DictConfig) -> Ready:
    """Build all that a training needs, which finds out what is wrong with it; no file of the run is touched.

    Raises:
        SpinelabError: Bad data or configuration.
    """
    _quieten()
    checked = check_data(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    return Ready(**vars(checked), task=build.task(config, checked.labels))


def check_data(config: DictConfig) -> Checked:
    """Build all that every run needs, whatever is fitted.

    Raises:
        SpinelabError: Bad data or configuration.
    """
    if config.get("threads"):
        torch.set_num_threads(config.threads)
    build.scoring(config)  # a wrong choice is told now, not after the training
    if config.get("refine"):
        from spinelab.commands import _refine  # imports scikit-image

        _refine.check(config)
    labels, cases = build.labels(config), build.cases(config)
    split = build.split(config, cases)
    if config.get("test", True) and not split.test:
        raise ConfigError(
            f"protocol {split.protocol} tests nobody here", "train with test=false, or protocol.inner=null"
        )
    seen = split.persons if config.get("test", True) else split.train + split.val
    slices = build.cache(config, [case for case in cases if case.person in seen])
    data = build.datamodule(config, slices, split if config.get("test", True) else replace(split, test=()))
    return Checked(config, labels, cases, split, data)


def fit(ready: Ready, run: Run) -> Fitted:
    """Train; an interrupted run goes on from its last checkpoint. Called within `working`.

    What refines the network (`refine`) is fitted then, on the main process alone.

    Raises:
        RunError: Memory, disk or a loader process failed (see `explained`).
    """
    config, data, task = ready.config, ready.data, ready.task
    view = build.logger(config, run)
    trainer = build.trainer(config, run, data, view)
    run.start(config)
    ready.split.save(run.split)
    checkpoint = resume_point(run.checkpoints)
    size = f"{(parameter_count(task.network) or 0) / 1e6:.2f} M parameters"
    announce(ready, run, size, goes_on=checkpoint is not None)
    with viewed(view):
        if not _trained_elsewhere(ready, run, trainer):
            with explained(config, run, data):
                trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)
            if config.get("trial"):
                _require_unpruned(trainer)
        load_weights(task.network, run.weights())
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        network, val_dice = task.network, float(best) if best is not None else float("nan")
        if config.get("refine") and trainer.is_global_zero:
            from spinelab.commands import _refine

            network, val_dice = _refine.refine_trained(config, run, network, data.cache, ready.split, ready.labels)
            view.log_metrics({"val/refined_dice": val_dice}, step=trainer.global_step)
    return ready.fitted(network, view, val_dice, main_process=trainer.is_global_zero)


def _trained_elsewhere(ready: Ready, run: Run, trainer: lightning.Trainer) -> bool:
    """Whether the network of a run with `refine` is trained already; with several processes it is trained anew."""
    if not ready.config.get("refine") or trainer.world_size > 1:
        return False
    from spinelab.commands import _refine

    return _refine.already_trained(ready.config, run)


@contextmanager
def viewed(view: WandbRun) -> Iterator[None]:
    """Open the W&B run; an error closes it as failed."""
    try:
        view.open()
        yield
    except BaseException as error:
        view.close(failed=True)
        if isinstance(error, SystemExit):  # Lightning turns Ctrl-C into its own exit; submitit ends a pre-empted job so
            raise KeyboardInterrupt from error
        if _stopped(error):
            raise KeyboardInterrupt from None
        raise


def _stopped(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: one that comes while a checkpoint is written ends as torch's own error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _require_unpruned(trainer: lightning.Trainer) -> None:
    """Raise `RunPruned` if the search that the run belongs to has given it up."""
    from spinelab.callbacks.pruning import Pruning

    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pruning) and callback.reason:
            raise RunPruned(callback.reason, "nothing: the search goes on with others")


@contextmanager
def working(run: Run, ends_as: StateName) -> Iterator[None]:
    """Have a run to oneself, and write down how the work on it ends; with several processes the first one does both.

    Raises:
        RunBusy: Another process trains this run.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    with run.alone(), recorded(run.folder, ends_as):
        yield


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


def parameter_count(network: nn.Module) -> int | None:
    """Number of parameters, frozen ones included; None if nothing can be trained, as in a technique."""
    parameters = list(network.parameters())
    return sum(map(torch.numel, parameters)) if any(part.requires_grad for part in parameters) else None


def _quieten() -> None:
    """Leave out what Lightning says about itself; what matters is announced below."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    known = ["LeafSpec", "does not have many workers", "logging interval", "exists and is not empty"]
    known += ["in eval mode at the start of training", "Total length of"]  # a frozen encoder; nobody validates
    known.append("your dataloader is not resumable")  # it is, but not in the way that Lightning knows
    for words in known:
        warnings.filterwarnings("ignore", message=f".*{words}.*")


def announce(checked: Checked, run: Run, what: str, *, goes_on: bool = False) -> None:
    """Say what is fitted (`what`, after its name), on whom, and where it goes."""
    config, split = checked.config, checked.split
    sides = f"{len(split.train)} / {len(split.val)} / {len(split.test)} persons to train / validate / test"
    print(
        f"{config.name}: {what}\n"
        f"{config.data.name}: {sides} (split {split.hash})\n"
        f"{'going on in' if goes_on else 'run folder'}: {run.folder}"
    )
