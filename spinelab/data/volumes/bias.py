"""Correction of the slow brightness changes that receive coils make."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from spinelab.data.volumes.body import bright

SHRINK = 4
FEWEST = 16
"""An axis is shrunk only as far as this many voxels remain: scans have few, thick slices."""
ITERATIONS = (50, 50, 50, 50)

Array = np.ndarray[Any, Any]


def correct_bias(array: Array) -> Array:
    """Divide a volume by the bias field that N4 finds in it (Tustison et al., IEEE TMI 29(6):1310, 2010).

    The field is found on a volume shrunk by up to four along each axis, among voxels brighter than air
    (`body.bright`: a plain Otsu threshold would leave out the tissue far from the coil, which the field is about).
    One thread, so that the result does not depend on the machine.

    Args:
        array: Grey values, any 3-D axis order.

    Returns:
        Corrected grey values, float32; zero and negative values stay what they are up to the field's factor.
    """
    full = sitk.GetImageFromArray(array.astype(np.float32))
    mask = sitk.GetImageFromArray(bright(array).astype(np.uint8))
    factors = [max(1, min(SHRINK, size // FEWEST)) for size in full.GetSize()]
    correct = sitk.N4BiasFieldCorrectionImageFilter()
    correct.SetMaximumNumberOfIterations(ITERATIONS)
    correct.SetNumberOfThreads(1)
    correct.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
    field = np.exp(sitk.GetArrayFromImage(correct.GetLogBiasFieldAsImage(full)))
    return (array / field).astype(np.float32)
