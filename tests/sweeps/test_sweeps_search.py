"""Searches with an engine that computes instead of training, killed wherever they can be killed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from spinelab.errors import ConfigError, RunError
from spinelab.journal import PRUNED, open_journal
from spinelab.run import Run
from spinelab.run_state import run_state, write_state
from spinelab.sweeps.engine import Job
from spinelab.sweeps.samplers import SAMPLERS
from spinelab.sweeps.search import require_winners
from spinelab.sweeps.space import divide, read_space
from spinelab.sweeps.trials import Trials
from spinelab.sweeps.tuning import Tuning, run_batches

SPACE = read_space({"x": "interval(-1, 1.5)", "y": "tag(log, interval(0.1, 10))", "kind": "choice(a, b, c)"})
MIXED = {"x": "interval(0.0, 1.0)", "k": "int(interval(1, 8))", "w": "range(8, 33, 8)"}


class Killed(BaseException):
    """The process is gone."""


class Machine:
    """Runs whose validation Dice is a function of their parameters; it dies after a number of events."""

    def __init__(self, folder: Path, score=None, pruned=lambda values: False) -> None:
        self.folder, self.score, self.pruned = folder, score or _hill, pruned
        self.left, self.trained, self.launched = None, [], []

    def event(self) -> None:
        """Something that leaves a trace on disk has just happened."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def job(self, overrides) -> Job:
        """A run folder named by what determines the result."""
        values = parsed(overrides)
        identity = {key: value for key, value in values.items() if key not in ("test", "trial")}
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        return Job(tuple(overrides), Run(self.folder / f"run-{name}", name), name, 0, values.get("test", True))

    def run(self, jobs) -> None:
        """Train what is not finished, one after the other."""
        for job in jobs:
            self.launched.append(job)
            if run_state(job.run.folder).name not in ("fitted", "done"):
                self._train(job)

    def _train(self, job: Job) -> None:
        values = parsed(job.overrides)
        job.run.folder.mkdir(parents=True, exist_ok=True)
        trial = values.get("trial")
        if trial and self.pruned(values):
            storage = open_journal(Path(trial["storage"]))
            study = storage.get_study_id_from_name(trial["study"])
            number = storage.get_trial_id_from_study_id_trial_number(study, trial["number"])
            storage.set_trial_system_attr(number, PRUNED, 1)
            write_state(job.run.folder, "pruned", reason="hopeless")
            self.event()
            return
        self.trained.append(values)
        try:
            dice = self.score(values)
        except ValueError as error:
            write_state(job.run.folder, "failed", reason=str(error))
            return
        (job.run.folder / "environment.json").write_text(json.dumps({"val_dice": dice}))
        write_state(job.run.folder, "done" if job.test else "fitted")
        self.event()


def parsed(overrides) -> dict:
    """Overrides as Hydra reads them."""
    return {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(list(overrides))}


def _hill(values) -> float:
    return 1 - (values["x"] - 0.3) ** 2 - 0.1 * (values["kind"] != "b") + 0.01 * values.get("protocol.inner", 0)


def tuning(folder: Path, sampler="random", space=SPACE, inner=None, pruning=True, overrides=("model=unet",), **budget):
    """A study of the folder's journal."""
    journal = folder / "search.journal"
    trials = Trials(journal, "model=unet", space, sampler, **({"n_trials": 5} | budget))
    return Tuning(trials, journal, tuple(overrides), {name: name for name in space}, inner, pruning)


def told(study: Tuning) -> list[tuple]:
    """What must not depend on kills."""
    return [(t.number, t.state, t.params, t.value, t.system_attrs) for t in study.trials.all()]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("inner", [None, 2])
def test_a_search_that_dies_after_every_single_step_ends_as_an_undisturbed_one(tmp_path, monkeypatch, sampler, inner):
    def hopeless(values):
        return values["x"] < -0.6

    budget = {"n_trials": 8 if inner else 14, "n_jobs": 3, "inner": inner}
    calm = Machine(tmp_path / "calm", pruned=hopeless)
    run_batches([undisturbed := tuning(tmp_path / "calm", sampler, **budget)], calm)

    killed = Machine(tmp_path / "killed", pruned=hopeless)
    append = JournalFileBackend.append_logs

    def append_and_die(self, logs):
        append(self, logs)
        killed.event()

    monkeypatch.setattr(JournalFileBackend, "append_logs", append_and_die)
    deaths = 0
    while deaths < 1000:
        killed.left = 0  # one step further each time
        try:
            run_batches([study := tuning(tmp_path / "killed", sampler, **budget)], killed)
            break
        except Killed:
            deaths += 1
    killed.left = None
    assert deaths > 30
    assert told(study) == told(undisturbed)
    assert {TrialState.COMPLETE, TrialState.PRUNED} >= {t.state for t in study.trials.all()}
    trained = sorted(str(values).replace("/killed/", "/calm/") for values in killed.trained)
    assert trained == sorted(map(str, calm.trained))  # and nothing was trained twice


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "pso"])
def test_a_larger_number_of_trials_adds_to_what_is_there(tmp_path, sampler):
    run_batches([whole := tuning(tmp_path / "a", sampler, n_trials=13, n_jobs=4)], Machine(tmp_path / "a"))
    for n_trials in (6, 11, 13):
        run_batches([grown := tuning(tmp_path / "b", sampler, n_trials=n_trials, n_jobs=4)], Machine(tmp_path / "b"))
        assert len(grown.trials.all()) == n_trials
    assert told(grown) == told(whole)


def test_a_completed_search_does_nothing_more(tmp_path):
    run_batches([tuning(tmp_path)], Machine(tmp_path))
    again = Machine(tmp_path)
    run_batches([study := tuning(tmp_path)], again)
    assert again.launched == []
    assert len(study.trials.all()) == 5


def test_a_half_written_line_of_the_journal_is_cut_off(tmp_path):
    run_batches([calm := tuning(tmp_path)], Machine(tmp_path))
    before = told(calm)
    with (tmp_path / "search.journal").open("ab") as stream:
        stream.write(b'{"op_code":4,"worker_id":"x')
    run_batches([study := tuning(tmp_path, n_trials=7)], Machine(tmp_path))
    assert told(study)[:5] == before
    assert len(study.trials.all()) == 7


def test_failed_and_nan_trials_are_told_with_their_reason_and_the_others_count(tmp_path):
    def score(values):
        if values["kind"] == "a":
            raise ValueError("out of memory")
        return float("nan") if values["kind"] == "c" else _hill(values)

    space = read_space({"x": "interval(0, 1.5)", "kind": "choice(a, b, c)"})
    run_batches([study := tuning(tmp_path, space=space, n_trials=12)], Machine(tmp_path, score))
    by_kind = {trial.params["kind"]: trial for trial in study.trials.all()}
    assert by_kind["a"].state is TrialState.FAIL
    assert "out of memory" in by_kind["a"].user_attrs["reason"]
    assert by_kind["c"].state is TrialState.FAIL
    assert "not a number" in by_kind["c"].user_attrs["reason"]
    assert study.trials.best().params["kind"] == "b"
    require_winners([study])


def test_a_search_whose_trials_all_fail_says_why(tmp_path):
    def score(values):
        raise ValueError("no such device")

    run_batches([study := tuning(tmp_path)], Machine(tmp_path, score))
    with pytest.raises(RunError, match=r"none of the 5 trials of model=unet(.|\n)*no such device"):
        require_winners([study])


def test_trials_never_test_and_only_the_winner_is(tmp_path):
    machine = Machine(tmp_path)
    run_batches([study := tuning(tmp_path, inner=3)], machine)
    assert {values["test"] for values in machine.trained} == {False}
    assert [values["protocol.inner"] for values in machine.trained].count(0) == 5
    assert len(machine.trained) == 15
    final = parsed(study.final(study.trials.best()))
    assert final["protocol.inner"] is None
    assert "test" not in final
    assert "trial" not in final
    assert final["x"] == study.trials.best().params["x"]  # to the last digit


def test_the_value_of_a_nested_trial_is_the_mean_of_its_inner_folds(tmp_path):
    run_batches([study := tuning(tmp_path, inner=3)], Machine(tmp_path))
    trial = study.trials.all()[2]
    assert trial.value == pytest.approx(_hill(trial.params) + 0.01)


def test_a_pruned_trial_costs_one_inner_fold(tmp_path):
    machine = Machine(tmp_path, pruned=lambda values: values["x"] < 0.2)
    run_batches([study := tuning(tmp_path, inner=3, n_trials=12)], machine)
    states = [trial.state for trial in study.trials.all()]
    assert 0 < states.count(TrialState.PRUNED) < 12
    assert len(machine.trained) == 3 * states.count(TrialState.COMPLETE)


def test_only_the_first_inner_fold_reports_and_none_without_pruning(tmp_path):
    machine = Machine(tmp_path)
    run_batches([tuning(tmp_path, inner=2)], machine)
    assert all(("trial" in values) == (values["protocol.inner"] == 0) for values in machine.trained)
    silent = Machine(tmp_path / "b")
    run_batches([tuning(tmp_path / "b", inner=2, pruning=False)], silent)
    assert not any("trial" in values for values in silent.trained)


def test_trials_alike_are_trained_once(tmp_path):
    space = read_space({"kind": "choice(a, b)"})
    machine = Machine(tmp_path, lambda values: {"a": 0.5, "b": 0.7}[values["kind"]])
    run_batches([study := tuning(tmp_path, space=space, n_trials=9, n_jobs=4)], machine)
    assert len(machine.trained) == 2
    assert {(t.params["kind"], t.value) for t in study.trials.all()} == {("a", 0.5), ("b", 0.7)}


def test_studies_have_the_same_number_of_trials_and_know_nothing_of_each_other(tmp_path):
    journal = tmp_path / "search.journal"
    studies = [
        Tuning(Trials(journal, name, SPACE, "tpe", n_trials=11), journal, (name,), {n: n for n in SPACE})
        for name in ("model=unet", "model=fcn")
    ]
    run_batches(studies, Machine(tmp_path))
    run_batches([alone := tuning(tmp_path / "alone", "tpe", n_trials=11)], Machine(tmp_path / "alone"))
    assert told(studies[0]) == told(alone)
    assert [len(study.trials.all()) for study in studies] == [11, 11]


def test_a_grid_ends_with_its_last_point(tmp_path):
    space = read_space({"kind": "choice(a, b, c)", "x": "range(0, 2)"})
    run_batches([study := tuning(tmp_path, "grid", space=space, n_trials=50)], Machine(tmp_path))
    assert sorted((t.params["kind"], t.params["x"]) for t in study.trials.all()) == [
        (kind, x) for kind in "abc" for x in (0, 1)
    ]


def test_another_command_in_the_same_sweep_is_refused(tmp_path):
    tuning(tmp_path, "random")
    with pytest.raises(ConfigError, match="sampler was random, now tpe"):
        tuning(tmp_path, "tpe")


def test_the_learning_curve_of_a_run_that_was_there_already_is_reported(tmp_path):
    machine = Machine(tmp_path)
    study = tuning(tmp_path, n_trials=1)
    (trial,) = study.trials.batch()
    folder = machine.job(study.first(trial)).run.folder
    folder.mkdir()
    (folder / "metrics.csv").write_text("epoch,val/dice\n0,0.25\n1,\n2,0.5\n")
    run_batches([study], machine)
    assert study.trials.all()[0].intermediate_values == {0: 0.25, 2: 0.5}


def test_the_command_line_is_divided_into_space_grid_and_fixed_values():
    line = ["model=unet,fcn", "seed=0,1", "x=0.5", "lr=interval(0.1,1)", "trainer.max_epochs=3"]
    parsed_line = OverridesParser.create().parse_overrides(line)
    space, fixed, grid = divide(parsed_line, read_space(MIXED))
    assert list(space) == ["k", "w", "lr"]
    assert fixed == ["x=0.5", "trainer.max_epochs=3"]
    assert grid == [(("model", m), ("seed", s)) for m in ("unet", "fcn") for s in ("0", "1")]
    with pytest.raises(ConfigError, match="nothing to search"):
        divide(OverridesParser.create().parse_overrides(["x=1"]), read_space({"x": "interval(0,1)"}))


@pytest.mark.parametrize("expression", ["3", "interval(2, 1)", "range(3, 3)", "tag(log, interval(0, 1))"])
def test_what_cannot_be_searched_is_named(expression):
    with pytest.raises(ConfigError, match="x="):
        read_space({"x": expression})


def test_expressions_become_the_distributions_that_hydra_means():
    space = read_space(MIXED | {"lr": "tag(log, interval(1e-4, 1e-2))", "loss": "ce,null,2,true"})
    assert (space["x"].low, space["x"].high, space["x"].log) == (0.0, 1.0, False)
    assert (type(space["k"]).__name__, space["k"].low, space["k"].high) == ("IntDistribution", 1, 8)
    assert (space["w"].low, space["w"].high, space["w"].step) == (8, 32, 8)  # the end is excluded
    assert (space["lr"].low, space["lr"].high, space["lr"].log) == (1e-4, 1e-2, True)
    assert space["loss"].choices == ("ce", None, 2, True)
