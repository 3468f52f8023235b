"""How a pretrained encoder is trained further: frozen, or with a learning rate of its own."""

from __future__ import annotations

import copy
import math
from functools import partial

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from spinelab import build
from spinelab.config import compose_config
from spinelab.errors import ConfigError
from spinelab.losses.cross_entropy import CrossEntropy
from spinelab.models.unet import unet
from spinelab.tasks.schedules import constant, cosine, poly
from spinelab.tasks.segmentation import SegmentationTask

STEPS = 6


class Noise(Dataset):
    """Pictures and masks of noise, as batches of two pictures need them."""

    def __len__(self) -> int:
        return 2 * STEPS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        mask = torch.randint(0, 3, (32, 32), generator=generator)
        return {"image": torch.randn(1, 32, 32, generator=generator) + mask, "mask": mask}


def make_task(encoder_lr: float, optimizer=None, scheduler=constant, network=None) -> SegmentationTask:
    torch.manual_seed(0)
    network = network or unet(1, 3, {"name": "resnet18", "weights": None, "depth": 3})
    return SegmentationTask(
        network, CrossEntropy(), optimizer or partial(torch.optim.AdamW, lr=0.01), scheduler, encoder_lr=encoder_lr
    )


def train(task: SegmentationTask, tmp_path, *callbacks: lightning.Callback) -> None:
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, num_sanity_val_steps=1, callbacks=list(callbacks), default_root_dir=tmp_path,
        limit_val_batches=1,
    )  # fmt: skip
    loader = DataLoader(Noise(), batch_size=2)
    trainer.fit(task, loader, loader)  # with validation, after which the modes of all parts are set back


def changed(task: SegmentationTask, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in task.network.state_dict().items() if not torch.equal(value, before[name])}


def test_a_frozen_encoder_is_unchanged_to_the_last_bit_and_the_rest_learns(tmp_path):
    task = make_task(0)
    before = copy.deepcopy(task.network.state_dict())
    assert any("running_mean" in name for name in before if name.startswith("encoder.")), "else it proves little"
    train(task, tmp_path)
    different = changed(task, before)
    assert not [name for name in different if name.startswith("encoder.")]
    assert different == {name for name in before if not name.startswith("encoder.")}


@pytest.mark.parametrize("factor", [0.1, 1.0])
def test_an_encoder_that_is_not_frozen_learns_too(tmp_path, factor):
    task = make_task(factor)
    before = copy.deepcopy(task.network.state_dict())
    train(task, tmp_path)
    assert changed(task, before) == set(before)


@pytest.mark.parametrize("scheduler", [constant, cosine, poly])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_the_ratio_of_the_rates_holds_throughout(tmp_path, optimizer, scheduler):
    rates: list[list[float]] = []

    class Watch(lightning.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    task = make_task(0.1, partial(optimizer, lr=0.01), scheduler)
    train(task, tmp_path, Watch())
    assert len(rates) == 2 * STEPS
    assert all(math.isclose(slow, 0.1 * usual) for usual, slow in rates)
    assert max(usual for usual, _ in rates) == pytest.approx(0.01)


def test_a_step_of_plain_descent_is_a_tenth_as_long_for_the_encoder():
    task = make_task(0.1, partial(torch.optim.SGD, lr=0.5))
    task._trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()
    optimizer = task.configure_optimizers()["optimizer"]
    before = {name: parameter.detach().clone() for name, parameter in task.network.named_parameters()}
    batch = next(iter(DataLoader(Noise(), batch_size=2)))
    task.training_step(batch, 0).backward()
    optimizer.step()
    for name, parameter in task.network.named_parameters():
        rate = 0.05 if name.startswith("encoder.") else 0.5
        assert torch.allclose(parameter.detach(), before[name] - rate * parameter.grad, atol=1e-7), name


def test_by_itself_there_is_one_group_as_ever():
    task = make_task(1.0)
    task._trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()
    (group,) = task.configure_optimizers()["optimizer"].param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in task.parameters()]


def test_a_frozen_encoder_stays_in_inference_whatever_the_rest_does():
    task = make_task(0)
    for mode in (True, False, True):
        task.train(mode)
        assert not any(module.training for module in task.network.encoder.modules())
        assert all(module.training is mode for module in task.network.nodes.modules())


@pytest.mark.parametrize("factor", [-0.1, 1.5, math.nan])
def test_other_factors_are_refused(factor):
    with pytest.raises(ValueError, match=r"factor in \[0, 1\]"):
        make_task(factor)


def test_a_network_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="Conv2d has no encoder"):
        make_task(0.1, network=nn.Conv2d(1, 3, 1))


def built(*overrides: str) -> SegmentationTask:
    config = compose_config(["data=phantom", *overrides])
    return build.task(config, build.labels(config))


def test_the_configuration_names_the_factor():
    assert built("model.base=4").encoder_lr == 1
    task = built("encoder_lr=0", "model=pspnet", "encoder=resnet18")  # which wraps a network of another library
    frozen = {name for name, parameter in task.network.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in task.network.named_parameters() if name.startswith("network.encoder.")}
    assert frozen


@pytest.mark.parametrize("overrides", [("encoder_lr=2",), ("encoder_lr=0.1", "model=deep_dilated")])
def test_the_error_names_the_model(overrides, monkeypatch):
    monkeypatch.setattr(build, "network", lambda *_: nn.Conv2d(1, 7, 1))
    with pytest.raises(ConfigError, match=r"(unet|deep_dilated).*encoder") as error:
        built(*overrides)
    assert "encoder_lr" in error.value.remedy
