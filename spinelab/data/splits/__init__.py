"""Persons into training, validation and test.

A protocol is a function ``(persons, *, ..., sites=None, groups=None) -> Split``. It looks at names alone and sorts
them first, so that neither the order of files nor the data themselves change a split.
"""

from __future__ import annotations

from spinelab.data.splits.from_file import split_file
from spinelab.data.splits.leave_one_out import leave_one_person_out, leave_one_site_out
from spinelab.data.splits.random import holdout, kfold
from spinelab.data.splits.split import SIDES, Split
from spinelab.data.splits.strata import by_person

__all__ = [
    "SIDES",
    "Split",
    "by_person",
    "holdout",
    "kfold",
    "leave_one_person_out",
    "leave_one_site_out",
    "split_file",
]
