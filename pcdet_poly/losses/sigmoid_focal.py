r"""PolyLoss on sigmoid outputs: Poly-1, Poly-N and Drop-N of the alpha-balanced focal loss.

With P_t the probability given to the right answer, q = 1 - P_t and alpha_t = alpha where the answer is
yes, 1 - alpha where it is no:

    Poly-N focal   alpha_t q^gamma (-log P_t + eps_1 q + ... + eps_N q^N)
    Drop-N focal   alpha_t q^gamma (q + q^2/2 + ... + q^N / N)

gamma = 0 is the cross-entropy form; epsilon = 0 is the focal loss, bit for bit. alpha_t multiplies
both terms, as in the paper's code. All functions are unreduced and agree on:

Targets: of the logits' shape (others are refused; values are, too, on the CPU), bool or integer (hard: one evaluation),
or floating in [0, 1]. A soft target means the
expected loss, y l(yes) + (1 - y) l(no), with `soft="mix"`; with `soft="pt"` it enters through the
expected P_t = y p + (1 - y)(1 - p) in q, beside the binary cross-entropy: q^gamma (BCE + eps q).
Range: >= 0 and falling in P_t if and only if eps_j >= -1/j (-1 for Poly-1); smaller values are computed
too, but stop rewarding confidence beyond an interior P_t.
Precision: 1e-11 (float64) or 1e-5 (float32), relative, in loss and gradient; finite for |logit| <= 1e4.
Source: Leng et al., PolyLoss, ICLR 2022 (arXiv 2204.12511); focal loss: Lin et al., ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from pcdet_poly.checks.targets import check_target
from pcdet_poly.losses.polynomial import focal_polynomial
from pcdet_poly.losses.series import Coefficient

Soft: TypeAlias = Literal["mix", "pt"]


def poly1_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float,
    alpha: float | None = None,
    epsilon: Coefficient,
    soft: Soft = "mix",
) -> Tensor:
    """alpha_t q^gamma (-log P_t + epsilon q), elementwise.

    Args:
        logits: any shape.
        target: shape of the logits; bool or integer (1 where yes is right), or floating in [0, 1].
        gamma: focusing exponent, >= 0.
        alpha: weight of yes, in [0, 1]; 1 - alpha is that of no. None: both are 1.
        epsilon: added to the coefficient of q: a number, or a tensor that broadcasts against the logits.
        soft: what a floating target means: "mix", the expected loss, or "pt", the expected P_t.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    if target.is_floating_point():
        return _soft_focal(logits, target, gamma, alpha, (epsilon,), None, soft)
    sign, weight = _read_hard_target(logits, target, alpha)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=gamma, epsilons=(epsilon,))


def poly_n_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float,
    alpha: float | None = None,
    epsilons: Sequence[Coefficient],
    soft: Soft = "mix",
) -> Tensor:
    """alpha_t q^gamma (-log P_t + sum_j epsilons[j - 1] q^j), elementwise.

    Args:
        logits: as for `poly1_focal`.
        target: as for `poly1_focal`.
        gamma: as for `poly1_focal`.
        alpha: as for `poly1_focal`.
        epsilons: epsilons[j - 1] is added to the coefficient of q^j; none of them leaves the focal loss.
        soft: as for `poly1_focal`.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    moved = tuple(epsilons) or (0.0,)
    if target.is_floating_point():
        return _soft_focal(logits, target, gamma, alpha, moved, None, soft)
    sign, weight = _read_hard_target(logits, target, alpha)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=gamma, epsilons=moved)


def drop_n_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float,
    alpha: float | None = None,
    num_terms: int,
    soft: Soft = "mix",
) -> Tensor:
    """alpha_t q^gamma (q + q^2/2 + ... + q^N / N), N = `num_terms`, elementwise.

    Args:
        logits: as for `poly1_focal`.
        target: as for `poly1_focal`.
        gamma: as for `poly1_focal`.
        alpha: as for `poly1_focal`.
        num_terms: number of polynomials that are kept, >= 1.
        soft: as for `poly1_focal`.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    if target.is_floating_point():
        return _soft_focal(logits, target, gamma, alpha, (), num_terms, soft)
    sign, weight = _read_hard_target(logits, target, alpha)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=gamma, num_terms=num_terms)


def poly1_focal_unweighted(
    logits: Tensor, target: Tensor, *, gamma: float, alpha: float, epsilon: Coefficient
) -> Tensor:
    """Control only: alpha_t q^gamma (-log P_t) + epsilon q^(gamma+1), the epsilon term without alpha_t.

    What several public ports compute; alpha = 0.25 makes the effective epsilon on positives four
    times larger. Not monotone, and negative for some logits, once epsilon < -alpha_t.

    Args:
        logits: as for `poly1_focal`.
        target: as for `poly1_focal`.
        gamma: as for `poly1_focal`.
        alpha: as for `poly1_focal`, but between 0 and 1.
        epsilon: as for `poly1_focal`.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    check_target(logits, target)
    y = target.to(_working_dtype(logits))
    return poly1_focal(logits, target, gamma=gamma, alpha=alpha, epsilon=epsilon / _balance(y, alpha))


def _read_hard_target(logits: Tensor, target: Tensor, alpha: float | None) -> tuple[Tensor, Tensor | None]:
    """+1 where yes is right and -1 where no is; alpha_t, or None without a balance."""
    check_target(logits, target)
    y = target.to(_working_dtype(logits))
    return 2 * y - 1, None if alpha is None else _balance(y, alpha)


def _soft_focal(
    logits: Tensor,
    target: Tensor,
    gamma: float,
    alpha: float | None,
    epsilons: tuple[Coefficient, ...],
    num_terms: int | None,
    soft: Soft,
) -> Tensor:
    """The loss of floating targets in [0, 1]."""
    check_target(logits, target)
    y = target.to(_working_dtype(logits))
    if soft == "mix":
        return _expected_loss(logits, y, alpha, gamma, epsilons, num_terms)
    mixed = _expected_loss(logits, y, None, 0.0, epsilons, num_terms)
    return _loss_at_expected_pt(logits, y, mixed, gamma, alpha, epsilons)


def _expected_loss(
    logits: Tensor,
    y: Tensor,
    alpha: float | None,
    gamma: float,
    epsilons: tuple[Coefficient, ...],
    num_terms: int | None,
) -> Tensor:
    """The expected loss y l(yes) + (1 - y) l(no), the class weights inside."""
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    positive = focal_polynomial(logits, weight=yes * y, gamma=gamma, epsilons=epsilons, num_terms=num_terms)
    negative = focal_polynomial(-logits, weight=no * (1 - y), gamma=gamma, epsilons=epsilons, num_terms=num_terms)
    return positive + negative


def _loss_at_expected_pt(
    logits: Tensor, y: Tensor, mixed: Tensor, gamma: float, alpha: float | None, epsilons: tuple[Coefficient, ...]
) -> Tensor:
    """Q^gamma (BCE + sum eps_j Q^j), Q = y q + (1 - y) p, from `mixed` = BCE + sum eps_j (y q^j + (1 - y) p^j).

    The first power needs no correction (Q is linear in y), so Poly-1 keeps its precision at eps = -1.
    """
    x = logits.to(y.dtype)
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    expected = y * q + (1 - y) * p
    series = mixed
    for j, epsilon in enumerate(epsilons[1:], start=2):
        series = series - epsilon * (y * q**j + (1 - y) * p**j - expected**j)
    loss = series if gamma == 0 else expected**gamma * series
    return loss if alpha is None else _balance(y, alpha) * loss


def _balance(y: Tensor, alpha: float) -> Tensor:
    """alpha_t of targets y in [0, 1]."""
    return y * alpha + (1 - y) * (1 - alpha)


def _working_dtype(logits: Tensor) -> torch.dtype:
    """float64 for float64 logits, else float32."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
