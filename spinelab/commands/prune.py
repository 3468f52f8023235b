"""score and time the smaller networks inside a trained U-Net++: Dice against latency

usage: spinelab prune run=FOLDER[,FOLDER...] [out=FOLDER]

Examples:
  spinelab prune run=runs/phantom/unetpp-s0-f0-1a2b3c4d
  spinelab prune "run=runs/table6/cpu/phantom/U-Net++-s0-*" out=pruning

A U-Net++ that was trained with deep supervision (model.deep_supervision, which is its default) holds a network for each
of its heads, L1 to L4: after training the larger ones can be cut away (Zhou et al. 2018, 2020). Each is scored on the
run's own test persons and timed on this machine: median milliseconds a slice, one slice at a time, after warming up.
Several runs (folds, seeds) are pooled, persons being counted once. Writes curve.html, curve.md and curve.csv to out=
(default: evaluations/pruning in the first run's folder).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spinelab.commands._arguments import options
from spinelab.commands.robustness import METRICS, require_own_scores, tested_cases
from spinelab.errors import RunError
from spinelab.reporting.groups import Group, group_runs
from spinelab.reporting.pruning import Timing, write_pruning
from spinelab.reporting.results import Results, read_runs
from spinelab.run import Run, environment

if TYPE_CHECKING:
    import torch
    from torch import nn

    from spinelab.models.unetpp import UNetPlusPlus
    from spinelab.types import Case

WARM_UP = 3
REPEATS = 30
SECONDS = 60.0
"""After this long, timing ends with the repeats that there are."""


def main(arguments: Sequence[str]) -> int:
    """Prune, score, time, and print the table and the page's path."""
    given = options(arguments, ("run", "out"), required=("run",))
    results = read_runs(filter(None, given["run"].split(",")))
    out = Path(given["out"]) if "out" in given else results.runs[0].folder / "evaluations" / "pruning"
    page = prune(results, out)
    print((page.parent / "curve.md").read_text(encoding="utf-8"))
    print(f"page: {page.resolve()}")
    return 0


def prune(results: Results, out: Path) -> Path:
    """Score and time every level of some runs of U-Net++, and write the curve; returns the page.

    Raises:
        RunError: A run is no U-Net++ with deep supervision, runs of one row differ in size, or a run does not give its
            own scores any more.
    """
    from rich.progress import Progress

    networks = {run.folder: unetpp_of(Run.open(run.folder)) for run in results.runs}
    cases = {folder: tested_cases(Run.open(folder)) for folder in networks}
    count = sum(networks[folder].levels * len(cases[folder]) for folder in networks)
    print(f"{len(networks)} run(s), {count} predictions", flush=True)
    scores: dict[Path, pd.DataFrame] = {}
    with Progress(transient=True) as progress:
        task = progress.add_task("predicting", total=count)
        for folder, network in networks.items():
            parts = []
            for part in _scores(Run.open(folder), network, cases[folder]):
                parts.append(part)
                progress.advance(task)
            scores[folder] = pd.concat(parts, ignore_index=True)
    timings = {}
    for group in group_runs(results):
        _require_one_size(group, networks)
        first = group.runs[0].folder
        timings[group.label] = time_levels(networks[first], _slice_shape(Run.open(first), cases[first][0]))
    return write_pruning(results, scores, timings, machine(), out)


def unetpp_of(run: Run) -> UNetPlusPlus:
    """The trained network of a run.

    Raises:
        RunError: It is no U-Net++, or has no heads to prune to.
    """
    from spinelab.commands._members import members_of, trained_network
    from spinelab.models.unetpp import UNetPlusPlus

    network = trained_network(members_of([run]))
    if not isinstance(network, UNetPlusPlus):
        remedy = "give runs of model=unetpp that are neither ensembles nor refined"
        raise RunError(f"{run.config().name} is no U-Net++ by itself ({type(network).__name__})", remedy, run.folder)
    if len(network.outputs) < network.levels:
        found = "this U-Net++ was trained without deep supervision, so that it has one head only"
        raise RunError(found, "train it with model.deep_supervision=true", run.folder)
    return network


def time_levels(network: UNetPlusPlus, shape: tuple[int, ...], repeats: int = REPEATS) -> dict[int, Timing]:
    """Size and latency of every level, the levels taking turns so that a busy moment meets all of them.

    Args:
        network: The whole one; it is left as it is.
        shape: (C, H, W) of a slice.
        repeats: How often each is timed.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    levels = {level: network.prune(level).eval().to(device) for level in range(1, network.levels + 1)}
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    taken: dict[int, list[float]] = {level: [] for level in levels}
    started = time.monotonic()
    with torch.inference_mode():
        for turn in range(WARM_UP + repeats):
            for level, pruned in levels.items():
                seconds = _seconds(pruned, image)
                taken[level] += [seconds] if turn >= WARM_UP else []
            if turn > WARM_UP and time.monotonic() - started > SECONDS:
                break
    return {level: _timing(levels[level], taken[level]) for level in levels}


def machine() -> str:
    """What networks are timed on, in words."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"{environment()['processor']}, {threads} thread{'' if threads == 1 else 's'}"


def _scores(run: Run, network: UNetPlusPlus, cases: Sequence[Case]) -> Iterator[pd.DataFrame]:
    """Rows of each level of each case; those of the whole network have to be the run's own."""
    from spinelab import build
    from spinelab.tasks.evaluation import evaluate_case, overlap_rows

    config, own = run.config(), pd.read_parquet(run.cases)
    labels, preprocessing = build.labels(config), build.preprocessing(config)
    for level in range(network.levels, 0, -1):
        pruned = network.prune(level)
        for case in cases:
            found = overlap_rows(evaluate_case(pruned, case, labels, preprocessing), labels)
            who = {"level": level, "person": case.person, "site": case.site, "case": case.name}
            rows = pd.DataFrame([who | row for row in found if row["metric"] in METRICS]).astype({"value": float})
            if level == network.levels:
                require_own_scores(rows, own, run)
            yield rows


def _slice_shape(run: Run, case: Case) -> tuple[int, ...]:
    """(C, H, W) of a prepared slice."""
    from spinelab import build
    from spinelab.data.volumes.prepare import prepare_case

    config = run.config()
    volume = prepare_case(case, build.labels(config), build.preprocessing(config), with_mask=False)
    _, rows, columns, channels = volume.image.shape
    return channels, rows, columns


def _require_one_size(group: Group, networks: Mapping[Path, UNetPlusPlus]) -> None:
    sizes = {run.folder: _parameters(networks[run.folder]) for run in group.runs}
    first, *others = sizes
    for folder in others:
        if sizes[folder] != sizes[first]:
            found = f"has {sizes[folder]} parameters, {first} of the same name has {sizes[first]}"
            raise RunError(found, "give runs of one size at a time, or of different names", folder)


def _seconds(network: nn.Module, image: torch.Tensor) -> float:
    import torch

    begun = time.perf_counter()
    network(image)
    if image.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def _timing(network: nn.Module, seconds: Sequence[float]) -> Timing:
    fastest, median, slowest = (float(1000 * value) for value in np.percentile(seconds, [25, 50, 75]))
    return Timing(_parameters(network), median, fastest, slowest, len(seconds))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
