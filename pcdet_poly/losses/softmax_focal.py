r"""PolyLoss on softmax outputs, over the last dimension: cross-entropy and focal loss, Poly-1, Poly-N, Drop-N.

With p = softmax(x) and q_k = 1 - p_k, the loss of the right answer being k is the sigmoid one at the
log-odds z_k = log(p_k / q_k) = x_k - logsumexp over the others:

    l_k = q_k^gamma (-log p_k + eps_1 q_k + ... + eps_N q_k^N)

Labels: class indices of shape logits.shape[:-1], or a distribution over the K classes (floating, shape
of the logits), whose loss is sum_k y_k l_k. Smoothing by s replaces y by (1 - s) y + s / K in every
term, so Poly-1's term becomes epsilon sum_k y_k (1 - p_k), as in the paper's code.
Unreduced: one number per label. Range, precision and source: as in sigmoid_focal.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pcdet_poly.checks.targets import check_labels
from pcdet_poly.losses.polynomial import focal_polynomial
from pcdet_poly.losses.series import Coefficient


def poly1_cross_entropy(
    logits: Tensor, labels: Tensor, *, epsilon: Coefficient, label_smoothing: float = 0.0
) -> Tensor:
    """-log P_t + epsilon (1 - P_t).

    Args:
        logits: (..., K), K >= 2.
        labels: (...) class indices, or (..., K) floating distributions over the classes.
        epsilon: added to the coefficient of 1 - P_t: a number, or a tensor that broadcasts against the loss.
        label_smoothing: share s of the label that is spread evenly over the classes, in [0, 1].

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, 0.0, (epsilon,), None, label_smoothing)


def poly_n_cross_entropy(
    logits: Tensor, labels: Tensor, *, epsilons: Sequence[Coefficient], label_smoothing: float = 0.0
) -> Tensor:
    """-log P_t + sum_j epsilons[j - 1] (1 - P_t)^j.

    Args:
        logits: as for `poly1_cross_entropy`.
        labels: as for `poly1_cross_entropy`.
        epsilons: epsilons[j - 1] is added to the coefficient of (1 - P_t)^j; none of them leaves the plain loss.
        label_smoothing: as for `poly1_cross_entropy`.

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, 0.0, tuple(epsilons) or (0.0,), None, label_smoothing)


def drop_n_cross_entropy(logits: Tensor, labels: Tensor, *, num_terms: int, label_smoothing: float = 0.0) -> Tensor:
    """The first `num_terms` of cross-entropy's series, sum_j (1 - P_t)^j / j.

    Args:
        logits: as for `poly1_cross_entropy`.
        labels: as for `poly1_cross_entropy`.
        num_terms: number of polynomials that are kept, >= 1.
        label_smoothing: as for `poly1_cross_entropy`.

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, 0.0, (), num_terms, label_smoothing)


def poly1_softmax_focal(logits: Tensor, labels: Tensor, *, gamma: float, epsilon: Coefficient) -> Tensor:
    """(1 - P_t)^gamma (-log P_t + epsilon (1 - P_t)).

    Args:
        logits: (..., K), K >= 2.
        labels: (...) class indices, or (..., K) floating distributions over the classes.
        gamma: focusing exponent, >= 0.
        epsilon: added to the coefficient of 1 - P_t: a number, or a tensor that broadcasts against the loss.

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, gamma, (epsilon,), None, 0.0)


def poly_n_softmax_focal(logits: Tensor, labels: Tensor, *, gamma: float, epsilons: Sequence[Coefficient]) -> Tensor:
    """(1 - P_t)^gamma (-log P_t + sum_j epsilons[j - 1] (1 - P_t)^j).

    Args:
        logits: as for `poly1_softmax_focal`.
        labels: as for `poly1_softmax_focal`.
        gamma: as for `poly1_softmax_focal`.
        epsilons: epsilons[j - 1] is added to the coefficient of (1 - P_t)^j; none of them leaves the plain loss.

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, gamma, tuple(epsilons) or (0.0,), None, 0.0)


def drop_n_softmax_focal(logits: Tensor, labels: Tensor, *, gamma: float, num_terms: int) -> Tensor:
    """The first `num_terms` of the focal loss's series, sum_j (1 - P_t)^(j + gamma) / j.

    Args:
        logits: as for `poly1_softmax_focal`.
        labels: as for `poly1_softmax_focal`.
        gamma: as for `poly1_softmax_focal`.
        num_terms: number of polynomials that are kept, >= 1.

    Returns:
        (...); float64 for float64 logits, else float32.

    Raises:
        ValueError: for fewer than 2 classes, and for labels as `check_labels` says.
    """
    return _softmax_focal(logits, labels, gamma, (), num_terms, 0.0)


def _softmax_focal(
    logits: Tensor,
    labels: Tensor,
    gamma: float,
    epsilons: tuple[Coefficient, ...],
    num_terms: int | None,
    label_smoothing: float,
) -> Tensor:
    """The softmax loss with the coefficients of Poly-N or, where `num_terms` is given, of Drop-N."""
    x = logits if logits.dtype == torch.float64 else logits.float()
    num_classes = x.shape[-1]
    if num_classes < 2:
        raise ValueError(f"softmax over {num_classes} class: at least 2 needed; one output is a sigmoid loss")
    check_labels(logits, labels)
    if not labels.is_floating_point():
        if label_smoothing == 0:
            z = _log_odds_of_label(x, labels)
            return focal_polynomial(z, gamma=gamma, epsilons=epsilons, num_terms=num_terms)
        labels = F.one_hot(labels, num_classes)
    y = (1 - label_smoothing) * labels.to(x.dtype) + label_smoothing / num_classes
    z = _log_odds_of_classes(x)
    return focal_polynomial(z, weight=y, gamma=gamma, epsilons=epsilons, num_terms=num_terms).sum(-1)


def _log_odds_of_label(x: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of each label's class, (...), from logits (..., K) and class indices (...)."""
    index = labels.unsqueeze(-1)
    others = x.scatter(-1, index, -torch.inf).logsumexp(-1)
    return x.gather(-1, index).squeeze(-1) - others


def _log_odds_of_classes(x: Tensor) -> Tensor:
    """Log-odds of every class, (..., K).

    For the largest logit 1 - p_k is summed over the other classes; elsewhere p_k <= 1/2, and 1 - p_k is a
    difference that loses nothing.
    """
    top = x.argmax(-1, keepdim=True)
    everything = x.logsumexp(-1, keepdim=True)
    smaller = (x - everything).exp().scatter(-1, top, 0.0)  # p_k <= 1/2, the largest left out
    others = everything + torch.log1p(-smaller)
    beside_top = x.scatter(-1, top, -torch.inf).logsumexp(-1, keepdim=True)
    return x - others.scatter(-1, top, beside_top)
