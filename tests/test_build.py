"""Objects from configurations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from spinelab import build
from spinelab.config import compose_config
from spinelab.errors import ConfigError
from spinelab.types import Case


def test_a_configuration_cannot_call_what_is_not_trusted(tmp_path):
    trap = OmegaConf.create({"_target_": "os.mkdir", "path": str(tmp_path / "trap")})
    with pytest.raises(ConfigError, match="SPINELAB_TRUST"):
        build.make(trap)
    assert not (tmp_path / "trap").exists()


def test_own_packages_can_be_trusted(monkeypatch):
    node = OmegaConf.create({"_target_": "collections.Counter"})
    with pytest.raises(ConfigError):
        build.make(node)
    monkeypatch.setenv("SPINELAB_TRUST", "collections.*")
    assert build.make(node) == {}


def test_an_argument_that_a_class_does_not_take_is_named():
    with pytest.raises(ConfigError, match="nonsense"):
        build.make(OmegaConf.create({"_target_": "torch.nn.Conv2d", "nonsense": 1}))


def test_precision_is_bfloat16_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has, wanted in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(build, "_bfloat16_processor", lambda has=has: has)
        assert build.precision("auto", "cpu") == wanted
    assert build.precision("16-mixed", "cpu") == "16-mixed"


def test_asking_for_a_gpu_where_there_is_none_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="trainer=cpu"):
        build.precision("auto", "gpu")


@pytest.mark.parametrize("model", ["unet", "attention_unet"])
def test_networks_have_a_channel_for_background(model):
    config = compose_config([f"model={model}", "model.base=4", "data=gm_challenge"])
    network = build.network(config, build.labels(config))
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)


def test_another_number_of_channels_is_refused():
    slices = SimpleNamespace(channels=3)
    with pytest.raises(ConfigError, match=r"has 3 channels, the network sees 1[\s\S]*set channels=3"):
        build.datamodule(compose_config(["data=phantom"]), slices, None)


def test_sagittal_slices_are_not_flipped():
    config = compose_config(["data=phantom", "augmentation=axial"])
    with pytest.raises(ConfigError, match="front and back"):
        build.datamodule(config, SimpleNamespace(channels=1), None)


@pytest.mark.parametrize("protocol", ["protocol.fractions=[0.5,0.5]", "protocol.fractions=[2,0,-1]"])
def test_a_protocol_that_makes_no_split_is_a_matter_of_the_configuration(protocol):
    cases = [Case(str(number), str(number), ()) for number in range(6)]
    with pytest.raises(ConfigError, match="protocol"):
        build.split(compose_config([protocol]), cases)
