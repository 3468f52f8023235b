"""Composing the configuration, and errors that a person can act on."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from spinelab.errors import ConfigError, near
from spinelab.groups import conf_dir, groups, own_conf_dir

NETWORK = ("model", "encoder", "loss", "optimizer", "scheduler", "augmentation", "loader", "trainer", "callbacks")
"""Groups that play no part where a technique without a network is fitted."""
HYDRA_ERRORS = (HydraException, ConfigCompositionException, OmegaConfBaseException)
"""What composing a configuration may raise."""


def compose_config(overrides: Sequence[str] = (), name: str = "train") -> DictConfig:
    """Compose the main configuration.

    Args:
        overrides: Hydra overrides, e.g. ``["model=unetpp", "trainer.max_epochs=10"]``.
        name: Name of the primary configuration.

    Raises:
        ConfigError: An override names something that does not exist; the message carries near matches.
    """
    return compose_settled(settle(overrides, name), name)


def compose_settled(overrides: Sequence[str], name: str = "train") -> DictConfig:
    """Compose overrides that `settle` gave."""
    config = _compose(overrides, name)
    choices = config.hydra.runtime.choices
    return finish(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), choices)


def finish(config: DictConfig, choices: Mapping[str, str | None]) -> DictConfig:
    """Record the chosen group names (`choices`) and give the run its display name.

    Where a technique without a network is chosen (`classical`), the groups of a network are emptied: whatever they
    were, it is the same run.
    """
    choices = {key: value for key, value in choices.items() if not set("/@") & set(key) and value}
    OmegaConf.set_struct(config, False)
    if "classical" in choices:
        config.name = config.name or choices["classical"]
        config.init, config.encoder_lr = None, 1.0
        choices = {key: value for key, value in choices.items() if key not in NETWORK}
        for group in NETWORK:
            config[group] = {}
    config.choices = choices
    if not config.name:
        refined = choices.get("refine", "none")
        parts = (choices["model"], config.encoder.name, "" if refined == "none" else refined)
        config.name = "-".join(part for part in parts if part)
    return config


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved.

    Raises:
        ConfigError: A value, or an environment variable that the configuration needs, is not set.
    """
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except MissingMandatoryValue:
        missing = sorted(OmegaConf.missing_keys(config))
        raise ConfigError(f"{missing[0]} has no value", f"give {' '.join(f'{key}=...' for key in missing)}") from None
    except InterpolationResolutionError as error:
        variable = re.search(r"'(\w+)' not found", str(error))
        what = f"set the environment variable {variable[1]}" if variable else "give the value on the command line"
        raise ConfigError(_first_line(error), f"{what}, or override data.root=FOLDER") from None


def settle(overrides: Sequence[str], name: str = "train") -> list[str]:
    """Check overrides, and let constructor arguments that no yaml names be given without Hydra's plus sign.

    The yaml files name only what differs from the constructors' defaults, so `model.base=8` is a key that the
    configuration does not have. It becomes `+model.base=8` where the constructor takes `base`.

    Raises:
        ConfigError: A choice, a key or an argument does not exist; the message carries near matches.
    """
    parsed = check_choices([*overrides, *_search_path(overrides)])
    chosen = [override for override in parsed if _is_group(override.key_or_group)]
    base = _compose([*(_first_choice(override) for override in chosen), *_search_path()], name)
    return [_with_plus(override, base) for override in parsed]


def _is_group(key: str) -> bool:
    return key.split("@")[0] in groups() or key.startswith("hydra/")


def _search_path(overrides: Sequence[str] = ()) -> list[str]:
    """Where Hydra finds the user's own choices, as an override, so that the processes of a multirun know it too."""
    folder = own_conf_dir()
    if folder is None or any(override.startswith("hydra.searchpath") for override in overrides):
        return []
    return [f"hydra.searchpath=['file://{folder.resolve().as_posix()}']"]


def _with_plus(override: Override, base: DictConfig) -> str:
    text, key = str(override.input_line), override.key_or_group
    parent, _, last = key.rpartition(".")
    plain = not (override.is_add() or override.is_delete() or override.is_force_add())
    node = OmegaConf.select(base, parent) if plain and parent else None
    if not isinstance(node, DictConfig) or "_target_" not in node or last in set(node.keys()):  # `in node` denies ???
        return text
    known = _parameters(str(node["_target_"]))
    if last not in known and "**" not in known:
        raise ConfigError(f"{key}: {node['_target_']} takes no {last!r}", near(last, sorted(known)))
    return f"+{text}"


def _parameters(target: str) -> list[str]:
    """Names of a constructor's arguments, and "**" if it takes any."""
    parameters = inspect.signature(get_method(target)).parameters.values()
    return ["**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters if p.name not in ("in_channels", "classes")]


def _compose(overrides: Sequence[str], name: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), job_name="spinelab"):
        try:
            return compose(name, list(overrides), return_hydra_config=True)
        except HYDRA_ERRORS as error:
            raise unwritable(error, name) from None


def unwritable(error: Exception, name: str = "train") -> ConfigError:
    """What Hydra could not compose, as an error that names near matches."""
    return ConfigError(_first_line(error), _remedy(error, name))


def check_choices(overrides: Iterable[str]) -> list[Override]:
    """Parse overrides, and refuse group choices that do not exist, sweeps included, before anything runs.

    Raises:
        ConfigError: With the choices that are nearest to what was written.
    """
    known, parsed = groups(), parse_overrides(overrides)
    for override in parsed:
        group = override.key_or_group.split("@")[0]
        if group in known:
            for choice in _choices(override):
                if choice in ("null", "None"):  # which Hydra takes in files alone
                    remedy = f"leave {group}= out, or choose one of {', '.join(known[group])}"
                    raise ConfigError(f"{group}={choice}: a group cannot be emptied on the command line", remedy)
                if choice not in known[group]:
                    raise ConfigError(f"{group}={choice}: there is no such choice", near(choice, known[group]))
    return parsed


def parse_overrides(overrides: Iterable[str]) -> list[Override]:
    """Parse Hydra overrides.

    Raises:
        ConfigError: An argument is not of the form ``key=value``.
    """
    parsed = []
    for text in overrides:
        try:
            parsed += OverridesParser.create().parse_overrides([text])
        except HydraException as error:
            raise ConfigError(f"{text!r} is not an override ({_first_line(error)})", "write key=value") from None
    return parsed


def _choices(override: Override) -> Iterator[str]:
    if override.is_delete():
        return
    if override.is_sweep_override():
        if override.is_choice_sweep():
            yield from (str(item) for item in override.sweep_string_iterator())
    else:
        value = override.value()
        yield from (str(item) for item in (value if isinstance(value, list) else [value]))


def _first_choice(override: Override) -> str:
    """A sweep over a group as its first choice, anything else as it is."""
    return (
        f"{override.key_or_group}={next(_choices(override))}"
        if override.is_sweep_override()
        else str(override.input_line)
    )


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _remedy(error: Exception, name: str) -> str:
    """Near matches among all keys of the configuration, where the error names one key."""
    if part := re.search(r"Could not find 'hydra/(\w+)/(\w+)'", str(error)):
        return near(part[2], _hydra_choices(part[1]))
    wrong = re.search(r"override '?([\w.]+)'?", str(error)) or re.search(r"full_key: ([\w.]+)", str(error))
    if wrong is None:
        return "compare with the files under conf/"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir())):
        keys = sorted(_keys(compose(name)))
    matches = difflib.get_close_matches(wrong[1], keys, n=3, cutoff=0.5)
    last = wrong[1].split(".")[-1]
    matches = matches or [key for key in keys if key.split(".")[-1] == last][:3]
    hint = f"did you mean {' or '.join(matches)}? " if matches else ""
    return f"{hint}a key that is not there yet is added with a plus: +{wrong[1]}=..."


def _hydra_choices(group: str) -> list[str]:
    """Choices of a group of Hydra's own, such as its launchers, those of installed plugins included."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir())):
        return GlobalHydra.instance().config_loader().get_group_options(f"hydra/{group}")


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if OmegaConf.is_dict(node):
        for key in node:
            yield f"{prefix}{key}"
            if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
                yield from _keys(node[key], f"{prefix}{key}.")
