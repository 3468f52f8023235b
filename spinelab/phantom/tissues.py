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
"""Raw mask value -> class name. The canal is the dural sac: fluid and roots, without the cord. The sacrum has none."""


class Tissue(IntEnum):
    """Values of the tissue map."""

    AIR = 0
    FAT = auto()
    SKIN = auto()
    SEPTUM = auto()
    MUSCLE = auto()
    FATTY_MUSCLE = auto()
    BOWEL = auto()
    VESSEL = auto()
    LIGAMENT = auto()
    NERVE_ROOT = auto()
    SACRAL_CORTEX = auto()
    SACRAL_MARROW = auto()
    SACRAL_DISC = auto()
    CORTICAL_BONE = auto()
    MARROW = auto()
    FATTY_MARROW = auto()
    MARROW_OEDEMA = auto()
    BASIVERTEBRAL_VEIN = auto()
    POSTERIOR_CORTEX = auto()
    POSTERIOR_BONE = auto()
    ANNULUS = auto()
    NUCLEUS = auto()
    CSF = auto()
    FLOW_VOID = auto()
    CAUDA_EQUINA = auto()
    CORD = auto()
    CORD_OEDEMA = auto()
    SYRINX = auto()
    METASTASIS = auto()
    INTRADURAL_TUMOUR = auto()
    INTRAMEDULLARY_TUMOUR = auto()
    HAEMANGIOMA = auto()
    AGGRESSIVE_HAEMANGIOMA = auto()
    HAEMANGIOMA_TRABECULA = auto()


class Properties(NamedTuple):
    """How a tissue answers to a sequence at 1.5 T, and its label.

    Attributes:
        proton_density: Relative to cerebrospinal fluid.
        t1: Longitudinal relaxation time of the water part, ms.
        t2: Transverse relaxation time of the water part, ms.
        fat_fraction: Part of the signal-giving protons that are fat, 0 to 1.
        label: What a mask calls it.
        uptake: Concentration of a gadolinium chelate some minutes after its injection, mmol/l.
        r2_prime: Dephasing that a spin echo undoes, 1/s: ``1/T2* = 1/T2 + R2'``.
        grain: Strength of the texture against that of muscle.
    """

    proton_density: float
    t1: float
    t2: float
    fat_fraction: float
    label: Label = Label.BACKGROUND
    uptake: float = 0.0
    r2_prime: float = 8.0
    grain: float = 1.0


FAT_T1_MS, FAT_T2_MS = 260.0, 85.0
MARROW_R2_PRIME = 55.0  # trabeculae dephase the marrow between them

# Rounded to what textbooks give for 1.5 T; the vertebral marrow of an adult is about half fat.
PROPERTIES: dict[Tissue, Properties] = {
    Tissue.AIR: Properties(0.0, 1.0, 1.0, 0.0),
    Tissue.FAT: Properties(1.0, 300.0, 90.0, 0.95),
    Tissue.SKIN: Properties(0.55, 900.0, 35.0, 0.15, uptake=0.05),
    Tissue.SEPTUM: Properties(0.8, 700.0, 45.0, 0.6),
    Tissue.MUSCLE: Properties(0.75, 1000.0, 42.0, 0.05, uptake=0.05),
    Tissue.FATTY_MUSCLE: Properties(0.82, 900.0, 45.0, 0.45, uptake=0.04),
    Tissue.BOWEL: Properties(0.6, 900.0, 62.0, 0.2, uptake=0.15, grain=2.0),
    Tissue.VESSEL: Properties(0.12, 1200.0, 20.0, 0.0, uptake=0.5),
    Tissue.LIGAMENT: Properties(0.35, 800.0, 30.0, 0.05),
    Tissue.NERVE_ROOT: Properties(0.7, 900.0, 60.0, 0.1),
    Tissue.SACRAL_CORTEX: Properties(0.06, 300.0, 5.0, 0.0),
    Tissue.SACRAL_MARROW: Properties(0.95, 800.0, 62.0, 0.55, uptake=0.05, r2_prime=MARROW_R2_PRIME, grain=3.0),
    Tissue.SACRAL_DISC: Properties(0.5, 1000.0, 45.0, 0.0),
    Tissue.CORTICAL_BONE: Properties(0.06, 300.0, 5.0, 0.0, Label.VERTEBRA),
    Tissue.MARROW: Properties(0.95, 800.0, 62.0, 0.45, Label.VERTEBRA, 0.05, MARROW_R2_PRIME, 3.5),
    Tissue.FATTY_MARROW: Properties(0.92, 600.0, 70.0, 0.8, Label.VERTEBRA, 0.05, MARROW_R2_PRIME),
    Tissue.MARROW_OEDEMA: Properties(0.9, 1100.0, 85.0, 0.18, Label.VERTEBRA, 0.2, MARROW_R2_PRIME),
    Tissue.BASIVERTEBRAL_VEIN: Properties(0.85, 1200.0, 90.0, 0.1, Label.VERTEBRA, 0.5),
    Tissue.POSTERIOR_CORTEX: Properties(0.1, 400.0, 10.0, 0.1, Label.POSTERIOR_ELEMENTS),
    Tissue.POSTERIOR_BONE: Properties(0.9, 800.0, 60.0, 0.5, Label.POSTERIOR_ELEMENTS, 0.05, MARROW_R2_PRIME, 3.0),
    Tissue.ANNULUS: Properties(0.55, 1000.0, 38.0, 0.0, Label.DISC),
    Tissue.NUCLEUS: Properties(0.85, 1300.0, 105.0, 0.0, Label.DISC, grain=1.5),
    Tissue.CSF: Properties(1.0, 3500.0, 1200.0, 0.0, Label.CANAL, r2_prime=3.0, grain=0.5),
    Tissue.FLOW_VOID: Properties(0.7, 3500.0, 400.0, 0.0, Label.CANAL),
    Tissue.CAUDA_EQUINA: Properties(0.7, 900.0, 60.0, 0.1, Label.CANAL),
    Tissue.CORD: Properties(0.72, 780.0, 80.0, 0.0, Label.CORD, grain=0.7),
    Tissue.CORD_OEDEMA: Properties(0.78, 1000.0, 110.0, 0.0, Label.CORD),
    Tissue.SYRINX: Properties(1.0, 3000.0, 900.0, 0.0, Label.CORD),
    Tissue.METASTASIS: Properties(0.95, 1250.0, 85.0, 0.0, Label.EXTRADURAL, 0.4, 15.0),
    Tissue.INTRADURAL_TUMOUR: Properties(0.8, 1150.0, 100.0, 0.0, Label.INTRADURAL_EXTRAMEDULLARY, 0.7),
    Tissue.INTRAMEDULLARY_TUMOUR: Properties(0.8, 1200.0, 115.0, 0.0, Label.INTRAMEDULLARY, 0.5),
    Tissue.HAEMANGIOMA: Properties(0.9, 700.0, 130.0, 0.55, Label.HAEMANGIOMA, 0.25, 25.0),
    Tissue.AGGRESSIVE_HAEMANGIOMA: Properties(0.9, 1100.0, 140.0, 0.12, Label.HAEMANGIOMA, 0.6, 20.0),
    Tissue.HAEMANGIOMA_TRABECULA: Properties(0.45, 700.0, 110.0, 0.55, Label.HAEMANGIOMA, 0.1, 60.0),
}

LABEL_OF: NDArray[np.uint8] = np.array([PROPERTIES[tissue].label for tissue in Tissue], np.uint8)
"""``LABEL_OF[tissue_map]`` is the label map."""

GRAIN: NDArray[np.float32] = np.array([PROPERTIES[tissue].grain for tissue in Tissue], np.float32)
"""``GRAIN[tissue_map]`` is the strength of the texture."""
