"""How many persons it takes to tell a difference."""

from __future__ import annotations

import math

from scipy.special import ndtri

WILCOXON_EFFICIENCY = 3 / math.pi
"""Asymptotic efficiency of Wilcoxon's test relative to the t test, for normal differences (0.955)."""
FEWEST = 6
"""With fewer persons the signed-rank test cannot reach 0.05, whatever the difference."""


def persons_needed(d_z: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """About how many persons would tell a difference of this size apart with a two-sided signed-rank test.

    The paired t test's number by the normal approximation with its correction for small samples (Guenther, The
    American Statistician 1981), divided by Wilcoxon's efficiency. It is an estimate: the true difference is not known,
    the differences may be far from normal, and no correction for several pairs is in it.

    Args:
        d_z: Mean of the paired differences over their standard deviation.
        alpha: Level of the test.
        power: Wanted probability to find the difference.

    Returns:
        At least 6; None if the difference is 0 or not known.

    Raises:
        ValueError: `alpha` or `power` is no probability between 0 and 1.
    """
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power lie between 0 and 1, not at {alpha} and {power}")
    if math.isnan(d_z) or d_z == 0:
        return None
    tail = -float(ndtri(alpha / 2))
    persons = ((tail + float(ndtri(power))) / d_z) ** 2 + tail**2 / 2
    return max(FEWEST, math.ceil(persons / WILCOXON_EFFICIENCY))
