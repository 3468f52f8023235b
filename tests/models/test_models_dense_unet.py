from __future__ import annotations

import torch
from torch import Tensor

from spinelab.models.dense_unet import DenseBlock, dense_unet


def test_every_layer_sees_all_earlier_maps() -> None:
    block, x = DenseBlock(3, 16), torch.randn(2, 3, 6, 5)
    seen: list[tuple[Tensor, Tensor]] = []
    for layer in (*block.layers, block.transition):
        layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    out = block(x)
    for i, (given, _) in enumerate(seen):
        assert torch.equal(given, torch.cat([x, *(output for _, output in seen[:i])], dim=1))
    assert [output.shape[1] for _, output in seen] == [4, 4, 4, 4, 16]
    assert torch.equal(out, seen[-1][1])


def test_number_of_parameters_by_the_formula_of_densely_connected_layers() -> None:
    def block(a: int, b: int) -> int:
        g = b // 4
        return sum(9 * (a + i * g) * g + g for i in range(4)) + (a + b) * b + b

    widths = (8, 16, 32, 64, 128)
    down = sum(block(a, b) for a, b in zip((1, *widths[:-1]), widths, strict=True))
    up = sum(4 * 2 * w * w + w + block(2 * w, w) for w in widths[:-1])
    assert sum(p.numel() for p in dense_unet(1, 2, base=8).parameters()) == down + up + 8 * 2 + 2
