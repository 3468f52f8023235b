from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from spinelab.models.unet import unet
from spinelab.models.verte_box import DualAttention, MultiScaleBlock, verte_box

SWITCHES = ("multi_scale", "channel_attention", "dual_attention", "side_outputs")
OFF = dict.fromkeys(SWITCHES, False)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_without_any_addition_it_is_the_unet() -> None:
    plain, network = unet(1, 3, base=4).eval(), verte_box(1, 3, base=4, **OFF).eval()
    network.load_state_dict(plain.state_dict())
    x = torch.randn(2, 1, 37, 51)
    assert torch.equal(network(x), plain(x))
    assert len(network.heads(x)) == 1


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("encoder", [None, "resnet18"])
def test_each_addition_can_be_switched(switch: str, encoder: str | None) -> None:
    settings = {"name": encoder, "weights": None}
    outputs, counts = [], []
    for on in (False, True):
        torch.manual_seed(0)
        base = None if encoder else 4
        network = verte_box(1, 3, settings, base=base, **{**OFF, switch: on}).eval()
        with torch.no_grad():
            outputs.append(network(torch.linspace(-1, 1, 64 * 64).view(1, 1, 64, 64)))
        counts.append(count(network))
    assert outputs[1].shape == outputs[0].shape == (1, 3, 64, 64)
    assert not torch.allclose(outputs[0], outputs[1])
    # the multi-scale convolution is as large as the plain one; the others add parameters
    assert (counts[1] > counts[0]) == (switch != "multi_scale")
    assert counts[1] >= counts[0]


def test_the_fused_output_starts_as_the_mean_of_the_sides() -> None:
    torch.manual_seed(0)
    network = verte_box(1, 3, base=4).eval()
    fused, *sides = network.heads(torch.randn(2, 1, 48, 40))
    assert len(sides) == 4
    torch.testing.assert_close(fused, torch.stack(sides).mean(0))


def test_dilations_of_the_multi_scale_block() -> None:
    block = MultiScaleBlock(3, 10)
    assert [(c.out_channels, c.dilation[0]) for c in block.scales] == [(6, 1), (2, 2), (2, 4)]
    assert block(torch.randn(1, 3, 1, 1)).shape == (1, 10, 1, 1)


def test_dual_attention_by_brute_force() -> None:
    torch.manual_seed(0)
    module, x = DualAttention(16).double(), torch.randn(1, 16, 2, 3, dtype=torch.double)
    q, k, v = (layer(x)[0].flatten(1) for layer in (module.query, module.key, module.value))
    flat, cosine = x[0].flatten(1), partial(F.cosine_similarity, dim=0)
    expected = flat.clone()
    for i in range(6):
        weights = torch.stack([cosine(q[:, i], k[:, j]) * 2**0.5 for j in range(6)]).exp()
        expected[:, i] += (weights / weights.sum() * v).sum(1)
    for c in range(16):
        weights = torch.stack([cosine(flat[c], flat[d]) for d in range(16)]).exp()
        expected[c] += (weights[:, None] / weights.sum() * flat).sum(0)
    torch.testing.assert_close(module(x)[0].flatten(1), expected)
