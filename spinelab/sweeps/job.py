"""One job of a sweep: its output goes to its own folder, and its failure stays its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from spinelab.errors import RunBusy, RunPruned, SpinelabError
from spinelab.run import Run
from spinelab.run_state import write_state
from spinelab.sweeps.processes import end_with_sweep, forget_start_method, train_apart, trains_with_several

LOG = "log.txt"


def run_job(config: DictConfig, overrides: Sequence[str], train: Callable[[DictConfig], float]) -> float:
    """Train; an error is written to the run's ``status.json`` and ``log.txt``, and the other jobs go on.

    Args:
        config: The job's configuration, finished.
        overrides: What it was composed from.
        train: Trains it and returns its score.

    Returns:
        The score; NaN for a job that failed, was pruned, or is being trained by another process.
    """
    end_with_sweep()
    forget_start_method()
    folder, apart = Run.of(config).folder, trains_with_several(config)
    if not apart:  # Lightning's log handler must not get the job's file as its stream
        import lightning.pytorch  # noqa: F401
    with printing_to(folder / LOG), threadpool_limits(config.threads):
        try:
            return train_apart(overrides, folder, config.threads) if apart else train(config)
        except (RunBusy, RunPruned) as error:
            print(error.found)
        except KeyboardInterrupt as error:
            if isinstance(error.__cause__, SystemExit) and error.__cause__.code not in (None, 1):
                raise error.__cause__ from None  # submitit reads from its status that the job is queued again
            raise
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
