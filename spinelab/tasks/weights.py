"""Weights out of checkpoints, trusting nothing that is pickled."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from spinelab.errors import RunError

PREFIX = "network."


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The network's tensors of a training checkpoint.

    Raises:
        RunError: The file is no checkpoint of this project, or it is damaged.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunError(f"no readable checkpoint ({reason})", "train the run again", checkpoint) from error
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}


def load_weights(network: nn.Module, checkpoint: Path) -> None:
    """Load all weights of the same network."""
    network.load_state_dict(read_weights(checkpoint))


def start_from(network: nn.Module, checkpoint: Path) -> None:
    """Load the weights that fit by name and shape, and say which do not.

    What does not fit (the last layer, for other classes; the first, for other channels) keeps its random values.

    Raises:
        RunError: Less than half of the network's weights fit, so that it is another architecture.
    """
    weights, own = read_weights(checkpoint), network.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    loaded, total = (sum(own[key].numel() for key in keys) for keys in (fitting, own))
    if 2 * loaded < total:
        raise RunError(
            f"only {loaded} of the network's {total} weights fit: it is another architecture",
            "start from a run with the same model and encoder",
            checkpoint,
        )
    network.load_state_dict(fitting, strict=False)
    left = ", ".join(sorted(set(own) - set(fitting))[:6])
    print(f"starts from {checkpoint}" + (f"; random: {left}" if left else ""))
