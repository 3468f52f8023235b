"""What spinelab's training costs beside a bare PyTorch loop, and what the `cpu` preset gains over plain float32.

Run it on a quiet machine: `python experiments/benchmarks/training.py`. Peer and ours take turns in one process, and
medians over the rounds are printed with their ratio.

1. Overhead: a very small network on one thread, so that what is measured is everything around it. Peer: the same
   loader, network, loss, optimizer, schedule, clipping and precision in a plain loop. Ours: the trainer with its whole
   callback stack, the metrics file and an offline W&B run. Validation is left out of both. Epochs have 68 steps; what
   ours does between them (checkpoint, metrics file, loader) is counted.
2. Preset: U-Net on resnet18, 8 x 1 x 256 x 320. Peer: float32, contiguous. Ours: `trainer=cpu`.
3. Of it the optimizer: AdamW's step over the same weights. Peer: torch's default. Ours: fused.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import lightning
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Table

from spinelab import build
from spinelab.config import compose_config
from spinelab.run import Run
from spinelab.tasks.fused import fused

SMALL = [
    "model.base=4", "model.dropout=0", "augmentation=none", "trainer=cpu", "loader.num_workers=0",
    "data.preprocessing.crop=[32,32]", "loader.batch_size=4",
]  # fmt: skip


class Clock(lightning.Callback):
    """Notes when each epoch starts, so that what lies between two epochs counts too."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, *_: object) -> None:
        """Note the time."""
        self.starts.append(time.perf_counter())


def prepared(folder: Path, epochs: int, overrides: list[str]) -> tuple[DictConfig, Run, build.SliceDataModule]:
    """A run on the phantom, ready to train."""
    config = compose_config(
        [*overrides, "data.generate.persons=24", f"paths.runs={folder}", f"trainer.max_epochs={epochs}"]
    )
    cases = build.cases(config)
    data = build.datamodule(config, build.cache(config, cases), build.split(config, cases))
    run = Run.of(config)
    run.start(config)
    return config, run, data


def ours(folder: Path, epochs: int) -> list[float]:
    """Milliseconds a step of the whole stack, epoch by epoch."""
    config, run, data = prepared(folder, epochs, [*SMALL, "callbacks.progress=null", "+trainer.limit_val_batches=0"])
    for name in ("scores", "early_stopping", "panels"):
        config.callbacks[name] = None
    config.callbacks.checkpoint.monitor = None
    view = build.logger(config, run)
    trainer = build.trainer(config, run, data, view)
    clock = Clock()
    trainer.callbacks.append(clock)
    view.open()
    trainer.fit(build.task(config, build.labels(config)), data, weights_only=True)
    view.close()
    return per_step(clock.starts, len(data.train_dataloader()))


def peer(folder: Path, epochs: int) -> list[float]:
    """Milliseconds a step of a plain loop over the same parts, epoch by epoch."""
    config, _, data = prepared(folder, epochs, SMALL)
    task = build.task(config, build.labels(config))
    optimizer = fused(task.optimizer, task.device)(task.parameters())  # so that only the stack differs
    loader, starts = data.train_dataloader(), []
    schedule = task.scheduler(optimizer, epochs * len(loader))
    task.train()
    for _ in range(epochs):
        starts.append(time.perf_counter())
        for batch in loader:
            with precision(config):
                loss = task._training_loss(batch["image"].to(memory_format=task.memory_format), batch["mask"])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return per_step(starts, len(loader))


def per_step(starts: list[float], steps: int) -> list[float]:
    """Milliseconds a step of every epoch but the first, which warms up, and the last, which has no successor."""
    return [1000 * (after - before) / steps for before, after in pairwise(starts[1:])]


def precision(config: DictConfig) -> torch.autocast | nullcontext[None]:
    """The autocast that the trainer would use."""
    chosen = build.precision(config.trainer.precision, config.trainer.accelerator)
    return torch.autocast("cpu", torch.bfloat16) if chosen == "bf16-mixed" else nullcontext()


def preset_step(fast: bool, steps: int) -> float:
    """Milliseconds a step (forward, backward, AdamW) of U-Net on resnet18, with the preset or in plain float32."""
    config = compose_config(["encoder=resnet18", "trainer=cpu", f"trainer.channels_last={fast}"])
    task = build.task(config, build.labels(config))
    optimizer = (fused(task.optimizer, task.device) if fast else task.optimizer)(task.parameters())
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 1, 256, 320, generator=generator).to(memory_format=task.memory_format)
    mask = torch.randint(0, build.labels(config).count, (8, 256, 320), generator=generator)
    seconds = []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        with precision(config) if fast else nullcontext():
            loss = task._training_loss(image, mask)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[1:])


def optimizer_step(quick: bool, steps: int = 10) -> float:
    """Milliseconds of AdamW's step alone over the weights of U-Net on resnet18."""
    config = compose_config(["encoder=resnet18", "trainer=cpu"])
    task = build.task(config, build.labels(config))
    optimizer = (fused(task.optimizer, task.device) if quick else task.optimizer)(task.parameters())
    for weights in task.parameters():
        weights.grad = torch.ones_like(weights)
    seconds = []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[1:])


def main() -> None:
    """Measure in turns and print peer, ours, ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the small network in a round")
    parser.add_argument("--preset-steps", type=int, default=4, help="steps of the large network in a round")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    small: list[tuple[float, float]] = []
    large: list[tuple[float, float]] = []
    steps: list[tuple[float, float]] = []
    threads = torch.get_num_threads()
    for number in track(range(options.rounds), description="measuring", transient=True):
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            order = (peer, ours) if number % 2 else (ours, peer)  # neither always finds the warm processor
            times = {f: f(Path(folder) / f.__name__, options.epochs) for f in order}
        small += list(zip(times[peer], times[ours], strict=True))
        steps.append((optimizer_step(False), optimizer_step(True)))
        torch.set_num_threads(threads)
        large.append((preset_step(False, options.preset_steps), preset_step(True, options.preset_steps)))
    table = Table(title="ms a step, medians", title_justify="left")
    for column in ("what", "n", "peer", "ours", "ours - peer", "peer / ours"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, rounds in (
        ("whole stack, 1 thread", small),
        (f"cpu preset, {threads} threads", large),
        ("a fused step of AdamW, 1 thread", steps),
    ):
        theirs, mine = (statistics.median(values) for values in zip(*rounds, strict=True))
        table.add_row(
            name, str(len(rounds)), *(f"{value:.2f}" for value in (theirs, mine, mine - theirs, theirs / mine))
        )
    Console().print(table)


if __name__ == "__main__":
    main()
