"""Seeds of trials."""

from __future__ import annotations

import numpy as np


def seed_of(seed: int, number: int) -> int:
    """A seed from a study's seed and a trial's number alone, unlike that of any neighbour."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
