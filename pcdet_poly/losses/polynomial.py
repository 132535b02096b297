r"""The one formula behind every loss here: w q^gamma T(q), q = 1 - P_t, with its exact gradient.

For a log-odds z of the right answer: P_t = sigmoid(z), q = sigmoid(-z), C = -log P_t = softplus(-z)
= q + q^2/2 + q^3/3 + ... Then

    Poly-N   T = C + eps_1 q + ... + eps_N q^N       (N = 1 is Poly-1; eps = 0 leaves C)
    Drop-N   T = q + q^2/2 + ... + q^N / N

and, with c_j = 1/j + eps_j,

    d(q^gamma T)/dz = -q^gamma (gamma P_t T + S)
    Poly-N   S = P_t (c_1 q + 2 c_2 q^2 + ... + N c_N q^N) + q^(N+1)
    Drop-N   S = q (1 - q^N)

Every term of these lines is non-negative for eps_j >= -1/j, so nothing cancels and no sign is lost.
The one difference, C - (q + ... + q^N/N) at eps_j < 0, is summed as a series where q is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pcdet_poly.losses.series import MAX_EPSILONS, Coefficient, differentiate_series, multiply, sum_series


def focal_polynomial(
    logits: Tensor,
    *,
    sign: Tensor | None = None,
    weight: Tensor | None = None,
    gamma: float,
    epsilons: Sequence[Coefficient] = (0.0,),
    num_terms: int | None = None,
) -> Tensor:
    """Compute w q^gamma T(q) per element, unreduced.

    Args:
        logits: any shape; float16 and bfloat16 are computed in float32.
        sign: +1 where "yes" is the right answer (z = x), -1 where "no" is (z = -x); shape of the
            logits. None: +1 everywhere.
        weight: w, broadcasts against the logits; no gradient flows to it.
        gamma: focusing exponent, >= 0.
        epsilons: eps_1 ... eps_N, N <= 10, numbers or tensors that broadcast against the logits.
            Tensors receive gradients. Not used where `num_terms` is given.
        num_terms: N of Drop-N. None: the full series.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.

    Raises:
        ValueError: for a negative gamma, num_terms below 1, or more than 10 epsilons.
    """
    if gamma < 0 or (num_terms is not None and num_terms < 1):
        raise ValueError(f"gamma = {gamma}, num_terms = {num_terms}: gamma >= 0 and num_terms >= 1 needed")
    if len(epsilons) > MAX_EPSILONS:
        raise ValueError(f"{len(epsilons)} epsilons: at most {MAX_EPSILONS}; beyond, float32 is not exact enough")
    x = logits if logits.dtype == torch.float64 else logits.float()
    moved = () if num_terms is not None else (e.to(x.dtype) if isinstance(e, Tensor) else e for e in epsilons)
    loss: Tensor = _FocalPolynomial.apply(x, sign, weight, gamma, num_terms, *moved)  # type: ignore[no-untyped-call]
    return loss


class _FocalPolynomial(torch.autograd.Function):
    """Keeps one result of the logits' size, the gradient, where autograd would keep every intermediate one."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        sign: Tensor | None,
        weight: Tensor | None,
        gamma: float,
        num_terms: int | None,
        *epsilons: Coefficient,
    ) -> Tensor:
        z, q, p = _split_probability(x, sign)
        series = sum_series(z, q, epsilons, num_terms)
        power = _raise_to_gamma(z, q, gamma)
        loss = series if power is None else power * series
        loss = loss if weight is None else loss * weight
        gradient = None
        if ctx.needs_input_grad[0]:
            gradient = _assemble_gradient(  # no name for S here: its memory goes as soon as it is used
                differentiate_series(z, q, p, epsilons, num_terms), p, series, power, gamma, sign, weight
            )
        ctx.gamma, ctx.num_terms = gamma, num_terms
        ctx.numbers = tuple(None if isinstance(epsilon, Tensor) else epsilon for epsilon in epsilons)
        ctx.save_for_backward(x, sign, weight, gradient, *(e for e in epsilons if isinstance(e, Tensor)))
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, sign, weight, gradient, *given = ctx.saved_tensors
        tensors = iter(given)
        epsilons = tuple(next(tensors) if number is None else number for number in ctx.numbers)
        wanted, of_epsilons = ctx.needs_input_grad[0], ctx.needs_input_grad[5:]
        if wanted and torch.is_grad_enabled():  # a second derivative is wanted: the gradient again, differentiably
            z, q, p = _split_probability(x, sign)
            series = sum_series(z, q, epsilons, ctx.num_terms)
            power = _raise_to_gamma(z, q, ctx.gamma)
            slope = differentiate_series(z, q, p, epsilons, ctx.num_terms)
            gradient = _assemble_gradient(slope, p, series, power, ctx.gamma, sign, weight)
        grad_epsilons: list[Tensor | None] = [None] * len(epsilons)
        for j, epsilon in enumerate(epsilons):
            if of_epsilons[j] and isinstance(epsilon, Tensor):
                q = torch.sigmoid(-x if sign is None else -x * sign)
                power = grads[0] * q ** (ctx.gamma + j + 1)
                grad_epsilons[j] = (power if weight is None else power * weight).sum_to_size(epsilon.shape)
        return grads[0] * gradient if wanted else None, None, None, None, None, *grad_epsilons


def _split_probability(x: Tensor, sign: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Log-odds z of the right answer, 1 - P_t and P_t."""
    z = x if sign is None else x * sign
    return z, torch.neg(z).sigmoid_(), torch.sigmoid(z)


def _assemble_gradient(
    slope: Tensor,
    p: Tensor,
    series: Tensor,
    power: Tensor | None,
    gamma: float,
    sign: Tensor | None,
    weight: Tensor | None,
) -> Tensor:
    """The derivative of w q^gamma T in x, from `slope` = S, `series` = T and `power` = q^gamma (None: 1)."""
    if power is not None:
        slope = multiply(slope.addcmul(p, series, value=gamma), power)
    if weight is not None:
        slope = multiply(slope, weight)
    return -slope if sign is None else multiply(slope, -sign)


def _raise_to_gamma(z: Tensor, q: Tensor, gamma: float) -> Tensor | None:
    """q^gamma; None for gamma = 0. From log q where gamma is fractional, so that q = 0 stays smooth."""
    if gamma == 0:
        return None
    if gamma == 1:
        return q
    if gamma == 2:
        return q * q
    return (gamma * torch.nn.functional.logsigmoid(-z)).exp()
