"""One job of a sweep: its output goes to its own folder, and its failure stays its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from omegaconf import DictConfig

from spinelab.errors import RunBusy, RunPruned, SpinelabError
from spinelab.run import Run
from spinelab.run_state import write_state

LOG = "log.txt"


def run_job(config: DictConfig, train: Callable[[DictConfig], float]) -> float:
    """Train; an error is written to the run's ``status.json`` and ``log.txt``, and the other jobs go on.

    Args:
        config: The job's configuration, finished.
        train: Trains it and returns its score.

    Returns:
        The score; NaN for a job that failed, was pruned, or is being trained by another process.
    """
    import spinelab.commands._training  # noqa: F401  Lightning's log handler must not get the job's file as its stream

    folder = Run.of(config).folder
    with printing_to(folder / LOG):
        try:
            return train(config)
        except (RunBusy, RunPruned) as error:
            print(error.found)
        except SpinelabError as error:
            print(error)
            write_state(folder, "failed", reason=str(error))
        except Exception as error:
            traceback.print_exc()
            reason = str(error) or type(error).__name__
            write_state(folder, "failed", reason=f"{type(error).__name__}: {reason}", traceback=traceback.format_exc())
    return float("nan")


@contextmanager
def printing_to(path: Path) -> Iterator[None]:
    """Send what is printed to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", buffering=1, encoding="utf-8") as stream, redirect_stdout(stream), redirect_stderr(stream):
        yield
