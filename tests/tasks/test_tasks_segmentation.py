"""The LightningModule: which loss sees what."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from spinelab.losses.cross_entropy import CrossEntropy
from spinelab.tasks.schedules import constant
from spinelab.tasks.segmentation import SegmentationTask


class TwoHeads(nn.Module):
    """Two 1x1 convolutions, one a head."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = nn.Conv2d(1, 3, 1), nn.Conv2d(1, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.main(x), self.side(x)


def make_task(network: nn.Module, **options) -> SegmentationTask:
    return SegmentationTask(network, CrossEntropy(), partial(torch.optim.SGD, lr=0.1), constant, **options)


def make_batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, 8, 8, generator=generator)
    return {"image": image, "mask": torch.randint(0, 3, (2, 8, 8), generator=generator)}


def test_all_heads_are_trained_and_the_main_one_is_validated():
    task, batch = make_task(TwoHeads()), make_batch()
    task.log = lambda *_, **__: None
    main, side = (task.loss(head, batch["mask"]) for head in task.network.heads(batch["image"]))
    assert torch.isclose(task.training_step(batch, 0), (main + side) / 2)
    out = task.validation_step(batch, 0)
    assert torch.equal(out["loss"], main)
    assert torch.equal(out["prediction"], task.network.main(batch["image"]).argmax(1))


def test_frozen_parameters_are_left_out_of_the_optimizer():
    network = TwoHeads()
    network.side.requires_grad_(False)
    task = make_task(network)
    task._trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()
    held = task.configure_optimizers()["optimizer"].param_groups[0]["params"]
    assert {id(p) for p in held} == {id(p) for p in network.main.parameters()}


def test_channels_last_changes_memory_order_and_nothing_else():
    torch.manual_seed(0)
    network = nn.Conv2d(2, 3, 3, padding=1)
    plain = make_task(network)(torch.ones(1, 2, 8, 8))
    task = make_task(network, channels_last=True)
    assert task.network.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(task(torch.ones(1, 2, 8, 8)), plain, atol=1e-6)
