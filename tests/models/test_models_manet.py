from __future__ import annotations

from typing import Any

import pytest
import torch

from spinelab.models.manet import DualBranchAttention, manet
from spinelab.models.residual_unet import residual_unet

RESNET = {"name": "resnet18", "weights": None}


@pytest.mark.parametrize(
    ("encoder", "strides"), [(None, (1, 2, 4, 8)), (RESNET, (2, 4, 8, 16))], ids=["paper", "resnet18"]
)
def test_attention_maps_lie_between_0_and_1(encoder: dict[str, Any] | None, strides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = manet(1, 2, encoder, base=None if encoder else 8).eval()
    with torch.no_grad():
        maps = network.attention_maps(torch.randn(2, 1, 37, 51))
    assert list(maps) == [f"stride{s}" for s in strides]
    for alpha in maps.values():
        assert alpha.shape == (2, 1, 37, 51)
        assert 0 < alpha.min() < alpha.max() < 1


def test_with_closed_screens_it_is_the_residual_unet() -> None:
    torch.manual_seed(0)
    network, x = manet(1, 3, base=4).eval(), torch.randn(2, 1, 37, 51)
    plain = residual_unet(1, 3, base=4).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("attention.")})
    with torch.no_grad():
        assert not torch.allclose(network(x), plain(x))
        for attention in network.attention.values():
            attention.screening[-1].bias.fill_(-200)
        torch.testing.assert_close(network(x), plain(x))


def test_the_three_operators_see_three_five_and_seven_pixels() -> None:
    torch.manual_seed(0)
    module = DualBranchAttention(4)
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 0.1)  # no path cancels another or is cut by a ReLU
    x, seen = torch.ones(1, 4, 1, 15, requires_grad=True), []
    for operator in module.operators:
        operator.register_forward_hook(lambda _, inputs, output: seen.append(output[..., 7].sum()))
    module(x)
    extents = [torch.autograd.grad(y, x, retain_graph=True)[0][0, 0, 0].count_nonzero().item() for y in seen]
    assert extents == [3, 5, 7]
