"""A split: which persons are trained on, chosen by and tested on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from spinelab.errors import ConfigError
from spinelab.files import write_atomically

SIDES = ("train", "val", "test")
ALL_FOLDS = -1
"""Stands for the number of the fold where several folds that share a test side act as one: an ensemble of them."""


@dataclass(frozen=True)
class Split:
    """Which persons are trained on, chosen by and tested on; each side sorted.

    Attributes:
        protocol: Name of the rule that made it.
        seed: Its seed.
        fold: Which of its folds, 0 if there is one only, or `ALL_FOLDS`.
        train: Persons to train on.
        val: Persons to choose the checkpoint by; may be empty.
        test: Persons to report.

    Raises:
        ConfigError: A person is named twice.
    """

    protocol: str
    seed: int
    fold: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for side in SIDES:
            object.__setattr__(self, side, tuple(sorted(getattr(self, side))))
        persons = self.persons
        if twice := sorted({person for person in persons if persons.count(person) > 1}):
            raise ConfigError(f"named twice in the split: {', '.join(twice)}", "leave each person on one side only")

    @property
    def persons(self) -> tuple[str, ...]:
        """All persons, side by side."""
        return self.train + self.val + self.test

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write the split and its hash as JSON, whole or not at all."""
        write_atomically(path, json.dumps({**asdict(self), "hash": self.hash}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split from JSON; one written by hand needs ``train``, ``val`` and ``test`` only.

        Raises:
            ConfigError: The file is missing or no split, a person is named twice, or the hash is of other content.
        """
        try:
            content = json.loads(path.read_text())
            sides = [tuple(str(person) for person in content[side]) for side in SIDES]
            header = (str(content.get("protocol", "file")), int(content.get("seed", 0)), int(content.get("fold", 0)))
            split = cls(*header, *sides)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = 'give a JSON file: {"train": [...], "val": [...], "test": [...]}'
            raise ConfigError(f"not a split ({type(error).__name__}: {error})", remedy, path) from error
        except ConfigError as error:
            raise ConfigError(error.found, error.remedy, path) from error
        if content.get("hash", split.hash) != split.hash:
            raise ConfigError("the split was changed after it was written", "remove the line with the hash", path)
        return split
