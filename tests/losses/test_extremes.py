"""Logits no network should give: finite loss and gradient, nothing negative, in every precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcdet_poly import losses
from tests.losses.family import OfLogOdds, other_losses, poly1_losses
from tests.tolerances import FLOAT32_SUM

CASES = {
    **{f"{name}, epsilon {e:g}": f for e in (-1.0, 0.0, 2.0) for name, f in poly1_losses(e).items()},
    **other_losses(),
}
SIZES = torch.cat([torch.logspace(-8, 4, 97, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", CASES.values(), ids=CASES.keys())
def test_finite_and_never_negative(loss: OfLogOdds, dtype: torch.dtype) -> None:
    z = torch.cat([-SIZES, SIZES]).to(dtype).requires_grad_()
    values = loss(z)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    assert values.isfinite().all()
    assert gradient.isfinite().all()
    assert (values >= 0).all()
    assert (gradient <= 0).all()


def test_a_dense_sweep_at_epsilon_minus_1_in_float32_is_never_negative() -> None:
    logits = torch.linspace(-20, 20, 200_001)
    for heatmap in (0.0, 0.5, 1.0):
        assert (losses.gaussian_poly1_focal(logits, torch.full_like(logits, heatmap), epsilon=-1.0) >= 0).all()
    naive = torch.sigmoid(-logits) ** 2 * (torch.nn.functional.softplus(-logits) - torch.sigmoid(-logits))
    assert (naive < 0).any()  # what the series is for


def test_the_gradient_of_a_confident_mistake_survives() -> None:
    """Clamping p to [1e-4, 1 - 1e-4] would make these zero."""
    for logit in (-9.5, -30.0, -1e4):
        x = torch.tensor([logit], requires_grad=True)
        (gradient,) = torch.autograd.grad(losses.gaussian_poly1_focal(x, torch.ones(1), epsilon=1.0).sum(), x)
        assert gradient.item() == pytest.approx(-1, rel=2e-2)


def test_easy_background_is_small_but_not_zero() -> None:
    """binary_cross_entropy_with_logits rounds to 0 below -14.6 in float32; half precision logits come as float32."""
    x = torch.tensor([-15.0, -30.0, -60.0])
    no = torch.zeros(3, dtype=torch.bool)
    loss = losses.poly1_focal(x, no, gamma=0.0, epsilon=-1.0)
    torch.testing.assert_close(loss, torch.exp(2 * x.double()).float() / 2, rtol=FLOAT32_SUM, atol=0)


def test_infinite_logits_of_a_right_answer_cost_nothing() -> None:
    x = torch.tensor([torch.inf], requires_grad=True)
    loss = losses.poly1_focal(x, torch.tensor([True]), gamma=0.0, epsilon=2.0)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert loss.item() == gradient.item() == 0


def test_autocast_does_not_lower_the_precision() -> None:
    logits, heatmap = torch.linspace(-9, 9, 50).bfloat16(), torch.linspace(0, 1, 50)
    outside = losses.gaussian_poly1_focal(logits, heatmap, epsilon=-1.0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = losses.gaussian_poly1_focal(logits, heatmap, epsilon=-1.0)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)


def test_too_many_epsilons_are_refused() -> None:
    with pytest.raises(ValueError, match="11 epsilons: at most 10"):
        losses.poly_n_focal(torch.zeros(1), torch.ones(1), gamma=0.0, epsilons=[0.1] * 11)


@pytest.mark.parametrize(("gamma", "num_terms"), [(-1.0, 3), (0.0, 0)])
def test_what_is_no_exponent_or_count_is_refused(gamma: float, num_terms: int) -> None:
    with pytest.raises(ValueError, match="gamma >= 0 and num_terms >= 1 needed"):
        losses.drop_n_focal(torch.zeros(1), torch.ones(1), gamma=gamma, num_terms=num_terms)


def test_a_numpy_epsilon_is_as_exact_as_a_number() -> None:
    x, yes = torch.linspace(0, 12, 50), torch.ones(50, dtype=torch.bool)
    by_numpy, by_number = (losses.poly1_focal(x, yes, gamma=0.0, epsilon=e) for e in (np.float32(-1), -1.0))
    assert torch.equal(by_numpy, by_number)


def test_a_softmax_over_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 needed"):
        losses.poly1_cross_entropy(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64), epsilon=0.0)
