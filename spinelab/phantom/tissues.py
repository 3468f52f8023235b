"""What the phantom is made of: tissues, how each answers to an MR sequence, and which label it carries."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Label(IntEnum):
    """Raw values in a mask file."""

    BACKGROUND = 0
    VERTEBRA = 1
    DISC = 2
    CANAL = 3
    CORD = 4
    POSTERIOR_ELEMENTS = 5
    EXTRADURAL = 6
    INTRADURAL_EXTRAMEDULLARY = 7
    INTRAMEDULLARY = 8
    HAEMANGIOMA = 9


LABELS: dict[int, str] = {int(label): label.name.lower() for label in Label if label is not Label.BACKGROUND}
"""Raw mask value -> class name. The canal is the dural sac: fluid and roots, without the cord."""


class Tissue(IntEnum):
    """Values of the tissue map."""

    AIR = 0
    FAT = auto()
    MUSCLE = auto()
    FATTY_MUSCLE = auto()
    BOWEL = auto()
    VESSEL = auto()
    LIGAMENT = auto()
    NERVE_ROOT = auto()
    CORTICAL_BONE = auto()
    MARROW = auto()
    FATTY_MARROW = auto()
    MARROW_OEDEMA = auto()
    BASIVERTEBRAL_VEIN = auto()
    POSTERIOR_BONE = auto()
    ANNULUS = auto()
    NUCLEUS = auto()
    CSF = auto()
    CAUDA_EQUINA = auto()
    CORD = auto()
    CORD_OEDEMA = auto()
    SYRINX = auto()
    METASTASIS = auto()
    INTRADURAL_TUMOUR = auto()
    INTRAMEDULLARY_TUMOUR = auto()
    HAEMANGIOMA = auto()
    HAEMANGIOMA_TRABECULA = auto()


class Properties(NamedTuple):
    """How a tissue answers to a sequence at 1.5 T, and its label.

    Attributes:
        proton_density: Relative to cerebrospinal fluid.
        t1: Longitudinal relaxation time of the water part, ms.
        t2: Transverse relaxation time of the water part, ms.
        fat_fraction: Part of the signal-giving protons that are fat, 0 to 1.
        label: What a mask calls it.
    """

    proton_density: float
    t1: float
    t2: float
    fat_fraction: float
    label: Label = Label.BACKGROUND


FAT_T1_MS, FAT_T2_MS = 260.0, 85.0

# Rounded to what textbooks give for 1.5 T; the vertebral marrow of an adult is about half fat.
PROPERTIES: dict[Tissue, Properties] = {
    Tissue.AIR: Properties(0.0, 1.0, 1.0, 0.0),
    Tissue.FAT: Properties(1.0, 300.0, 90.0, 0.95),
    Tissue.MUSCLE: Properties(0.75, 1000.0, 42.0, 0.05),
    Tissue.FATTY_MUSCLE: Properties(0.82, 900.0, 45.0, 0.45),
    Tissue.BOWEL: Properties(0.55, 800.0, 52.0, 0.5),
    Tissue.VESSEL: Properties(0.12, 1200.0, 20.0, 0.0),
    Tissue.LIGAMENT: Properties(0.35, 800.0, 30.0, 0.05),
    Tissue.NERVE_ROOT: Properties(0.7, 900.0, 60.0, 0.1),
    Tissue.CORTICAL_BONE: Properties(0.06, 300.0, 5.0, 0.0, Label.VERTEBRA),
    Tissue.MARROW: Properties(0.62, 800.0, 55.0, 0.45, Label.VERTEBRA),
    Tissue.FATTY_MARROW: Properties(0.72, 600.0, 70.0, 0.8, Label.VERTEBRA),
    Tissue.MARROW_OEDEMA: Properties(0.75, 1100.0, 75.0, 0.18, Label.VERTEBRA),
    Tissue.BASIVERTEBRAL_VEIN: Properties(0.85, 1200.0, 150.0, 0.1, Label.VERTEBRA),
    Tissue.POSTERIOR_BONE: Properties(0.55, 800.0, 52.0, 0.5, Label.POSTERIOR_ELEMENTS),
    Tissue.ANNULUS: Properties(0.6, 1000.0, 50.0, 0.0, Label.DISC),
    Tissue.NUCLEUS: Properties(0.85, 1300.0, 140.0, 0.0, Label.DISC),
    Tissue.CSF: Properties(1.0, 3500.0, 1200.0, 0.0, Label.CANAL),
    Tissue.CAUDA_EQUINA: Properties(0.7, 900.0, 60.0, 0.1, Label.CANAL),
    Tissue.CORD: Properties(0.72, 780.0, 80.0, 0.0, Label.CORD),
    Tissue.CORD_OEDEMA: Properties(0.78, 1000.0, 110.0, 0.0, Label.CORD),
    Tissue.SYRINX: Properties(1.0, 3000.0, 900.0, 0.0, Label.CORD),
    Tissue.METASTASIS: Properties(0.8, 1250.0, 85.0, 0.0, Label.EXTRADURAL),
    Tissue.INTRADURAL_TUMOUR: Properties(0.8, 1150.0, 100.0, 0.0, Label.INTRADURAL_EXTRAMEDULLARY),
    Tissue.INTRAMEDULLARY_TUMOUR: Properties(0.8, 1200.0, 115.0, 0.0, Label.INTRAMEDULLARY),
    Tissue.HAEMANGIOMA: Properties(0.9, 700.0, 130.0, 0.55, Label.HAEMANGIOMA),
    Tissue.HAEMANGIOMA_TRABECULA: Properties(0.45, 700.0, 110.0, 0.55, Label.HAEMANGIOMA),
}

LABEL_OF: NDArray[np.uint8] = np.array([PROPERTIES[tissue].label for tissue in Tissue], np.uint8)
"""``LABEL_OF[tissue_map]`` is the label map."""
