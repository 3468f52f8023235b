from __future__ import annotations

from typing import Any

import pytest
import torch

from spinelab.models.unetpp import unetpp

RESNET = {"name": "resnet18", "weights": None}


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        network = unetpp(1, 1)
        assert count(network) == 9_041_700
        assert count(unetpp(1, 1, deep_supervision=False)) == 9_041_601
        assert [count(network.prune(d)) for d in (1, 2, 3, 4)] == [100_961, 511_105, 2_204_961, 9_041_601]


@pytest.mark.parametrize("encoder", [None, RESNET, {"name": "efficientnet-b0", "weights": None}], ids=str)
def test_the_pruned_network_equals_the_head_bit_for_bit(encoder: dict[str, Any] | None) -> None:
    torch.manual_seed(0)
    network = unetpp(1, 3, encoder, base=None if encoder else 8)
    with torch.no_grad():
        network(torch.randn(4, 1, 64, 64))  # running statistics that are not those of a fresh network
        network.eval()
        for size in ((64, 96), (37, 51)):
            x = torch.randn(2, 1, *size)
            heads = network.heads(x)
            for level in (1, 2, 3, 4):
                pruned = network.prune(level)
                assert torch.equal(pruned(x), heads[network.levels - level])
                assert torch.equal(pruned.heads(x)[0], pruned(x))
                assert level == 4 or count(pruned) < count(network.prune(level + 1))


def test_a_pruned_network_is_a_copy() -> None:
    network = unetpp(1, 2, RESNET).eval()
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        before = network(x)
        pruned = network.prune(2)
        for p in pruned.parameters():
            p.zero_()
        assert torch.equal(network(x), before)


def test_what_is_pruned_under_inference_can_be_trained() -> None:
    network = unetpp(1, 2, RESNET)
    with torch.inference_mode():
        pruned = network.prune(1)
    pruned(torch.randn(2, 1, 32, 32)).sum().backward()


def test_pruning_needs_a_head() -> None:
    with pytest.raises(ValueError, match="no head at level 2"):
        unetpp(1, 2, base=4, deep_supervision=False).prune(2)
    with pytest.raises(ValueError, match="no head at level 5"):
        unetpp(1, 2, base=4).prune(5)
