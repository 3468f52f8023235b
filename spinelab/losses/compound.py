"""A weighted sum of losses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Compound(nn.Module):
    """Weighted sum of named losses.

    Terms are named, not listed, so that a command line can change one: ``loss.weights.dice=0.5``,
    ``loss.terms.ce.weight=[0.2,1,1,1]``, or a whole term, ``loss@loss.terms.dice=tversky``.

    Args:
        terms: Name -> loss, each called as ``loss(logits, target) -> scalar``.
        weights: Name -> factor, not negative. A term that is not named has 1.

    Raises:
        ValueError: If there is no term, a weight names no term, or a weight is negative.
    """

    def __init__(self, terms: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        weights = weights or {}
        unknown = sorted(set(weights) - set(terms))
        if unknown or not terms:
            raise ValueError(f"weights name the terms {unknown}, there are {sorted(terms)}")
        if any(weight < 0 for weight in weights.values()):
            raise ValueError(f"weights must not be negative, got {dict(weights)}")
        self.terms = nn.ModuleDict(dict(terms.items()))
        self.weights = {name: float(weights.get(name, 1.0)) for name in self.terms}

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W) and class indices (B, H, W) int64 -> scalar."""
        return torch.stack([self.weights[name] * loss(logits, target) for name, loss in self.terms.items()]).sum()
