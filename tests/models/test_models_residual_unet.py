from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from spinelab.models.residual_unet import ResidualBlock, residual_unet
from spinelab.models.unet import unet

MAKERS = (unet, residual_unet)


@pytest.mark.parametrize("norm", [False, True])
def test_a_block_of_zero_weights_is_the_identity(norm: bool) -> None:
    block, x = ResidualBlock(8, 8, norm=norm).eval(), torch.rand(2, 8, 5, 7)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(block(x), x)


def test_where_channels_change_a_block_of_zero_weights_is_its_shortcut() -> None:
    block, x = ResidualBlock(4, 8), torch.randn(2, 4, 5, 7)
    for parameter in block.branch.parameters():
        torch.nn.init.zeros_(parameter)
    weight = block.shortcut.weight[:, :, 0, 0]
    torch.testing.assert_close(block(x), torch.einsum("oc,bchw->bohw", weight, x).clamp(min=0))


def test_it_differs_from_the_unet_by_the_shortcuts() -> None:
    changes = [(1, 32), (32, 64), (64, 128), (128, 256), (256, 512), (512, 256), (256, 128), (128, 64), (64, 32)]
    with torch.device("meta"):
        network = residual_unet(1, 1)
    shortcuts = sum(a * b + b for a, b in changes)
    assert sum(p.numel() for p in network.parameters()) == 7_759_521 + shortcuts


def test_it_drops_out_as_often_as_the_unet() -> None:
    rates = [[m.p for m in make(1, 2, base=4).modules() if isinstance(m, torch.nn.Dropout)] for make in MAKERS]
    assert rates[0] == rates[1] == [0.5] * 18
    encoder = {"name": "resnet18", "weights": None}
    assert not [m for m in residual_unet(1, 2, encoder).modules() if isinstance(m, torch.nn.Dropout)]


def test_the_signal_keeps_its_size_through_ten_blocks() -> None:
    torch.manual_seed(0)
    widths = (1, *[16, 32] * 5)
    blocks = torch.nn.Sequential(*(ResidualBlock(a, b) for a, b in pairwise(widths)))
    assert 0.3 < blocks(torch.randn(4, 1, 64, 64)).square().mean().sqrt().item() < 3.0
