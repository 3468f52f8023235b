"""Learning-rate schedules, as functions of the optimizer and the total number of steps."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The optimizer's own rate throughout."""
    del total_steps
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.05) -> LambdaLR:
    """Linear warm-up over a fraction of the steps, then half a cosine down to zero (Loshchilov 2017).

    Raises:
        ValueError: `warmup` is not in [0, 1).
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup is a fraction of the steps in [0, 1), not {warmup}")
    first = max(1, round(total_steps * warmup))

    def factor(step: int) -> float:
        if step < first:
            return (step + 1) / first
        progress = min(1.0, (step - first) / max(1, total_steps - first))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def poly(optimizer: Optimizer, total_steps: int, power: float = 0.9) -> LambdaLR:
    """Polynomial decay (1 - step / total)^power, as in nnU-Net (Isensee 2021)."""
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / max(1, total_steps)) ** power)
