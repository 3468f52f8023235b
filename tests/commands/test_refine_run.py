"""Refined networks as runs: fitted on whom, kept how, scored and used like any other, and trained but once."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from tests_shared import assert_refused_in_its_place, disc_overrides, write_disc

from spinelab import build
from spinelab.commands._members import plain_network, trained_network
from spinelab.commands.ensemble import ensemble
from spinelab.commands.evaluate import evaluate
from spinelab.commands.evaluate import main as evaluate_main
from spinelab.commands.predict import main as predict_main
from spinelab.commands.train import main as train_main
from spinelab.commands.train import train
from spinelab.config import compose_config, resolved
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import ConfigError
from spinelab.refine.network import Refined
from spinelab.refine.refiner import Refiner
from spinelab.refine.template_window import window
from spinelab.reporting.statistics import person_values
from spinelab.run import Run, run_hash
from spinelab.run_state import run_state
from spinelab.tasks.inference import probabilities
from spinelab.tasks.segmentation import SegmentationTask

NAMES = ("level_set", "template_window")


def overrides(folder: Path, *own: str) -> list[str]:
    """A training of a second or two; `own` take the place of what they name."""
    usual = [*disc_overrides(folder / "discs", folder / "runs"), f"paths.data={folder / 'cache'}", "processes=1"]
    usual += ["logger.mode=disabled", "callbacks.panels=null"]
    named = {text.partition("=")[0] for text in own}
    return [*(text for text in usual if text.partition("=")[0] not in named), *own]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("refine")
    for number in range(8):
        write_disc(root / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    return root


@pytest.fixture(scope="module")
def runs(folder) -> dict[str, Run]:
    """A network as it is, and refined in both ways."""
    configs = {name: compose_config(overrides(folder, f"refine={name}")) for name in ("none", *NAMES)}
    for config in configs.values():
        train(config)
    return {name: Run.of(config) for name, config in configs.items()}


def steps_of(monkeypatch) -> list[int]:
    """A list that grows by every training step from now on."""
    seen, original = [], SegmentationTask.training_step

    def step(task, batch, index):
        seen.append(index)
        return original(task, batch, index)

    monkeypatch.setattr(SegmentationTask, "training_step", step)
    return seen


def fits(monkeypatch) -> list[list]:
    """The slices that refiners are fitted on from now on."""
    seen, original = [], Refiner.fit

    def fit(self, examples, classes, seed=0):
        seen.append(examples)
        return original(self, examples, classes, seed)

    monkeypatch.setattr(Refiner, "fit", fit)
    return seen


def dice_of(table: pd.DataFrame) -> float:
    return float(person_values(table, "dice", "disc")["value"].mean())


def hash_of(*own: str) -> str:
    return run_hash(resolved(compose_config(own)))


def test_without_refinement_a_run_is_what_it_was_and_with_it_another():
    assert "refine" not in compose_config()
    assert hash_of("refine=none") == hash_of()
    names = [hash_of(*own) for own in ((), ("refine=level_set",), ("refine=template_window",))]
    assert len(set(names)) == 3
    assert hash_of("refine=template_window", "refine.margins=[1]") not in names


@pytest.mark.parametrize("name", NAMES)
def test_a_refined_network_makes_a_run_like_any_other(runs, name):
    run = runs[name]
    table = pd.read_parquet(run.cases)
    assert set(table["person"]) == set(Split.load(run.split).test)
    assert dice_of(table) > 0.8
    state = run_state(run.folder)
    assert state.name == "done"
    assert state.val_dice == pytest.approx(dice_of(evaluate(run, [], "val")), abs=1e-6)
    facts, plain = (json.loads((r.folder / "environment.json").read_text()) for r in (run, runs["none"]))
    assert facts["parameters"] == plain["parameters"] > 0


def test_the_network_is_not_trained_again_where_it_was_trained_already(folder, runs, monkeypatch, capsys):
    network = torch.load(runs["none"].weights(), weights_only=True)["state_dict"]
    for name in NAMES:
        mine = torch.load(runs[name].weights(), weights_only=True)["state_dict"]
        assert all(torch.equal(mine[key], network[key]) for key in network)
        assert runs[name].metrics.read_bytes() == runs["none"].metrics.read_bytes()
    seen = steps_of(monkeypatch)
    train(compose_config(overrides(folder, "refine=template_window", "refine.margins=[1]")))
    assert not seen
    assert f"the network is that of {runs['none'].folder}" in capsys.readouterr().out
    train(compose_config(overrides(folder, "refine=template_window", "seed=1")))
    assert seen


def test_trained_by_itself_it_is_the_same_as_with_another_runs_network(folder, runs):
    own = overrides(folder, "refine=level_set", f"paths.runs={folder / 'alone'}")
    train(compose_config(own))
    alone = Run.of(compose_config(own))
    assert alone.folder.name == runs["level_set"].folder.name
    assert (alone.folder / "refine.json").read_text() == (runs["level_set"].folder / "refine.json").read_text()
    values = [pd.read_parquet(run.cases)["value"] for run in (alone, runs["level_set"])]
    pd.testing.assert_series_equal(*values)


def test_a_network_whose_checkpoint_is_damaged_is_trained_again(folder, monkeypatch):
    place = f"paths.runs={folder / 'damaged'}"
    plain = compose_config(overrides(folder, place))
    train(plain)
    checkpoint = Run.of(plain).weights()
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 255
    checkpoint.write_bytes(content)
    seen = steps_of(monkeypatch)
    train(compose_config(overrides(folder, place, "refine=template_window")))
    assert seen


def test_a_level_set_is_fitted_on_validation_and_a_template_on_training_persons(folder, monkeypatch):
    seen = fits(monkeypatch)
    for name, side in (("level_set", "val"), ("template_window", "train")):
        config = compose_config(overrides(folder, f"refine={name}", "refine.slices=1000", "test=false"))
        train(config)
        split = Split.load(Run.of(config).split)
        assert {example.person for example in seen[-1]} == set(getattr(split, side))
        assert len(seen[-1]) == 6 * len(getattr(split, side))
    config = compose_config(
        overrides(folder, "refine=level_set", "protocol=leave_one_person_out", "protocol.val_persons=0")
    )
    assert np.isnan(train(config))
    assert {example.person for example in seen[-1]} == set(Split.load(Run.of(config).split).train)


def test_it_is_fitted_on_slices_and_probabilities_as_the_network_gives_them(folder, runs, monkeypatch):
    seen = fits(monkeypatch)
    config = compose_config(overrides(folder, "refine=level_set", "refine.slices=999", "test=false"))
    train(config)
    labels, how = build.labels(config), build.preprocessing(config)
    examples = seen[-1]
    case = next(case for case in build.cases(config) if case.person == examples[0].person)
    volume = prepare_case(case, labels, how)
    likely = probabilities(plain_network(runs["none"]), volume).transpose(0, 3, 1, 2)
    mine = [example for example in examples if example.person == case.person]
    np.testing.assert_allclose(np.stack([example.likely for example in mine]), likely, atol=1e-5)
    np.testing.assert_array_equal(np.stack([example.mask for example in mine]), volume.mask)


def test_outside_of_the_window_nothing_is_found(runs):
    network = trained_network([runs["template_window"]])
    assert isinstance(network, Refined)
    config = runs["template_window"].config()
    case = build.cases(config)[0]
    volume = prepare_case(case, build.labels(config), build.preprocessing(config))
    refined = probabilities(network, volume).argmax(axis=-1)
    raw = probabilities(plain_network(runs["template_window"]), volume).argmax(axis=-1)
    for pixels, mine, before in zip(volume.image[..., 0], refined, raw, strict=True):
        inside = window(pixels.astype(np.float32), network.refiner.template)
        np.testing.assert_array_equal(mine, np.where(inside, before, 0))


def test_fitted_without_scores_then_only_scored(folder, monkeypatch):
    own = overrides(folder, "refine=level_set", "seed=7", "trainer.max_epochs=1")
    run = Run.of(compose_config(own))
    dice = train(compose_config([*own, "test=false"]))
    assert run_state(run.folder).name == "fitted"
    kept = (run.folder / "refine.json").read_bytes()
    steps, fitted = steps_of(monkeypatch), fits(monkeypatch)
    assert train(compose_config(own)) == pytest.approx(dice, abs=1e-9)
    assert run_state(run.folder).name == "done"
    assert not steps
    assert not fitted
    assert (run.folder / "refine.json").read_bytes() == kept


@pytest.mark.parametrize(
    "change", [lambda state: [], lambda state: state | {"classes": 3}, lambda state: {"classes": 2}]
)
def test_another_file_in_its_place_is_refused(runs, change):
    run = runs["level_set"]
    path = run.folder / "refine.json"
    other = json.dumps(change(json.loads(path.read_text())))
    assert_refused_in_its_place(path, other, lambda: trained_network([run]))


def test_predict_writes_what_evaluate_scored_and_ensembles_average_it(folder, runs, tmp_path):
    run = runs["template_window"]
    evaluate(run, [], "test", predictions=True)
    (person, *_) = Split.load(run.split).test
    scan, out = folder / "discs/images" / f"{person}.nii.gz", tmp_path / "mask.nii.gz"
    predict_main([f"run={run.folder}", f"input={scan}", f"output={out}"])
    (scored,) = (run.folder / "evaluations/discs-test/predictions").glob(f"*{person}*")
    mask = np.asarray(nib.load(out).dataobj)
    assert mask.any()
    assert np.array_equal(mask, np.asarray(nib.load(scored).dataobj))
    other = compose_config(overrides(folder, "refine=template_window", "seed=1"))
    train(other)
    (made,) = ensemble([run, Run.of(other)], tmp_path)
    assert dice_of(pd.read_parquet(made.cases)) > 0.8
    with pytest.raises(ConfigError, match="not one network"):
        evaluate(made, ["refine=level_set"], "test")


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_refines_a_trained_network_as_a_run_of_its_own_would(runs, name):
    found = evaluate(runs["none"], [f"refine={name}"], "test")
    expected = pd.read_parquet(runs[name].cases)
    pd.testing.assert_series_equal(found["value"], expected["value"])
    assert set(found["model"]) == {f"{runs['none'].config().name} {name}"}
    out = runs["none"].folder / f"evaluations/discs-test-{name}"
    assert (out / "cases.parquet").is_file()
    assert (out / "refine.json").read_text() == (runs[name].folder / "refine.json").read_text()


def test_evaluate_takes_the_refinement_off_or_changes_it(runs, capsys):
    found = evaluate(runs["level_set"], ["refine=none"], "test")
    pd.testing.assert_series_equal(found["value"], pd.read_parquet(runs["none"].cases)["value"])
    words = [f"run={runs['level_set'].folder}", "split=val", "refine=template_window", "refine.margins=[1]"]
    assert evaluate_main(words) == 0
    out = runs["level_set"].folder / "evaluations/discs-val-template_window"
    assert json.loads((out / "refine.json").read_text())["margin"] == 1
    assert (out / "cases.parquet").is_file()


def test_what_cannot_be_refined_is_told_before_anything_is_made(folder, runs):
    config = compose_config(overrides(folder, "refine=level_set", "refine.search.steps=[-1]"))
    with pytest.raises(ConfigError, match="whole numbers"):
        train(config)
    assert not Run.of(config).folder.exists()
    usual = [text for text in overrides(folder) if not text.startswith(("model.", "trainer", "optimizer.", "loader."))]
    usual = [text for text in usual if not text.startswith(("callbacks.", "augmentation"))]
    config = compose_config([*usual, "classical=k_means", "refine=level_set"])
    with pytest.raises(ConfigError, match="k_means is no network"):
        train(config)
    assert not Run.of(config).folder.exists()
    with pytest.raises(ConfigError, match=r"refine=level_sets[\s\S]*level_set"):
        evaluate(runs["none"], ["refine=level_sets"], "test")
    with pytest.raises(ConfigError, match=r"refine\.margins"):
        evaluate(runs["none"], ["refine.margins=[1]"], "test")
    config = compose_config(["refine=level_set", "channels=2"])
    with pytest.raises(ConfigError, match=r"2 contrasts[\s\S]*refine\.channel=0 to 1"):
        build.refiner_channel(config)


def test_a_multirun_over_refinements_trains_the_network_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = overrides(folder, f"paths.runs={folder / 'many'}", "threads=1", "trainer.max_epochs=1")
    assert train_main(["-m", "refine=none,level_set,template_window", *words]) == 0
    folders = sorted(path.parent for path in (folder / "many").rglob("cases.parquet"))
    assert [run_state(path).name for path in folders] == ["done"] * 3
    kept = {(path / "metrics.csv").read_bytes() for path in folders}
    assert len(kept) == 1
