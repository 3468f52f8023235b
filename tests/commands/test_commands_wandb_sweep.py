"""Sweep files for the agents of Weights & Biases, checked against the documented keys."""

from __future__ import annotations

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spinelab.commands.wandb_sweep import main, make_sweep, parameter
from spinelab.config import compose_config
from spinelab.errors import ConfigError
from spinelab.groups import groups

KEYS = {"name", "program", "command", "method", "metric", "parameters", "early_terminate"}
ENDS = {"min", "max"}
# https://docs.wandb.ai/guides/sweeps/sweep-config-keys
DISTRIBUTIONS = {
    "uniform": ENDS, "int_uniform": ENDS, "log_uniform_values": ENDS, "q_uniform": ENDS | {"q"},
    "q_log_uniform_values": ENDS | {"q"},
}  # fmt: skip


def documented(sweep) -> None:
    """Only keys and combinations that the documentation names."""
    assert set(sweep) == KEYS
    assert sweep["method"] in ("grid", "random", "bayes")
    assert sweep["metric"] == {"name": "val/dice", "goal": "maximize"}
    assert sweep["early_terminate"]["type"] == "hyperband"
    assert set(sweep["early_terminate"]) <= {"type", "min_iter", "max_iter", "s", "eta", "strict"}
    assert {word for word in sweep["command"] if "$" in word} == {"${env}", "${args_no_hyphens}"}
    for value in sweep["parameters"].values():
        if "values" in value:
            assert set(value) == {"values"}
            assert value["values"]
        else:
            kind = value["distribution"]
            assert set(value) - {"distribution"} == DISTRIBUTIONS[kind]
            assert value["min"] < value["max"]
            assert sweep["method"] != "grid"


@pytest.mark.parametrize(
    ("search", "method"),
    [*((search, "bayes") for search in groups()["hparams_search"]), ("default", "random"), ("default", "grid")],
)
def test_every_search_becomes_a_sweep_whose_command_composes(search, method):
    sweep = make_sweep(search, ["data=gm_challenge", "data.root=x"], method)
    documented(sweep)
    drawn = [f"{key}={value.get('values', [value.get('min')])[0]}" for key, value in sweep["parameters"].items()]
    fixed = [word for word in sweep["command"][3:] if "$" not in word]
    config = compose_config([*fixed, *drawn])
    assert config.test is False
    assert config.data.name == "gm_challenge"


def test_comma_values_become_a_parameter_and_single_ones_stay_in_the_command():
    sweep = make_sweep("learning_rate", ["model=unet,unetpp", "seed=3", "optimizer.weight_decay=0.01"])
    assert sweep["parameters"]["model"] == {"values": ["unet", "unetpp"]}
    assert set(sweep["parameters"]) == {"optimizer.lr", "model"}
    assert {"seed=3", "optimizer.weight_decay=0.01", "test=false"} <= set(sweep["command"])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (FloatDistribution(0, 1), {"distribution": "uniform", "min": 0, "max": 1}),
        (FloatDistribution(1e-4, 1, log=True), {"distribution": "log_uniform_values", "min": 1e-4, "max": 1}),
        (FloatDistribution(0, 1, step=0.5), {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}),
        (IntDistribution(1, 9), {"distribution": "int_uniform", "min": 1, "max": 9}),
        (IntDistribution(8, 24, step=8), {"values": [8, 16, 24]}),
        (IntDistribution(1, 64, log=True), {"distribution": "q_log_uniform_values", "min": 1, "max": 64, "q": 1}),
        (CategoricalDistribution(["a", 2]), {"values": ["a", 2]}),
    ],
)
def test_each_distribution_has_its_counterpart(found, expected):
    assert parameter(found) == expected


def test_the_command_prints_or_writes(tmp_path, capsys):
    assert main(["hparams_search=loss", "model=unet", "name=losses"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["name"] == "losses"
    assert main(["hparams_search=loss", "model=unet", "name=losses", f"output={tmp_path / 'sweep.yaml'}"]) == 0
    assert yaml.safe_load((tmp_path / "sweep.yaml").read_text()) == printed


def test_what_is_wrong_is_named():
    with pytest.raises(ConfigError, match="hparams_search= is missing"):
        main(["model=unet"])
    with pytest.raises(ConfigError, match="there is no hparams_search=los"):
        make_sweep("los", [])
    with pytest.raises(ConfigError, match="no method 'tpe'"):
        make_sweep("loss", [], "tpe")
    with pytest.raises(ConfigError, match="takes no 'base'"):
        make_sweep("width", ["model=fcn"])
