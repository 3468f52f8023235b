"""Whether the rows of a table are given the same terms: split, budget, augmentation and selection rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spinelab.errors import ConfigError

TERMS = {
    "split": ("data", "protocol", "channels", "train_persons"),
    "budget": (
        "trainer.max_epochs", "trainer.max_steps", "trainer.max_time", "trainer.limit_train_batches",
        "trainer.accumulate_grad_batches", "callbacks.early_stopping", "loader.batch_size",
    ),
    "augmentation": ("augmentation", "loader.sampling", "loader.empty_slices"),
    "selection rule": ("callbacks.checkpoint.monitor", "callbacks.checkpoint.mode"),
    "scoring": ("scoring",),
}  # fmt: skip
"""What rows must share -> the parts of a configuration that decide it."""
FOR_ALL = ("split", "scoring")
"""The terms that a technique without a network has, too: it is not trained by epochs, nor chosen from checkpoints."""
FREE = ("root", "fold")
"""Where files lie, and which fold it is: told apart by nobody."""


def check_alike(configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse rows that are not given the same terms; techniques must share `FOR_ALL` with the rest, networks all.

    Args:
        configs: Row -> the resolved configuration of any of its runs.

    Raises:
        ConfigError: Rows differ; the message names the term, the key and each row with its value.
    """
    networks = {row: config for row, config in configs.items() if not is_technique(config)}
    told = [
        line
        for term, keys in TERMS.items()
        for key in keys
        for line in _differences(term, key, configs if term in FOR_ALL else networks)
    ]
    if told:
        found = "\n  ".join(["the rows are not given the same terms:", *told])
        raise ConfigError(found, "let the study's rows differ in networks only, or make two studies of them")


def is_technique(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a technique without a network."""
    return bool(config.get("classical"))


def _differences(term: str, key: str, configs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    parts = {row: dict(_leaves(_select(config, key), key)) for row, config in configs.items()}
    for leaf in sorted({leaf for part in parts.values() for leaf in part}):
        values = {row: part.get(leaf) for row, part in parts.items()}
        if len({repr(value) for value in values.values()}) > 1:
            yield f"{term}: {leaf} is " + ", ".join(f"{value} for {row}" for row, value in values.items())


def _select(config: Mapping[str, Any], dotted: str) -> Any:
    value: Any = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _leaves(part: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(part, Mapping):
        yield name, part
        return
    for key, value in part.items():
        if key not in FREE:
            yield from _leaves(value, f"{name}.{key}")
