"""Cases prepared by several processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path

from rich.progress import track

from spinelab.data.slices.parts import Part, prepare_part
from spinelab.data.slices.plan import Plan
from spinelab.data.slices.storage import size
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def prepare_parts(
    cases: Sequence[Case], labels: LabelMap, preprocessing: Preprocessing, folder: Path, plan: Plan, progress: bool
) -> list[Part | str]:
    """A part, or the reason why there is none, for every case in order.

    Args:
        cases: The cases.
        labels: Their classes.
        preprocessing: What is done to them.
        folder: Where the parts are parked.
        plan: Says how many processes.
        progress: Show a progress bar.

    Raises:
        DataError: The system killed a process, as it does when memory runs out.
        OSError: A part cannot be written.
    """
    prepare = partial(prepare_part, labels=labels, preprocessing=preprocessing, folder=folder)
    positions = range(len(cases))
    if plan.workers == 1:
        return _collect(map(prepare, cases, positions), len(cases), progress)
    # Not forked: the parent may already run threads of PyTorch or OpenCV, whose locks a fork would freeze.
    with ProcessPoolExecutor(plan.workers, get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            with _one_thread_each():
                results = pool.map(prepare, cases, positions)  # starts the processes
            return _collect(results, len(cases), progress)
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that prepared cases was killed, most likely because memory ran out; the largest case, "
                f"{plan.largest}, was expected to take {size(plan.memory_each)}",
                "close other programs and run again, use processes=1, or leave out or crop the largest cases",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # a full disk: the other cases would fail as well
            raise


def _collect(results: Iterator[Part | str], total: int, progress: bool) -> list[Part | str]:
    return list(track(results, "preparing cases", total=total, disable=not progress, transient=True))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep processes that start now to a core each; numpy's libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed; it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
