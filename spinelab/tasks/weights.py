"""Weights out of checkpoints, trusting nothing that is pickled."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

from spinelab.errors import RunError
from spinelab.tasks.seal import intact

PREFIX = "network."


def read_checkpoint(file: Path) -> dict[str, Any]:
    """All that a checkpoint holds: tensors and plain containers.

    Raises:
        RunError: The file is no checkpoint, it is damaged, or loading it could run foreign code.
    """
    remedy = "train the run again"
    try:
        if intact(file) is False:
            raise RunError("no readable checkpoint (its checksum does not fit: it is damaged)", remedy, file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if not is_zipfile(file):
            raise RunError("no readable checkpoint (it is no archive of torch)", remedy, file) from error
        raise RunError(
            "no readable checkpoint (it holds more than tensors and plain containers: loading it could run any code)",
            f"do not use this file; {remedy}",
            file,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunError(f"no readable checkpoint ({reason})", remedy, file) from error


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The network's tensors of a training checkpoint.

    Raises:
        RunError: The file is no checkpoint of this project, or it is damaged.
    """
    try:
        state = read_checkpoint(checkpoint)["state_dict"]
    except (KeyError, TypeError) as error:
        raise RunError("no readable checkpoint (it holds no weights)", "train the run again", checkpoint) from error
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
