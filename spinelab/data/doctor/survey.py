"""A whole data set: every case read once, in several processes, then held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rich.progress import track

from spinelab.data.doctor.dataset import check_channels, check_classes, check_outliers, check_truth
from spinelab.data.doctor.examine import Examined, examine
from spinelab.data.doctor.files import check_root, extra_masks, files_of
from spinelab.data.doctor.finding import SEVERITIES, Finding, error
from spinelab.data.doctor.labels import check_names
from spinelab.data.doctor.persons import check_duplicates, check_persons, check_split
from spinelab.data.splits import Split
from spinelab.data.volumes.prepare import Preprocessing
from spinelab.types import Case, LabelMap

FEW = 8
"""Up to this many cases, starting processes takes longer than reading."""


def survey(
    cases: Sequence[Case],
    labels: LabelMap,
    preprocessing: Preprocessing,
    root: Path,
    split: Callable[[], Split],
    *,
    channels: int | None = None,
    pictures: Path | None = None,
    workers: int = 1,
    progress: bool = True,
) -> tuple[list[Finding], list[Examined], Split | None]:
    """Read all cases and say all that is wrong with the data set.

    One case a process is in memory at a time; of each case only a few numbers and a thumbnail are kept.

    Args:
        cases: What the source listed.
        labels: The data set's classes.
        preprocessing: How the cases are going to be prepared.
        root: The data set's folder.
        split: Makes the split of the configured protocol.
        channels: Channels that the network sees, None if that is not known.
        pictures: Folder for overlays of masks that do not fit; None draws none.
        workers: Processes that read cases. More than one needs a main module that can be imported.
        progress: Show a progress bar.

    Returns:
        Findings, errors first; what is known of each case; the split, if it can be made.
    """
    examined = list(_examine_all(cases, preprocessing, pictures, workers, progress))
    sides, split_findings = check_split(cases, split)
    findings = [
        *check_names(cases, labels),
        *(finding for one in examined for finding in one.findings),
        *check_truth(examined),
        *check_channels(examined, channels),
        *check_root(root, cases),
        *extra_masks(cases),
        *check_persons(cases),
        *check_duplicates(examined),
        *split_findings,
        *check_outliers(examined),
        *check_classes(examined, labels, sides),
    ]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)), examined, sides


def _examine_all(
    cases: Sequence[Case], preprocessing: Preprocessing, pictures: Path | None, workers: int, progress: bool
) -> Iterator[Examined]:
    look = partial(examine, preprocessing=preprocessing, pictures=pictures)
    shown = partial(track, description="reading cases", total=len(cases), disable=not progress, transient=True)
    if workers < 2 or len(cases) <= FEW:
        yield from shown(map(look, cases))
        return
    # not forked: the parent may already run threads of PyTorch, whose locks a fork would freeze
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = [pool.submit(look, case) for case in cases]
        for case, future in shown(list(zip(cases, futures, strict=True))):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield _killed(case)


def _killed(case: Case) -> Examined:
    """The system ended the process that read this case, or another of the same time."""
    found = "the process that read it was ended by the system, most likely for want of memory"
    finding = error("killed", next(files_of(case), Path(case.name)), found, "close other programs, or crop large scans")
    return Examined(case, (finding.of(case.name),))
