"""Studies as files, and the jobs that they mean."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from spinelab.config import compose_config
from spinelab.errors import ConfigError
from spinelab.run import Run
from spinelab.sweeps.study import Plan, merged
from spinelab.sweeps.study_file import find_study, read_study

GOOD = """
title: Two networks
question: Which is better?
base: [protocol=kfold, trainer.max_epochs=9]
rows:
  U-Net: [model=unet]
  U-Net wide: [model=unet, model.base=48]
data:
  phantom: [data=phantom]
  cord: [data=gm_challenge, protocol.folds=4]
folds: all
seeds: [0, 1]
budgets:
  small: {cost: little, data: [phantom], folds: [1], overrides: [trainer.max_epochs=2]}
  full: {cost: much}
"""


def write(folder: Path, text: str = GOOD) -> Path:
    file = folder / "two.yaml"
    file.write_text(textwrap.dedent(text))
    return file


def plan(file: Path, budget: str = "", *extra: str) -> Plan:
    study = read_study(file)
    return Plan(study, study.budget(budget), extra, Path("runs"))


def test_jobs_are_the_product_of_rows_data_folds_and_seeds(tmp_path):
    jobs = plan(write(tmp_path), "full").jobs(check=False)
    assert len(jobs) == 2 * (5 + 4) * 2
    assert len({job.run.folder for job in jobs}) == len(jobs)
    cord = [job for job in jobs if (job.row, job.data) == ("U-Net", "cord")]
    assert {job.run.folder.parent for job in cord} == {Path("runs/two/full/gm_challenge")}
    assert sorted(job.run.folder.name.rsplit("-", 1)[0] for job in cord) == [
        f"U-Net-s{seed}-f{fold}" for seed in (0, 1) for fold in range(4)
    ]


def test_a_budget_narrows_and_the_command_line_comes_last(tmp_path):
    small = plan(write(tmp_path), "", "trainer.max_epochs=3", "optimizer=sgd")
    assert small.budget.name == "small"
    jobs = small.jobs(check=False)
    assert [(job.row, job.data) for job in jobs] == [("U-Net", "phantom")] * 2 + [("U-Net wide", "phantom")] * 2
    for job in jobs:
        assert {"trainer.max_epochs=3", "optimizer=sgd"} <= {text.lstrip("+") for text in job.overrides}
        assert not any("max_epochs=9" in text or "max_epochs=2" in text for text in job.overrides)


def test_the_run_is_that_of_the_same_training_by_hand(tmp_path):
    *_, job = plan(write(tmp_path)).jobs()
    by_hand = ["protocol=kfold", "protocol.fold=1", "model=unet", "model.base=48", "trainer.max_epochs=2", "seed=1"]
    assert job.run.id == Run.of(compose_config([*by_hand, "data=phantom"])).id


def test_looking_without_checking_finds_the_same_runs(tmp_path):
    checked, unchecked = (plan(write(tmp_path)).jobs(check=check) for check in (True, False))
    assert [job.run for job in checked] == [job.run for job in unchecked]


def test_a_protocol_without_folds_has_one_job_a_seed(tmp_path):
    text = GOOD.replace("protocol=kfold", "protocol=holdout").replace(", protocol.folds=4", "")
    jobs = plan(write(tmp_path, text), "full").jobs(check=False)
    assert len(jobs) == 2 * 2 * 2
    assert not any(text.startswith("protocol.fold=") for job in jobs for text in job.overrides)


def test_a_later_override_takes_the_place_of_an_earlier_one():
    assert merged(["model=unet", "seed=1"], ["+model.base=8", "seed=2"], ["model=fcn"]) == [
        "+model.base=8", "seed=2", "model=fcn",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model=unet]", "model=unett]", ("rows.U-Net: ", "model=unett", "did you mean unet")),
        ("model.base=48", "model.bass=48", ("rows.U-Net wide: ", "model.bass", "base")),
        ("data=phantom]", "data=phantum]", ("data.phantom: ", "did you mean phantom")),
        ("[trainer.max_epochs=2]", "[trainer.max_epocs=2]", ("budgets.small.overrides: ", "did you mean max_epochs")),
        ("trainer.max_epochs=9", "optimizer=adm", ("base: ", "optimizer=adm", "adam")),
        ("model=unet, model.base=48", "model=unet", ("rows.U-Net wide and rows.U-Net", "same run")),
        ("model=unet, model.base=48", "'model=unet,fcn'", ("rows.U-Net wide: ", "sweeps")),
    ],
)
def test_a_wrong_override_is_named_with_its_place(tmp_path, old, new, words):
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        plan(file).jobs()
    assert all(word in str(error.value) for word in (str(file), *words)), error.value


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds: [0, 1]", "seed: [0, 1]", ("no key seed", "did you mean seeds")),
        ("question: Which is better?", "", ("question is missing",)),
        ("seeds: [0, 1]", "seeds: 3", ("seeds is 3", "[0, 1]")),
        ("folds: [1]", "folds: [1, 1]", ("budgets.small.folds",)),
        ("data: [phantom]", "data: [fantom]", ("budgets.small.data", "did you mean phantom")),
        ("cost: little, ", "", ("budgets.small.cost is missing",)),
        ("U-Net wide:", "U/Net:", ("rows.U/Net is no plain name",)),
        ("[model=unet]", "model=unet", ("rows.U-Net is 'model=unet', not a list",)),
        ("[model=unet]", "[model: unet]", ("rows.U-Net holds {'model': 'unet'}",)),
        ("title: Two networks", "title: [", ("no YAML",)),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, old, new, words):
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        read_study(file)
    assert all(word in str(error.value) for word in (str(file), *words)), error.value


def test_studies_are_found_by_name_the_users_own_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_study(find_study("architectures")).rows.keys() >= {"U-Net", "Attention U-Net"}
    (tmp_path / "experiments").mkdir()
    write(tmp_path / "experiments").rename(tmp_path / "experiments" / "architectures.yaml")
    assert read_study(find_study("architectures")).title == "Two networks"
    with pytest.raises(ConfigError, match="did you mean architectures"):
        find_study("architecture")
    with pytest.raises(ConfigError, match="no budget 'smal'"):
        read_study(find_study("architectures")).budget("smal")


@pytest.mark.slow
def test_every_shipped_study_composes():
    files = set((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
    for file in sorted(file for file in files if file.stem != "published"):  # the review's numbers are no study
        study = read_study(file)
        for budget in study.budgets:
            assert plan(file, budget).jobs()
