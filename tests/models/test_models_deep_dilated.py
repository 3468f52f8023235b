from __future__ import annotations

import pytest
import torch
from torch import nn

from spinelab.errors import ConfigError
from spinelab.models.deep_dilated import deep_dilated


def test_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = deep_dilated(1, 1)
    assert sum(p.numel() for p in network.parameters()) == 126_177
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.4] * 16


@pytest.mark.parametrize(("branch", "radius"), [(0, 7), (1, 18), (2, 30), (3, 42), (4, 54)])
def test_each_branch_sees_as_far_as_its_dilations_add_up_to(branch: int, radius: int) -> None:
    network = deep_dilated(1, 1, base=2).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)  # so that no path cancels another or is cut by a ReLU
    x = torch.ones(1, 1, 1, 121, requires_grad=True)
    network.branches[branch](network.encoder(x)[1])[..., 60].sum().backward()
    assert x.grad is not None
    seen = x.grad[0, 0, 0].nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (60 - radius, 60 + radius)


def test_a_pixel_out_of_sight_is_felt_through_the_mean() -> None:
    torch.manual_seed(0)
    network, x = deep_dilated(1, 2, base=4).eval(), torch.randn(1, 1, 1, 121)
    with torch.no_grad():
        before = network(x)[..., 0]
        x[..., 120] += 10
        assert not torch.allclose(network(x)[..., 0], before)


def test_width_has_no_meaning_with_an_encoder() -> None:
    with pytest.raises(ConfigError, match="has no meaning with an encoder"):
        deep_dilated(1, 2, {"name": "resnet18", "weights": None}, base=8)
