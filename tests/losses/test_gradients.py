"""Closed-form gradients against finite differences: first and second, in the logits and in epsilon."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from pcdet_poly import losses
from tests.losses.family import OfLogOdds, other_losses, poly1_losses

CASES = {
    **{f"{name}, epsilon {e:g}": f for e in (-1.0, 0.0, 1.3) for name, f in poly1_losses(e).items()},
    **other_losses(),
}
LOG_ODDS = (-7.0, -1.1, 0.0, 0.4, 2.0, 3.7, 6.0)  # both sides of q = 0.04, where the series takes over

ALTERNATING = torch.tensor([True, False, True, False, True, False, True])


def _points() -> Tensor:
    return torch.tensor(LOG_ODDS, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES.keys())
def test_first_derivative(loss: OfLogOdds) -> None:
    assert gradcheck(loss, (_points(),))


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES.keys())
def test_second_derivative(loss: OfLogOdds) -> None:
    assert gradgradcheck(loss, (_points(),))


@pytest.mark.parametrize("shape", [(), (7,), (1,)])
def test_epsilon_as_a_tensor_gets_its_gradient(shape: tuple[int, ...]) -> None:
    epsilon = torch.full(shape, 0.3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(
        lambda z, e: losses.gaussian_poly1_focal(z, torch.full_like(z, 0.2), epsilon=e), (_points(), epsilon)
    )
    assert gradgradcheck(
        lambda z, e: losses.poly1_focal(z, ALTERNATING, gamma=2.0, alpha=0.25, epsilon=e), (_points(), epsilon)
    )


def test_gradient_of_soft_and_smoothed_softmax_labels() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [1.0, 1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[0.2, 0.7, 0.1], [0.0, 0.5, 0.5]], dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return losses.poly1_cross_entropy(x, labels, epsilon=-0.7, label_smoothing=0.1)

    # At a tie the largest class changes; the value and both derivatives do not.
    assert gradcheck(loss, (logits,))
    assert gradgradcheck(loss, (logits,))


@pytest.mark.parametrize("soft", ["mix", "pt"])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_gradient_of_soft_sigmoid_targets(soft: losses.Soft, target: float) -> None:
    def loss(x: Tensor) -> Tensor:
        y = torch.full_like(x, target)
        return losses.poly_n_focal(x, y, gamma=2.0, alpha=0.25, epsilons=(0.5, -0.5), soft=soft)

    assert gradcheck(loss, (_points(),))
    assert gradgradcheck(loss, (_points(),))


def test_no_gradient_is_worked_out_where_none_is_wanted() -> None:
    logits = torch.zeros(3)
    assert not losses.gaussian_poly1_focal(logits, torch.zeros(3), epsilon=1.0).requires_grad
