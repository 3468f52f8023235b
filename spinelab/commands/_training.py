"""The first half of a run: a network is trained, and what refines it is fitted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import lightning
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from spinelab import build
from spinelab.callbacks.wandb_run import WandbRun
from spinelab.commands._checked import Checked, Fitted, announce, check_data, parameter_count
from spinelab.commands._failures import explained
from spinelab.errors import RunPruned
from spinelab.run import Run
from spinelab.run_state import StateName, recorded
from spinelab.tasks.seal import resume_point
from spinelab.tasks.segmentation import SegmentationTask
from spinelab.tasks.weights import load_weights


@dataclass(frozen=True)
class Ready(Checked):
    """A training that has not begun."""

    task: SegmentationTask


def check(config: DictConfig) -> Ready:
    """Build all that a training needs, which finds out what is wrong with it; no file of the run is touched.

    Raises:
        SpinelabError: Bad data or configuration.
    """
    _quieten()
    checked = check_data(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    return Ready(**vars(checked), task=build.task(config, checked.labels))


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


def _quieten() -> None:
    """Leave out what Lightning says about itself; what matters is announced below."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    known = ["LeafSpec", "does not have many workers", "logging interval", "exists and is not empty"]
    known += ["in eval mode at the start of training", "Total length of"]  # a frozen encoder; nobody validates
    known.append("your dataloader is not resumable")  # it is, but not in the way that Lightning knows
    for words in known:
        warnings.filterwarnings("ignore", message=f".*{words}.*")
