from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from spinelab.classical.network import AsNetwork
from spinelab.classical.otsu import otsu
from spinelab.classical.regions import RegionTechnique
from spinelab.data.sources.folder import FolderSource
from spinelab.data.volumes.prepare import Preprocessing, prepare_case
from spinelab.tasks.evaluation import case_rows, evaluate_case
from spinelab.tasks.inference import probabilities
from spinelab.types import LabelMap


def test_scored_like_a_network(discs: Path) -> None:
    labels, how = LabelMap(("disc",)), Preprocessing(plane="sagittal")
    cases = FolderSource(
        discs, image="images/*.nii.gz", mask="masks/{name}", person="(sub-[0-9]+)", labels={1: "disc"}
    ).cases()
    volumes = [prepare_case(case, labels, how) for case in cases[:6]]
    images = [part[..., 0] for volume in volumes for part in volume.image[:2]]
    masks = [part for volume in volumes for part in volume.mask[:2]]  # type: ignore[index]
    persons = [case.person for case in cases[:6] for _ in range(2)]
    technique = RegionTechnique(otsu, {"levels": [2], "smooth": [1]}).fit(images, masks, persons, classes=2)
    network = AsNetwork(technique)
    rows = case_rows(evaluate_case(network, cases[7], labels, how), labels)
    assert next(row["value"] for row in rows if row["metric"] == "dice") > 0.8
    likely = probabilities(network, prepare_case(cases[7], labels, how))
    np.testing.assert_allclose(likely.sum(axis=-1), 1, atol=1e-5)


def test_logits_are_the_logarithm_of_scores_of_the_channel() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((16, 16))
    technique = RegionTechnique(otsu, {"levels": [2]}).fit([image] * 2, [np.uint8(image > 0.5)] * 2, ["a", "b"], 2)
    batch = torch.from_numpy(rng.random((2, 3, 16, 16))).float()
    logits = AsNetwork(technique, channel=2)(batch)
    assert logits.shape == (2, 2, 16, 16)
    expected = technique.scores(batch[1, 2].numpy())
    np.testing.assert_allclose(logits.softmax(dim=1)[1].numpy(), expected, atol=1e-5)
