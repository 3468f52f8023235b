"""Cases prepared by several processes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

from rich.progress import track
from threadpoolctl import threadpool_limits

from spinelab.data.slices.parts import Part, prepare_part
from spinelab.data.slices.plan import Plan
from spinelab.data.slices.storage import size
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.errors import DataError
from spinelab.types import Case, LabelMap

T = TypeVar("T")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def prepare_parts(
    cases: Sequence[Case], labels: LabelMap, preprocessing: Preprocessing, folder: Path, plan: Plan, progress: bool
) -> Iterator[tuple[int, Part | str]]:
    """The position of every case with its part, or the reason why there is none, as they are done.

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
        with threadpool_limits(1):  # more threads only wait for each other on slices
            yield from _track(zip(positions, map(prepare, cases, positions), strict=True), len(cases), progress)
        return
    # Not forked: the parent may already run threads of PyTorch or OpenCV, whose locks a fork would freeze.
    with ProcessPoolExecutor(plan.workers - 1, get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            with threadpool_limits(1):
                yield from _track(_with_parent(prepare, cases, pool, plan.workers - 1), len(cases), progress)
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that prepared cases was killed, most likely because memory ran out; the largest case, "
                f"{plan.largest}, was expected to take {size(plan.memory_each)}",
                "close other programs and run again, use processes=1, or leave out or crop the largest cases",
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # a full disk: the other cases would fail as well
            raise


def _with_parent(
    prepare: Callable[[Case, int], Part | str], cases: Sequence[Case], pool: ProcessPoolExecutor, others: int
) -> Iterator[tuple[int, Part | str]]:
    """(Position, part) of every case, by `others` processes and this one.

    This process has loaded everything already, so that it works while the others still start. They get further cases
    before they are done with one; what is handed out is never taken back, since a pool does not survive both a
    cancelled and a killed job.
    """
    waiting, begun = deque(enumerate(cases)), deque[tuple[int, Future[Part | str]]]()
    while waiting or begun:
        ahead = max(2, min(4, len(waiting) // (2 * others)))  # few when little is left, so that nobody ends alone
        while waiting and len(begun) < ahead * others:
            position, case = waiting.popleft()
            with _one_thread_each():  # the first jobs start the processes
                begun.append((position, pool.submit(prepare, case, position)))
        if waiting:
            position, case = waiting.popleft()
            yield position, prepare(case, position)
        while begun and (begun[0][1].done() or not waiting):
            position, future = begun.popleft()
            yield position, future.result()


def _track(results: Iterator[T], total: int, progress: bool) -> Iterable[T]:
    return track(results, "preparing cases", total=total, disable=not progress, transient=True)


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
