"""Pruning of trials: what is reported, when a fit ends, and in which process that is decided."""

from __future__ import annotations

from types import SimpleNamespace

import lightning
import optuna
import pytest
import torch
from optuna.trial import TrialState
from torch.utils.data import DataLoader

from spinelab.callbacks.pruning import Pruning
from spinelab.journal import BATCH, PRUNED, open_journal

EPOCHS = 10
SCORES = [0.125 * epoch for epoch in range(EPOCHS)]  # exact in single precision, as what Lightning logs


class Line(lightning.LightningModule):
    """Logs the scores that it is told, whatever it learns."""

    def __init__(self, scores) -> None:
        super().__init__()
        self.layer, self.scores = torch.nn.Linear(1, 1), scores

    def training_step(self, batch, index):
        return self.layer(batch).mean()

    def validation_step(self, batch, index) -> None:
        self.log("val/dice", float(self.scores[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def study(folder, earlier, batch=None):
    """A journal with completed trials, one list of scores each, and a running one after them; the latter's number."""
    made = optuna.create_study(study_name="s", storage=open_journal(folder / "j"), direction="maximize")
    for number, scores in enumerate(earlier):
        values = dict(enumerate(scores))
        made.add_trial(optuna.create_trial(value=scores[-1], intermediate_values=values, system_attrs={BATCH: number}))
    start = len(earlier) if batch is None else batch
    made.add_trial(optuna.create_trial(state=TrialState.RUNNING, system_attrs={BATCH: start}))
    return len(earlier)


def fit(folder, number, scores, epochs=EPOCHS, **options):
    pruning = Pruning(folder / "j", "s", number, **options)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=epochs, callbacks=[pruning], enable_model_summary=False, **quiet)
    batches = DataLoader(torch.ones(2, 1))
    trainer.fit(Line(scores), batches, batches)
    return pruning, trainer, trial(folder, number)


def trial(folder, number):
    return optuna.load_study(study_name="s", storage=open_journal(folder / "j")).trials[number]


def test_a_trial_below_the_median_ends_after_the_warm_up(tmp_path):
    number = study(tmp_path, [SCORES] * 5)
    pruning, trainer, told = fit(tmp_path, number, [score / 2 for score in SCORES])
    assert trainer.current_epoch == 3  # a quarter of ten epochs, which is 2: epochs 0, 1 and 2 are trained
    assert "pruned after epoch 2" in pruning.reason
    assert told.system_attrs[PRUNED] == 2
    assert told.intermediate_values == pytest.approx({0: 0.0, 1: 0.0625, 2: 0.125})


@pytest.mark.parametrize(("earlier", "scores"), [(5, SCORES), (4, [0.0] * EPOCHS), (0, [0.0] * EPOCHS)])
def test_a_trial_that_is_no_worse_or_has_few_before_it_is_not_pruned(tmp_path, earlier, scores):
    number = study(tmp_path, [SCORES] * earlier)
    pruning, trainer, told = fit(tmp_path, number, scores)
    assert pruning.reason == ""
    assert trainer.current_epoch == EPOCHS
    assert PRUNED not in told.system_attrs
    assert len(told.intermediate_values) == EPOCHS


def test_trials_of_the_same_batch_are_not_looked_at(tmp_path):
    number = study(tmp_path, [SCORES] * 6, batch=3)
    pruning, _, _ = fit(tmp_path, number, [0.0] * EPOCHS)
    assert pruning.reason == ""  # three earlier trials are too few, the others are of its batch


def test_a_resumed_run_does_not_report_an_epoch_again(tmp_path):
    number = study(tmp_path, [SCORES])
    fit(tmp_path, number, SCORES, epochs=4)
    lines = (tmp_path / "j").read_text().count('"intermediate_value"')
    _, _, told = fit(tmp_path, number, [9.0] * EPOCHS, epochs=4)
    assert (tmp_path / "j").read_text().count('"intermediate_value"') == lines == 4
    assert told.intermediate_values == pytest.approx(dict(enumerate(SCORES[:4])))


def test_the_last_epoch_is_not_pruned(tmp_path):
    number = study(tmp_path, [SCORES] * 5)
    pruning, _, told = fit(tmp_path, number, [1.0] * 9 + [0.0], warmup=0.95)
    assert pruning.reason == ""
    assert len(told.intermediate_values) == EPOCHS


def test_scores_that_are_not_numbers_are_not_reported(tmp_path):
    number = study(tmp_path, [SCORES] * 5)
    _, _, told = fit(tmp_path, number, [float("nan")] * EPOCHS)
    assert told.intermediate_values == {}


def test_only_the_first_process_asks_and_all_learn(tmp_path):
    other = Pruning(tmp_path / "missing", "s", 0)
    strategy = SimpleNamespace(broadcast=lambda reason: "pruned, says the first process")
    trainer = SimpleNamespace(
        sanity_checking=False, callback_metrics={"val/dice": 0.5}, is_global_zero=False, strategy=strategy,
        should_stop=False,
    )  # fmt: skip
    other.on_validation_end(trainer, None)
    assert trainer.should_stop
    assert other.reason.startswith("pruned")
    assert not (tmp_path / "missing").exists()


def test_the_sanity_check_reports_nothing(tmp_path):
    number = study(tmp_path, [])
    pruning = Pruning(tmp_path / "j", "s", number)
    pruning.on_validation_end(SimpleNamespace(sanity_checking=True), None)
    assert trial(tmp_path, number).intermediate_values == {}
