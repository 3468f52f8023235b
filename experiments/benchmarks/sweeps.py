"""What a multirun costs, and what running two jobs at the same time gains.

Run it on a quiet machine: `python experiments/benchmarks/sweeps.py`.

1. Overhead: a sweep of 200 trivial jobs (one step, basic launcher) in this process. From the wall time of the whole
   sweep, its comparison included, what is spent inside checking, fitting and scoring is taken off; libraries are
   imported before. Memory: resident size after each job.
2. Side by side: the same real trainings (U-Net on the phantom) one after the other (`hydra/launcher=basic`), with all
   cores for each job and with one thread each, and side by side (`hydra/launcher=cores`), one job a core. Each is a
   command of its own, from start to end. They take turns.
3. What the machine has to give: training steps of the same network alone, without spinelab, in the same three ways. A
   training by itself uses all cores already, so that jobs side by side gain little over that, whoever runs them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

SMALL = [
    "model.base=4", "model.dropout=0", "augmentation=none", "trainer=cpu", "loader.num_workers=0", "logger=none",
    "data.preprocessing.crop=[32,32]", "data.generate.persons=8", "callbacks.progress=null",
]  # fmt: skip
TRIVIAL = [*SMALL, "trainer.max_epochs=1", "+trainer.limit_train_batches=1", "callbacks.panels=null", "threads=1"]
REAL = [
    "trainer=cpu", "model.base=16", "data.generate.persons=12", "callbacks.progress=null", "logger=none",
    "callbacks.panels=null", "callbacks.early_stopping=null", "loader.num_workers=0",
]  # fmt: skip
WAYS = {
    "one after the other, all cores each": ["hydra/launcher=basic"],
    "one after the other, one thread each": ["hydra/launcher=basic", "threads=1"],
    "side by side": ["hydra/launcher=cores"],
}


def overhead(folder: Path, jobs: int) -> tuple[float, float, float, list[float]]:
    """Seconds a job and seconds of processor a job that the sweep adds, seconds a job inside, MiB after each job."""
    from spinelab.commands import _training
    from spinelab.commands.train import main

    inside: list[tuple[float, float]] = []
    memory: list[float] = []

    def timed(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            try:
                return step(*args, **options)
            finally:
                inside.append((time.perf_counter() - wall, time.process_time() - processor))
                if step.__name__ == "score":
                    memory.append(psutil.Process().memory_info().rss / 2**20)

        run.__name__ = step.__name__
        return run

    for name in ("check", "fit", "score"):
        setattr(_training, name, timed(getattr(_training, name)))
    wall, processor = time.perf_counter(), time.process_time()
    if status := main(["-m", *TRIVIAL, f"seed=range(0,{jobs})", f"paths.runs={folder}/runs", "sweep=trivial"]):
        raise SystemExit(status)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    within, processor_within = (sum(values) for values in zip(*inside, strict=True))
    return (wall - within) / jobs, (processor - processor_within) / jobs, within / jobs, memory


def side_by_side(folder: Path, jobs: int, epochs: int, rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each round in each way."""
    command(folder, "prepared", ["hydra/launcher=basic"], 1, epochs=1)  # the phantom is made once, before
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds):
        for name in sorted(seconds, reverse=bool(number % 2)):
            begin = time.perf_counter()
            command(folder, f"{list(WAYS).index(name)}-{number}", WAYS[name], jobs, epochs)
            seconds[name].append(time.perf_counter() - begin)
    return seconds


STEPS = """
import sys, time, torch
from spinelab.models.unet import unet
threads, start = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(threads)
network = unet(1, 7, base=16).to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(network.parameters())
image, mask = torch.randn(8, 1, 160, 96).to(memory_format=torch.channels_last), torch.randint(0, 7, (8, 160, 96))
def step():
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(image), mask).backward()
    optimizer.step()
step()
time.sleep(max(0, start - time.time()))
begin = time.perf_counter()
for _ in range(60):
    step()
print(time.perf_counter() - begin)
"""


def network_alone(jobs: int) -> dict[str, float]:
    """Seconds for `jobs` times the same training steps in each way, start-up left out."""

    def steps(threads: int, at_once: int) -> float:
        """Seconds until the last of some processes that begin together is done."""
        start = str(time.time() + 15)  # by then all have loaded
        call = [sys.executable, "-c", STEPS, str(threads), start]
        begun = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(at_once)]
        return max(float(process.communicate()[0]) for process in begun)

    cores = len(os.sched_getaffinity(0))
    ways = zip(WAYS, (jobs * steps(cores, 1), jobs * steps(1, 1), steps(1, jobs)), strict=True)
    return dict(ways)


def command(folder: Path, name: str, way: list[str], jobs: int, epochs: int) -> None:
    """Run a multirun as from a terminal."""
    own = [f"seed=range(0,{jobs})", f"trainer.max_epochs={epochs}", f"paths.runs={folder}/{name}"]
    arguments = ["train", "-m", *REAL, *own, *way, "sweep=real"]
    subprocess.run([sys.executable, "-m", "spinelab.cli", *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="trivial jobs; 0 leaves this part out")
    parser.add_argument("--real", type=int, default=2, help="real jobs; 0 leaves this part out")
    parser.add_argument("--epochs", type=int, default=3, help="of a real job; it should take half a minute")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table("what", "value", title=f"sweeps; load average before {os.getloadavg()[0]:.1f}", title_justify="left")
    with tempfile.TemporaryDirectory() as folder:
        if options.real:
            seconds = side_by_side(Path(folder), options.real, options.epochs, options.rounds)
            took = {name: statistics.median(values) for name, values in seconds.items()}
            for name in WAYS:
                gain = f"{took[name] / took['side by side']:.2f}"
                table.add_row(f"{options.real} jobs {name}", f"{took[name]:.1f} s, {gain} of side by side")
            alone = network_alone(options.real)
            for name in WAYS:
                gain = f"{alone[name] / alone['side by side']:.2f}"
                table.add_row(f"their network alone, {name}", f"{alone[name]:.1f} s, {gain} of side by side")
        if options.jobs:
            wall, processor, within, memory = overhead(Path(folder), options.jobs)
            table.add_row(f"overhead a job, {options.jobs} jobs, wall", f"{wall:.3f} s")
            table.add_row("overhead a job, processor", f"{processor:.3f} s")
            table.add_row("inside a job (check, fit, score)", f"{within:.3f} s")
            marks = (number for number in (20, 50, 100, 200) if number <= len(memory))
            told = ", ".join(f"{memory[number - 1]:.0f} ({number})" for number in marks)
            table.add_row("memory in MiB (after job)", told)
    Console().print(table)


if __name__ == "__main__":
    main()
