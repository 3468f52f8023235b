from __future__ import annotations

import numpy as np
import pytest

from spinelab.data.volumes.neighbours import with_neighbours


@pytest.mark.parametrize("count", [1, 2, 7])
def test_channels_are_the_slices_around_contrast_by_contrast(count):
    image = np.random.default_rng(0).integers(0, 99, (5, 3, 4, 2)).astype(np.int16)
    out = with_neighbours(image, count)
    assert out.shape == (5, 3, 4, 2 * (2 * count + 1))
    assert out.dtype == image.dtype
    for position in range(5):
        for contrast in range(2):
            for offset in range(-count, count + 1):
                near = min(max(position + offset, 0), 4)
                channel = contrast * (2 * count + 1) + count + offset
                np.testing.assert_array_equal(out[position, ..., channel], image[near, ..., contrast])


def test_none_changes_nothing():
    image = np.zeros((2, 3, 4, 1))
    assert with_neighbours(image, 0) is image
