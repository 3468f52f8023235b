from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from spinelab.models.fcn import BilinearUp, fcn


@pytest.mark.parametrize(("stride", "count"), [(32, 134_346_581), (16, 134_357_354), (8, 134_362_751)])
def test_published_numbers_of_parameters_without_deconvolutions(stride: int, count: int) -> None:
    with torch.device("meta"):
        network = fcn(3, 21, stride=stride)  # type: ignore[arg-type]
    assert sum(p.numel() for name, p in network.named_parameters() if not name.startswith("ups.")) == count


def test_the_deconvolution_starts_as_bilinear_interpolation() -> None:
    up, x = BilinearUp(3), torch.randn(2, 3, 5, 7)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up(x), expected)


def test_a_constant_stays_constant() -> None:
    x = torch.tensor([2.5, -1.0])[None, :, None, None].expand(1, 2, 3, 4)
    y = BilinearUp(2)(x)
    torch.testing.assert_close(y, torch.tensor([2.5, -1.0])[None, :, None, None].expand(1, 2, 6, 8))


@pytest.mark.parametrize("encoder", [None, {"name": "resnet18", "weights": None}], ids=["paper", "resnet18"])
def test_skips_start_without_influence_and_then_refine(encoder: dict[str, str | None] | None) -> None:
    torch.manual_seed(0)
    network, x = fcn(1, 2, encoder, width=None if encoder else 0.125).eval(), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        before, y = network(x), network.score(network.top(network.encoder(x)[-1]))
        for up in network.ups:
            y = up(y)
        assert torch.equal(before, F.interpolate(y, scale_factor=8, mode="bilinear"))
        for score in network.score_skips:
            score.weight.normal_()
            after = network(x)
            assert not torch.allclose(after, before)
            before = after


def test_a_bad_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="8, 16 or 32"):
        fcn(1, 2, stride=4, width=0.125)  # type: ignore[arg-type]
