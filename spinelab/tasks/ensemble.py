"""Several networks that predict as one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of the class probabilities of several networks.

    Every member has one vote, as with the folds of nnU-Net (Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z).

    Args:
        members: Networks (B, C, H, W) -> logits (B, K, H, W) of the same channels and classes.

    Raises:
        ValueError: There is no member.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.members = nn.ModuleList(members)

    def probabilities(self, image: Tensor) -> Tensor:
        """Mean class probabilities (B, K, H, W) float32 of images (B, C, H, W); held are the sum and one member's."""
        total = softmax(self.members[0], image)
        for member in self.members[1:]:
            total += softmax(member, image)
        return total / len(self.members)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, H, W) whose softmax is the mean probability, as of any other network."""
        return self.probabilities(image).log()


def softmax(network: nn.Module, image: Tensor) -> Tensor:
    """Class probabilities (B, K, H, W) float32 of a network or an ensemble for images (B, C, H, W)."""
    if isinstance(network, Ensemble):
        return network.probabilities(image)
    return network(image).float().softmax(dim=1)
