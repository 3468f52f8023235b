"""What ends a training although configuration and data are right: memory, disk and loader processes."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from spinelab.data.datamodule import SliceDataModule
from spinelab.errors import RunError
from spinelab.run import Run

NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|ALLOC_FAILED|bad allocation", re.I)
LOST_WORKER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)(.*)")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explained(config: DictConfig, run: Run, data: SliceDataModule) -> Iterator[None]:
    """Turn errors of the system into ones that say what to do; all others pass.

    Raises:
        RunError: Memory or disk are full, or a loader process died.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        told = _memory(error, config, data) or _worker(error, run, data) or _disk(error, run)
        if told is None:
            raise
        raise told from error


def _memory(error: Exception, config: DictConfig, data: SliceDataModule) -> RunError | None:
    if not isinstance(error, MemoryError) and not NO_MEMORY.search(str(error)):
        return None
    size = " x ".join(str(number) for number in data.shape) or "the first"
    found = f"a batch of {size} (slices x channels x height x width) does not fit into memory: {_first_line(error)}"
    return RunError(found, _smaller(config))


def _smaller(config: DictConfig) -> str:
    """Half the batch with twice the accumulation makes the same optimizer steps."""
    batch, accumulated = config.loader.batch_size, config.trainer.get("accumulate_grad_batches", 1)
    if batch == 1:
        return "use a smaller data.preprocessing.crop, a smaller network, or a GPU with more memory"
    return (
        f"use loader.batch_size={batch // 2} trainer.accumulate_grad_batches={2 * accumulated}, which takes about half "
        "the memory and makes optimizer steps of the same number of slices"
    )


def _worker(error: Exception, run: Run, data: SliceDataModule) -> RunError | None:
    if not (match := LOST_WORKER.search(str(error))):
        return None
    names = data.reading({int(number) for number in match[1].split(",")})
    fate = re.sub(r"^ (?:is )?", "", match[2]).split(". ")[0].rstrip(" .") or "is gone"
    return RunError(
        f"a process that loads slices was lost while it was at {' or '.join(names) or 'its start'}: {fate}",
        "run the same command again to go on; if it happens again, with loader.num_workers=0, which shows the cause. "
        "A process that is killed has usually run out of memory: use fewer workers or a smaller batch",
        run.folder,
    )


def _disk(error: Exception, run: Run) -> RunError | None:
    if not isinstance(error, OSError) or error.errno not in FULL:
        return None
    return RunError(
        f"no room is left on the disk ({error.strerror})",
        "make room and run the same command again: training goes on from its last checkpoint",
        error.filename or run.folder,
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
