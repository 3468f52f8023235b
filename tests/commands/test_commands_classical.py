"""Techniques without a network as runs: fitted on whom, kept how, scored and used like any other run."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from tests_shared import assert_refused_in_its_place, disc_overrides, write_disc

from spinelab import build
from spinelab.classical.technique import Technique
from spinelab.commands._members import trained_network
from spinelab.commands.ensemble import ensemble
from spinelab.commands.evaluate import evaluate
from spinelab.commands.predict import main as predict_main
from spinelab.commands.train import main as train_main
from spinelab.commands.train import train
from spinelab.config import compose_config, resolved
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import ConfigError
from spinelab.reporting.compare import compare
from spinelab.reporting.listing import read_run
from spinelab.reporting.statistics import person_values
from spinelab.run import Run, run_hash
from spinelab.run_state import run_state

NAMES = ("k_means", "grey_and_place", "knn")


def overrides(folder: Path, *own: str) -> list[str]:
    """A fit of half a second; `own` take the place of what they name."""
    network = ("model.", "trainer", "optimizer.", "callbacks.", "augmentation", "loader.")
    usual = [text for text in disc_overrides(folder / "discs", folder / "runs") if not text.startswith(network)]
    usual += [f"paths.data={folder / 'cache'}", "processes=1", "logger.mode=disabled"]
    usual += ["classical.trials=2", "classical.slices=10"]
    named = {text.partition("=")[0] for text in own}
    return [*(text for text in usual if text.partition("=")[0] not in named), *own]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("classical")
    for number in range(8):
        write_disc(root / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    return root


@pytest.fixture(scope="module")
def runs(folder) -> dict[str, Run]:
    """One run of each of some techniques."""
    configs = {name: compose_config(overrides(folder, f"classical={name}")) for name in NAMES}
    for config in configs.values():
        train(config)
    return {name: Run.of(config) for name, config in configs.items()}


def hash_of(*own: str) -> str:
    return run_hash(resolved(compose_config(own)))


def fits(monkeypatch) -> list[dict]:
    """What techniques are fitted with from now on."""
    seen, original = [], Technique.fit

    def fit(self, images, masks, persons, classes, seed=0):
        seen.append({"images": images, "masks": masks, "persons": persons, "classes": classes, "seed": seed})
        return original(self, images, masks, persons, classes, seed)

    monkeypatch.setattr(Technique, "fit", fit)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_a_technique_makes_a_run_like_any_other(runs, name):
    run = runs[name]
    table = pd.read_parquet(run.cases)
    assert set(table["model"]) == {name}
    assert set(table["person"]) == set(Split.load(run.split).test)
    assert person_values(table, "dice", "disc")["value"].mean() > 0.85
    assert run_state(run.folder).name == "done"
    assert read_run(run.folder).name == name
    facts = json.loads((run.folder / "environment.json").read_text())
    assert facts["parameters"] is None
    assert facts["seconds"] > 0
    assert (run.folder / "panels").is_dir()


def test_the_group_of_a_network_does_not_count_and_that_of_a_technique_does():
    usual = hash_of("classical=otsu")
    others = ("model=fcn", "encoder=resnet18", "loss=focal", "optimizer=sgd", "trainer.max_epochs=3", "init=a/b-1234")
    assert hash_of("classical=otsu", *others, "augmentation=none", "loader.batch_size=3", "name=mine") == usual
    for own in ("classical=knn", "classical.trials=3", "classical.slices=7", "seed=1", "protocol.seed=1"):
        assert hash_of("classical=otsu", own) != usual, own
    assert "classical" not in compose_config()


def test_a_typing_error_is_refused_before_anything_is_made(folder):
    with pytest.raises(ConfigError, match=r"classical=otsus[\s\S]*otsu"):
        compose_config(["classical=otsus"])
    config = compose_config(overrides(folder, "classical=otsu", "classical.trails=3"))
    with pytest.raises(ConfigError, match="trails"):
        train(config)
    assert not Run.of(config).folder.exists()


def test_it_is_fitted_on_training_slices_as_networks_get_them(folder, monkeypatch):
    seen = fits(monkeypatch)
    config = compose_config(overrides(folder, "classical=grey_and_place", "seed=5", "classical.slices=1000"))
    train(config)
    (given,) = seen
    split = Split.load(Run.of(config).split)
    assert (given["classes"], given["seed"]) == (2, 5)
    assert sorted(given["persons"]) == sorted(person for person in split.train for _ in range(6))
    labels, how = build.labels(config), build.preprocessing(config)
    case = next(case for case in build.cases(config) if case.person == split.train[0])
    volume = prepare_case(case, labels, how)
    pixels = volume.image[..., 0].astype(np.float64)
    channel = volume.intensity[0]
    expected = (np.clip(pixels, channel.low, channel.high) - channel.shift) / channel.scale
    mine = [image for image, person in zip(given["images"], given["persons"], strict=True) if person == case.person]
    np.testing.assert_allclose(np.stack(mine), expected, atol=1e-4)
    assert all(image.dtype == np.float32 for image in mine)


def test_validation_dice_is_that_of_the_tables(runs):
    run = runs["k_means"]
    table = evaluate(run, [], "val")
    assert set(table["person"]) == set(Split.load(run.split).val)
    expected = person_values(table, "dice", "disc")["value"].mean()  # 1 mm pixels: both grids are the same
    assert run_state(run.folder).val_dice == pytest.approx(expected, abs=1e-6)


def test_what_was_fitted_is_plain_json_and_predicts_the_same_again(runs):
    run = runs["knn"]
    state = json.loads((run.folder / "technique.json").read_text())
    assert state["parameters"]["neighbours"] in (5, 15, 45)
    assert len(state["tried"]) == 2
    found, again = pd.read_parquet(run.cases), evaluate(run, [], "test")
    pd.testing.assert_series_equal(found["value"], again["value"])


def test_a_finished_run_is_not_fitted_again(folder, runs, monkeypatch, capsys):
    seen = fits(monkeypatch)
    train(compose_config(overrides(folder, "classical=knn", "model=fcn")))
    assert f"already finished: {runs['knn'].folder}" in capsys.readouterr().out
    assert not seen


def test_fitted_without_scores_then_only_scored(folder, monkeypatch):
    seen = fits(monkeypatch)
    own = overrides(folder, "classical=grey_and_place", "seed=7")
    run = Run.of(compose_config(own))
    dice = train(compose_config([*own, "test=false"]))
    state = run_state(run.folder)
    assert (state.name, state.val_dice) == ("fitted", dice)
    assert not run.cases.exists()
    kept = (run.folder / "technique.json").read_bytes()
    assert train(compose_config(own)) == dice
    assert run_state(run.folder).name == "done"
    assert len(seen) == 1
    assert (run.folder / "technique.json").read_bytes() == kept


def test_an_interrupted_fit_begins_again(folder, monkeypatch):
    config = compose_config(overrides(folder, "classical=grey_and_place", "seed=8"))
    run, original = Run.of(config), Technique.restore

    def interrupted(self, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(Technique, "restore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    assert run_state(run.folder).name == "interrupted"
    assert not (run.folder / "technique.json").exists()
    monkeypatch.setattr(Technique, "restore", original)
    assert train(config) > 0.8
    assert run_state(run.folder).name == "done"


@pytest.mark.parametrize(
    "change", [lambda state: [], lambda state: state | {"classes": 3}, lambda state: {"classes": 2}]
)
def test_another_file_in_its_place_is_refused(runs, change):
    run = runs["grey_and_place"]
    path = run.folder / "technique.json"
    other = json.dumps(change(json.loads(path.read_text())))
    assert_refused_in_its_place(path, other, lambda: trained_network([run]))


def test_predict_writes_what_evaluate_scored(folder, runs, tmp_path):
    run = runs["k_means"]
    evaluate(run, [], "test", predictions=True)
    (person, *_) = Split.load(run.split).test
    scan, out = folder / "discs/images" / f"{person}.nii.gz", tmp_path / "mask.nii.gz"
    predict_main([f"run={run.folder}", f"input={scan}", f"output={out}"])
    (scored,) = (run.folder / "evaluations/discs-test/predictions").glob(f"*{person}*")
    mask = np.asarray(nib.load(out).dataobj)
    assert mask.any()
    assert np.array_equal(mask, np.asarray(nib.load(scored).dataobj))


def test_seeds_become_an_ensemble_and_techniques_predict_together(folder, runs, tmp_path):
    other = compose_config(overrides(folder, "classical=k_means", "seed=1"))
    train(other)
    (made,) = ensemble([runs["k_means"], Run.of(other)], tmp_path)
    assert person_values(pd.read_parquet(made.cases), "dice", "disc")["value"].mean() > 0.85
    together, out = f"{runs['k_means'].folder},{runs['knn'].folder}", tmp_path / "mask.nii.gz"
    predict_main([f"run={together}", f"input={folder / 'discs/images/sub-00.nii.gz'}", f"output={out}"])
    truth = np.asarray(nib.load(folder / "discs/masks/sub-00.nii.gz").dataobj) > 0
    found = np.asarray(nib.load(out).dataobj) > 0
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.9


def test_compared_beside_a_network(folder, runs, tmp_path):
    usual = [*disc_overrides(folder / "discs", folder / "runs"), f"paths.data={folder / 'cache'}", "processes=1"]
    network = compose_config([*usual, "logger.mode=disabled", "trainer.max_epochs=1"])
    train(network)
    page = compare([runs["k_means"].folder, runs["knn"].folder, Run.of(network).folder], tmp_path / "page")
    rows = (page.parent / "table.md").read_text().splitlines()
    for name in ("k_means", "knn", "unet"):
        assert any(row.startswith(f"| {name}") and "n=1" in row for row in rows), name


def test_a_multirun_over_techniques_fits_each_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = overrides(folder, f"paths.runs={folder / 'many'}", "threads=1")
    assert train_main(["-m", "classical=k_means,grey_and_place", "model=unet,fcn", *words]) == 0
    folders = sorted(path.parent for path in (folder / "many").rglob("cases.parquet"))
    assert [run_state(path).name for path in folders] == ["done", "done"]
    assert {read_run(path).name for path in folders} == {"k_means", "grey_and_place"}


def test_a_slice_is_seen_without_its_neighbours():
    config = compose_config(["classical=otsu", "channels=3", "data.preprocessing.neighbours=1"])
    assert build.technique_channel(config) == 1
    config = compose_config(["classical=otsu", "channels=10", "data.preprocessing.neighbours=2", "classical.channel=1"])
    assert build.technique_channel(config) == 7


def test_of_several_contrasts_one_is_chosen():
    with pytest.raises(ConfigError, match=r"2 contrasts[\s\S]*classical\.channel=0 to 1"):
        build.technique_channel(compose_config(["classical=otsu", "channels=2"]))
    assert build.technique_channel(compose_config(["classical=otsu", "channels=2", "classical.channel=1"])) == 1
    for wrong in (2, -1):
        with pytest.raises(ConfigError, match=f"channel={wrong}"):
            build.technique_channel(compose_config(["classical=otsu", "channels=2", f"classical.channel={wrong}"]))


def test_where_a_network_is_needed_that_is_said():
    config = compose_config(["classical=otsu"])
    with pytest.raises(ConfigError, match="otsu is no network"):
        build.network(config, build.labels(config))


def test_without_validation_persons_there_is_no_score_to_choose_by(folder):
    config = compose_config(
        overrides(folder, "classical=grey_and_place", "protocol=leave_one_person_out", "protocol.val_persons=0")
    )
    assert np.isnan(train(config))
    assert run_state(Run.of(config).folder).name == "done"
