"""Contrasts: how strongly a tissue answers to a pulse sequence.

The signal equations are those of spin echo, inversion recovery and spoiled gradient echo (Bernstein, King and Zhou,
Handbook of MRI Pulse Sequences, 2004); a gadolinium chelate raises the relaxation rates by its relaxivities at 1.5 T
(Rohrer et al., Investigative Radiology 40:715, 2005, for gadopentetate in plasma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from spinelab.phantom.tissues import FAT_T1_MS, FAT_T2_MS, Properties

RELAXIVITY_1, RELAXIVITY_2 = 4.1, 4.6
"""Of a gadolinium chelate, l / (mmol s)."""


@dataclass(frozen=True)
class Sequence:
    """A spin echo; with an inversion pulse before it, or as a spoiled gradient echo, if so given. Times in ms.

    Attributes:
        repetition_time: TR.
        echo_time: TE.
        inversion_time: TI; None without inversion.
        flip_angle: Of a spoiled gradient echo, degrees; None for a spin echo.
        contrast_agent: Whether gadolinium was injected before.
        part: Which protons are shown; water and fat are told apart by their frequencies (Dixon).
    """

    repetition_time: float
    echo_time: float
    inversion_time: float | None = None
    flip_angle: float | None = None
    contrast_agent: bool = False
    part: Literal["all", "water", "fat"] = "all"


SEQUENCES = {
    "T1w": Sequence(550, 12),
    "T2w": Sequence(3500, 100),
    "STIR": Sequence(4000, 60, inversion_time=180),
    "T1wCE": Sequence(550, 12, contrast_agent=True),
    "T2starw": Sequence(500, 14, flip_angle=25),
    # The low flip angle keeps T1 out of the ratio, so fat / (water + fat) is the fat fraction.
    "water": Sequence(10, 1.2, flip_angle=3, part="water"),
    "fat": Sequence(10, 1.2, flip_angle=3, part="fat"),
}
"""By the suffix of the files. After contrast it is T1wCE and not an entity, so that T1w finds the other one alone."""


def signal(tissue: Properties, sequence: Sequence, timing: float = 1.0) -> float:
    """Signal of a tissue: its water and its fat, each by the equation of the sequence.

    Spin echo ``pd (1 - exp(-TR/T1)) exp(-TE/T2)``; with an inversion pulse
    ``pd |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``; spoiled gradient echo
    ``pd sin(a) (1 - E) / (1 - cos(a) E) exp(-TE/T2*)`` with ``E = exp(-TR/T1)``.

    Args:
        tissue: Proton density, relaxation times in ms and fat fraction.
        sequence: Times in ms.
        timing: Factor on TR and TE.
    """
    agent = tissue.uptake / 1000 if sequence.contrast_agent else 0.0  # mmol/l; rates below are per ms
    t1, t2 = 1 / (1 / tissue.t1 + RELAXIVITY_1 * agent), 1 / (1 / tissue.t2 + RELAXIVITY_2 * agent)
    water = (1 - tissue.fat_fraction) * _echo(t1, t2, tissue.r2_prime, sequence, timing)
    fat = tissue.fat_fraction * _echo(FAT_T1_MS, FAT_T2_MS, tissue.r2_prime, sequence, timing)
    return tissue.proton_density * {"all": water + fat, "water": water, "fat": fat}[sequence.part]


def _echo(t1: float, t2: float, r2_prime: float, sequence: Sequence, timing: float) -> float:
    lost, echo_time = math.exp(-sequence.repetition_time * timing / t1), sequence.echo_time * timing
    if sequence.flip_angle is not None:
        angle = math.radians(sequence.flip_angle)
        steady = math.sin(angle) * (1 - lost) / (1 - math.cos(angle) * lost)
        return steady * math.exp(-echo_time * (1 / t2 + r2_prime / 1000))
    inverted = 0.0 if sequence.inversion_time is None else 2 * math.exp(-sequence.inversion_time / t1)
    recovered = 1 - lost if sequence.inversion_time is None else abs(1 - inverted + lost)
    return recovered * math.exp(-echo_time / t2)
