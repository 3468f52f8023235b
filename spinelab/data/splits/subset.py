"""Training on a few persons only: what more of them would be worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spinelab.data.splits.split import Split
from spinelab.errors import ConfigError


def few_train_persons(split: Split, count: int | None) -> Split:
    """Keep so many of the persons to train on; those who validate and test stay as they are.

    Persons are drawn by the split's own seed, in one order for any count, so that the two of a small set are among the
    five of a larger one, and curves over the number of persons compare like with like.

    Args:
        split: Who is on which side.
        count: How many to train on; None keeps all.

    Raises:
        ConfigError: There are not so many persons to train on, or nobody is asked for.
    """
    if count is None:
        return split
    if not isinstance(count, int) or not 1 <= count <= len(split.train):
        raise ConfigError(
            f"train_persons={count}: fold {split.fold} of protocol {split.protocol} trains on {len(split.train)}",
            f"give a number from 1 to {len(split.train)}, or leave more persons to the training side by protocol.*",
        )
    # a stream of its own: protocols draw from the seed alone, from (seed, fold) and from (seed, fold, 1)
    order = np.random.default_rng((split.seed, abs(split.fold), 2)).permutation(len(split.train))
    return replace(split, train=tuple(split.train[place] for place in order[:count]))
