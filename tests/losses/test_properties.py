"""What every PolyLoss obeys, at any logit."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

from pcdet_poly import losses
from tests.losses.family import other_losses, poly1_losses
from tests.tolerances import FLOAT64_SUM

POLY1 = tuple(poly1_losses(0.0))
LOGIT = st.floats(-60, 60, allow_subnormal=False)
LOGITS = st.lists(LOGIT, min_size=1, max_size=20)
EPSILON = st.floats(-1, 4, allow_subnormal=False)
# 45 units in the last place of float64: what vector and scalar functions differ by, and what is left of numbers of
# about 1 that cancel.
TINY = 1e-14
some = settings(max_examples=40, deadline=None)


def _tensor(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@given(logits=LOGITS, alpha=st.floats(0, 1), dtype=st.sampled_from([torch.float32, torch.float64]))
@some
def test_epsilon_0_is_the_focal_loss_bit_for_bit(logits: list[float], alpha: float, dtype: torch.dtype) -> None:
    x = _tensor(logits).to(dtype)
    yes = torch.arange(len(x)) % 2 == 0
    z = x * torch.where(yes, 1.0, -1.0).to(dtype)
    weight = yes.to(dtype) * alpha + (~yes).to(dtype) * (1 - alpha)
    focal = torch.sigmoid(-z) * torch.sigmoid(-z) * -F.logsigmoid(z) * weight
    for zero in (0.0, torch.tensor(0.0), torch.zeros(len(x))):
        assert torch.equal(losses.poly1_focal(x, yes, gamma=2.0, alpha=alpha, epsilon=zero), focal)
    assert torch.equal(losses.poly_n_focal(x, yes, gamma=2.0, alpha=alpha, epsilons=()), focal)


@pytest.mark.parametrize("name", POLY1)
@given(logits=LOGITS)
@some
def test_epsilon_0_is_one_loss_however_it_is_said(name: str, logits: list[float]) -> None:
    z = _tensor(logits)
    by_number = poly1_losses(0.0)[name](z)
    assert torch.equal(by_number, poly1_losses(torch.zeros_like(z))[name](z))
    assert torch.equal(by_number, poly1_losses(torch.tensor(-0.0))[name](z))


@pytest.mark.parametrize("name", [*POLY1, *other_losses()])
@given(low=LOGIT, step=st.floats(1e-3, 10), epsilon=EPSILON)
@some
def test_falls_with_p_t_and_is_never_negative(name: str, low: float, step: float, epsilon: float) -> None:
    loss = {**poly1_losses(epsilon), **other_losses()}[name]
    z = _tensor([low, low + step]).requires_grad_()
    values = loss(z)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    worse, better = values.tolist()
    assert worse >= better >= 0
    assert worse > better or low < -30  # Drop-N is flat where q rounds to 1
    assert (gradient <= 0).all()


@pytest.mark.parametrize("name", POLY1)
@given(logits=LOGITS, first=EPSILON, second=EPSILON)
@some
def test_additive_in_epsilon(name: str, logits: list[float], first: float, second: float) -> None:
    z = _tensor(logits)
    at = {e: poly1_losses(e)[name](z) for e in (first, second, first + second, 0.0)}
    gap = at[first + second] + at[0.0] - at[first] - at[second]
    # At epsilon -2 the sums themselves cancel: rounding is measured against their largest term.
    assert (gap.abs() <= 1e-14 * (1 + abs(first) + abs(second)) * at[0.0]).all()


@pytest.mark.parametrize(
    ("name", "weight", "power"), [("sigmoid cross-entropy", 1.0, 1.0), ("sigmoid focal", 0.25, 3.0)]
)
@given(logits=LOGITS, epsilon=EPSILON)
@some
def test_slope_in_epsilon_is_the_polynomial(
    name: str, weight: float, power: float, logits: list[float], epsilon: float
) -> None:
    z, e = _tensor(logits), torch.full((len(logits),), epsilon, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(poly1_losses(e)[name](z).sum(), e)
    torch.testing.assert_close(slope, weight * torch.sigmoid(-z) ** power, rtol=FLOAT64_SUM, atol=0)


@given(logits=st.lists(st.floats(-3, 60), min_size=1, max_size=9), gamma=st.sampled_from([0.0, 2.0]))
@some
def test_drop_n_rises_to_the_full_loss(logits: list[float], gamma: float) -> None:
    z = _tensor(logits)
    yes = torch.ones(len(z), dtype=torch.bool)
    full = losses.poly1_focal(z, yes, gamma=gamma, epsilon=0.0)
    kept = [losses.drop_n_focal(z, yes, gamma=gamma, num_terms=n) for n in (1, 2, 10, 800)]
    assert all((less <= more * (1 + 1e-14)).all() for less, more in itertools.pairwise(kept))
    torch.testing.assert_close(kept[-1], full, rtol=FLOAT64_SUM, atol=0)


@given(logits=st.lists(LOGIT, min_size=2, max_size=20), epsilon=EPSILON, seed=st.integers(0, 99))
@some
def test_order_batch_and_shape_do_not_matter(logits: list[float], epsilon: float, seed: int) -> None:
    z = _tensor(logits)
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    for loss in poly1_losses(epsilon).values():
        whole = loss(z)
        torch.testing.assert_close(loss(z[order]), whole[order], rtol=TINY, atol=0)
        torch.testing.assert_close(torch.stack([loss(one) for one in z]), whole, rtol=TINY, atol=0)
        torch.testing.assert_close(loss(z.reshape(1, -1, 1)).reshape(-1), whole, rtol=TINY, atol=0)
        assert loss(z[:0]).shape == (0,)


@given(
    rows=st.lists(st.lists(LOGIT, min_size=4, max_size=4), min_size=1, max_size=5),
    epsilon=EPSILON,
    shift=st.floats(-20, 20),
)
@some
def test_softmax_knows_no_order_of_classes_and_no_shift(rows: list[list[float]], epsilon: float, shift: float) -> None:
    x = torch.tensor(rows, dtype=torch.float64)
    labels = torch.arange(len(x)) % 4
    for smoothing in (0.0, 0.1):
        ours = losses.poly1_cross_entropy(x, labels, epsilon=epsilon, label_smoothing=smoothing)
        rolled = losses.poly1_cross_entropy(x.roll(1, -1), (labels + 1) % 4, epsilon=epsilon, label_smoothing=smoothing)
        shifted = losses.poly1_cross_entropy(x + shift, labels, epsilon=epsilon, label_smoothing=smoothing)
        torch.testing.assert_close(rolled, ours, rtol=FLOAT64_SUM, atol=0)
        torch.testing.assert_close(shifted, ours, rtol=FLOAT64_SUM, atol=10 * TINY)


@given(rows=st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=5), epsilon=EPSILON)
@some
def test_hard_labels_are_one_hot_soft_labels(rows: list[list[float]], epsilon: float) -> None:
    x = torch.tensor(rows, dtype=torch.float64)
    labels = torch.arange(len(x)) % 3
    hard = losses.poly1_cross_entropy(x, labels, epsilon=epsilon)
    soft = losses.poly1_cross_entropy(x, F.one_hot(labels, 3).double(), epsilon=epsilon)
    torch.testing.assert_close(soft, hard, rtol=FLOAT64_SUM, atol=TINY)
    yes = torch.arange(len(x))[:, None].expand_as(x) % 2 == 0
    for form in ("mix", "pt"):
        soft = losses.poly1_focal(x, yes.double(), gamma=2.0, alpha=0.25, epsilon=epsilon, soft=form)
        torch.testing.assert_close(soft, losses.poly1_focal(x, yes, gamma=2.0, alpha=0.25, epsilon=epsilon))
