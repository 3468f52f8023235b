"""What can be wrong with a case only when it is held against the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from spinelab.data.doctor.examine import Examined
from spinelab.data.doctor.finding import Finding, error, warning
from spinelab.data.splits import Split
from spinelab.types import LabelMap

FAR = 6.0
"""Robust z-score from which a value is an outlier."""
FEWEST = 6
"""Volumes from which a data set has a fingerprint."""
FLOORS = {"spacing": 0.05, "intensity": 0.15}
"""Least spread (of the logarithm) that is assumed: scans that agree to the last digit make nobody else an outlier."""


def check_channels(examined: Sequence[Examined], wanted: int | None) -> Iterator[Finding]:
    """Cases that differ in their number of channels, or from what the network sees."""
    counts = Counter(len(one.case.images) for one in examined)
    if not counts:
        return
    usual = counts.most_common(1)[0][0]
    for one in examined:
        if (count := len(one.case.images)) != usual:
            found = f"the case has {count} channel{'s' * (count != 1)}, most have {usual}"
            place = one.case.images[0][0] if one.case.images else one.case.name
            yield error("channels", place, found, "use cases that have the same contrasts").of(one.case.name)
    if len(counts) == 1 and wanted is not None and usual != wanted:
        found = f"the cases have {usual} channel{'s' * (usual != 1)}, the network sees {wanted}"
        yield error("channels", "channels", found, f"set channels={usual}")


def check_outliers(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Spacings and grey values that lie far from those of the other volumes, channel by channel."""
    for number in range(max((len(one.channels) for one in examined), default=0)):
        members = [one for one in examined if len(one.channels) > number and len(one.channels) == len(one.case.images)]
        channels = [one.channels[number] for one in members]
        spacings = np.array([sorted(channel.spacing) for channel in channels]).reshape(-1, 3)
        for column, what in enumerate(("smallest spacing", "middle spacing", "largest spacing")):
            yield from _far(members, spacings[:, column], number, what, "spacing", "mm")
        yield from _far(members, np.array([c.typical for c in channels]), number, "typical grey value", "intensity")
        yield from _far(members, np.array([c.spread for c in channels]), number, "range of grey values", "intensity")


def _far(
    members: Sequence[Examined], values: np.ndarray, channel: int, what: str, kind: str, unit: str = ""
) -> Iterator[Finding]:
    if len(values) < FEWEST or not np.isfinite(values).all() or values.min() <= 0:
        return
    scores = robust_z(np.log(values), FLOORS[kind])
    for position in np.flatnonzero(np.abs(scores) > FAR):
        one, ends = members[int(position)], f" {unit}" if unit else ""
        found = (
            f"its {what} is {values[position]:.4g}{ends}, the data set's median is {np.median(values):.4g}{ends} "
            f"(robust z {scores[position]:+.1f} on a logarithmic scale)"
        )
        consequence = "it may be another contrast, another unit, or a damaged header"
        file = one.channels[channel].file
        yield warning(f"{kind}-outlier", file, found, consequence, "look at the scan and at its header").of(
            one.case.name
        )


def robust_z(values: np.ndarray, floor: float) -> np.ndarray:
    """Distance from the median in units of the scaled median absolute deviation, which is at least `floor`."""
    apart = values - np.median(values)
    return apart / max(1.4826 * float(np.median(np.abs(apart))), floor)


def check_classes(examined: Sequence[Examined], labels: LabelMap, split: Split | None) -> Iterator[Finding]:
    """Classes that no mask holds, or none on a side of the split."""
    persons: dict[str, set[str]] = defaultdict(set)
    for one in examined:
        for name, count in one.voxels.items():
            if count:
                persons[name].add(one.case.person)
    if not any(one.case.masks for one in examined):
        return
    for name in labels.classes:
        if not persons[name]:
            found, consequence = f"no mask holds the class {name}", "it cannot be learnt or scored"
            remedy = "remove it, or check its raw value"
            yield warning("absent-class", "data.labels.classes", found, consequence, remedy)
        elif split is not None:
            for side in ("train", "test"):
                if not persons[name] & set(getattr(split, side)):
                    found = f"the class {name} occurs in no {side} person ({len(persons[name])} persons have it)"
                    consequence = "it cannot be learnt" if side == "train" else "it gets no score"
                    remedy = "choose another protocol.seed or fold, or stratify with group="
                    yield warning("absent-class", "protocol", found, consequence, remedy)


def check_truth(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Cases without any mask; training needs one for every case."""
    for one in examined:
        if not one.case.masks:
            place = one.case.images[0][0] if one.case.images else one.case.name
            yield error("no-mask", place, "the case has no mask", "add one, or leave the case out").of(one.case.name)
