"""T(q) of Poly-N and Drop-N, and S(q) of its derivative: polynomial.py states both formulas."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Coefficient: TypeAlias = float | Tensor  # one number, or a tensor that broadcasts against the logits

# The largest N of Poly-N. What is left of cross-entropy beyond q^N shrinks as N grows, and the series that sums
# it gets longer: 226 terms at N = 10 in float64, thousands at 30. The paper moves at most three coefficients.
MAX_EPSILONS = 10


def sum_series(z: Tensor, q: Tensor, epsilons: Sequence[Coefficient], num_terms: int | None = None) -> Tensor:
    """T(q), to a few units in the last place, also where its terms cancel.

    Args:
        z: log-odds of the right answer, any shape, float32 or float64.
        q: sigmoid(-z), shape and type of `z`.
        epsilons: eps_1 ... eps_N of Poly-N, numbers or tensors that broadcast against `z`. They are not read
            where `num_terms` is given.
        num_terms: N of Drop-N; None computes Poly-N.

    Returns:
        Shape and type of `z`.
    """
    if num_terms is not None:
        return _evaluate_polynomial(q, [1 / j for j in range(1, num_terms + 1)])  # N additions, all of one sign
    cross_entropy = F.logsigmoid(z).neg_()
    if all(isinstance(epsilon, (int, float)) and epsilon == 0 for epsilon in epsilons):
        return cross_entropy
    direct = cross_entropy.add_(_evaluate_polynomial(q, epsilons))
    cancels = _find_cancellation(epsilons)
    if cancels is False:
        return direct
    bound, num_more = _choose_bound(len(epsilons), q.dtype)
    more = [1 / j for j in range(len(epsilons) + 1, len(epsilons) + num_more + 1)]
    summed = _evaluate_polynomial(q, [*_add_to_coefficients(epsilons), *more])
    small = q < bound
    return torch.where(small if cancels is True else small & cancels, summed, direct)


def differentiate_series(
    z: Tensor, q: Tensor, p: Tensor, epsilons: Sequence[Coefficient], num_terms: int | None = None
) -> Tensor:
    """S(q) = -dT/dz.

    Args:
        z: log-odds of the right answer, any shape, float32 or float64.
        q: sigmoid(-z), shape and type of `z`.
        p: sigmoid(z), shape and type of `z`.
        epsilons: as for `sum_series`.
        num_terms: as for `sum_series`.

    Returns:
        Shape and type of `z`.
    """
    if num_terms is not None:  # q (1 - q^N), the difference taken from log q so that it survives q near 1
        return -q * torch.expm1(num_terms * F.logsigmoid(-z))
    scaled = [j * c for j, c in enumerate(_add_to_coefficients(epsilons), start=1)]
    return multiply(_evaluate_polynomial(q, scaled), p).add_(q ** (len(scaled) + 1))


def multiply(result: Tensor, factor: Tensor) -> Tensor:
    """The product, in the memory of `result` where no gradient is recorded: new memory is most of the cost."""
    return result * factor if torch.is_grad_enabled() else result.mul_(factor)


def _add_to_coefficients(epsilons: Sequence[Coefficient]) -> list[Coefficient]:
    """The coefficients c_j = 1/j + eps_j of the first N powers."""
    return [1 / j + epsilon for j, epsilon in enumerate(epsilons, start=1)]


def _evaluate_polynomial(q: Tensor, coefficients: Sequence[Coefficient]) -> Tensor:
    """c_1 q + c_2 q^2 + c_3 q^3 + ..., by Horner's rule."""
    *lower, last = coefficients
    result = q * last
    for coefficient in reversed(lower):
        result = multiply(result.add_(coefficient), q)
    return result


def _find_cancellation(epsilons: Sequence[Coefficient]) -> bool | Tensor:
    """Where some eps_j is negative: one answer where a number decides it, else a mask from the tensors."""
    if any(epsilon < 0 for epsilon in epsilons if not isinstance(epsilon, Tensor)):
        return True
    masks = [epsilon < 0 for epsilon in epsilons if isinstance(epsilon, Tensor)]
    return functools.reduce(torch.logical_or, masks) if masks else False


def _choose_bound(num_epsilons: int, dtype: torch.dtype) -> tuple[float, int]:
    """The q below which the series is summed, and the number of its terms after the first N.

    Above the bound, C - (q + ... + q^N / N) loses at most a factor of 50 in precision. Below it, the terms
    that are left out add up to less than the rounding of `dtype`. For N = 1 the bound is 0.04, with
    5 (float32) or 11 (float64) terms.
    """
    bound = (0.02 * (num_epsilons + 1)) ** (1 / num_epsilons)
    digits = 5e-7 if dtype == torch.float32 else 1e-14
    return bound, math.ceil(math.log(digits * (1 - bound)) / math.log(bound))
