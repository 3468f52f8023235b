"""Giving up a trial of a search that is worse than the others were at the same epoch."""

from __future__ import annotations

import math
from pathlib import Path

import lightning
import optuna
from optuna.pruners import MedianPruner
from optuna.trial import FrozenTrial

from spinelab.journal import BATCH, PRUNED, open_journal


class Pruning(lightning.Callback):
    """Reports `val/dice` to a trial after every epoch, and ends the fit if the median of earlier trials was better.

    Golovin et al., Google Vizier (KDD 2017), the median stopping rule: the trial's best value so far is compared with
    the median of what completed trials had at this epoch. Trials of its own batch are not looked at, so that it does
    not matter which of them is faster. A trial that has come to its last epoch is not pruned.

    Args:
        storage: The search's journal.
        study: Its study.
        number: Of the trial.
        step: What is added to the epoch.
        startup: Trials that must be completed before any is pruned.
        warmup: Part of the epochs that every trial may use.

    Attributes:
        reason: Why the trial was pruned, "" if it was not.
    """

    def __init__(
        self, storage: Path | str, study: str, number: int, step: int = 0, startup: int = 5, warmup: float = 0.25
    ) -> None:
        self.storage, self.study, self.number, self.step = Path(storage), study, number, step
        self.startup, self.warmup, self.reason = startup, warmup, ""

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Report and decide, in the first process; every process learns of it."""
        if trainer.sanity_checking or "val/dice" not in trainer.callback_metrics:
            return
        reason = self._judged(trainer) if trainer.is_global_zero else ""
        self.reason = trainer.strategy.broadcast(reason)
        trainer.should_stop = trainer.should_stop or bool(self.reason)

    def _judged(self, trainer: lightning.Trainer) -> str:
        """Why the trial is to be given up, or ""."""
        epoch, value = trainer.current_epoch, float(trainer.callback_metrics["val/dice"])
        storage = open_journal(self.storage)
        study = optuna.load_study(study_name=self.study, storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
        trial = study.get_trials(deepcopy=False)[self.number]
        if epoch + self.step not in trial.intermediate_values and not math.isnan(value):  # a resumed run repeats epochs
            storage.set_trial_intermediate_value(trial._trial_id, epoch + self.step, value)
        epochs = trainer.max_epochs or 0
        if epoch + 1 >= epochs > 0 or not self._hopeless(study, max(1, int(self.warmup * epochs))):
            return ""
        storage.set_trial_system_attr(trial._trial_id, PRUNED, epoch)
        return f"pruned after epoch {epoch}: validation Dice {value:.4f}, below the median of earlier trials"

    def _hopeless(self, study: optuna.Study, warmup: int) -> bool:
        trials = study.get_trials()
        trial: FrozenTrial = trials[self.number]
        if not trial.intermediate_values:
            return False
        earlier = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        earlier.add_trials(trials[: trial.system_attrs.get(BATCH, self.number)])
        pruner = MedianPruner(n_startup_trials=self.startup, n_warmup_steps=warmup + self.step)
        return pruner.prune(earlier, trial)
