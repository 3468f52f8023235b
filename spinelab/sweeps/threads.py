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
    if "ray" in target:
        return max(int(cores() // (launcher.ray.remote.get("num_cpus") or 1)), 1)
    if "submitit" in target and "Local" in target:
        return int(config.hydra.sweeper.get("max_batch_size") or 1)
    return 1


def threads_each(config: DictConfig) -> int | None:
    """Threads of each job, so that all of them together use each core once; None where jobs run one by one."""
    jobs = at_once(config)
    return max(cores() // jobs, 1) if jobs > 1 else None
