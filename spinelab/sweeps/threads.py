"""How many jobs run at the same time, and how many threads each of them gets."""

from __future__ import annotations

import os

from omegaconf import DictConfig


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once(config: DictConfig) -> int:
    """Jobs that the configured launcher runs at the same time on this machine; 1 where it is not known."""
    launcher = config.hydra.launcher
    target = str(launcher.get("_target_", ""))
    if "joblib" in target:
        jobs = launcher.get("n_jobs") or 1
        return int(jobs) if jobs > 0 else max(cores() + 1 + int(jobs), 1)
    if "ray" in target and not launcher.ray.remote.get("num_gpus"):
        return max(int(cores() // (launcher.ray.remote.get("num_cpus") or 1)), 1)
    if "submitit" in target and "Local" in target:
        each = (launcher.get("cpus_per_task") or 1) * (launcher.get("tasks_per_node") or 1)
        return int(config.hydra.sweeper.get("max_batch_size") or max(cores() // each, 1))
    return 1


def batch_size(config: DictConfig) -> int | None:
    """Jobs to give to the launcher at once; None for all of them.

    submitit's local executor has no queue: whatever it is given starts at once.
    """
    target = str(config.hydra.launcher.get("_target_", ""))
    local = "submitit" in target and "Local" in target
    return config.hydra.sweeper.get("max_batch_size") or (at_once(config) if local else None)


def threads_each(config: DictConfig, jobs: int) -> int | None:
    """Threads of each process of a job, so that all of them together use each core once.

    Args:
        config: The composed configuration, Hydra's own part included.
        jobs: That the sweep has, finished ones included: one that is taken up again shall not compute otherwise,
            since sums over other numbers of threads differ in their last bits.

    Returns:
        None where jobs run one by one and have the machine to themselves.
    """
    together = min(at_once(config), jobs)
    return max(cores() // (together * processes(config)), 1) if together > 1 else None


def processes(config: DictConfig) -> int:
    """Training processes of one job on the processor; with GPUs each needs a core or two whatever is said here."""
    devices = config.trainer.get("devices", 1)
    return devices if isinstance(devices, int) and devices > 0 else 1
