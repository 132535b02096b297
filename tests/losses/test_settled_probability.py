"""The p at which a logit settles whose answer is yes with a chance pi, as docs/losses.md states it."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly import losses

ALLOWED = 1e-7  # fifty times what the losses promise
EPSILONS = (-1.0, -0.4, 0.0, 0.5, 1.0, 2.0)


def _settle(chance: float, gamma: float, epsilon: float) -> float:
    """The p with the least expected loss, by bisection of the slope in float64."""
    low, high = -20.0, 20.0
    for _ in range(60):  # 40 / 2^60: to rounding
        z = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        target = torch.tensor(chance, dtype=torch.float64)
        (slope,) = torch.autograd.grad(losses.poly1_focal(z, target, gamma=gamma, epsilon=epsilon), z)
        low, high = (low, z.item()) if slope > 0 else (z.item(), high)
    return torch.tensor((low + high) / 2, dtype=torch.float64).sigmoid().item()


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("chance", [0.02, 0.3, 0.5, 0.8, 0.97])
def test_cross_entropy_settles_where_the_formula_says(chance: float, epsilon: float) -> None:
    """What is left of the formula is the slope over p (1 - p), which is 0.006 or more here.

    The losses promise a slope to 1e-11, so 2e-9 is left, of which fifty times as much is allowed.
    """
    p = _settle(chance, 0.0, epsilon)
    assert (p - chance) / (p * (1 - p)) == pytest.approx(epsilon * (2 * chance - 1), abs=ALLOWED)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_epsilon_moves_a_cell_away_from_one_half(gamma: float) -> None:
    for chance in (0.02, 0.3, 0.45, 0.55, 0.8, 0.97):
        settled = [_settle(chance, gamma, epsilon) for epsilon in EPSILONS]
        assert settled == sorted(settled, reverse=chance < 0.5)
        assert len(set(settled)) == len(settled)


def test_a_weight_of_yes_moves_the_chance_that_decides() -> None:
    """With alpha = 0.25 a chance of 0.7 counts as 0.7 * 0.25 / (0.7 * 0.25 + 0.3 * 0.75) = 0.4375: p falls."""
    z = torch.zeros(1, dtype=torch.float64)
    chance = torch.tensor([0.7], dtype=torch.float64)
    weighted = torch.tensor([0.4375], dtype=torch.float64)
    balanced = losses.poly1_focal(z, chance, gamma=2.0, alpha=0.25, epsilon=1.0)
    plain = losses.poly1_focal(z, weighted, gamma=2.0, epsilon=1.0)
    torch.testing.assert_close(balanced, plain * (0.7 * 0.25 + 0.3 * 0.75))
    settled = [_settle(0.4375, 2.0, epsilon) for epsilon in EPSILONS]
    assert settled == sorted(settled, reverse=True)
