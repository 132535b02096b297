"""Logits, targets and settings -> the unreduced classification loss: of heatmaps, and of yes-or-no answers.

Each of the two functions is one step on the way of `epsilon` from a config file to the formula: a criterion
calls it with its settings, and it calls the public loss that these settings describe.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import HeatmapFocalConfig, PolyConfig, SigmoidFocalConfig
from pcdet_poly.losses.coefficients import resolve_epsilons
from pcdet_poly.losses.heatmap_focal import gaussian_drop_n_focal, gaussian_poly1_focal, gaussian_poly_n_focal
from pcdet_poly.losses.sigmoid_focal import drop_n_focal, poly1_focal, poly1_focal_unweighted, poly_n_focal


def heatmap_loss(logits: Tensor, heatmap: Tensor, cfg: HeatmapFocalConfig, *, progress: float = 1.0) -> Tensor:
    """Heatmap focal loss per cell, background weight applied, total weight not.

    Args:
        logits: (B, K, ...), the classes along the second dimension.
        heatmap: targets in [0, 1], shape of the logits; exactly 1 at peaks.
        cfg: settings of the loss.
        progress: share of the training done, in [0, 1]; a schedule of epsilon reads it.

    Returns:
        Shape of the logits, float32 (float64 for float64 logits).
    """
    alpha, beta, peak = cfg.alpha, cfg.beta, heatmap == 1
    if cfg.num_terms is not None:
        loss = gaussian_drop_n_focal(logits, heatmap, alpha=alpha, beta=beta, num_terms=cfg.num_terms)
    elif isinstance(cfg.epsilon, float) and _is_plain_poly1(cfg):
        loss = gaussian_poly1_focal(logits, heatmap, alpha=alpha, beta=beta, epsilon=cfg.epsilon)
    else:
        epsilons = resolve_epsilons(cfg, peak, class_dim=1, progress=progress)
        loss = gaussian_poly_n_focal(logits, heatmap, alpha=alpha, beta=beta, epsilons=epsilons)
    return weigh_background(loss, peak, cfg)


def sigmoid_loss(logits: Tensor, target: Tensor, cfg: SigmoidFocalConfig, *, progress: float = 1.0) -> Tensor:
    """Sigmoid focal loss, elementwise, background weight applied, total weight not.

    Args:
        logits: (..., K), the classes along the last dimension.
        target: bool or integer, shape of the logits, nonzero where yes is the right answer.
        cfg: settings of the loss.
        progress: share of the training done, in [0, 1]; a schedule of epsilon reads it.

    Returns:
        Shape of the logits, float32 (float64 for float64 logits).
    """
    right, alpha, gamma = target.bool(), cfg.alpha, cfg.gamma
    if cfg.num_terms is not None:
        loss = drop_n_focal(logits, right, gamma=gamma, alpha=alpha, num_terms=cfg.num_terms)
    elif isinstance(cfg.epsilon, float) and cfg.balance_epsilon and _is_plain_poly1(cfg):
        loss = poly1_focal(logits, right, gamma=gamma, alpha=alpha, epsilon=cfg.epsilon)
    elif cfg.balance_epsilon or alpha is None:
        epsilons = resolve_epsilons(cfg, right, class_dim=-1, progress=progress)
        loss = poly_n_focal(logits, right, gamma=gamma, alpha=alpha, epsilons=epsilons)
    else:
        (epsilon,) = resolve_epsilons(cfg, right, class_dim=-1, progress=progress)
        loss = poly1_focal_unweighted(logits, right, gamma=gamma, alpha=alpha, epsilon=epsilon)
    return weigh_background(loss, right, cfg)


def weigh_background(loss: Tensor, right: Tensor, cfg: PolyConfig) -> Tensor:
    """Apply the control `background_weight` where the right answer is no.

    Args:
        loss: unreduced loss, any shape.
        right: bool, shape of `loss`, True where the right answer is yes.
        cfg: settings of the loss.

    Returns:
        Shape of `loss`; `loss` itself where the weight is 1.
    """
    if cfg.background_weight == 1:
        return loss
    return loss * torch.where(right, 1.0, cfg.background_weight)


def _is_plain_poly1(cfg: PolyConfig) -> bool:
    """Whether `epsilon` is all that PolyLoss changes: in the first power, for every logit, at every step."""
    return (
        not cfg.epsilons and cfg.epsilon_background is None and cfg.applies_to == "both" and cfg.schedule == "constant"
    )
