"""Networks: (B, C, H, W) float -> logits (B, K, H, W), background included; any H and W."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class HasHeads(Protocol):
    """A network with several outputs to supervise."""

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W) of every head, the main one first: in eval mode ``forward(x)`` equals ``heads(x)[0]``."""
        ...
