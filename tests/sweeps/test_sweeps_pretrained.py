"""Studies whose rows start from a training of the study's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests_shared import disc_overrides, write_disc

from spinelab.commands.study import main
from spinelab.config import compose_config
from spinelab.errors import ConfigError
from spinelab.run import Run
from spinelab.run_state import run_state
from spinelab.sweeps.study import Plan, pretrainings
from spinelab.sweeps.study_file import read_study

GOOD = """
title: Transfer
question: What is it worth?
base: [model=unet, encoder=resnet18, protocol=kfold, protocol.val_fraction=0, optimizer.lr=0.01]
pretrained:
  source: [data=phantom_spider, data.generate.seed=1, optimizer.lr=0.02]
rows:
  scratch: []
  frozen: [init=source, encoder_lr=0]
  slow: [init=source, encoder_lr=0.1]
data:
  few: [data=spider_t2space, train_persons=2]
  more: [data=spider_t2space, train_persons=5]
folds: [0, 1]
seeds: [0, 1]
budgets:
  small:
    cost: little
    data: [few]
    folds: [1]
    overrides: [trainer.max_epochs=2, protocol.folds=4, train_persons=1]
    pretrained: {source: [trainer.max_epochs=7]}
  full: {cost: much, rows: [scratch, slow]}
"""


def plan(folder: Path, text: str = GOOD, budget: str = "", extra: Sequence[str] = (), top: str = "runs") -> Plan:
    file = folder / "transfer.yaml"
    file.write_text(text)
    study = read_study(file)
    return Plan(study, study.budget(budget), tuple(extra), Path(top))


def keys(overrides: Sequence[str]) -> dict[str, str]:
    """Override by key, without plus signs."""
    return {text.partition("=")[0].lstrip("+"): text.partition("=")[2] for text in overrides}


def test_there_is_one_pretraining_a_seed_for_all_rows_data_sets_and_folds(tmp_path):
    jobs = plan(tmp_path, budget="full").jobs(check=False)
    assert len(jobs) == 2 * 2 * 2 * 2
    first = pretrainings(jobs)
    assert [keys(job.overrides)["seed"] for job in first] == ["0", "1"]
    assert {job.run.folder.parent for job in first} == {Path("runs/transfer/full/pretrained/phantom_spider")}
    for job in jobs:
        told = keys(job.overrides)
        if job.row == "scratch":
            assert job.init is None
            assert "init" not in told
        else:
            assert job.init == first[int(told["seed"])]
            assert told["init"] == f'"{job.init.run.folder}"'


def test_a_pretraining_has_its_own_split_and_the_last_word_on_its_budget(tmp_path):
    (first, _) = pretrainings(plan(tmp_path, extra=["protocol.val_fraction=0.3", "loader.batch_size=3"]).jobs())
    told = keys(first.overrides)
    assert told["protocol"] == "holdout"
    assert told["test"] == "false"
    assert told["trainer.max_epochs"] == "7"
    assert told["optimizer.lr"] == "0.02"
    assert told["loader.batch_size"] == "3"
    assert told["encoder"] == "resnet18"
    assert not {"protocol.val_fraction", "protocol.folds", "train_persons", "init", "encoder_lr"} & told.keys()


def test_a_pretraining_can_be_told_otherwise(tmp_path):
    text = GOOD.replace("optimizer.lr=0.02]", "protocol=kfold, protocol.fold=2, test=true]")
    told = keys(pretrainings(plan(tmp_path, text).jobs(check=False))[0].overrides)
    assert (told["protocol"], told["protocol.fold"], told["test"]) == ("kfold", "2", "true")


def test_a_row_is_named_by_its_pretraining_wherever_the_runs_lie(tmp_path):
    here = plan(tmp_path).jobs(check=False)
    there = plan(tmp_path, top=str(tmp_path / "moved")).jobs(check=False)
    assert [job.run.folder.name for job in here] == [job.run.folder.name for job in there]
    longer = plan(tmp_path, GOOD.replace("trainer.max_epochs=7", "trainer.max_epochs=8")).jobs(check=False)
    for before, after in zip(here, longer, strict=True):
        assert (before.run.id == after.run.id) == (before.row == "scratch")


def test_the_job_is_that_of_the_same_training_by_hand(tmp_path):
    for job in plan(tmp_path).jobs()[1::2]:
        assert Run.of(compose_config(job.overrides)) == job.run
        if job.init:
            assert Run.of(compose_config(job.init.overrides)) == job.init.run


def test_looking_without_checking_finds_the_same_runs(tmp_path):
    checked, unchecked = (plan(tmp_path).jobs(check=check) for check in (True, False))
    assert [(job.run, job.init and job.init.run) for job in checked] == [
        (job.run, job.init and job.init.run) for job in unchecked
    ]


def test_a_folder_serves_as_well_as_a_name(tmp_path):
    (tmp_path / "unet-s0-f0-12345678").mkdir()
    text = GOOD.replace("scratch: []", f"scratch: [init={tmp_path / 'unet-s0-f0-12345678'}]")
    jobs = [job for job in plan(tmp_path, text).jobs(check=False) if job.row == "scratch"]
    assert all(job.init is None and "unet-s0-f0-12345678" in keys(job.overrides)["init"] for job in jobs)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("frozen: [init=source", "frozen: [init=sorce", ("rows.frozen: init=sorce", "did you mean source")),
        ("data=phantom_spider", "data=phantom_spyder", ("pretrained.source: ", "did you mean phantom_spider")),
        ("{source: [trainer.max_epochs=7]}", "{source: [trainer.max_epoch=7]}",
         ("budgets.small.pretrained.source: ", "max_epochs")),
        ("data=phantom_spider, data.generate.seed=1", "data=spider_t2space",
         ("pretrained.source trains on persons whom data.few tests", "data.root=", "spider_t2space")),
        ("few: [data=spider_t2space", "few: [data=phantom, data.generate.seed=1",
         ("pretrained.source trains on persons whom data.few tests", "another data.generate.seed")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, GOOD.replace(old, new)).jobs()
    assert all(word in str(error.value) for word in ("transfer.yaml", *words)), error.value


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("init=source", "init=sorce", ("pretrained.source: no row starts from it", "correct init=sorce")),
        ("pretrained: {source", "pretrained: {sorce", ("budgets.small.pretrained", "did you mean source")),
        ("\npretrained:\n", "\npretrain:\n", ("no key pretrain", "did you mean pretrained")),
        ("[data=phantom_spider, data.generate.seed=1, optimizer.lr=0.02]", "{}", ("pretrained.source is {}",)),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, GOOD.replace(old, new))
    assert all(word in str(error.value) for word in ("transfer.yaml", *words)), error.value


def test_phantoms_of_another_seed_are_other_persons(tmp_path):
    text = GOOD.replace("few: [data=spider_t2space", "few: [data=phantom_spider")
    assert plan(tmp_path, text).jobs(check=False)


@pytest.fixture
def study(tmp_path, discs, monkeypatch) -> Path:
    """Discs of other persons as the source, which are not there yet; run folders go to ./runs."""
    monkeypatch.chdir(tmp_path)
    base = [text for text in disc_overrides(discs, Path("runs")) if not text.startswith("paths.runs")]
    told = {
        "title": "Discs", "question": "Do other discs help?",
        "base": [*base, "logger=none", "processes=1", "protocol=holdout", "protocol.fractions=[0.5,0,0.5]"],
        "pretrained": {"others": [f"data.root={tmp_path / 'others'}"]},
        "rows": {"scratch": [], "frozen": ["init=others", "encoder_lr=0"], "tuned": ["init=others"]},
        "data": {"two": ["train_persons=2"]},
        "budgets": {"smoke": {"cost": "Seconds."}},
    }  # fmt: skip
    file = tmp_path / "discs.yaml"
    file.write_text(yaml.safe_dump(told))
    return file


def status(study: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    main(["status", str(study), *words])
    return capsys.readouterr().out


@pytest.mark.slow
def test_a_study_pretrains_once_and_goes_on_after_a_failure(study, capsys, tmp_path):
    assert main(["run", str(study)]) == 1
    told = capsys.readouterr().err
    assert "3 of 4 jobs failed" in told
    assert "its pretraining others" in told
    out = status(study, capsys)
    assert "4 jobs: 1 done, 3 failed" in out
    assert out.count("its pretraining others") == 2

    for number in range(4):
        write_disc(tmp_path / "others", f"sub-{number:02d}", np.random.default_rng(100 + number))
    assert main(["run", str(study)]) == 0
    out = capsys.readouterr().out
    assert "two: 3 of 3 runs are done" in out
    assert "4 jobs: 3 done, 1 fitted" in status(study, capsys)

    (source,) = Path("runs/discs/smoke/pretrained/discs").iterdir()
    assert run_state(source).name == "fitted", "its test persons are nobody's business"
    (frozen,) = Path("runs/discs/smoke/discs").glob("frozen-*")
    before, after = (
        torch.load(Run.open(folder).weights(), weights_only=True)["state_dict"] for folder in (source, frozen)
    )
    for name, value in after.items():
        assert torch.equal(value, before[name]) == name.startswith("network.encoder."), name
    assert len(json.loads((frozen / "split.json").read_text())["train"]) == 2

    Path("runs").rename("moved")
    assert "4 jobs: 3 done, 1 fitted" in status(study, capsys, "paths.runs=moved")
    Path("moved/discs/smoke/pretrained").rename(tmp_path / "deleted")
    assert main(["run", str(study), "paths.runs=moved"]) == 0, "nobody needs it any more"
    assert "4 jobs: 3 done, 1 missing" in status(study, capsys, "paths.runs=moved")
