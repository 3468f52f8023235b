"""U-Net++ (Zhou et al. 2018, DLMIA; 2020, IEEE TMI)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from spinelab.models.blocks import Conv, Node, Parts, crop_like, pad_to_multiple
from spinelab.models.encoders import Settings, build_parts


def unetpp(
    in_channels: int,
    classes: int,
    encoder: Settings | None = None,
    base: int | None = None,
    dropout: float | None = None,
    deep_supervision: bool = True,
) -> UNetPlusPlus:
    """A U-Net++, by itself or on an encoder.

    On an encoder the nested nodes span strides 2 to 32, and each head brings its node to full size with a last step of
    16 channels: nested nodes at full size would more than double the cost.

    Args:
        in_channels: Channels of the image.
        classes: Output channels K, background included.
        encoder: ``name``, ``weights`` and, optionally, ``depth``; None or a null name gives the paper form.
        base: Channels at full size in the paper form (published: 32), doubled a level.
        dropout: Rate after each convolution (of the decoder only, if there is an encoder). None: 0.5 or, there, 0.
        deep_supervision: A head on each of X(0,1) to X(0,L), not on the last only; `UNetPlusPlus.prune` needs it.

    Raises:
        ConfigError: The encoder is unknown or cannot be loaded, or `base` is set with an encoder.
    """
    parts = build_parts(in_channels, encoder, base=base, default_base=32, dropout=dropout)
    return UNetPlusPlus(parts, classes, deep_supervision)


class UNetPlusPlus(nn.Module):
    """Nested skips: X(i,j) = H([X(i,0), ..., X(i,j-1), Up(X(i+1,j-1))]); (B, C, H, W) -> logits (B, K, H, W).

    Attributes:
        levels: L; the main head is on X(0,L).
    """

    def __init__(self, parts: Parts, classes: int, deep_supervision: bool) -> None:
        super().__init__()
        self.encoder, self.multiple = parts.encoder, parts.encoder.reduction
        self.first = int(parts.encoder.channels[0] == 0)  # the scale of X(0,*): an encoder has no map at full size
        channels, widths = parts.encoder.channels[self.first :], parts.widths[self.first :]
        self.levels = len(widths)
        self.nodes = nn.ModuleDict(
            {
                f"x{i}_{j}": Node(channels[i + 1] if j == 1 else widths[i + 1], channels[i] + (j - 1) * w, w, parts)
                for i, w in enumerate(widths)
                for j in range(1, self.levels + 1 - i)
            }
        )
        headed = range(1, self.levels + 1) if deep_supervision else [self.levels]
        self.outputs = nn.ModuleDict({str(j): self._output(parts, classes) for j in headed})

    def _output(self, parts: Parts, classes: int) -> nn.Module:
        head = Conv(parts.widths[0], classes, kernel=1)
        return nn.Sequential(Node(parts.widths[1], 0, parts.widths[0], parts), head) if self.first else head

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the main head."""
        return self._output_at(self.levels, self._top_row(x), x)

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, H, W) of every head: X(0,L) first, then down to X(0,1). One only without deep supervision."""
        row = self._top_row(x)
        return tuple(self._output_at(int(j), row, x) for j in reversed(list(self.outputs)))

    def _output_at(self, level: int, row: list[Tensor], x: Tensor) -> Tensor:
        return crop_like(self.outputs[str(level)](row[level]), x)

    def _top_row(self, x: Tensor) -> list[Tensor]:
        rows = [[feature] for feature in self.encoder(pad_to_multiple(x, self.multiple))[self.first :]]
        for j in range(1, self.levels + 1):
            for i in range(self.levels + 1 - j):
                rows[i].append(self.nodes[f"x{i}_{j}"](rows[i + 1][j - 1], *rows[i]))
        return rows[0]

    @torch.inference_mode(False)  # else the copy could never be trained
    def prune(self, level: int) -> UNetPlusPlus:
        """A smaller network that keeps the nodes with i + j <= level; its output is this one's head `level`, exactly.

        Raises:
            ValueError: There is no head at that level.
        """
        if str(level) not in self.outputs:
            raise ValueError(f"no head at level {level}, only at {', '.join(self.outputs.keys())}: deep_supervision?")
        pruned = copy.deepcopy(self)
        pruned.levels = level  # `multiple` stays, so that odd sizes are padded as before
        pruned.encoder = self.encoder.shallow(level + 1 + self.first)
        kept = {f"x{i}_{j}" for i in range(level) for j in range(1, level + 1 - i)}
        pruned.nodes = nn.ModuleDict({name: node for name, node in pruned.nodes.items() if name in kept})
        pruned.outputs = nn.ModuleDict({str(level): pruned.outputs[str(level)]})
        return pruned
