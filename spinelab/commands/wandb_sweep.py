"""print a search space as a sweep of Weights & Biases, for those who use its own agents

usage: spinelab wandb-sweep hparams_search=NAME [method=bayes|random|grid] [name=NAME] [output=FILE] [key=value ...]

Examples:
  spinelab wandb-sweep hparams_search=learning_rate model=unet data=gm_challenge output=sweep.yaml
  wandb sweep sweep.yaml        tells a name ENTITY/PROJECT/ID
  wandb agent ENTITY/PROJECT/ID on each machine that shall work

The agents run `spinelab train` with the parameters that the server draws, maximise val/dice and give up what Hyperband
finds hopeless. Their trials are not tested (test=false). Comma values become a parameter of the sweep, not studies of
their own. Without an account, `spinelab train -m hparams_search=NAME` searches offline and resumes after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from spinelab.config import parse_overrides, settle
from spinelab.errors import ConfigError
from spinelab.files import write_atomically
from spinelab.groups import conf_dir, groups, own_conf_dir
from spinelab.sweeps.samplers import grid_values
from spinelab.sweeps.search import settled_keys
from spinelab.sweeps.space import Space, divide, read_space

METHODS = ("bayes", "random", "grid")
OWN = ("hparams_search", "method", "name", "output")


def main(arguments: Sequence[str]) -> int:
    """Print the sweep's YAML, or write it to a file."""
    own = {key: value for key, _, value in (text.partition("=") for text in arguments) if key in OWN}
    if "hparams_search" not in own:
        known = ", ".join(groups().get("hparams_search", []))
        raise ConfigError("hparams_search= is missing", f"give one of {known}")
    rest = [text for text in arguments if text.partition("=")[0] not in OWN]
    sweep = make_sweep(own["hparams_search"], rest, own.get("method", "bayes"), own.get("name"))
    text = yaml.safe_dump(sweep, sort_keys=False, width=120)
    if "output" in own:
        print(f"written: {write_atomically(Path(own['output']), text)}")
    else:
        print(text, end="")
    return 0


def make_sweep(search: str, overrides: Sequence[str], method: str = "bayes", name: str | None = None) -> dict[str, Any]:
    """The sweep as W&B's server reads it.

    Args:
        search: Choice of the group hparams_search.
        overrides: Of the training; comma values become parameters.
        method: bayes, random or grid.
        name: Display name; None is the search's.

    Raises:
        ConfigError: There is no such search or method, or a key does not exist.
    """
    if method not in METHODS:
        raise ConfigError(f"there is no method {method!r}", f"choices: {', '.join(METHODS)}")
    parsed = parse_overrides(settle(overrides))
    space, fixed, grid = divide(parsed, read_space(_params(search)))
    keys = settled_keys(fixed, space)
    chosen = {key.lstrip("+"): {"values": list(dict.fromkeys(row[at][1] for row in grid))}
              for at, (key, _) in enumerate(grid[0])}  # fmt: skip
    searched = _listed(space) if method == "grid" else {key: parameter(value) for key, value in space.items()}
    renamed = {keys[key]: value for key, value in searched.items()}
    return {
        "name": name or search,
        "program": "spinelab",
        "command": ["${env}", "spinelab", "train", *fixed, "test=false", "logger.mode=online", "${args_no_hyphens}"],
        "method": method,
        "metric": {"name": "val/dice", "goal": "maximize"},
        "parameters": renamed | chosen,
        "early_terminate": {"type": "hyperband", "min_iter": 5, "eta": 3},
    }


def parameter(found: BaseDistribution) -> dict[str, Any]:
    """One parameter of W&B's sweep configuration: values, or a distribution with its ends."""
    if isinstance(found, CategoricalDistribution):
        return {"values": list(found.choices)}
    assert isinstance(found, IntDistribution | FloatDistribution)
    ends = {"min": found.low, "max": found.high}
    if isinstance(found, FloatDistribution):
        if found.step is not None:
            return {"distribution": "q_uniform", **ends, "q": found.step}
        return {"distribution": "log_uniform_values" if found.log else "uniform", **ends}
    if found.log:
        return {"distribution": "q_log_uniform_values", **ends, "q": 1}
    if found.step > 1:
        return {"values": list(range(found.low, found.high + 1, found.step))}
    return {"distribution": "int_uniform", **ends}


def _params(search: str) -> dict[str, Any]:
    for folder in filter(None, (own_conf_dir(), conf_dir())):
        if (file := folder / "hparams_search" / f"{search}.yaml").is_file():
            found: Any = OmegaConf.to_container(OmegaConf.load(file))
            return dict(found["hydra"]["sweeper"]["params"])
    known = ", ".join(groups().get("hparams_search", []))
    raise ConfigError(f"there is no hparams_search={search}", f"choices: {known}")


def _listed(space: Space, points: int = 5) -> dict[str, Any]:
    """A grid has values alone: of an interval, evenly spaced ones."""
    return {key: {"values": list(grid_values({key: value}, points)[key])} for key, value in space.items()}
