"""The usual multirun: every combination of the comma values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from spinelab.config import parse_overrides
from spinelab.errors import ConfigError
from spinelab.sweeps.finish import finish_sweep
from spinelab.sweeps.folds import with_folds
from spinelab.sweeps.sweeper import EngineSweeper


class Grid(EngineSweeper):
    """Runs every combination of comma values; ``protocol.fold=all`` stands for all folds that the data set has.

    Args:
        max_batch_size: Jobs that are given to the launcher at once; None gives it all of them.
    """

    def __init__(self, max_batch_size: int | None = None) -> None:
        self.max_batch_size = max_batch_size

    def sweep(self, arguments: list[str]) -> None:
        """Run all jobs, then compare them.

        Raises:
            JobsFailed: At the end, if a job failed.
        """
        jobs = with_folds(combinations(arguments), self.engine.compose)
        self.engine.run([self.engine.job(overrides) for overrides in jobs])
        finish_sweep(self.engine)


def combinations(arguments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every combination of the comma values of overrides, the last one changing fastest.

    Raises:
        ConfigError: A sweep is over an interval, which has no end of values.
    """
    columns = []
    for override in parse_overrides(arguments):
        if not override.is_sweep_override():
            columns.append([str(override.input_line)])
        elif override.is_discrete_sweep():
            columns.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
        else:
            raise ConfigError(
                f"{override.input_line}: an interval has no end of values",
                "list values (key=a,b,c), or search: hydra/sweeper=search",
            )
    return itertools.product(*columns)
