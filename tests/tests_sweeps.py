"""Multiruns in processes of their own, which tests may kill."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import psutil
import torch
from tests_runs import SERVER
from tests_shared import disc_overrides

from spinelab.files import TEMPORARY


def tiny(root: Path, runs: Path, *overrides: str) -> list[str]:
    """Overrides of trainings of a second, each with one thread, so that they compute the same everywhere."""
    usual = [*disc_overrides(root, runs), f"paths.data={runs.parent / 'cache'}", "threads=1", "processes=1"]
    given = {override.partition("=")[0] for override in overrides}
    return [*(text for text in usual if text.partition("=")[0] not in given), *overrides]


def start(arguments: Sequence[str], log: Path) -> BaseProcess:
    """Start `spinelab train ARGUMENTS` in a process that has imported torch; what it prints goes to a file."""
    process = SERVER.Process(target=_train, args=(list(arguments), str(log), dict(os.environ)))
    process.start()
    return process


def finish(arguments: Sequence[str], log: Path, seconds: float = 240) -> int:
    """Run `spinelab train ARGUMENTS` to its end; its exit status."""
    process = start(arguments, log)
    process.join(seconds)
    if process.exitcode is None:
        end(process)
        raise AssertionError(f"it hangs:\n{log.read_text()}")
    return process.exitcode


def end(process: BaseProcess) -> None:
    """Kill a process, and not its children."""
    process.kill()
    process.join()


def _train(arguments: list[str], log: str, environment: dict[str, str]) -> None:
    from spinelab.cli import main

    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    with Path(log).open("a", buffering=1) as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    torch.set_num_threads(1)
    status = main(["train", *arguments])
    sys.stdout.flush()
    _close_pools()
    os._exit(status)


def _close_pools() -> None:
    """What happens at the end of a command, but not at the end of processes of this kind."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    if "joblib" in sys.modules:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


def folders(runs: Path) -> dict[str, Path]:
    """Run folders by their names without the hash."""
    found = (path.parent for path in runs.glob("discs/*/config.yaml"))
    return {folder.name.rsplit("-", 1)[0]: folder for folder in found}


def cases(runs: Path) -> dict[str, pd.DataFrame]:
    """The tables of cases of all runs that are done."""
    return {name: pd.read_parquet(folder / "cases.parquet") for name, folder in folders(runs).items()
            if (folder / "cases.parquet").is_file()}  # fmt: skip


def assert_same(first: dict[str, pd.DataFrame], second: dict[str, pd.DataFrame]) -> None:
    """The same runs with the same values, to the last bit."""
    assert first.keys() == second.keys()
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], check_exact=True)


def temporary_files(runs: Path) -> list[Path]:
    """What killed processes left half written."""
    return [path for path in runs.rglob(".*") if path.is_file() and TEMPORARY.fullmatch(path.name)]


def left_over(mark: str, seconds: float = 45) -> list[str]:
    """Command lines of processes that have `mark` in their environment after they had some seconds to end."""
    until = time.monotonic() + seconds
    while (found := list(_marked(mark))) and time.monotonic() < until:
        time.sleep(0.3)
    return found


def _marked(mark: str) -> Iterator[str]:
    here = os.getpid()  # the servers of this very process stay
    for process in psutil.process_iter():
        try:
            if here in (process.pid, process.ppid()) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if mark in process.environ():
                yield f"{process.pid} {' '.join(process.cmdline())}"
        except psutil.Error:
            continue
