"""Composing configurations."""

from __future__ import annotations

import pytest

from spinelab.config import check_choices, compose_config, resolved
from spinelab.errors import ConfigError
from spinelab.groups import conf_dir, groups

NETWORKS = {group: choices for group, choices in groups().items() if group != "classical"}


@pytest.mark.parametrize("turn", range(max(map(len, NETWORKS.values()))))
def test_every_choice_of_every_group_composes(turn):
    chosen = {group: choices[turn % len(choices)] for group, choices in NETWORKS.items()}
    config = compose_config([f"{group}={choice}" for group, choice in chosen.items()])
    assert {group: config.choices[group] for group in chosen} == chosen


@pytest.mark.parametrize("technique", groups()["classical"])
def test_every_technique_composes(technique):  # in the place of the groups of networks
    assert compose_config([f"classical={technique}"]).choices["classical"] == technique


def test_the_display_name_tells_model_and_encoder():
    assert compose_config(["model=fcn"]).name == "fcn"
    assert compose_config(["model=fcn", "encoder=resnet18"]).name == "fcn-resnet18"
    assert compose_config(["name=mine"]).name == "mine"


def test_any_value_can_be_overridden():
    config = compose_config(["optimizer.lr=0.5", "callbacks.early_stopping.patience=3", "callbacks.panels=null"])
    assert config.optimizer.lr == 0.5
    assert config.callbacks.early_stopping.patience == 3
    assert config.callbacks.panels is None


def test_the_review_preset_is_tables_1_and_2():
    config = resolved(compose_config(["experiment=review"]))
    assert config["trainer"]["max_epochs"] == 50
    assert config["loader"]["batch_size"] == 16
    assert config["optimizer"] == {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}
    assert "binary_cross_entropy" in config["loss"]["_target_"]
    assert config["encoder"]["name"] is None


def test_sweeps_are_checked_choice_by_choice():
    check_choices(["model=unet,unetpp,fcn", "seed=0,1"])
    with pytest.raises(ConfigError, match="model=fnc"):
        check_choices(["model=unet,fnc"])


def test_yaml_files_hold_no_lists_of_objects():
    for path in conf_dir().rglob("*.yaml"):
        assert "- _target_" not in path.read_text(), f"{path}: Hydra cannot merge lists; use a dictionary"


def test_own_choices_stand_beside_the_projects(tmp_path, monkeypatch):
    (tmp_path / "conf" / "data").mkdir(parents=True)
    mine = (conf_dir() / "data" / "gm_challenge.yaml").read_text().replace("name: gm_challenge", "name: mine")
    (tmp_path / "conf" / "data" / "mine.yaml").write_text(mine)
    monkeypatch.chdir(tmp_path)
    config = compose_config(["data=mine", "model=fcn"])
    assert (config.data.name, config.choices["data"], config.choices["model"]) == ("mine", "mine", "fcn")
    with pytest.raises(ConfigError, match="did you mean mine"):
        compose_config(["data=mne"])
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(ConfigError, match="no such choice"):
        compose_config(["data=mine"])


@pytest.mark.parametrize("text", ["classical=null", "augmentation=None"])
def test_an_emptied_group_is_refused_in_words(text):
    with pytest.raises(ConfigError, match=r"a group cannot be emptied on the command line\n.*leave .*= out"):
        compose_config([text])
