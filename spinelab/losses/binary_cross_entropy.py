"""Binary cross-entropy, one class against all others: the loss of the review's Table 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BinaryCrossEntropy(nn.Module):
    r"""Mean over pixels and classes of -[t log p + (1 - t) log(1 - p)], p the softmax, t the one-hot truth.

    Every class is one binary question, "this class or any other". With two classes it is exactly the binary
    cross-entropy of a network with a single sigmoid output (that output is the difference of the two logits), which is
    what the review means, and equals cross-entropy. With more classes it is not cross-entropy: a confident wrong class
    is punished a second time.

    `torch.nn.BCEWithLogitsLoss` would put a sigmoid on every logit instead. Here the prediction is the softmax, and
    the two do not go together: where each sigmoid equals the true probability q of two classes, the softmax is
    q²/(q² + (1 - q)²), which is overconfident.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K, H, W), K >= 2, and class indices (B, H, W) int64 -> scalar."""
        log_p = logits.float().log_softmax(dim=1)
        truth = torch.zeros_like(log_p, dtype=torch.bool).scatter_(1, target.unsqueeze(1), True)
        return -torch.where(truth, log_p, _log_of_the_others(log_p)).mean()


def _log_of_the_others(log_p: Tensor) -> Tensor:
    """log(1 - p), summed over the other classes: 1 - p itself rounds to zero where the network is sure."""
    classes = range(log_p.shape[1])
    others = [torch.cat([log_p[:, :k], log_p[:, k + 1 :]], dim=1) for k in classes]
    return torch.stack([other.logsumexp(dim=1) for other in others], dim=1)
