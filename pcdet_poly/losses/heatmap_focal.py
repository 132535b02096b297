r"""PolyLoss on Gaussian heatmaps: the penalty-reduced focal loss of CornerNet and CenterNet with Poly-1.

Per cell with target y in [0, 1], p = sigmoid(x):

    peak (y == 1)   (1 - p)^alpha (-log p + eps (1 - p))
    elsewhere       (1 - y)^beta p^alpha (-log(1 - p) + eps p)

The polynomial term carries the same (1 - y)^beta as the focal one: without it, correct soft answers
beside a peak would be punished. PolyLoss's gamma is this loss's alpha; there is no class balance.
epsilon = 0 is the heatmap focal loss, bit for bit. Unreduced: dividing by the number of objects is the
criterion's work. Range and precision are those of sigmoid_focal.py. Cost: see benchmarks/RESULTS.md.
Source: Law and Deng, CornerNet, ECCV 2018; Zhou et al., Objects as Points, 2019; Leng et al., PolyLoss,
ICLR 2022. The combination is this project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.checks.targets import check_target
from pcdet_poly.losses.polynomial import focal_polynomial
from pcdet_poly.losses.series import Coefficient


def gaussian_poly1_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, epsilon: Coefficient
) -> Tensor:
    """Poly-1 heatmap focal loss per cell.

    Args:
        logits: any shape, for example (B, K, H, W).
        heatmap: targets in [0, 1], shape of the logits; exactly 1 at peaks.
        alpha: focusing exponent, >= 0.
        beta: exponent of the penalty reduction (1 - y)^beta beside peaks, >= 0.
        epsilon: added to the coefficient of 1 - P_t: a number, or a tensor that broadcasts against the logits.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    sign, weight = _compare_with_peaks(logits, heatmap, beta)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=alpha, epsilons=(epsilon,))


def gaussian_poly_n_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, epsilons: Sequence[Coefficient]
) -> Tensor:
    """Poly-N heatmap focal loss per cell.

    Args:
        logits: as for `gaussian_poly1_focal`.
        heatmap: as for `gaussian_poly1_focal`.
        alpha: as for `gaussian_poly1_focal`.
        beta: as for `gaussian_poly1_focal`.
        epsilons: epsilons[j - 1] is added to the coefficient of (1 - P_t)^j; none of them leaves the focal loss.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    sign, weight = _compare_with_peaks(logits, heatmap, beta)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=alpha, epsilons=tuple(epsilons) or (0.0,))


def gaussian_drop_n_focal(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0, num_terms: int
) -> Tensor:
    """The first `num_terms` polynomials of the heatmap focal loss per cell.

    Args:
        logits: as for `gaussian_poly1_focal`.
        heatmap: as for `gaussian_poly1_focal`.
        alpha: as for `gaussian_poly1_focal`.
        beta: as for `gaussian_poly1_focal`.
        num_terms: number of polynomials that are kept, >= 1.

    Returns:
        Shape of the logits; float64 for float64 logits, else float32.
    """
    sign, weight = _compare_with_peaks(logits, heatmap, beta)
    return focal_polynomial(logits, sign=sign, weight=weight, gamma=alpha, num_terms=num_terms)


def _compare_with_peaks(logits: Tensor, heatmap: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """+1 at peaks and -1 elsewhere; 1 at peaks and (1 - y)^beta elsewhere."""
    check_target(logits, heatmap)
    y = heatmap.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)
    peak = y == 1
    sign = peak.to(y.dtype).mul_(2).sub_(1)
    weight = (1 - y).pow_(beta).masked_fill_(peak, 1)
    return sign, weight
