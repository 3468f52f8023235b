from __future__ import annotations

import pytest
import torch

from spinelab.models.unet import unet


@pytest.mark.parametrize(
    ("base", "classes", "count"),
    [(32, 1, 7_759_521), (64, 2, 31_030_658), (64, 1, 31_030_593), (16, 1, 1_940_817), (8, 1, 485_673)],
)
def test_unet_has_the_published_number_of_parameters(base: int, classes: int, count: int) -> None:
    with torch.device("meta"):
        network = unet(1, classes, base=base)
    assert sum(p.numel() for p in network.parameters()) == count


def test_unet_drops_out_after_each_convolution() -> None:
    network = unet(1, 2, base=4)
    dropouts = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(dropouts) == 18
    assert {m.p for m in dropouts} == {0.5}
    assert not [m for m in unet(1, 2, base=4, dropout=0.0).modules() if isinstance(m, torch.nn.Dropout)]
