"""What every network must do, for every file in conf/model, in the paper form and on an encoder."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from spinelab.models import HasHeads

CONF = Path(__file__).resolve().parents[2] / "conf"
SMALL = {"base": 8, "width": 0.125}


def config(model: str) -> Any:
    return OmegaConf.load(CONF / "model" / f"{model}.yaml")


def arguments(model: str) -> set[str]:
    return set(inspect.signature(hydra.utils.get_method(config(model)._target_)).parameters)


NAMES = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))
CASES = [(model, "resnet18") for model in NAMES] + [
    (model, "none") for model in NAMES if SMALL.keys() & arguments(model)
]
cases = pytest.mark.parametrize(("model", "encoder"), CASES)


def heavy(model: str, encoder: str) -> bool:
    """Whether overfitting takes long: on an encoder, but for the U-Net; or large images for coarse scores."""
    return config(model).get("stride", 8) > 16 or (encoder != "none" and model != "unet")


def build(model: str, encoder: str, in_channels: int = 1, classes: int = 2, **extra: Any) -> nn.Module:
    torch.manual_seed(0)
    cfg = OmegaConf.create({"model": config(model), "encoder": OmegaConf.load(CONF / "encoder" / f"{encoder}.yaml")})
    options = {**(SMALL if encoder == "none" else {}), **extra}
    options = {name: value for name, value in options.items() if name in arguments(model)}
    trust = {"_convert_": "all", "_execution_whitelist_": ["spinelab.models.*"]}
    network: nn.Module = hydra.utils.instantiate(
        cfg.model, in_channels=in_channels, classes=classes, **options, **trust
    )
    return network


def all_heads(network: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    return network.heads(x) if isinstance(network, HasHeads) else (network(x),)


@cases
def test_any_size_channels_and_classes(model: str, encoder: str) -> None:
    for in_channels, classes, size in ((1, 2, (37, 51)), (3, 5, (64, 48)), (1, 5, (1, 1))):
        network = build(model, encoder, in_channels, classes).eval()
        x = torch.randn(2, in_channels, *size)
        with torch.no_grad():
            outputs = all_heads(network, x)
            main = network(x)
        for logits in outputs:
            assert logits.shape == (2, classes, *size)
            assert logits.isfinite().all()
        assert torch.equal(main, outputs[0])


@cases
def test_gradients_reach_every_parameter(model: str, encoder: str) -> None:
    network = build(model, encoder, classes=3)
    x, target = torch.randn(2, 1, 64, 64), torch.randint(3, (2, 64, 64))
    sum(F.cross_entropy(logits, target) for logits in all_heads(network, x)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if parameter.dim() > 1:  # a bias before batch normalisation moves nothing
            assert parameter.grad.any(), name


@cases
def test_a_batch_equals_its_singles(model: str, encoder: str) -> None:
    network = build(model, encoder).eval()
    x = torch.randn(3, 1, 40, 56)
    with torch.no_grad():
        batch, singles = network(x), torch.cat([network(image[None]) for image in x])
    torch.testing.assert_close(batch, singles, atol=1e-4, rtol=1e-4)


@cases
def test_weights_survive_saving(model: str, encoder: str, tmp_path: Path) -> None:
    network, other = build(model, encoder).eval(), build(model, encoder).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert not torch.equal(network(x), other(x))
        other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        assert torch.equal(network(x), other(x))


def slices(size: int) -> tuple[Tensor, Tensor]:
    """Four noisy slices with a disc (1) and a rectangle (2) at different places; (4, 1, S, S), (4, S, S)."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    mask = torch.zeros(4, size, size, dtype=torch.long)
    for i, shift in enumerate((0.0, 0.1, 0.2, 0.3)):
        mask[i][(rows - 0.35 - shift).square() + (columns - 0.3).square() < 0.04] = 1
        mask[i][(rows - 0.5 + shift).abs().lt(0.15) & (columns - 0.7).abs().lt(0.2)] = 2
    image = torch.tensor([0.0, 1.0, -1.0])[mask] + 0.2 * torch.randn(4, size, size, generator=generator)
    return image[:, None], mask


def mean_dice(logits: Tensor, mask: Tensor) -> float:
    labels = logits.argmax(1)
    scores = [2 * ((labels == k) & (mask == k)).sum() / ((labels == k).sum() + (mask == k).sum()) for k in (1, 2)]
    return float(torch.stack(scores).mean())


@pytest.mark.parametrize(
    ("model", "encoder"),
    [pytest.param(*case, marks=pytest.mark.slow) if heavy(*case) else case for case in CASES],
)
def test_overfits_four_slices(model: str, encoder: str) -> None:
    network = build(model, encoder, classes=3, dropout=0.0)
    coarse = max(getattr(network, "stride", 1) // 8, 1)  # scores 32 pixels apart need objects of that size
    image, mask = slices(64 * coarse)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    best = 0.0
    for step in range(1, 201):
        logits = all_heads(network, image)
        loss = sum(F.cross_entropy(y, mask) for y in logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            with torch.no_grad():
                best = mean_dice(network.eval()(image), mask)
            network.train()
            if best > 0.95:
                return
    pytest.fail(f"mean Dice {best:.3f} after {step} steps")
