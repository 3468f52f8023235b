"""Which part of a file name is the person: guessed, and said so, since folds leak where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FOLDER = r"^([^/]+)/"
PATTERNS = (
    (r"(sub-[A-Za-z0-9]+)", "the entity sub-"),
    (r"((?:[Pp]atient|[Ss]ubject|[Ss]ubj|[Ss]ub|[Pp]erson|[Cc]ase|[Pp]at|[Pp])[-_ ]?\d+)", "a word and a number"),
    (FOLDER, "CHECK: the folder below the root is taken for the person"),
    (r"(?:^|/)(\d+)[_.-]", "the number that file names begin with"),
)
SESSION = r"(sub-[A-Za-z0-9]+?)(?:[Ss]es-?\d+)?[_/.]"
SESSION_WRITTEN = re.compile(r"sub-[A-Za-z0-9]+?[Ss]es-?\d+[_/.]")
NO_PERSON = re.compile(
    r"t[12](w|s|star.*|[-_ ]?space)?|stir|flair|pd|dwi|adc|images?(tr|ts|va)?|scans?|train(ing)?|val(id.*)?|test(ing)?"
    r"|(sag|cor|axi?|tra).*|mri?|data|raw|nifti|dicom",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Persons:
    """How persons are told from paths.

    Attributes:
        pattern: Regular expression with one group.
        reason: Why this one.
        found: Person of each path.
    """

    pattern: str
    reason: str
    found: tuple[str, ...]


def guess(paths: Sequence[str], whole_name: str) -> Persons:
    """Find the pattern that tells persons apart in all paths.

    Args:
        paths: What the pattern will be searched in.
        whole_name: Pattern that takes each image for a person of its own, where no other matches.
    """
    for pattern, reason in _patterns(paths):
        found = [re.search(pattern, path) for path in paths]
        names = [match[1] for match in found if match]
        no_person = pattern == FOLDER and any(NO_PERSON.fullmatch(name) for name in names)
        if len(names) == len(paths) and (len(set(names)) > 1 or len(paths) == 1) and not no_person:
            return Persons(pattern, reason, tuple(names))
    matches = [re.search(whole_name, path) for path in paths]
    names = [match[1] if match else path for match, path in zip(matches, paths, strict=True)]
    reason = "CHECK: no pattern was recognised, so each image is a person; if one was scanned twice, folds leak"
    return Persons(whole_name, reason, tuple(names))


def _patterns(paths: Sequence[str]) -> Sequence[tuple[str, str]]:
    sessions = sum(SESSION_WRITTEN.search(path) is not None for path in paths)
    told = f"the entity sub-; the session that {sessions} names have written into it is cut off"
    return ((SESSION, told), *PATTERNS) if sessions else PATTERNS
