"""Processes of a job: one of its own where several train together, and none that outlives the sweep."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from omegaconf import DictConfig

from spinelab.errors import RunError
from spinelab.run_state import run_state

SWEEP = "SPINELAB_SWEEP_PROCESS"
"""Environment variable: the process with which jobs end."""
SECONDS = 1.0
"""Between two looks whether it is still there."""


def trains_with_several(config: DictConfig) -> bool:
    """Whether Lightning will start processes beside the one that trains; below srun they are there already."""
    alone = config.trainer.get("devices", 1) == 1 and config.trainer.get("strategy", "auto") == "auto"
    return not alone and int(os.environ.get("SLURM_NTASKS", 1)) == 1


def train_apart(overrides: Sequence[str], folder: Path, threads: int | None) -> float:
    """Train by a `spinelab train` of its own, which prints to where this process prints.

    Lightning starts the other processes by repeating the command, which would be the whole multirun here, kills the
    first one when another dies, and leaves a process group and variables behind that the next job would stumble over.

    Args:
        overrides: The job's.
        folder: Its run folder.
        threads: Of each process.

    Raises:
        RunError: It ended badly and did not say why in the run folder.
    """
    sys.stdout.flush()
    command = [sys.executable, "-m", "spinelab.cli", "train", *overrides]
    # else Lightning gives each process its share of the whole machine
    shared = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    ended = subprocess.run(command, stdout=sys.stdout, stderr=sys.stdout, env=os.environ | shared, check=False)
    state = run_state(folder)
    if ended.returncode > 0 and state.name in ("queued", "interrupted"):
        raise RunError(f"its processes ended with status {ended.returncode}", "see log.txt", folder)
    return float("nan") if state.val_dice is None else state.val_dice


def outlives(config: DictConfig) -> bool:
    """Whether the launcher leaves jobs in a cluster's queue, which goes on without this process."""
    return "Slurm" in str(config.hydra.launcher.get("_target_", ""))


@contextmanager
def tied(config: DictConfig) -> Iterator[None]:
    """Let the jobs that are launched in the block end with this process, where they run beside it.

    Jobs of submitit and of a ray cluster are in other hands, and go on.
    """
    launcher = config.hydra.launcher
    target = str(launcher.get("_target_", ""))
    elsewhere = "submitit" in target or ("ray" in target and launcher.ray.init.get("address") not in (None, "local"))
    if elsewhere:
        yield
        return
    os.environ[SWEEP] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(SWEEP, None)


def forget_start_method() -> None:
    """Let a job's own processes start as they do anywhere.

    A worker of joblib starts processes by a method that they, in turn, do not know, and die of.
    """
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method(None, force=True)


def end_with_sweep() -> None:
    """End this process soon after the sweep's, which may be killed and then cannot end it."""
    pid = int(os.environ.get(SWEEP, 0))
    if pid in (0, os.getpid()) or any(thread.name == SWEEP for thread in threading.enumerate()):
        return
    threading.Thread(target=_follow, args=(pid,), name=SWEEP, daemon=True).start()


def _follow(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(SECONDS)
    except psutil.Error:
        pass
    os._exit(1)
