from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models.shape_unet import ShapeUNet, bounded_distances, shape_unet, signed_distance
from spinelab.models.unet import unet
from spinelab.tasks.schedules import constant
from spinelab.tasks.segmentation import SegmentationTask


def brute_force(inside: np.ndarray) -> np.ndarray:
    """Pixel by pixel: how far is the nearest one on the other side?"""
    places = np.argwhere(np.ones_like(inside)).reshape(*inside.shape, 2)
    found = np.zeros(inside.shape)
    for place in np.ndindex(inside.shape):
        others = places[inside != inside[place]]
        found[place] = np.sqrt(((others - place) ** 2).sum(axis=1)).min() * (-1 if inside[place] else 1)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_signed_distance_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random(rng.integers(2, 12, 2)) < rng.uniform(0.1, 0.9)
    inside.flat[:2] = True, False
    np.testing.assert_allclose(signed_distance(inside), brute_force(inside), atol=1e-5)


def test_signed_distance_of_a_large_slice_is_that_of_scipy() -> None:
    rows, columns = np.mgrid[:300, :257]
    inside = ((rows - 100) ** 2 + (columns - 60) ** 2 < 1500) | (columns > 250)
    expected = distance_transform_edt(~inside) - distance_transform_edt(inside)
    np.testing.assert_allclose(signed_distance(inside), expected, atol=1e-4)


def test_an_absent_class_is_far_away_and_one_that_fills_the_slice_deep_inside() -> None:
    assert (signed_distance(np.zeros((3, 4), bool)) == np.inf).all()
    assert (signed_distance(np.ones((3, 4), bool)) == -np.inf).all()
    maps = bounded_distances(np.full((2, 3, 4), 2), classes=4, scale=5.0)
    assert maps.shape == (2, 3, 3, 4)
    assert (maps[:, 1] == -1).all()
    assert (maps[:, [0, 2]] == 1).all()


def test_bounded_distances_of_a_row_by_hand() -> None:
    maps = bounded_distances(np.array([[[0, 0, 1, 1, 2]]]), classes=3, scale=2.0)
    np.testing.assert_allclose(maps[0, :, 0], np.tanh([[1, 0.5, -0.5, -0.5, 0.5], [2, 1.5, 1, 0.5, -0.5]]), rtol=1e-6)


def test_padding_changes_no_target_far_from_the_border() -> None:
    mask = np.zeros((1, 40, 40), int)
    mask[0, 15:25, 15:25] = 1
    small, large = (bounded_distances(np.pad(mask, ((0, 0), (0, n), (0, n))), 2, 8.0) for n in (0, 60))
    np.testing.assert_allclose(large[:, :, :40, :40], small, atol=1e-6)
    assert large[0, 0, 90, 90] > 0.9999


def example(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 32, 40, dtype=torch.long)
    mask[0, 4:16, 6:20], mask[1, 10:26, 8:18], mask[:, 20:30, 24:36] = 1, 1, classes - 1
    return mask[:, None] + 0.2 * torch.randn(2, 1, 32, 40, generator=generator), mask


def pair(weight: float, **options: object) -> tuple[nn.Module, ShapeUNet]:
    """A U-Net, and a joint one that starts as it does."""
    plain = unet(1, 3, base=4, **options)
    torch.manual_seed(1)
    joint = shape_unet(1, 3, base=4, weight=weight, **options)
    own = joint.state_dict()
    for name, value in plain.state_dict().items():
        own[name][: len(value)] = value
    joint.load_state_dict(own)
    return plain, joint


def train(network: nn.Module, steps: int) -> SegmentationTask:
    """As a run does, with dropout and weight decay."""
    image, mask = example()
    task = SegmentationTask(network, nn.CrossEntropyLoss(), partial(torch.optim.AdamW, lr=1e-3), constant)
    optimizer = task.optimizer(task.parameters())
    torch.manual_seed(3)
    for step in range(steps):
        optimizer.zero_grad()
        task.training_step({"image": image, "mask": mask}, step).backward()  # type: ignore[typeddict-item]
        optimizer.step()
    return task


def test_at_weight_zero_training_is_that_of_the_unet() -> None:
    plain, joint = pair(weight=0.0)
    unused = joint.head.weight[3:].detach().clone()
    train(plain, steps=4)
    train(joint, steps=4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(joint.state_dict()[name][: len(value)], value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(joint.head.weight[3:], unused, rtol=1e-3, atol=1e-6)  # weight decay alone


def test_at_another_weight_it_is_not() -> None:
    plain, joint = pair(weight=1.0)
    train(plain, steps=2)
    train(joint, steps=2)
    assert not torch.allclose(joint.nodes[0].up.weight, plain.nodes[0].up.weight, atol=1e-4)


def test_the_distances_teach_the_shared_features() -> None:
    torch.manual_seed(0)
    network, (image, mask) = shape_unet(1, 3, base=4, dropout=0.0), example()
    network.training_loss(image, mask, lambda logits, _: 0 * logits.sum()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        grad = parameter.grad
        assert grad is not None
        assert grad.any(), name
    assert not network.head.weight.grad[:3].any()  # type: ignore[index]


def test_the_loss_is_the_sum_of_its_two_parts() -> None:
    torch.manual_seed(0)
    network, (image, mask) = shape_unet(1, 3, base=4, weight=0.5, scale=3.0).eval(), example()
    planes = [[signed_distance(plane == k) for k in (1, 2)] for plane in mask.numpy()]
    true = torch.from_numpy(np.tanh(np.array(planes) / 3))
    expected = F.cross_entropy(network(image), mask) + 0.5 * (network.distances(image) - true).abs().mean()
    torch.testing.assert_close(network.training_loss(image, mask, F.cross_entropy), expected)


@pytest.mark.parametrize("encoder", [None, {"name": "resnet18", "weights": None}])
def test_it_differs_from_the_unet_by_the_head(encoder: dict[str, object] | None) -> None:
    with torch.device("meta"):
        joint, plain = (make(1, 5, None, base=8) for make in (shape_unet, unet))
    assert sum(p.numel() for p in joint.parameters()) == sum(p.numel() for p in plain.parameters()) + 4 * (8 + 1)
    assert (shape_unet(1, 5, encoder)(torch.zeros(2, 1, 37, 51))).shape == (2, 5, 37, 51)


def test_it_overfits_one_batch_in_classes_and_in_shape() -> None:
    torch.manual_seed(0)
    network, (image, mask) = shape_unet(1, 3, base=8, dropout=0.0), example()
    true = torch.from_numpy(bounded_distances(mask.numpy(), 3, network.scale))
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(120):
        optimizer.zero_grad()
        network.training_loss(image, mask, F.cross_entropy).backward()
        optimizer.step()
    with torch.no_grad():
        network.eval()
        assert (network(image).argmax(1) == mask).float().mean() > 0.995
        assert (network.distances(image) - true).abs().mean() < 0.1
        assert ((network.distances(image) < 0) == (true < 0)).float().mean() > 0.99


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"scale": 0.0}])
def test_bad_arguments_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weight is not negative"):
        shape_unet(1, 2, base=4, **wrong)
