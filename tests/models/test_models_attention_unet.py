from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from spinelab.models.attention_unet import AdditiveGate, attention_unet

RESNET = {"name": "resnet18", "weights": None}


@pytest.mark.parametrize(("channels", "count"), [(1, 34_877_421), (3, 34_878_573)])
def test_published_numbers_of_parameters(channels: int, count: int) -> None:
    with torch.device("meta"):
        network = attention_unet(channels, 1)
    assert sum(p.numel() for p in network.parameters()) == count
    assert sum(p.numel() for name, p in network.named_parameters() if ".gate." in name) == 351_532


def test_oktay_gates_by_their_formula() -> None:
    with torch.device("meta"):
        network = attention_unet(1, 1, base=8, gate="oktay")
    found = [sum(p.numel() for name, p in node.named_parameters() if "gate." in name) for node in network.nodes]
    # theta 2x2 without bias, phi and psi with bias, output 1x1 with bias and batch normalisation
    formula = [4 * c * c + (2 * c * c + c) + (c + 1) + (c * c + c) + 2 * c for c in (16, 32, 64)]
    assert found == [0, *formula]


@pytest.mark.parametrize("gate", ["additive", "oktay"])
@pytest.mark.parametrize(
    ("encoder", "strides"), [(None, (1, 2, 4, 8)), (RESNET, (2, 4, 8, 16))], ids=["paper", "resnet18"]
)
def test_attention_maps_lie_between_0_and_1(
    encoder: dict[str, Any] | None, strides: tuple[int, ...], gate: str
) -> None:
    torch.manual_seed(0)
    network = attention_unet(1, 2, encoder, base=None if encoder else 8, gate=gate).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        maps = network.attention_maps(torch.randn(2, 1, 37, 51))
    kept = [s for s in strides if s > 1 or gate == "additive"]
    assert list(maps) == [f"stride{s}" for s in kept]
    for alpha in maps.values():
        assert alpha.shape == (2, 1, 37, 51)
        assert 0 < alpha.min() <= alpha.max() < 1
        assert alpha.std() > 0


def test_a_closed_gate_silences_the_skip() -> None:
    gate = AdditiveGate(8, 16).eval()
    with torch.no_grad():
        gate.psi[1].bias.fill_(-100)
    gated, alpha = gate(torch.randn(1, 8, 16, 16), torch.randn(1, 16, 16, 16))
    assert alpha.max() < 1e-6
    assert gated.abs().max() < 1e-5


def test_gating_before_nearest_upsampling_equals_gating_after_it() -> None:
    torch.manual_seed(0)
    gate, skip, coarse = AdditiveGate(8, 16), torch.randn(2, 8, 16, 16), torch.randn(2, 16, 8, 8)
    before = gate(skip, coarse)[0]  # in training mode, where batch normalisation sees four copies of each value
    torch.testing.assert_close(before, gate(skip, F.interpolate(coarse, scale_factor=2))[0])


def test_an_unknown_gate_is_refused() -> None:
    with pytest.raises(ValueError, match="additive or oktay"):
        attention_unet(1, 2, base=4, gate="soft")  # type: ignore[arg-type]
