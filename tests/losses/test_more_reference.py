"""Rows beyond the committed reference, from mpmath with 60 digits: more logits, exponents and coefficients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import mpmath
import pytest
import torch
from torch import Tensor

from pcdet_poly import losses

LOGITS = (-300.0, -88.5, -20.0, -3.2, -2.9375, -0.75, 0.0, 0.125, 2.75, 2.9, 3.3, 16.0, 40.0, 120.0)
GAMMAS = (0.0, 0.5, 1.0, 2.0, 3.0)
LISTS: tuple[tuple[float, ...], ...] = (
    (-0.8,),
    (-0.2,),
    (3.0,),
    (0.0, -0.5),
    (-1.0, 1.0),
    (-1.0, -1 / 2, -1 / 3, -1 / 4),
    tuple(-1 / j for j in range(1, 11)),
    (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1 / 8),
)


def _exact(
    x: float, gamma: float, series: Callable[[mpmath.mpf, mpmath.mpf], mpmath.mpf], cancelled: int = 1
) -> tuple[float, float]:
    """q^gamma series(q, C) and its derivative in the log-odds x; its first `cancelled` powers may cancel."""
    with mpmath.workdps(60 + cancelled * int(abs(x)) // 2):  # exp(-(n + 1) x) is left of exp(-x)

        def loss(z: mpmath.mpf) -> mpmath.mpf:
            q = 1 / (1 + mpmath.exp(z))
            return q**gamma * series(q, mpmath.log1p(mpmath.exp(-z)))

        return float(loss(mpmath.mpf(x))), float(mpmath.diff(loss, mpmath.mpf(x)))


def _exactly(epsilon: float, j: int) -> mpmath.mpf:
    """The number meant: the lower limit -1/j is no binary fraction for most j."""
    return mpmath.mpf(-1) / j if epsilon == -1 / j else mpmath.mpf(epsilon)


def _check(loss: Callable[[Tensor], Tensor], exact: Callable[[float], tuple[float, float]]) -> None:
    for dtype, relative in ((torch.float64, 1e-11), (torch.float32, 1e-5)):
        x = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
        values = loss(x)
        (gradients,) = torch.autograd.grad(values.sum(), x)
        floor = 1e-300 if dtype == torch.float64 else 1e-6  # below: absolute
        for logit, value, gradient in zip(LOGITS, values.tolist(), gradients.tolist(), strict=True):
            assert value >= 0
            wanted, wanted_gradient = exact(torch.tensor(logit, dtype=dtype).item())
            assert value == pytest.approx(wanted, rel=relative, abs=floor * (dtype == torch.float32)), logit
            assert gradient == pytest.approx(wanted_gradient, rel=relative, abs=floor), logit


@pytest.mark.parametrize(("gamma", "epsilons"), itertools.product(GAMMAS, LISTS))
def test_poly_n(gamma: float, epsilons: Sequence[float]) -> None:
    def series(q: mpmath.mpf, cross_entropy: mpmath.mpf) -> mpmath.mpf:
        return cross_entropy + sum(_exactly(epsilon, j) * q**j for j, epsilon in enumerate(epsilons, start=1))

    yes = torch.ones(len(LOGITS), dtype=torch.int64)
    _check(
        lambda x: losses.poly_n_focal(x, yes, gamma=gamma, epsilons=epsilons),
        lambda x: _exact(x, gamma, series, len(epsilons)),
    )


@pytest.mark.parametrize(("gamma", "num_terms"), itertools.product((0.0, 2.0), (1, 3, 40)))
def test_drop_n(gamma: float, num_terms: int) -> None:
    def series(q: mpmath.mpf, _: mpmath.mpf) -> mpmath.mpf:
        return mpmath.fsum(q**j / j for j in range(1, num_terms + 1))

    yes = torch.ones(len(LOGITS), dtype=torch.bool)
    _check(lambda x: losses.drop_n_focal(x, yes, gamma=gamma, num_terms=num_terms), lambda x: _exact(x, gamma, series))


@pytest.mark.parametrize("epsilon", [-1.0, -0.4, 0.0, 1.0])
@pytest.mark.parametrize("labels", [(0.2, 0.5, 0.3), (0.0, 1.0, 0.0), (1 / 3, 1 / 3, 1 / 3)])
def test_soft_labels_of_a_softmax(epsilon: float, labels: tuple[float, ...]) -> None:
    rows = torch.tensor([[0.5, 0.5, 0.5], [9.0, -4.0, 2.0], [-30.0, 10.0, 0.0]], dtype=torch.float64)
    target = torch.tensor(labels, dtype=torch.float64).expand_as(rows)
    ours = losses.poly1_cross_entropy(rows, target, epsilon=epsilon)
    for row, value in zip(rows.tolist(), ours.tolist(), strict=True):
        with mpmath.workdps(60):
            total = mpmath.fsum(mpmath.exp(x) for x in row)
            p = [mpmath.exp(x) / total for x in row]
            exact = mpmath.fsum(y * (-mpmath.log(p_k) + epsilon * (1 - p_k)) for y, p_k in zip(labels, p, strict=True))
        assert value == pytest.approx(float(exact), rel=1e-11)  # what the losses promise
