"""What a training will take: counted where it can be, timed on a few real steps where not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from omegaconf import DictConfig

from spinelab import build
from spinelab.data.doctor.examine import Examined
from spinelab.data.splits import Split
from spinelab.types import LabelMap

STEPS = 3
SECONDS = 15.0
"""No further step is timed after this long."""


@dataclass(frozen=True)
class Cost:
    """An estimate, all sizes in bytes and times in seconds.

    Attributes:
        persons: In the data set.
        volumes: That could be read.
        slices: To train and score on.
        slice_shape: Median rows and columns of a prepared slice.
        cache: Size of the prepared slices on disk.
        parameters: Trainable parameters.
        step: A training step on a batch of median slices, without loading it.
        epoch: All training slices once, and the validation slices at a third of a training step.
        training: Until the first limit; None where there is none of epochs or steps.
        until: That limit in words, ``50 epochs``.
        memory: Taken by network, optimizer and one batch: of the graphics card if it was timed on one, else of the
            process.
        device: What it was timed on.
    """

    persons: int
    volumes: int
    slices: int
    slice_shape: tuple[int, int]
    cache: int
    parameters: int
    step: float
    epoch: float
    training: float | None
    until: str
    memory: int
    device: str


def estimate(config: DictConfig, labels: LabelMap, examined: Sequence[Examined], split: Split | None) -> Cost | None:
    """Count slices and time a few training steps on random pixels; None where nothing could be read.

    Raises:
        SpinelabError: The network, the loss or the optimizer cannot be built.
    """
    readable = [one for one in examined if one.slice_shape is not None and one.slices]
    if not readable:
        return None
    shapes = np.array([one.slice_shape for one in readable for _ in range(one.slices)])
    rows, columns = (int(value) for value in np.median(shapes, axis=0))
    size = sum(one.slices * int(np.prod(one.slice_shape or 0)) * (one.pixel_bytes + 1) for one in readable)
    step, memory, parameters, device = _time_steps(config, labels, (rows, columns))
    epoch = _batches(readable, split, "train", config) * step + _batches(readable, split, "val", config) * step / 3
    persons = len({one.case.person for one in examined})
    training, until = _first_limit(config, epoch, step)
    slices = sum(one.slices for one in readable)
    return Cost(
        persons, len(readable), slices, (rows, columns), size, parameters, step, epoch, training, until, memory, device
    )


def _first_limit(config: DictConfig, epoch: float, step: float) -> tuple[float | None, str]:
    """Seconds of the training, and what ends it; Lightning knows no limit as None or -1."""
    limits = [(config.trainer.get(f"max_{unit}"), unit, each) for unit, each in (("epochs", epoch), ("steps", step))]
    told = [(count * each, f"{count} {unit}") for count, unit, each in limits if count is not None and count >= 0]
    return min(told, default=(None, ""))


def describe(cost: Cost) -> str:
    """The estimate in a few lines."""
    rows, columns = cost.slice_shape
    where = "graphics memory" if cost.device.startswith("cuda") else "memory"
    whole = "" if cost.training is None else f", {_minutes(cost.training)} for {cost.until}"
    return (
        f"{cost.persons} persons, {cost.volumes} volumes, {cost.slices} slices, median slice {rows} x {columns}\n"
        f"training, as an estimate from at most {STEPS} steps on {cost.device}: "
        f"{cost.parameters / 1e6:.2f} M parameters, {cost.step:.3g} s a step, "
        f"{_minutes(cost.epoch)} an epoch{whole}\n"
        f"cache on disk {cost.cache / 2**20:.1f} MiB, {where} {cost.memory / 2**20:.0f} MiB"
    )


def _batches(examined: Sequence[Examined], split: Split | None, side: str, config: DictConfig) -> float:
    persons = None if split is None else getattr(split, side)
    if persons is None:
        return 0.0 if side == "val" else sum(one.slices for one in examined) / config.loader.batch_size
    return sum(one.slices for one in examined if one.case.person in persons) / config.loader.batch_size


def _time_steps(config: DictConfig, labels: LabelMap, shape: tuple[int, int]) -> tuple[float, int, int, str]:
    """Seconds a step, bytes, parameters, device."""
    device = _device(config)
    generator = torch.Generator().manual_seed(0)
    task = build.task(config, labels).to(device).train()
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    optimizer = task.optimizer(parameters)
    image = torch.randn(config.loader.batch_size, config.channels, *shape, generator=generator)
    mask = torch.randint(0, labels.count, (config.loader.batch_size, *shape), generator=generator)
    batch: Any = {"image": image.to(device), "mask": mask.to(device)}
    seconds: list[float] = []
    started = time.monotonic()
    before = psutil.Process().memory_info().rss
    highest = before
    while len(seconds) < STEPS and time.monotonic() - started < SECONDS:
        begun = time.monotonic()
        optimizer.zero_grad()
        loss = task.training_step(batch, 0)
        highest = max(highest, psutil.Process().memory_info().rss)  # all activations are there now
        torch.autograd.backward(loss)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - begun)
    count = sum(parameter.numel() for parameter in parameters)
    if device.type == "cuda":
        return min(seconds), torch.cuda.max_memory_allocated(), count, f"cuda ({torch.cuda.get_device_name()})"
    # weights, gradients and two moments of the optimizer, which a process may have held before
    return min(seconds), max(highest - before, 0) + 16 * count, count, f"cpu, {torch.get_num_threads()} threads"


def _device(config: DictConfig) -> torch.device:
    wanted = config.trainer.get("accelerator", "auto")
    return torch.device("cuda" if torch.cuda.is_available() and wanted in ("auto", "gpu", "cuda") else "cpu")


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
