"""What a layout says when it is asked whether a folder is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Found:
    """A recognised layout.

    Attributes:
        format: Its name, such as ``bids``.
        because: What it was recognised by.
        target: Path of the source's class.
        arguments: The source's arguments beside `root` and what masks mean.
        comments: Argument -> why.
        masks: Where masks are told apart (suffixes, templates), first the one that others are drawn over; "" where
            there is just one kind.
        names: Raw value -> class name, where the data set tells.
        own_labels: The source knows the labels by itself.
        regions: Scored name -> the class names that it unites, where the data set tells.
        person: By what persons are told apart.
        notes: What a person should know, such as files left out.
    """

    format: str
    because: str
    target: str
    arguments: Mapping[str, Any]
    comments: Mapping[str, str] = field(default_factory=dict)
    masks: tuple[str, ...] = ("",)
    names: Mapping[int, str] = field(default_factory=dict)
    own_labels: bool = False
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    person: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missed:
    """A layout that was looked for in vain.

    Attributes:
        format: Its name.
        lacks: What is missing, in a sentence.
        near: How much of it was there, 0 to 1.
    """

    format: str
    lacks: str
    near: float = 0.0
