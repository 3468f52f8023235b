from __future__ import annotations

from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch

from spinelab.errors import ConfigError
from spinelab.models.attention_unet import attention_unet
from spinelab.models.encoders import SmpEncoder
from spinelab.models.fcn import fcn
from spinelab.models.smp import build
from spinelab.models.unet import unet
from spinelab.models.unetpp import unetpp


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-b0", "mit_b0", "tu-convnext_atto", "tu-resnet10t"])
@pytest.mark.parametrize("depth", [3, 5])
def test_maps_halve_and_every_parameter_is_used(name: str, depth: int) -> None:
    encoder = SmpEncoder(2, name, depth=depth)
    maps = encoder(torch.randn(2, 2, 64, 96))
    assert [m.shape[1:] for m in maps] == [(c, 64 >> i, 96 >> i) for i, c in enumerate(encoder.channels)]
    assert len(maps) == depth + 1
    torch.stack([m.sum() for m in maps]).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-b0", "tu-convnext_atto"])
def test_a_shallow_encoder_gives_the_same_finer_maps(name: str) -> None:
    encoder = SmpEncoder(1, name).eval()
    shallow, x = encoder.shallow(4), torch.randn(1, 1, 64, 64)
    for full, part in zip(encoder(x), shallow(x), strict=False):
        assert torch.equal(full, part)
    assert len(shallow(x)) == 4
    assert not shallow.training


@pytest.mark.parametrize("architecture", [unet, unetpp, fcn, attention_unet])
@pytest.mark.parametrize("name", ["efficientnet-b0", "tu-convnext_atto"])
def test_decoders_take_other_encoders(architecture: Any, name: str) -> None:
    network = architecture(1, 3, {"name": name, "weights": None}).eval()
    assert network(torch.randn(1, 1, 40, 56)).shape == (1, 3, 40, 56)


def test_a_null_name_is_the_paper_form() -> None:
    with torch.device("meta"):
        same = unet(1, 1, {"name": None, "weights": None})
    assert sum(p.numel() for p in same.parameters()) == 7_759_521


@pytest.mark.parametrize(
    ("name", "suggestion"), [("resnet-18", "resnet18"), ("convnext_tiny", "tu-convnext_tiny"), ("unet", "tu-<name>")]
)
def test_an_unknown_encoder_is_told_with_near_matches(name: str, suggestion: str) -> None:
    for make in (unet, lambda *args: build(*args[:2], "fpn", args[2])):
        with pytest.raises(ConfigError, match=f"(?s){name}.*{suggestion}"):
            make(1, 2, {"name": name, "weights": None})


@pytest.mark.parametrize("weights", ["None", False, "imagnet"])
def test_weights_are_null_or_known(weights: object) -> None:
    with pytest.raises(ConfigError, match=r"(?s)weights=.*null.*imagenet"):
        unet(1, 2, {"name": "resnet18", "weights": weights})


@pytest.mark.parametrize("architecture", ["own", "smp"])
def test_a_failing_download_says_what_to_do(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    encoder = {"name": "resnet18", "weights": "imagenet"}
    with pytest.raises(ConfigError, match=r"(?s)no network.*weights=null.*smp-hub/resnet18.imagenet.*HF_HOME"):
        unet(1, 2, encoder) if architecture == "own" else build(1, 2, "fpn", encoder)


def test_options_of_the_paper_form_are_refused_with_an_encoder() -> None:
    encoder = {"name": "resnet18", "weights": None}
    for make in (lambda: unet(1, 2, encoder, base=8), lambda: fcn(1, 2, encoder, width=0.5)):
        with pytest.raises(ConfigError, match="has no meaning with an encoder"):
            make()


def test_an_encoder_of_one_image_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder tu-"):
        unet(1, 2, {"name": "tu-swin_tiny_patch4_window7_224", "weights": None})


@pytest.mark.parametrize("architecture", ["deeplabv3plus", "pspnet", "pan", "upernet"])
def test_a_batch_of_one_can_be_trained(architecture: str) -> None:
    network = build(1, 2, architecture)
    logits = network(torch.randn(1, 1, 48, 64))
    assert logits.shape == (1, 2, 48, 64)
    logits.square().mean().backward()


def test_smp_depth_options_and_unknown_architectures() -> None:
    shallow = build(1, 2, "fpn", {"name": None, "weights": None, "depth": 3}, decoder_segmentation_channels=32)
    assert shallow(torch.randn(2, 1, 37, 51)).shape == (2, 2, 37, 51)
    assert sum(p.numel() for p in shallow.parameters()) < sum(p.numel() for p in build(1, 2, "fpn").parameters())
    with pytest.raises(ConfigError, match=r"(?s)deeplab4.*deeplabv3"):
        build(1, 2, "deeplab4")
