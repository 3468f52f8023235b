from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.refinenet import ChainedResidualPooling, RefineBlock, ResidualConvUnit, refinenet


def silence(module: nn.Module) -> None:
    """Make every normalised convolution inside give zero."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight)


def test_four_blocks_in_a_cascade_from_stride_32_to_4() -> None:
    network = refinenet(1, 2, features=8).eval()
    blocks = [m for m in network.modules() if isinstance(m, RefineBlock)]
    shapes: list[tuple[int, ...]] = []
    for block in blocks:
        block.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    network(torch.randn(1, 1, 64, 96))
    assert shapes == [(16, 2, 3), (8, 4, 6), (8, 8, 12), (8, 16, 24)]


def test_every_one_of_the_four_maps_matters() -> None:
    torch.manual_seed(0)
    network, x = refinenet(1, 2, features=8).eval(), torch.randn(1, 1, 64, 64)
    encode = network.encoder.forward
    with torch.no_grad():
        before = network(x)
        for level in (2, 3, 4, 5):

            def without(image: Tensor, level: int = level) -> list[Tensor]:
                return [m * (i != level) for i, m in enumerate(encode(image))]

            network.encoder.forward = without  # type: ignore[method-assign]
            assert not torch.allclose(network(x), before)


def test_a_silent_residual_unit_is_the_identity() -> None:
    unit, x = ResidualConvUnit(4).eval(), torch.randn(2, 4, 5, 6)
    silence(unit)
    assert torch.equal(unit(x), x)


def test_chained_pooling_by_its_formula() -> None:
    torch.manual_seed(0)
    pooling, x = ChainedResidualPooling(4).eval(), torch.randn(2, 4, 9, 9)
    total = step = x.clamp(min=0)
    for conv in pooling.convs:
        padded = F.pad(step, (2, 2, 2, 2), value=-torch.inf)
        step = conv(padded.unfold(2, 5, 1).unfold(3, 5, 1).amax((4, 5)))
        total = total + step
    torch.testing.assert_close(pooling(x), total)


def test_on_resnet101_it_has_the_published_118_million_parameters() -> None:
    with torch.device("meta"):
        network = refinenet(3, 21, {"name": "resnet101", "weights": None}, features=256)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 118
