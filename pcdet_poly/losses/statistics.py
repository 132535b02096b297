"""What a heatmap loss is made of: mean P_t, and the share of its gradient that is the first polynomial's."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.losses import ClassificationConfig
from pcdet_poly.losses.configured import coefficients, heatmap_loss, with_background_weight
from pcdet_poly.losses.heatmap import gaussian_drop_n_focal
from pcdet_poly.structures import CenterMaps, CenterTargets


def first_term_share(
    maps: CenterMaps, targets: CenterTargets, cfg: ClassificationConfig, *, progress: float = 1.0
) -> dict[str, float]:
    """Scalars for a log, from one batch; about the cost of two evaluations of the loss, one wait for the device.

    "first_term_share/..." is the sum of |d/dlogit| of (1 + eps_1) q^(alpha + 1) over that of the whole
    loss: for cross-entropy it would be P_t. "p_t/..." is the mean probability of the right answer.
    Both for "peaks" (target 1), "background" (the rest), the share also for "all". A name is missing
    where the batch has no such cell or no gradient.
    """
    logits = maps.heatmap.detach().float().requires_grad_()
    whole, first = _gradients(logits, targets.heatmap, cfg, progress)
    peak = targets.heatmap == 1
    right = torch.where(peak, logits.detach(), -logits.detach()).sigmoid()
    cells = {"peaks": peak, "background": ~peak}
    sums = torch.stack([(value * mask).sum() for mask in cells.values() for value in (whole, first, right, mask)])
    rows = dict(zip(cells, sums.reshape(2, 4).tolist(), strict=True))  # one transfer for all numbers
    rows["all"] = [a + b for a, b in zip(rows["peaks"], rows["background"], strict=True)]
    shares = {f"first_term_share/{name}": row[1] / row[0] for name, row in rows.items() if row[0] > 0}
    means = {f"p_t/{name}": rows[name][2] / rows[name][3] for name in cells if rows[name][3] > 0}
    return shares | means


def _gradients(logits: Tensor, heatmap: Tensor, cfg: ClassificationConfig, progress: float) -> tuple[Tensor, Tensor]:
    """|d/dlogit| of the whole loss, and of its first polynomial."""
    peak = heatmap == 1
    with torch.enable_grad():
        whole = heatmap_loss(logits, heatmap, cfg, progress=progress)
        drop_1 = gaussian_drop_n_focal(logits, heatmap, alpha=cfg.alpha, beta=cfg.beta, num_terms=1)
        if cfg.num_terms is None:
            drop_1 = drop_1 * (1 + coefficients(cfg, peak, class_dim=1, progress=progress)[0])
        first = with_background_weight(drop_1, peak, cfg)
        (of_whole,) = torch.autograd.grad(whole.sum(), logits)
        (of_first,) = torch.autograd.grad(first.sum(), logits)
    return of_whole.abs(), of_first.abs()
