"""What a classification loss is made of: mean P_t, and the share of its gradient that is the first polynomial's.

Scalars for a log, from one batch; about the cost of two evaluations of the loss, one wait for the device.
"first_term_share/..." is the sum of |d/dlogit| of (1 + eps_1) q^(gamma + 1) over that of the whole loss:
for cross-entropy it would be P_t. "p_t/..." is the mean probability of the right answer. Both for the
parts named below, the share also for "all". A name is missing where the batch has no such place or no
gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import ClassificationConfig, SigmoidFocalConfig
from pcdet_poly.losses.anchor_criterion import class_targets
from pcdet_poly.losses.configured import coefficients, heatmap_loss, sigmoid_loss, with_background_weight
from pcdet_poly.losses.heatmap import gaussian_drop_n_focal
from pcdet_poly.losses.poly import drop_n_focal
from pcdet_poly.losses.series import Coefficient
from pcdet_poly.structures import (
    AnchorMaps,
    AnchorTargets,
    CenterMaps,
    CenterTargets,
    RsnMaps,
    RsnTargets,
    RsnVoxelTargets,
)


def first_term_share(
    maps: CenterMaps, targets: CenterTargets, cfg: ClassificationConfig, *, progress: float = 1.0
) -> dict[str, float]:
    """Of a heatmap: "peaks" (target 1) and "background" (the rest)."""
    return heatmap_scalars(maps.heatmap, targets.heatmap, cfg, progress)


def anchor_first_term_share(
    maps: AnchorMaps, targets: AnchorTargets, cfg: SigmoidFocalConfig, *, progress: float = 1.0
) -> dict[str, float]:
    """Of an anchor head: "positives" (an anchor's logit of its own class) and "background" (all others that count)."""
    right, counted = class_targets(maps, targets)
    return sigmoid_scalars(maps.logit, right, counted, cfg, progress)


def rsn_first_term_share(
    maps: RsnMaps,
    targets: RsnTargets,
    at_voxels: RsnVoxelTargets,
    heatmap: ClassificationConfig,
    segmentation: SigmoidFocalConfig,
    *,
    progress: float = 1.0,
) -> dict[str, float]:
    """Of RSN's heatmap as above; and "segmentation/..." of its points: "positives" (in a box) and "background"."""
    of_heatmap = heatmap_scalars(maps.heatmap[:, None], at_voxels.heatmap[:, None], heatmap, progress)
    logits, right = maps.foreground[:, None], targets.foreground[:, None]
    of_points = sigmoid_scalars(logits, right, targets.counted[:, None], segmentation, progress)
    return of_heatmap | {f"segmentation/{name}": value for name, value in of_points.items()}


def heatmap_scalars(logits: Tensor, heatmap: Tensor, cfg: ClassificationConfig, progress: float) -> dict[str, float]:
    """Scalars of a heatmap (B, K, ...)."""
    peak = heatmap == 1

    def whole(logits: Tensor) -> Tensor:
        return heatmap_loss(logits, heatmap, cfg, progress=progress)

    def first(logits: Tensor) -> Tensor:
        drop_1 = gaussian_drop_n_focal(logits, heatmap, alpha=cfg.alpha, beta=cfg.beta, num_terms=1)
        if cfg.num_terms is None:
            drop_1 = drop_1 * (1 + coefficients(cfg, peak, class_dim=1, progress=progress)[0])
        return with_background_weight(drop_1, peak, cfg)

    return _scalars(logits, peak, {"peaks": peak, "background": ~peak}, whole, first)


def sigmoid_scalars(
    logits: Tensor, right: Tensor, counted: Tensor, cfg: SigmoidFocalConfig, progress: float
) -> dict[str, float]:
    """Scalars of yes-or-no answers (..., K classes); `right`: where yes is right, `counted`: which count at all."""

    def whole(logits: Tensor) -> Tensor:
        return sigmoid_loss(logits, right, cfg, progress=progress)

    def first(logits: Tensor) -> Tensor:
        drop_1 = drop_n_focal(logits, right, gamma=cfg.gamma, alpha=cfg.alpha, num_terms=1)
        if cfg.num_terms is None:
            drop_1 = drop_1 * (1 + _effective_epsilon(cfg, right, progress))
        return with_background_weight(drop_1, right, cfg)

    return _scalars(logits, right, {"positives": right & counted, "background": ~right & counted}, whole, first)


def p_t_by_part(
    maps: CenterMaps | AnchorMaps | RsnMaps, targets: CenterTargets | AnchorTargets | RsnTargets
) -> dict[str, Tensor]:
    """P_t of every logit that counts, flat: of "peaks" (an anchor head's positives, RSN's points in boxes) and of
    "background"."""
    if isinstance(maps, RsnMaps):
        assert isinstance(targets, RsnTargets)
        p = maps.foreground.float().sigmoid()
        return {
            "peaks": p[targets.foreground & targets.counted],
            "background": 1 - p[~targets.foreground & targets.counted],
        }
    if isinstance(maps, AnchorMaps):
        assert isinstance(targets, AnchorTargets)
        right, counted = class_targets(maps, targets)
        p = maps.logit.float().sigmoid()
        return {"peaks": p[right], "background": 1 - p[~right & counted]}
    assert isinstance(targets, CenterTargets)
    peak, p = targets.heatmap == 1, maps.heatmap.float().sigmoid()
    return {"peaks": p[peak], "background": 1 - p[~peak]}


def _effective_epsilon(cfg: SigmoidFocalConfig, right: Tensor, progress: float) -> Coefficient:
    """eps_1 as a factor of alpha_t q."""
    epsilon = coefficients(cfg, right, class_dim=-1, progress=progress)[0]
    if cfg.balance_epsilon or cfg.alpha is None:
        return epsilon
    return epsilon / torch.where(right, cfg.alpha, 1 - cfg.alpha)


def _scalars(
    logits: Tensor,
    right: Tensor,
    parts: Mapping[str, Tensor],
    whole: Callable[[Tensor], Tensor],
    first: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """The scalars of `parts`, which are masks; `right`: where the right answer is yes; the losses are unreduced."""
    x = logits.detach().float().requires_grad_()
    of_whole, of_first = _slope(whole, x), _slope(first, x)
    p_t = torch.where(right, x.detach(), -x.detach()).sigmoid()
    sums = torch.stack([(value * mask).sum() for mask in parts.values() for value in (of_whole, of_first, p_t, mask)])
    rows = dict(zip(parts, sums.reshape(-1, 4).tolist(), strict=True))  # one transfer for all numbers
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    shares = {f"first_term_share/{name}": row[1] / row[0] for name, row in rows.items() if row[0] > 0}
    means = {f"p_t/{name}": rows[name][2] / rows[name][3] for name in parts if rows[name][3] > 0}
    return shares | means


def _slope(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """|d loss / dx|."""
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss(x).sum(), x)
    return slope.abs()
