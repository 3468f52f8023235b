"""Ensembles of two folds and two seeds: who takes part, what is scored, and how it is written down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from tests_shared import disc_overrides, write_disc

from spinelab import build
from spinelab.commands._members import members_of, trained_network
from spinelab.commands._scoring import score_cases
from spinelab.commands.ensemble import ensemble
from spinelab.commands.ensemble import main as ensemble_main
from spinelab.commands.predict import main as predict_main
from spinelab.commands.train import train
from spinelab.config import compose_config
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import prepare_case
from spinelab.errors import ConfigError, RunError
from spinelab.reporting.compare import compare
from spinelab.reporting.groups import group_runs
from spinelab.reporting.results import read_runs
from spinelab.run import Run
from spinelab.run_state import run_state
from spinelab.tasks.ensemble import Ensemble

PROTOCOLS = ("kfold", "kfold_test")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, list[Run]]:
    """Two folds with two seeds each (one seed only in the last): seven trainings of an epoch."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(8):
        write_disc(folder / "discs", f"sub-{number:02d}", np.random.default_rng(number))
    runs: dict[str, list[Run]] = {}
    for protocol in PROTOCOLS:
        usual = disc_overrides(folder / "discs", folder / protocol)
        usual += [f"protocol={protocol}", "protocol.folds=2", "trainer.max_epochs=1", "logger.mode=disabled"]
        usual += [f"paths.data={folder / 'cache'}", "processes=1", "loader.batch_size=4"]
        config = compose_config(usual)
        for fold, seed in ((0, 0), (0, 1), (1, 0), (1, 1))[: 4 if protocol == "kfold" else 3]:
            config.protocol.fold, config.seed = fold, seed
            train(config)
            runs.setdefault(protocol, []).append(Run.of(config))
    return runs


@pytest.fixture(scope="module")
def made(trained) -> dict[str, list[Run]]:
    """The ensembles of each protocol's runs, beside their members."""
    return {protocol: ensemble(runs) for protocol, runs in trained.items()}


def dice_by_hand(members: list[Run], name: str) -> float:
    """Dice of the mean probability, written out in numpy for a data set that is neither resampled nor cropped."""
    config = members[0].config()
    case = next(case for case in build.cases(config) if case.name == name)
    volume = prepare_case(case, build.labels(config), build.preprocessing(config))
    assert not volume.geometry.is_resampled
    (grey,) = volume.intensity
    clipped = np.clip(volume.image[..., 0].astype(np.float64), grey.low, grey.high)
    slices = torch.from_numpy(((clipped - grey.shift) / grey.scale).astype(np.float32))[:, None]
    likely = []
    for member in members:
        with torch.no_grad():
            power = np.exp(trained_network([member]).eval()(slices).numpy().astype(np.float64))
        likely.append(power / power.sum(axis=1, keepdims=True))
    found, truth = np.mean(likely, axis=0).argmax(axis=1) == 1, volume.mask == 1
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def dice_of(run: Run) -> pd.Series:
    table = pd.read_parquet(run.cases)
    return table[(table["metric"] == "dice") & (table["class"] == "disc")].set_index("case")["value"].astype(float)


def test_seeds_of_a_fold_become_one_ensemble_on_the_folds_test_persons(trained, made):
    runs = made["kfold"]
    assert len(runs) == 2
    for run, members in zip(runs, (trained["kfold"][:2], trained["kfold"][2:]), strict=True):
        split = Split.load(run.split)
        assert split == Split.load(members[0].split) == Split.load(members[1].split)
        assert [m.folder for m in members_of([run])] == [m.folder for m in members]
        scores = dice_of(run)
        assert set(scores.index) == set(split.test)
        for name, score in scores.items():
            assert score == pytest.approx(dice_by_hand(members, name), abs=1e-12)


def test_folds_that_share_their_test_persons_become_one_ensemble(trained, made):
    (run,), members = made["kfold_test"], trained["kfold_test"]
    split, sides = Split.load(run.split), [Split.load(member.split) for member in members]
    assert {side.test for side in sides} == {split.test}
    assert set(split.train) == {person for side in sides for person in side.train + side.val}
    assert run.config().name == "unet ensemble of 3"
    for name, score in dice_of(run).items():
        assert score == pytest.approx(dice_by_hand(members, name), abs=1e-12)


def test_no_member_has_seen_a_person_that_its_ensemble_scores(made):
    for run in (run for runs in made.values() for run in runs):
        scored = set(pd.read_parquet(run.cases)["person"])
        for member in members_of([run]):
            seen = Split.load(member.split)
            assert not scored & set(seen.train + seen.val)


def test_an_ensemble_is_a_run_like_any_other(trained, made):
    run, members = made["kfold"][0], trained["kfold"][:2]
    table = pd.read_parquet(run.cases)
    assert list(table.columns) == list(pd.read_parquet(members[0].cases).columns)
    assert set(table["run"]) == {run.id}
    assert run_state(run.folder).name == "done"
    assert run.folder.name == f"unet-ensemble-{run.id}"
    assert run.folder.parent == members[0].folder.parent
    config, own = run.config(), members[0].config()
    assert config.members == [f"../{member.folder.name}" for member in members]
    assert (config.model, config.trainer, config.data) == (own.model, own.trainer, own.data)
    told = [json.loads((folder / "environment.json").read_text()) for folder in (m.folder for m in [run, *members])]
    for key in ("parameters", "seconds"):
        assert told[0][key] == pytest.approx(told[1][key] + told[2][key])
    assert {path.stem for path in (run.folder / "panels").glob("*.png")} == set(table["case"])


def test_what_members_do_not_share_is_not_told_of_the_ensemble(made):
    config = made["kfold_test"][0].config()
    assert "fold" not in config.protocol
    assert config.protocol.folds == 2
    assert config.seed == 0


def test_comparisons_show_ensembles_as_rows(trained, made):
    rows = {group.label: group for group in group_runs(read_runs([trained["kfold"][0].folder.parent]))}
    assert {label: len(group.runs) for label, group in rows.items()} == {"unet": 4, "unet ensemble of 2": 2}
    alone, together = rows["unet"], rows["unet ensemble of 2"]
    assert alone.persons == together.persons == {f"sub-{number:02d}" for number in range(8)}
    assert alone.comparable == together.comparable
    assert not alone.note
    assert not together.note
    rows = {group.label: group for group in group_runs(read_runs([trained["kfold_test"][0].folder.parent]))}
    assert {label: len(group.runs) for label, group in rows.items()} == {"unet": 3, "unet ensemble of 3": 1}


def test_the_page_tells_of_ensembles_which_have_no_training_of_their_own(trained, made, tmp_path):
    page = compare([trained["kfold"][0].folder.parent], tmp_path)
    assert "unet ensemble of 2" in page.read_text()
    assert "unet ensemble of 2" in (tmp_path / "table.md").read_text()


def test_a_run_with_itself_scores_as_the_run(trained, tmp_path):
    run = trained["kfold"][0]
    config, network = run.config(), trained_network([run])
    wanted = [case for case in build.cases(config) if case.person in Split.load(run.split).test]
    how = build.labels(config), build.preprocessing(config), build.scoring(config)
    alone, together = (score_cases(net, wanted, *how, tmp_path)[0] for net in (network, Ensemble([network, network])))
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    # after a training the network lies in memory in another order, which shows in the last digits
    pd.testing.assert_frame_equal(together, pd.read_parquet(run.cases)[list(together.columns)], check_dtype=False)


def test_the_same_members_are_the_same_ensemble_in_any_order_and_are_scored_once(trained, made, capsys):
    run = made["kfold_test"][0]
    before = run.cases.stat().st_mtime_ns
    again = ensemble([run, *trained["kfold_test"][::-1], trained["kfold_test"][0]])  # an ensemble and a run twice
    assert again == [run]
    assert run.cases.stat().st_mtime_ns == before
    assert "already finished" in capsys.readouterr().out


def test_folds_with_one_seed_have_one_member_a_person_and_are_refused(trained, tmp_path):
    with pytest.raises(RunError, match="a single network is no ensemble") as raised:
        ensemble([trained["kfold"][0], trained["kfold"][2]], tmp_path)
    assert "kfold_test" in raised.value.remedy
    assert trained["kfold"][0].folder.name in raised.value.found
    assert not list(tmp_path.iterdir())


def changed(run: Run, folder: Path, change: Callable[[Path], None]) -> Run:
    shutil.copytree(run.folder, folder / run.folder.name)
    change(folder / run.folder.name)
    return Run.open(folder / run.folder.name)


def setting(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = OmegaConf.load(folder / "config.yaml")
        OmegaConf.update(config, key, value, merge=False, force_add=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(config))

    return change


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data.labels.classes", ["cord"], r"classes \(\['cord'\], not \['disc'\]\)"),
        ("data.preprocessing.crop", [32, 32], r"preprocessing.crop \(\(32, 32\), not None\)"),
        ("channels", 2, r"channels \(2, not 1\)"),
        ("data.name", "other", r"data set \(other, not discs\)"),
    ],
)
def test_members_that_do_not_go_together_are_both_named(trained, tmp_path, key, value, words):
    first = trained["kfold"][0]
    other = changed(trained["kfold"][1], tmp_path, setting(key, value))
    with pytest.raises(RunError, match=words) as raised:
        ensemble([first, other])
    assert raised.value.file == other.folder
    assert str(first.folder) in raised.value.found


def test_an_unfinished_run_is_no_member(trained, tmp_path):
    other = changed(trained["kfold"][1], tmp_path, lambda folder: (folder / "cases.parquet").unlink())
    with pytest.raises(RunError, match="not finished") as raised:
        ensemble([trained["kfold"][0], other])
    assert raised.value.file == other.folder


def test_arguments(made):
    with pytest.raises(ConfigError, match="no runs are named"):
        ensemble_main(["out=there"])
    with pytest.raises(RunError, match="it has no config"):
        ensemble_main(["nowhere"])
    with pytest.raises(RunError, match="an ensemble already"):
        ensemble_main([str(made["kfold"][0].folder)])


def test_another_folder(trained, tmp_path, monkeypatch):
    """A relative one, so that members are still found from anywhere."""
    monkeypatch.chdir(tmp_path)
    assert ensemble_main([*(str(run.folder) for run in trained["kfold"][:2]), "out=here"]) == 0
    (folder,) = (tmp_path / "here").iterdir()
    monkeypatch.chdir("/")
    assert [m.folder.resolve() for m in members_of([Run.open(folder)])] == [
        run.folder.resolve() for run in trained["kfold"][:2]
    ]


def predicted(runs: list[Path], scan: Path, folder: Path) -> np.ndarray:
    output = folder / "mask.nii.gz"
    names = ",".join(str(run) for run in runs)
    assert predict_main([f"run={names}", f"input={scan}", f"output={output}"]) == 0
    return np.asarray(nib.load(output).dataobj)


def test_an_ensemble_predicts_as_its_members_together_wherever_they_are_moved(trained, made, tmp_path):
    run, members = made["kfold"][0], trained["kfold"][:2]
    scan = Path(build.cases(run.config())[0].images[0][0])
    together = predicted([run.folder], scan, tmp_path)
    assert json.loads((tmp_path / "mask.json").read_text())["run"] == run.id
    assert np.array_equal(together, predicted([member.folder for member in members], scan, tmp_path))
    assert json.loads((tmp_path / "mask.json").read_text())["run"] == f"{members[0].id},{members[1].id}"
    shutil.copytree(run.folder.parent, tmp_path / "moved")
    assert np.array_equal(together, predicted([tmp_path / "moved" / run.folder.name], scan, tmp_path))
    shutil.rmtree(tmp_path / "moved" / members[1].folder.name)
    with pytest.raises(RunError, match=f"its member ../{members[1].folder.name} is not there"):
        predicted([tmp_path / "moved" / run.folder.name], scan, tmp_path)


def test_predicting_with_runs_that_do_not_go_together(trained, tmp_path):
    first = trained["kfold"][0]
    other = changed(trained["kfold"][1], tmp_path, setting("data.preprocessing.normalisation", "minmax"))
    scan = Path(build.cases(first.config())[0].images[0][0])
    with pytest.raises(RunError, match=r"preprocessing.normalisation \(minmax, not zscore\)"):
        predicted([first.folder, other.folder], scan, tmp_path)
