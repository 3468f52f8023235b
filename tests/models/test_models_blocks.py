from __future__ import annotations

import pytest
import torch

from spinelab.models.blocks import Conv, UpTransposed, conv_block, crop_like, join, pad_to_multiple


@pytest.mark.parametrize(("size", "padded"), [((37, 51), (48, 64)), ((1, 1), (16, 16)), ((32, 16), (32, 16))])
def test_padding_repeats_the_border_and_is_undone(size: tuple[int, int], padded: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    y = pad_to_multiple(x, 16)
    assert y.shape == (2, 3, *padded)
    assert torch.equal(crop_like(y, x), x)
    assert torch.equal(y[..., size[0] :, : size[1]], x[..., -1:, :].expand(-1, -1, padded[0] - size[0], -1))


def test_padding_reaches_a_minimum() -> None:
    assert pad_to_multiple(torch.zeros(1, 1, 40, 130), 32, minimum=128).shape == (1, 1, 128, 160)


def test_he_initialisation() -> None:
    torch.manual_seed(0)
    conv, up = Conv(64, 128), UpTransposed(128, 64)
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert up.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.02)
    assert not conv.bias.any()
    assert not up.bias.any()


def test_the_signal_keeps_its_size_through_ten_layers_without_normalisation() -> None:
    torch.manual_seed(0)
    block = torch.nn.Sequential(*(conv_block(1 if i == 0 else 32, 32) for i in range(5)))
    y = block(torch.randn(4, 1, 64, 64))
    assert 0.3 < y.square().mean().sqrt().item() < 3.0


def test_maps_without_channels_are_left_out_and_channels_last_stays() -> None:
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    joined = join(x[:, :0], x, x)
    assert torch.equal(joined, torch.cat([x, x], 1))
    assert joined.is_contiguous(memory_format=torch.channels_last)
