"""Pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from spinelab.callbacks.panels import COLOURS, ERRORS, draw_panel, error_overlay, overlay


def test_overlay_colours_only_the_mask():
    image = np.linspace(0, 1, 100).reshape(10, 10)
    mask = np.zeros((10, 10), int)
    mask[2:4, 2:4] = 1
    picture = overlay(image, mask)
    plain = overlay(image, np.zeros_like(mask))
    changed = (picture != plain).any(axis=2)
    assert (changed == (mask == 1)).all()
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_each_kind_of_error_has_its_colour():
    truth, prediction = np.array([[1, 1, 0, 1, 0]]), np.array([[1, 0, 1, 2, 0]])
    picture = error_overlay(np.zeros((1, 5)), truth, prediction)[0]
    wanted = [None, "missed", "false alarm", "other class", None]
    for pixel, name in zip(picture, wanted, strict=True):
        colour = [0, 0, 0] if name is None else [int(ERRORS[name][i : i + 2], 16) / 255 * 0.75 for i in (1, 3, 5)]
        assert np.allclose(pixel, colour, atol=1e-6)


def test_a_panel_shows_the_colours_of_truth_and_prediction(tmp_path):
    image, truth, prediction = np.zeros((40, 30)), np.zeros((40, 30), int), np.zeros((40, 30), int)
    image[0, 0] = 1
    truth[10:30, 5:25], prediction[10:30, 5:25] = 1, 2
    path = tmp_path / "panels" / "case.png"
    draw_panel(image, truth, prediction, ["cord", "grey matter"], path, title="case")
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    width = pixels.shape[1] // 4
    for part, colour in ((1, COLOURS[0]), (2, COLOURS[1])):
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) * 0.45
        near = np.abs(pixels[:, part * width : (part + 1) * width] - wanted).max(axis=2) < 12
        assert near.sum() > 1000
