"""A run is a folder: configuration, split, environment, checkpoints, metrics and the table of cases."""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from omegaconf import DictConfig, OmegaConf

from spinelab.config import resolved
from spinelab.errors import RunBusy, RunError
from spinelab.files import replacing, sweep, write_atomically

# What a run is not determined by: where files lie, who looks on, and how fast the loader is.
IRRELEVANT = (
    "paths",
    "logger",
    "name",
    "choices",
    "scoring",
    "processes",
    "sweep",
    "threads",
    "test",
    "trial",
    "loader.num_workers",
    "callbacks.checkpoint.minutes",
    "callbacks.progress",
    "callbacks.panels",
)
# Keys that came later, with the value at which a run is what it was before: the hash leaves them out there.
LATER: dict[str, Any] = {"train_persons": None, "encoder_lr": 1.0, "refine": {}}
PACKAGES = (
    "spinelab",
    "torch",
    "lightning",
    "segmentation-models-pytorch",
    "timm",
    "albumentations",
    "scikit-image",
    "scikit-learn",
    "numpy",
)


@dataclass(frozen=True)
class Run:
    """Paths and state of one run folder.

    Attributes:
        folder: The run's folder.
        id: Hash of everything in the configuration that determines the result.
    """

    folder: Path
    id: str

    @classmethod
    def of(cls, config: DictConfig) -> Run:
        """The run that a configuration describes; its folder may or may not exist yet."""
        plain = resolved(config)
        identity = run_hash(plain)
        label = f"{plain['name']}-s{plain['seed']}-f{plain['protocol'].get('fold', 0)}-{identity}"
        return cls(Path(plain["paths"]["runs"]) / plain["data"]["name"] / label, identity)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run.

        Raises:
            RunError: The folder is not a run folder.
        """
        folder = Path(folder)
        if not (folder / "config.yaml").is_file():
            raise RunError(
                "this is not a run folder: it has no config.yaml", "give a folder that a training made", folder
            )
        return cls(folder, folder.name.rsplit("-", 1)[-1])

    @property
    def cases(self) -> Path:
        """The table of cases; it exists once the run is finished."""
        return self.folder / "cases.parquet"

    @property
    def split(self) -> Path:
        """Who is trained on, validated on and tested on."""
        return self.folder / "split.json"

    @property
    def metrics(self) -> Path:
        """One row an epoch."""
        return self.folder / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints: `best.ckpt` by the monitor, `last.ckpt`, and `previous.ckpt` until it is done."""
        return self.folder / "checkpoints"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the folder to oneself, and clear away what killed processes left half written.

        The system gives the folder free when the process ends, in whatever way.

        Raises:
            RunBusy: Another process trains this run.
        """
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            try:
                # of the process alone: loader processes that outlive it for some seconds hold nothing
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                raise RunBusy("another process trains this run", "wait for it, or stop it", self.folder) from error
            except OSError:
                pass  # a file system without locks
            for folder in (self.folder, self.checkpoints, self.folder / "panels"):
                sweep(folder)
            yield

    def weights(self) -> Path:
        """The checkpoint that scores and predictions are made with: the best one, or the last without validation.

        Raises:
            RunError: The run has no checkpoint.
        """
        for path in (self.checkpoints / "best.ckpt", self.checkpoints / "last.ckpt"):
            if path.is_file():
                return path
        raise RunError("the run has no checkpoint yet", "train it first", self.checkpoints)

    def config(self) -> DictConfig:
        """The run's own resolved configuration."""
        return OmegaConf.load(self.folder / "config.yaml")  # type: ignore[return-value]

    def start(self, config: DictConfig) -> None:
        """Create the folder and write the resolved configuration."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(resolved(config))))

    def write_environment(self, **facts: Any) -> None:
        """Write versions, machine and commit beside facts that only the run knows."""
        write_atomically(self.folder / "environment.json", json.dumps(environment() | facts, indent=2))

    def write_cases(self, cases: pd.DataFrame) -> None:
        """Write the table of cases, at once or not at all."""
        write_table(self.cases, cases)


def run_hash(config: dict[str, Any]) -> str:
    """Eight hexadecimal digits of everything in a resolved configuration that determines the result."""
    relevant = copy.deepcopy(config)
    for key in IRRELEVANT:
        *parents, last = key.split(".")
        node = relevant
        for parent in parents:
            node = node.get(parent, {})
        node.pop(last, None)
    for key, usual in LATER.items():
        if relevant.get(key) == usual:
            relevant.pop(key, None)
    if (init := relevant.pop("init", None)) is not None:
        relevant["init"] = Path(init).name  # the other run's own hash, wherever its folder lies
    canonical = json.dumps(_without_folders(relevant), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def environment() -> dict[str, Any]:
    """Versions of what computes, the machine, and the commit of a source checkout."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a parquet file at once or not at all."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _without_folders(node: Any) -> Any:
    """Drop every `root`, so that the same data in another folder is the same run."""
    if isinstance(node, dict):
        return {key: _without_folders(value) for key, value in node.items() if key != "root"}
    return [_without_folders(item) for item in node] if isinstance(node, list) else node


def _commit() -> str | None:
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    if (info := Path("/proc/cpuinfo")).is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
