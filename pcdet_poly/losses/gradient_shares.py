"""How confident a classification loss finds the network, and where its gradient comes from.

Scalars for a log, from one batch. They cost about two evaluations of the loss and one wait for the device.
"p_t/..." is the mean probability P_t of the right answer. "first_term_share/..." is the sum of |d/dlogit| of
the first polynomial, (1 + eps_1) q^(gamma + 1), divided by that of the whole loss; for cross-entropy it would
be P_t. Each scalar is given for the parts that the functions name, the share also for "all". A name is
missing where the batch has no logit of that part or no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import HeatmapFocalConfig, SigmoidFocalConfig
from pcdet_poly.losses.anchor_criterion import assemble_class_targets
from pcdet_poly.losses.classification import heatmap_loss, sigmoid_loss, weigh_background
from pcdet_poly.losses.coefficients import resolve_epsilons
from pcdet_poly.losses.heatmap_focal import gaussian_drop_n_focal
from pcdet_poly.losses.series import Coefficient
from pcdet_poly.losses.sigmoid_focal import drop_n_focal
from pcdet_poly.structures import (
    AnchorMaps,
    AnchorTargets,
    CenterMaps,
    CenterTargets,
    RsnMaps,
    RsnTargets,
    RsnVoxelTargets,
)


def center_first_term_share(
    maps: CenterMaps, targets: CenterTargets, cfg: HeatmapFocalConfig, *, progress: float = 1.0
) -> dict[str, float]:
    """Scalars of a centre head's heatmap: "peaks" (target 1) and "background" (the rest).

    Args:
        maps: output of the head.
        targets: of the same frames.
        cfg: settings of the heatmap loss.
        progress: share of the training done, in [0, 1].

    Returns:
        Scalars by their names in the log.
    """
    return _measure_heatmap(maps.heatmap, targets.heatmap, cfg, progress)


def anchor_first_term_share(
    maps: AnchorMaps, targets: AnchorTargets, cfg: SigmoidFocalConfig, *, progress: float = 1.0
) -> dict[str, float]:
    """Scalars of an anchor head: "positives" (an anchor's logit of its own class) and "background".

    The background is all other logits that count.

    Args:
        maps: output of the head.
        targets: of the same frames.
        cfg: settings of the classification loss.
        progress: share of the training done, in [0, 1].

    Returns:
        Scalars by their names in the log.
    """
    right, counted = assemble_class_targets(maps, targets)
    return _measure_yes_or_no(maps.logit, right, counted, cfg, progress)


def rsn_first_term_share(
    maps: RsnMaps,
    targets: RsnTargets,
    at_voxels: RsnVoxelTargets,
    heatmap: HeatmapFocalConfig,
    segmentation: SigmoidFocalConfig,
    *,
    progress: float = 1.0,
) -> dict[str, float]:
    """Scalars of RSN's two classification losses.

    Those of the heatmap are named as a centre head's. Those of the points are called "segmentation/...":
    "positives" (in a box) and "background".

    Args:
        maps: output of the network.
        targets: of its points.
        at_voxels: targets of its voxels.
        heatmap: settings of the heatmap loss.
        segmentation: settings of the points' loss.
        progress: share of the training done, in [0, 1].

    Returns:
        Scalars by their names in the log.
    """
    of_heatmap = _measure_heatmap(maps.heatmap[:, None], at_voxels.heatmap[:, None], heatmap, progress)
    logits, right = maps.foreground[:, None], targets.foreground[:, None]
    of_points = _measure_yes_or_no(logits, right, targets.counted[:, None], segmentation, progress)
    return of_heatmap | {f"segmentation/{name}": value for name, value in of_points.items()}


def p_t_by_part(
    maps: CenterMaps | AnchorMaps | RsnMaps, targets: CenterTargets | AnchorTargets | RsnTargets
) -> dict[str, Tensor]:
    """P_t of every logit that counts, flat, by part: "peaks" and "background".

    The peaks of an anchor head are its positives, those of RSN its points in boxes.
    """
    if isinstance(maps, RsnMaps):
        assert isinstance(targets, RsnTargets)
        p, right, counted = maps.foreground.float().sigmoid(), targets.foreground, targets.counted
        return {"peaks": p[right & counted], "background": 1 - p[~right & counted]}
    if isinstance(maps, AnchorMaps):
        assert isinstance(targets, AnchorTargets)
        right, counted = assemble_class_targets(maps, targets)
        p = maps.logit.float().sigmoid()
        return {"peaks": p[right], "background": 1 - p[~right & counted]}
    assert isinstance(targets, CenterTargets)
    peak, p = targets.heatmap == 1, maps.heatmap.float().sigmoid()
    return {"peaks": p[peak], "background": 1 - p[~peak]}


def _measure_heatmap(logits: Tensor, heatmap: Tensor, cfg: HeatmapFocalConfig, progress: float) -> dict[str, float]:
    """Scalars of a heatmap (B, K, ...)."""
    peak = heatmap == 1

    def compute_whole(logits: Tensor) -> Tensor:
        return heatmap_loss(logits, heatmap, cfg, progress=progress)

    def compute_first(logits: Tensor) -> Tensor:
        drop_1 = gaussian_drop_n_focal(logits, heatmap, alpha=cfg.alpha, beta=cfg.beta, num_terms=1)
        if cfg.num_terms is None:
            drop_1 = drop_1 * (1 + resolve_epsilons(cfg, peak, class_dim=1, progress=progress)[0])
        return weigh_background(drop_1, peak, cfg)

    return _measure_parts(logits, peak, {"peaks": peak, "background": ~peak}, compute_whole, compute_first)


def _measure_yes_or_no(
    logits: Tensor, right: Tensor, counted: Tensor, cfg: SigmoidFocalConfig, progress: float
) -> dict[str, float]:
    """Scalars of yes-or-no answers (..., K); `right` marks where yes is right, `counted` which answers count."""

    def compute_whole(logits: Tensor) -> Tensor:
        return sigmoid_loss(logits, right, cfg, progress=progress)

    def compute_first(logits: Tensor) -> Tensor:
        drop_1 = drop_n_focal(logits, right, gamma=cfg.gamma, alpha=cfg.alpha, num_terms=1)
        if cfg.num_terms is None:
            drop_1 = drop_1 * (1 + _divide_by_balance(cfg, right, progress))
        return weigh_background(drop_1, right, cfg)

    parts = {"positives": right & counted, "background": ~right & counted}
    return _measure_parts(logits, right, parts, compute_whole, compute_first)


def _divide_by_balance(cfg: SigmoidFocalConfig, right: Tensor, progress: float) -> Coefficient:
    """eps_1 as a factor of alpha_t q: the control `balance_epsilon: false` leaves alpha_t off the epsilon term."""
    epsilon = resolve_epsilons(cfg, right, class_dim=-1, progress=progress)[0]
    if cfg.balance_epsilon or cfg.alpha is None:
        return epsilon
    return epsilon / torch.where(right, cfg.alpha, 1 - cfg.alpha)


def _measure_parts(
    logits: Tensor,
    right: Tensor,
    parts: Mapping[str, Tensor],
    whole_loss: Callable[[Tensor], Tensor],
    first_term: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """The scalars of `parts`, which are masks; `right` marks where yes is right; both losses are unreduced."""
    x = logits.detach().float().requires_grad_()
    of_whole, of_first = _measure_slope(whole_loss, x), _measure_slope(first_term, x)
    p_t = torch.where(right, x.detach(), -x.detach()).sigmoid()
    sums = torch.stack([(value * mask).sum() for mask in parts.values() for value in (of_whole, of_first, p_t, mask)])
    rows = dict(zip(parts, sums.reshape(-1, 4).tolist(), strict=True))  # one transfer for all numbers
    everything = [sum(column) for column in zip(*rows.values(), strict=True)]
    shares = {
        f"first_term_share/{name}": row[1] / row[0] for name, row in (rows | {"all": everything}).items() if row[0] > 0
    }
    means = {f"p_t/{name}": row[2] / row[3] for name, row in rows.items() if row[3] > 0}
    return shares | means


def _measure_slope(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """|d loss / dx|."""
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss(x).sum(), x)
    return slope.abs()
