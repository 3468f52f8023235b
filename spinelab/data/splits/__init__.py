"""Persons into training, validation and test.

A protocol is a function ``(persons, *, ..., sites=None, groups=None) -> Split``. It looks at names alone and sorts
them first, so that neither the order of files nor the data themselves change a split. One with several folds takes
`fold`, counted from 0, and raises `NoSuchFold` after the last.
"""

from __future__ import annotations

from spinelab.data.splits.counting import fold_count
from spinelab.data.splits.from_file import split_file
from spinelab.data.splits.leave_one_out import leave_one_person_out, leave_one_site_out
from spinelab.data.splits.nested import nested
from spinelab.data.splits.random import holdout, kfold, kfold_test
from spinelab.data.splits.rules import NoSuchFold, require_fold
from spinelab.data.splits.split import ALL_FOLDS, SIDES, Split
from spinelab.data.splits.strata import by_person

__all__ = [
    "ALL_FOLDS",
    "SIDES",
    "NoSuchFold",
    "Split",
    "by_person",
    "fold_count",
    "holdout",
    "kfold",
    "kfold_test",
    "leave_one_person_out",
    "leave_one_site_out",
    "nested",
    "require_fold",
    "split_file",
]
