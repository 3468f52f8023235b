"""Fused optimizers: the same steps, clipped the same way, in every precision that a processor trains in."""

from __future__ import annotations

from functools import partial

import lightning
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from torch import nn
from torch.utils.data import DataLoader

from spinelab.losses.cross_entropy import CrossEntropy
from spinelab.tasks.fused import clip_gradients, fused
from spinelab.tasks.schedules import constant
from spinelab.tasks.segmentation import SegmentationTask


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, partial(torch.optim.SGD, momentum=0.9)])
def test_the_steps_are_those_of_the_plain_optimizer(kind):
    factory = partial(kind, lr=0.1, weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(1000, generator=generator), torch.randn(5, 1000, generator=generator)
    ends = []
    for made in (factory, fused(factory, torch.device("cpu"))):
        weights = nn.Parameter(start.clone())
        optimizer = made([weights])
        for gradient in gradients:
            weights.grad = gradient.clone()
            optimizer.step()
        ends.append((optimizer, weights.detach()))
    (plain, expected), (quick, found) = ends
    assert (plain.defaults["fused"], quick.defaults["fused"]) == (None, True)
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, start)


@pytest.mark.parametrize(
    ("factory", "device"),
    [
        (partial(torch.optim.AdamW, fused=False), "cpu"),
        (partial(torch.optim.AdamW, foreach=True), "cpu"),
        (torch.optim.RMSprop, "cpu"),
        (torch.optim.AdamW, "cuda"),
    ],
)
def test_where_it_is_chosen_or_not_there_the_optimizer_is_left_alone(factory, device):
    assert fused(factory, torch.device(device)) is factory


def test_scaled_gradients_are_left_to_lightning():
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(4))], fused=True)
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        clip_gradients(MixedPrecision("16-mixed", "cpu"), optimizer, 1.0, None)


@pytest.mark.parametrize("plugin", [Precision(), MixedPrecision("bf16-mixed", "cpu")])
def test_gradients_are_clipped_to_the_norm(plugin):
    weights = nn.Parameter(torch.zeros(4))
    weights.grad = torch.tensor([3.0, 4.0, 0.0, 0.0])
    optimizer = torch.optim.AdamW([weights], fused=True)
    clip_gradients(plugin, optimizer, 0.0, None)
    assert weights.grad.norm() == 5
    clip_gradients(plugin, optimizer, 1.0, None)
    torch.testing.assert_close(weights.grad, torch.tensor([0.6, 0.8, 0.0, 0.0]))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_training_is_fused_and_clips(precision, tmp_path):
    network = nn.Conv2d(1, 3, 1)
    before = network.weight.detach().clone()
    task = SegmentationTask(network, CrossEntropy(), partial(torch.optim.AdamW, lr=0.1), constant)
    samples = [{"image": torch.randn(1, 8, 8), "mask": torch.zeros(8, 8, dtype=torch.int64)} for _ in range(4)]
    trainer = lightning.Trainer(
        accelerator="cpu", precision=precision, max_epochs=1, gradient_clip_val=1e-3, default_root_dir=tmp_path,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, DataLoader(samples, batch_size=2))
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in network.parameters()])
    assert norm <= 1.01e-3
    assert not torch.equal(network.weight, before)
    assert trainer.optimizers[0].defaults["fused"]
