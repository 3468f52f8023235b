from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from spinelab.data.volumes.bias import correct_bias
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.types import Case, LabelMap

TISSUES = (200, 400, 800)


def shaded() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three tissues between air, under a field that doubles along one axis: scan, tissue, field."""
    rng = np.random.default_rng(0)
    blobs = gaussian_filter(rng.normal(size=(80, 112, 20)), (6, 6, 2))
    tissue = np.array(TISSUES)[np.digitize(blobs, np.quantile(blobs, (1 / 3, 2 / 3)))]
    tissue[:8], tissue[-8:] = 5, 5
    field = np.exp(np.linspace(-0.35, 0.35, 112))[None, :, None] * np.ones(tissue.shape)
    return (tissue * field + rng.rayleigh(3, tissue.shape)).astype(np.float32), tissue, field


def spread(array: np.ndarray, tissue: np.ndarray) -> float:
    """Coefficient of variation within the tissues."""
    return float(np.mean([array[tissue == value].std() / array[tissue == value].mean() for value in TISSUES]))


def test_the_field_is_found():
    array, tissue, field = shaded()
    out = correct_bias(array)
    assert (out.dtype, out.shape) == (np.float32, array.shape)
    assert spread(array, tissue) > 0.18
    assert spread(out, tissue) < 0.02
    found = (array / out / field)[10:-10]
    assert found.std() / found.mean() < 0.02
    np.testing.assert_array_equal(out, correct_bias(array))


def test_prepare_corrects_each_channel(write):
    array = shaded()[0][::3, ::3, ::2]
    case = Case("a", "a", ((write("a.nii", array),), (write("b.nii", array[::-1]),)))
    volume = prepare_case(case, LabelMap(("x",)), Preprocessing(bias_correction=True))
    for channel, scan in enumerate((array, array[::-1])):
        np.testing.assert_array_equal(volume.geometry.restore(volume.image[..., channel]), correct_bias(scan))
