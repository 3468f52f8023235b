"""A study on paper: which rows, data sets, folds and seeds a table is made of, and what it may cost."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from spinelab.errors import ConfigError
from spinelab.groups import conf_dir
from spinelab.sweeps.overrides import init_of

KEYS = ("title", "question", "base", "pretrained", "rows", "data", "folds", "seeds", "budgets")
REQUIRED = ("title", "question", "rows", "data", "budgets")
BUDGET_KEYS = ("cost", "overrides", "pretrained", "rows", "data", "folds", "seeds")
NAME = re.compile(r"[\w+.()-]+( [\w+.()-]+)*")
"""Names of rows become parts of folder names."""

Overrides = tuple[str, ...]
Folds = tuple[int, ...] | None
"""Numbers of folds; None: all that the protocol has."""


@dataclass(frozen=True)
class Budget:
    """How much of a study is done, and how thoroughly.

    Attributes:
        name: Its key in the file.
        cost: What it takes, in a sentence.
        overrides: What it changes in every job.
        rows: Rows that it holds.
        data: Data sets that it holds.
        folds: Folds that it holds.
        seeds: Seeds that it holds.
        pretrained: What it changes in pretrainings, by their names.
    """

    name: str
    cost: str
    overrides: Overrides
    rows: tuple[str, ...]
    data: tuple[str, ...]
    folds: Folds
    seeds: tuple[int, ...]
    pretrained: Mapping[str, Overrides] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyFile:
    """A study as its file describes it.

    Attributes:
        file: Where it was read.
        title: A few words.
        question: What it answers, in one sentence.
        base: Overrides of every job.
        rows: Display name -> overrides.
        data: Name of a data set -> overrides.
        budgets: Name -> budget, the cheapest first.
        pretrained: Name -> overrides of a training that rows start from by ``init=NAME``.
    """

    file: Path
    title: str
    question: str
    base: Overrides
    rows: Mapping[str, Overrides]
    data: Mapping[str, Overrides]
    budgets: Mapping[str, Budget]
    pretrained: Mapping[str, Overrides] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.stem

    def budget(self, name: str = "", data: Sequence[str] = ()) -> Budget:
        """A budget by its name; the first of the file if none is named.

        Args:
            name: Its key in the file.
            data: Some of the study's data sets, in the place of the budget's own; none keeps these.

        Raises:
            ConfigError: There is no such budget, or no such data set.
        """
        if name and name not in self.budgets:
            raise ConfigError(f"there is no budget {name!r}", _near(name, tuple(self.budgets)), self.file)
        for wanted in data:
            if wanted not in self.data:
                remedy = f"{_near(wanted, tuple(self.data))}; another one belongs under data: in a study of your own"
                raise ConfigError(f"the study has no data set {wanted!r}", remedy, self.file)
        found = self.budgets[name or next(iter(self.budgets))]
        return replace(found, data=tuple(own for own in self.data if own in data) if data else found.data)


PUBLISHED = "published.yaml"
"""The published numbers lie beside the studies that they are held against."""


def find_study(name: str) -> Path:
    """The file of a study: a path, or the name of a file in ./experiments or in the project's own experiments.

    Raises:
        ConfigError: There is no such study; the message names those that there are.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError("there is no such file", "give a study's file, or its name", name)
        return Path(name)
    files = [file for folder in reversed(study_folders()) for file in sorted(folder.glob("*.yaml"))]
    known = {file.stem: file for file in files if file.name != PUBLISHED}
    if name not in known:
        raise ConfigError(f"there is no study {name!r}", _near(name, tuple(sorted(known))))
    return known[name]


def study_folders() -> list[Path]:
    """Where studies lie: the user's own folder first."""
    return [Path.cwd() / "experiments", conf_dir().parent / "experiments"]


def read_study(file: Path) -> StudyFile:
    """Read a study and check its form; what its overrides say is checked when its jobs are composed.

    Raises:
        ConfigError: The file cannot be read, or a key is unknown, missing or of another form than it should be.
    """
    return _Reader(file).study()


class _Reader:
    """Reads one file, whose name every error carries."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def study(self) -> StudyFile:
        told = self._mapping(self._load(), "")
        self._check_keys(told, KEYS, REQUIRED, "")
        rows, data = self._named(told["rows"], "rows"), self._named(told["data"], "data")
        pretrained = self._named(told["pretrained"], "pretrained") if told.get("pretrained") else {}
        usual = {"rows": tuple(rows), "data": tuple(data), "folds": told.get("folds", "all")}
        usual |= {"seeds": told.get("seeds", [0])}
        budgets = {
            str(name): self._budget(str(name), part, usual, tuple(pretrained))
            for name, part in self._mapping(told["budgets"], "budgets").items()
        }
        study = StudyFile(
            self.file, str(told["title"]), " ".join(str(told["question"]).split()),
            self._overrides(told.get("base"), "base"), rows, data, budgets, pretrained,
        )  # fmt: skip
        self._require_used(study)
        return study

    def _require_used(self, study: StudyFile) -> None:
        budgets = [budget.overrides for budget in study.budgets.values()]
        used = {init_of(part) for part in (study.base, *study.rows.values(), *study.data.values(), *budgets)} - {""}
        for name in study.pretrained:
            if name not in used:
                hint = f", or correct init={' or init='.join(sorted(used - {*study.pretrained}))}"
                remedy = f"write init={name} into a row{hint if used - {*study.pretrained} else ''}"
                self._refuse(f"pretrained.{name}: no row starts from it", remedy)

    def _load(self) -> Any:
        try:
            return yaml.safe_load(self.file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", "give a study's file", self.file) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            words = " ".join(str(error).split())
            remedy = "correct the file; an override that holds a bracket or a colon needs quotation marks"
            raise ConfigError(f"is no YAML: {words}", remedy, self.file) from error

    def _budget(self, name: str, part: Any, usual: Mapping[str, Any], trainings: tuple[str, ...]) -> Budget:
        where = f"budgets.{name}"
        if not NAME.fullmatch(name):
            self._refuse(f"{where} is no plain name", "use letters, digits, + . ( ) - and single spaces")
        told = {**usual, **self._mapping(part, where)}
        self._check_keys(told, BUDGET_KEYS, ("cost",), where)
        chosen = {}
        for key in ("rows", "data"):
            chosen[key] = tuple(str(item) for item in self._list(told[key], f"{where}.{key}"))
            for item in chosen[key]:
                if item not in usual[key]:
                    self._refuse(f"{where}.{key}: there is no {item!r} among {key}", _near(item, usual[key]))
        folds = None if told["folds"] == "all" else self._numbers(told["folds"], f"{where}.folds", "a list, or all")
        seeds = self._numbers(told["seeds"], f"{where}.seeds", "a list")
        overrides = self._overrides(told.get("overrides"), f"{where}.overrides")
        pretrained = self._named(told["pretrained"], f"{where}.pretrained") if told.get("pretrained") else {}
        for item in pretrained:
            if item not in trainings:
                self._refuse(f"{where}.pretrained: there is no {item!r} among pretrained", _near(item, trainings))
        cost = " ".join(str(told["cost"]).split())
        return Budget(name, cost, overrides, **chosen, folds=folds, seeds=seeds, pretrained=pretrained)

    def _named(self, part: Any, where: str) -> dict[str, Overrides]:
        named = {
            str(name): self._overrides(said, f"{where}.{name}") for name, said in self._mapping(part, where).items()
        }
        for name in named:
            if not NAME.fullmatch(name):
                self._refuse(f"{where}.{name} is no plain name", "use letters, digits, + . ( ) - and single spaces")
        return named

    def _overrides(self, part: Any, where: str) -> Overrides:
        listed = self._list([] if part is None else part, where)
        for item in listed:
            if not isinstance(item, str):
                self._refuse(
                    f"{where} holds {item!r}, which is no override", "write key=value, quoted if it has a colon"
                )
        return tuple(listed)

    def _numbers(self, part: Any, where: str, form: str) -> tuple[int, ...]:
        listed = part if isinstance(part, list) else []
        if not listed or any(type(item) is not int or item < 0 for item in listed) or len(set(listed)) < len(listed):
            self._refuse(f"{where} is {part!r}", f"give {form} of different whole numbers from 0, such as [0, 1]")
        return tuple(listed)

    def _list(self, part: Any, where: str) -> list[Any]:
        if not isinstance(part, list | tuple):
            self._refuse(f"{where} is {part!r}, not a list", "write a list: [model=unet, encoder=resnet18]")
        return list(part)

    def _mapping(self, part: Any, where: str) -> Mapping[Any, Any]:
        if not isinstance(part, Mapping) or not part:
            found = f"{where or 'the file'} holds no named values"
            self._refuse(found, f"keys: {', '.join(KEYS)}" if not where else f"write {where} as name: value lines")
        return part  # type: ignore[no-any-return]

    def _check_keys(self, told: Mapping[Any, Any], known: tuple[str, ...], required: tuple[str, ...], at: str) -> None:
        prefix = f"{at}." if at else ""
        for key in told:
            if key not in known:
                self._refuse(f"there is no key {prefix}{key}", _near(str(key), known))
        for key in required:
            if not told.get(key):
                self._refuse(f"{prefix}{key} is missing", f"keys: {', '.join(known)}; needed: {', '.join(required)}")

    def _refuse(self, found: str, remedy: str) -> None:
        raise ConfigError(found, remedy, self.file)


def _near(wrong: str, known: tuple[str, ...]) -> str:
    matches = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    return (f"did you mean {' or '.join(matches)}? " if matches else "") + f"there are: {', '.join(known)}"
