"""`spinelab data landmarks`: the standard grey values of Nyul's normalisation, from the training persons alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from rich.progress import track

from spinelab import build
from spinelab.config import compose_config
from spinelab.data.volumes.nyul import learn_landmarks
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.errors import ConfigError
from spinelab.types import Case, LabelMap


def landmarks(arguments: Sequence[str]) -> int:
    """Learn and print the landmarks of a data set.

    Raises:
        SpinelabError: The data cannot be used, or have several contrasts.
    """
    config = compose_config(arguments)
    cases = build.cases(config)
    split = build.split(config, cases)
    if any(len(case.images) > 1 for case in cases):
        raise ConfigError(
            f"{config.data.name} has several contrasts, and landmarks belong to one", "use another normalisation"
        )
    preprocessing = replace(build.preprocessing(config), normalisation=None, landmarks=None, neighbours=0)
    training = [case for case in cases if case.person in split.train]
    learnt = learn_landmarks(_volumes(training, build.labels(config), preprocessing))
    print(f"# learnt from the {len(split.train)} training persons of {config.data.name} (split {split.hash})")
    print(f"normalisation: nyul\nlandmarks: [{', '.join(str(mark) for mark in learnt)}]")
    return 0


def _volumes(cases: Sequence[Case], labels: LabelMap, preprocessing: Preprocessing) -> Iterator[np.ndarray]:
    for case in track(cases, description="reading", transient=True):
        volume = prepare_case(case, labels, preprocessing, with_mask=False)
        yield volume.image[:, *volume.geometry.content, 0]
