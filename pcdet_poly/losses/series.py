"""T(q) of Poly-N and Drop-N, and S(q) of its derivative: see polynomial.py for both."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Coefficient: TypeAlias = float | Tensor  # one number, or a tensor that broadcasts against the logits

# Of Poly-N. What is left of cross-entropy beyond q^N shrinks with N, and the series that sums it grows:
# 226 terms at N = 10 in float64, thousands at 30. The paper moves at most three.
MAX_EPSILONS = 10


def poly_series(z: Tensor, q: Tensor, epsilons: Sequence[Coefficient]) -> Tensor:
    """T of Poly-N, C + eps_1 q + ... + eps_N q^N: to a few units in the last place, also where terms cancel."""
    cross_entropy = F.logsigmoid(z).neg_()
    if all(isinstance(epsilon, (int, float)) and epsilon == 0 for epsilon in epsilons):
        return cross_entropy
    direct = cross_entropy.add_(_powers(q, epsilons))
    cancels = _where_terms_cancel(epsilons)
    if cancels is False:
        return direct
    bound, num_more = _small_q(len(epsilons), q.dtype)
    more = [1 / j for j in range(len(epsilons) + 1, len(epsilons) + num_more + 1)]
    summed = _powers(q, [*_leading(epsilons), *more])
    small = q < bound
    return torch.where(small if cancels is True else small & cancels, summed, direct)


def poly_slope(q: Tensor, p: Tensor, epsilons: Sequence[Coefficient]) -> Tensor:
    """S of Poly-N = -dT/dz = P_t (c_1 q + ... + N c_N q^N) + q^(N+1)."""
    scaled = [j * c for j, c in enumerate(_leading(epsilons), start=1)]
    return times(_powers(q, scaled), p).add_(q ** (len(scaled) + 1))


def drop_series(q: Tensor, num_terms: int) -> Tensor:
    """T of Drop-N, q + q^2/2 + ... + q^N / N. N additions, all of one sign."""
    return _powers(q, [1 / j for j in range(1, num_terms + 1)])


def drop_slope(z: Tensor, q: Tensor, num_terms: int) -> Tensor:
    """S of Drop-N = -dT/dz = q (1 - q^N), the difference from log q so that it survives q near 1."""
    return -q * torch.expm1(num_terms * F.logsigmoid(-z))


def _leading(epsilons: Sequence[Coefficient]) -> list[Coefficient]:
    return [1 / j + epsilon for j, epsilon in enumerate(epsilons, start=1)]


def _powers(q: Tensor, coefficients: Sequence[Coefficient]) -> Tensor:
    """c_1 q + c_2 q^2 + c_3 q^3 + ..., by Horner's rule."""
    *lower, last = coefficients
    result = q * last
    for coefficient in reversed(lower):
        result = times(result.add_(coefficient), q)
    return result


def times(result: Tensor, factor: Tensor) -> Tensor:
    """result * factor, in the memory of `result` where no gradient is recorded: new memory is most of the cost."""
    return result * factor if torch.is_grad_enabled() else result.mul_(factor)


def _where_terms_cancel(epsilons: Sequence[Coefficient]) -> bool | Tensor:
    """Whether some eps_j is negative: known at once for numbers, a mask for tensors."""
    if any(epsilon < 0 for epsilon in epsilons if not isinstance(epsilon, Tensor)):
        return True
    masks = [epsilon < 0 for epsilon in epsilons if isinstance(epsilon, Tensor)]
    return functools.reduce(torch.logical_or, masks) if masks else False


def _small_q(num_moved: int, dtype: torch.dtype) -> tuple[float, int]:
    """Below which q to sum the series, and with how many terms after the first N.

    Above, C - (q + ... + q^N / N) loses at most a factor of 50 in precision; below, the terms left
    out come to less than the rounding of `dtype`. N = 1: 0.04, with 5 (float32) or 11 (float64) terms.
    """
    bound = (0.02 * (num_moved + 1)) ** (1 / num_moved)
    digits = 5e-7 if dtype == torch.float32 else 1e-14
    return bound, math.ceil(math.log(digits * (1 - bound)) / math.log(bound))
