"""Search spaces: Hydra's sweep expressions as Optuna's distributions, and values as overrides again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from spinelab.config import parse_overrides
from spinelab.errors import ConfigError

Space = dict[str, BaseDistribution]
Assignment = tuple[str, str]
"""A key, and a value as it is written in an override."""


def read_space(params: Mapping[str, Any]) -> Space:
    """The search space that `hydra.sweeper.params` describes.

    Args:
        params: Configuration key or group -> ``choice(a, b)``, ``range(1, 5)`` (the end excluded, as everywhere in
            Hydra), ``interval(0, 1)``, ``int(interval(1, 8))`` or ``tag(log, interval(1e-4, 1e-2))``.

    Raises:
        ConfigError: An expression is not a search, or is one that no sampler can draw from.
    """
    parsed = parse_overrides(f"{key}={expression}" for key, expression in params.items())
    return {override.get_key_element(): distribution(override) for override in parsed}


def divide(overrides: Sequence[Override], space: Space) -> tuple[Space, list[str], list[tuple[Assignment, ...]]]:
    """Sort the command line into what is searched, what is fixed and what is a grid of separate studies.

    An interval or a tagged sweep on the command line joins the space; a key that is given there in any other way
    leaves it.

    Args:
        overrides: The parsed command line.
        space: What is searched unless the command line says otherwise.

    Returns:
        The space; the fixed overrides; and the combinations of everything with commas (one empty one without any).

    Raises:
        ConfigError: Nothing is left to search.
    """
    space, fixed, grid = dict(space), [], []
    for override in overrides:
        key = override.get_key_element()
        space.pop(key.lstrip("+"), None)
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif override.is_interval_sweep() or getattr(override.value(), "tags", None):
            space[key] = distribution(override)
        else:
            grid.append([(key, text) for text in override.sweep_string_iterator()])
    if not space:
        remedy = "choose hparams_search=learning_rate or another one, and give its keys no other value"
        raise ConfigError("there is nothing to search: the search space is empty", remedy)
    return space, fixed, list(itertools.product(*grid))


def distribution(override: Override) -> BaseDistribution:
    """What a sampler draws from, for one sweep expression.

    Raises:
        ConfigError: It is a plain value, an empty range, or an interval of the wrong sort.
    """
    value = override.value()
    try:
        if isinstance(value, ChoiceSweep):
            return CategoricalDistribution([_plain(text) for text in override.sweep_string_iterator()])
        if isinstance(value, RangeSweep):
            return _range(override, value)
        if isinstance(value, IntervalSweep):
            return _interval(value)
    except ValueError as error:
        remedy = "give it at least one value, and the smaller end first"
        raise ConfigError(f"{override.input_line}: {error}", remedy) from None
    remedy = "write choice(a,b), range(1,5), interval(0,1), int(interval(1,8)) or tag(log,interval(1e-4,1e-2))"
    raise ConfigError(f"{override.input_line} names a value and no search", remedy)


def _range(override: Override, value: RangeSweep) -> BaseDistribution:
    numbers = [_plain(text) for text in override.sweep_string_iterator()]
    if value.shuffle or len(numbers) < 2:
        return CategoricalDistribution(numbers)
    low, high, step = min(numbers), max(numbers), abs(float(value.step))
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(low, high, step=int(step))
    return FloatDistribution(float(low), float(high), step=step)


def _interval(value: IntervalSweep) -> BaseDistribution:
    start, end, log = value.start, value.end, "log" in value.tags
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=log)
    return FloatDistribution(float(start or 0), float(end or 0), log=log)


def _plain(text: str) -> Any:
    """A number, truth value or null as what it is, anything else as its text."""
    known = {"true": True, "false": False, "null": None}
    if text.lower() in known:
        return known[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def assign(params: Mapping[str, Any]) -> list[str]:
    """Values that a sampler drew, as overrides."""
    return [f"{key}={_written(value)}" for key, value in params.items()]


def _written(value: Any) -> str:
    """Texts came from an override and can stand in one; of a float every digit counts."""
    return value if isinstance(value, str) else json.dumps(value)


def quoted(text: str) -> str:
    """A text as a quoted value of an override, whatever stands in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
