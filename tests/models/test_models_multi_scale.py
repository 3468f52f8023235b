from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from spinelab.models.blocks import PlainEncoder
from spinelab.models.multi_scale import MultiScale, multi_scale
from spinelab.models.unet import unet

RESNET = {"name": "resnet18", "weights": None}


@pytest.mark.parametrize("encoder", [None, RESNET], ids=["paper", "resnet18"])
def test_one_scale_is_the_unet(encoder: dict[str, Any] | None) -> None:
    base = None if encoder else 4
    plain, one = unet(1, 2, encoder, base=base).eval(), multi_scale(1, 2, encoder, base=base, scales=1).eval()
    one.load_state_dict({k.replace("encoder.", "encoder.paths.0.", 1): v for k, v in plain.state_dict().items()})
    x = torch.randn(2, 1, 37, 51)
    assert torch.equal(one(x), plain(x))


def test_maps_of_one_size_stand_side_by_side() -> None:
    encoder = MultiScale(PlainEncoder(1, 2, lambda a, b: nn.Conv2d(a, b, 1)), scales=3)
    assert encoder.channels == (2, 4 + 2, 8 + 4 + 2, 16 + 8 + 4, 32 + 16 + 8)
    x = torch.randn(2, 1, 32, 48)
    maps = encoder(x)
    assert [tuple(m.shape[1:]) for m in maps] == [(c, 32 >> i, 48 >> i) for i, c in enumerate(encoder.channels)]
    half = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(maps[1][:, 4:], encoder.paths[1](half)[0])


def test_a_path_starts_with_the_first_path_s_weights_and_learns_by_itself() -> None:
    torch.manual_seed(0)
    encoder = multi_scale(1, 2, RESNET).encoder
    first, second = (path.net.conv1.weight for path in encoder.paths[:2])
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize("scales", [0, 5])
def test_too_many_scales_are_refused(scales: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 4"):
        multi_scale(1, 2, base=4, scales=scales)
