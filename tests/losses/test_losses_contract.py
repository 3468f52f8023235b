"""What every loss must do, for every file in conf/loss: a new loss is covered without a change here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn import functional

CONF = Path(__file__).resolve().parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))
NEEDED = {"ce", "bce", "dice", "jaccard", "focal", "tversky", "lovasz", "ce_dice", "bce_dice"}


def build(name: str, *overrides: str) -> nn.Module:
    with initialize_config_dir(str(CONF)):
        config = compose(overrides=[f"+loss={name}", *overrides]).loss
        loss = instantiate(config, _execution_whitelist_=["spinelab.losses.*"])
    assert isinstance(loss, nn.Module)
    return loss


@pytest.fixture(params=NAMES)
def loss(request: pytest.FixtureRequest) -> nn.Module:
    return build(request.param)


def truth(classes: int, absent: int | None = None) -> Tensor:
    """(2, 24, 24) of random classes, one of them left out if asked."""
    target = torch.randint(classes, (2, 24, 24), generator=torch.Generator().manual_seed(classes))
    return target if absent is None else torch.where(target == absent, 0, target)


def sure(prediction: Tensor, classes: int) -> Tensor:
    """Logits of a network that is sure of this prediction."""
    return functional.one_hot(prediction, classes).movedim(-1, 1).float() * 40 - 20


def noise(classes: int, seed: int = 0) -> Tensor:
    return torch.randn(2, classes, 24, 24, generator=torch.Generator().manual_seed(seed))


def test_the_promised_losses_exist() -> None:
    assert set(NAMES) >= NEEDED


@pytest.mark.parametrize("classes", [2, 5])
def test_perfect_is_zero_and_wrong_is_large(loss: nn.Module, classes: int) -> None:
    target = truth(classes)
    perfect = loss(sure(target, classes), target)
    unsure = loss(torch.zeros(2, classes, 24, 24), target)
    wrong = loss(sure((target + 1) % classes, classes), target)
    assert perfect.shape == ()
    assert 0 <= perfect < 1e-5
    assert perfect < unsure < wrong
    assert wrong > 0.9


@pytest.mark.parametrize("classes", [2, 5])
def test_absent_class(loss: nn.Module, classes: int) -> None:
    target = truth(classes, absent=classes - 1)
    assert 0 <= loss(sure(target, classes), target) < 1e-5
    invented = target.clone()
    invented[:, :4] = classes - 1
    assert loss(sure(invented, classes), target) > 0.02


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("absent", [None, "last", "all foreground"])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_bf16_autocast_gives_finite_float32(loss: nn.Module, classes: int, absent: str | None, scale: float) -> None:
    target = truth(classes, absent=None if absent is None else classes - 1)
    if absent == "all foreground":
        target = torch.zeros_like(target)
    logits = (noise(classes) * scale).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, target)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    torch.testing.assert_close(value, loss(logits.detach().float(), target))


def test_half_precision_without_autocast(loss: nn.Module) -> None:
    """A network that was cast to bfloat16 gives such logits with no autocast to help."""
    target, logits = truth(5), noise(5).bfloat16()
    torch.testing.assert_close(loss(logits, target), loss(logits.float(), target))


def test_gradient_leads_downhill(loss: nn.Module) -> None:
    target, logits = truth(3), noise(3).requires_grad_()
    before = loss(logits, target)
    before.backward()
    assert logits.grad is not None
    direction = logits.grad / logits.grad.norm()
    assert loss(logits.detach() - direction, target) < before


def test_order_of_the_batch_does_not_matter(loss: nn.Module) -> None:
    target, logits = truth(5), noise(5)
    torch.testing.assert_close(loss(logits.flip(0), target.flip(0)), loss(logits, target))


def test_a_constant_on_all_logits_does_not_matter(loss: nn.Module) -> None:
    """So the loss sees the softmax, which is the prediction, and not each logit by itself."""
    target, logits = truth(5), noise(5)
    torch.testing.assert_close(loss(logits + 3, target), loss(logits, target), rtol=1e-4, atol=1e-5)


def test_moves_and_saves_like_a_module(loss: nn.Module) -> None:
    assert loss.state_dict() == {}, "weights of a loss belong to the configuration, not to a checkpoint"
    assert loss.double()(noise(3), truth(3)).isfinite()


def test_command_line_overrides() -> None:
    target, logits = truth(4), noise(4)
    ce, dice = build("ce")(logits, target), build("dice")(logits, target)
    torch.testing.assert_close(build("ce_dice")(logits, target), ce + dice)
    torch.testing.assert_close(build("ce_dice", "loss.weights.dice=0.5")(logits, target), ce + 0.5 * dice)
    tversky = build("ce_dice", "loss@loss.terms.dice=tversky")(logits, target)
    torch.testing.assert_close(tversky, ce + build("tversky")(logits, target))
    weight = torch.tensor([0.2, 1, 1, 1])
    weighted = functional.cross_entropy(logits, target, weight)
    torch.testing.assert_close(build("ce", "loss.weight=[0.2,1,1,1]")(logits, target), weighted)
    torch.testing.assert_close(build("ce_dice", "loss.terms.ce.weight=[0.2,1,1,1]")(logits, target), weighted + dice)
