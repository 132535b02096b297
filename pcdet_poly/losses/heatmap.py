r"""PolyLoss on Gaussian heatmaps: the penalty-reduced focal loss of CornerNet and CenterNet with Poly-1.

Per cell with target y in [0, 1], p = sigmoid(x):

    peak (y == 1)   (1 - p)^alpha (-log p + eps (1 - p))
    elsewhere       (1 - y)^beta p^alpha (-log(1 - p) + eps p)

The polynomial term carries the same (1 - y)^beta as the focal one: without it, correct soft answers
beside a peak would be punished. PolyLoss's gamma is this loss's alpha; there is no class balance.
epsilon = 0 is the heatmap focal loss, bit for bit. Unreduced: dividing by the number of objects is the
criterion's work. Range and precision: as in poly.py. Cost: see benchmarks/RESULTS.md.
Source: Law and Deng, CornerNet, ECCV 2018; Zhou et al., Objects as Points, 2019; Leng et al., PolyLoss,
ICLR 2022. The combination is this project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.losses.polynomial import focal_polynomial
from pcdet_poly.losses.series import Coefficient


def gaussian_poly1_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, epsilon: Coefficient
) -> Tensor:
    """Poly-1 heatmap focal loss per cell. Shapes: logits and heatmap alike; `epsilon` a number or broadcasting."""
    return _gaussian_focal(logits, heatmap, alpha, beta, (epsilon,), None)


def gaussian_poly_n_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, epsilons: Sequence[Coefficient]
) -> Tensor:
    """The same with epsilons[j-1] added to the coefficient of the j-th power of 1 - P_t."""
    return _gaussian_focal(logits, heatmap, alpha, beta, tuple(epsilons) or (0.0,), None)


def gaussian_drop_n_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, num_terms: int
) -> Tensor:
    """The first `num_terms` polynomials of the heatmap focal loss."""
    return _gaussian_focal(logits, heatmap, alpha, beta, (), num_terms)


def _gaussian_focal(
    logits: Tensor,
    heatmap: Tensor,
    alpha: float,
    beta: float,
    epsilons: tuple[Coefficient, ...],
    num_terms: int | None,
) -> Tensor:
    y = heatmap.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)
    peak = y == 1
    sign = peak.to(y.dtype).mul_(2).sub_(1)
    weight = (1 - y).pow_(beta).masked_fill_(peak, 1)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=alpha, epsilons=epsilons, num_terms=num_terms)
