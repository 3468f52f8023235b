from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spinelab.errors import ConfigError
from spinelab.models.deconvnet import Deconv, deconvnet
from spinelab.models.segnet import segnet
from spinelab.models.unpooling import corners, unpool

RESNET = {"name": "resnet18", "weights": None}


def test_unpooling_puts_values_where_the_maxima_were() -> None:
    x = torch.tensor([[1.0, 5.0, 2.0, 2.0], [3.0, 4.0, 0.0, 1.0], [0.0, 0.0, -4.0, -3.0], [7.0, 0.0, -2.0, -1.0]])
    y = unpool(torch.tensor([[10.0, 20.0], [30.0, 40.0]])[None, None], corners(x[None, None]))
    expected = [[0.0, 10.0, 20.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [30.0, 0.0, 0.0, 40.0]]
    assert y[0, 0].tolist() == expected


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_unpooling_equals_pytorch(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 6, 10), torch.randn(2, 3, 3, 5)
    places = F.max_pool2d(x, 2, return_indices=True)[1]
    corner = corners(x.to(memory_format=memory_format))
    assert torch.equal(unpool(y.to(memory_format=memory_format), corner), F.max_unpool2d(y, places, 2))


def test_numbers_of_parameters() -> None:
    with torch.device("meta"):
        counts = [sum(p.numel() for p in n.parameters()) for n in (segnet(3, 12), deconvnet(3, 21))]
    assert counts[0] == 29_449_932
    assert round(counts[1] / 1e6) == 252


@pytest.mark.parametrize("make", [segnet, deconvnet])
@pytest.mark.parametrize("encoder", [None, RESNET], ids=["paper", "resnet18"])
def test_only_places_pass_from_encoder_to_decoder(make: Any, encoder: dict[str, Any] | None) -> None:
    torch.manual_seed(0)
    network = make(1, 2, encoder, width=None if encoder else 0.125).eval()
    x, encode = torch.randn(1, 1, 64, 64), network.encoder.forward

    def louder(image: Tensor) -> list[Tensor]:
        *maps, coarsest = encode(image)
        return [*(4 * m for m in maps), coarsest]

    def elsewhere(image: Tensor) -> list[Tensor]:
        *maps, coarsest = encode(image)
        return [*(m.flip(-1) for m in maps), coarsest]

    with torch.no_grad():
        before = network(x)
        network.encoder.forward = louder
        assert torch.equal(network(x), before)
        network.encoder.forward = elsewhere
        assert not torch.allclose(network(x), before)


def test_a_deconvolution_keeps_size_and_signal() -> None:
    torch.manual_seed(0)
    y = Deconv(64, 32)(torch.randn(2, 64, 20, 30).clamp(min=0))
    assert y.shape == (2, 32, 20, 30)
    assert y.std().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("make", [segnet, deconvnet])
def test_width_has_no_meaning_with_an_encoder(make: Any) -> None:
    with pytest.raises(ConfigError, match="has no meaning with an encoder"):
        make(1, 2, RESNET, width=0.5)
