"""Weights of one run into another network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spinelab.errors import RunError
from spinelab.tasks.weights import load_weights, start_from


def network(classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, classes, 1))


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "best.ckpt"
    state = {f"network.{key}": value for key, value in network(3).state_dict().items()}
    torch.save({"state_dict": state | {"loss.weight": torch.ones(3)}, "epoch": 4}, path)
    return path


def test_load_weights_restores_every_tensor(checkpoint):
    loaded = network(3)
    load_weights(loaded, checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[f"network.{key}"]) for key, value in loaded.state_dict().items())


def test_layers_of_another_shape_stay_random_and_are_named(checkpoint, capsys):
    started = network(5)
    before = {key: value.clone() for key, value in started.state_dict().items()}
    start_from(started, checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert torch.equal(started[0].weight, saved["network.0.weight"])
    assert torch.equal(started[2].weight, before["2.weight"])
    assert "random: 2.bias, 2.weight" in capsys.readouterr().out


def test_another_architecture_is_refused(checkpoint):
    with pytest.raises(RunError, match="another architecture"):
        start_from(nn.Linear(4, 4), checkpoint)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half an archive"])
def test_a_broken_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "broken.ckpt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"broken\.ckpt"):
        load_weights(network(3), path)


def test_a_pickled_object_is_not_run(tmp_path):
    path = tmp_path / "pickled.ckpt"
    torch.save({"state_dict": {"network.0.weight": torch.nn.Conv2d(1, 1, 1)}}, path)
    with pytest.raises(RunError, match="no readable checkpoint"):
        load_weights(network(3), path)
