"""Settings of a classification loss -> its unreduced value: one place for every head."""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import ClassificationConfig, PolyConfig, SigmoidFocalConfig
from pcdet_poly.losses.heatmap import gaussian_drop_n_focal, gaussian_poly_n_focal
from pcdet_poly.losses.poly import drop_n_focal, poly1_focal_unweighted, poly_n_focal
from pcdet_poly.losses.series import Coefficient

Numbers: TypeAlias = float | tuple[float, ...]  # one, or one per class


def heatmap_loss(logits: Tensor, heatmap: Tensor, cfg: ClassificationConfig, *, progress: float = 1.0) -> Tensor:
    """Heatmap focal loss of `cfg`, both (B, K, H, W), per cell; background weight applied, total weight not."""
    peak = heatmap == 1
    if cfg.num_terms is not None:
        loss = gaussian_drop_n_focal(logits, heatmap, alpha=cfg.alpha, beta=cfg.beta, num_terms=cfg.num_terms)
    else:
        epsilons = coefficients(cfg, peak, class_dim=1, progress=progress)
        loss = gaussian_poly_n_focal(logits, heatmap, alpha=cfg.alpha, beta=cfg.beta, epsilons=epsilons)
    return with_background_weight(loss, peak, cfg)


def sigmoid_loss(logits: Tensor, target: Tensor, cfg: SigmoidFocalConfig, *, progress: float = 1.0) -> Tensor:
    """Sigmoid focal loss of `cfg`, elementwise. `target`: bool or integer, shape of the logits (..., K classes)."""
    right, alpha, gamma = target.bool(), cfg.alpha, cfg.gamma
    if cfg.num_terms is not None:
        loss = drop_n_focal(logits, right, gamma=gamma, alpha=alpha, num_terms=cfg.num_terms)
    else:
        epsilons = coefficients(cfg, right, class_dim=-1, progress=progress)
        if cfg.balance_epsilon or alpha is None:
            loss = poly_n_focal(logits, right, gamma=gamma, alpha=alpha, epsilons=epsilons)
        else:
            loss = poly1_focal_unweighted(logits, right, gamma=gamma, alpha=alpha, epsilon=epsilons[0])
    return with_background_weight(loss, right, cfg)


def coefficients(cfg: PolyConfig, right: Tensor, *, class_dim: int, progress: float = 1.0) -> tuple[Coefficient, ...]:
    """eps_1 ... eps_N at `progress` (share of the training done): numbers, or tensors that broadcast against `right`.

    right: bool, True where the right answer is yes. Numbers per class lie along `class_dim`.
    """
    background = cfg.epsilon if cfg.epsilon_background is None else cfg.epsilon_background
    pairs: list[tuple[Numbers, Numbers]] = [(epsilon, epsilon) for epsilon in cfg.epsilons]
    pairs = pairs or [(cfg.epsilon, background)]
    scale = ramp(cfg, progress)
    return tuple(_coefficient(yes, no, scale, cfg, right, class_dim) for yes, no in pairs)


def ramp(cfg: PolyConfig, progress: float) -> float:
    """Factor of epsilon at `progress`: 0 at the start, 1 from `schedule_until` on."""
    share = min(max(progress / cfg.schedule_until, 0.0), 1.0)
    if cfg.schedule == "linear":
        return share
    if cfg.schedule == "cosine":
        return 0.5 - 0.5 * math.cos(math.pi * share)
    return 1.0


def _coefficient(
    yes: Numbers,
    no: Numbers,
    scale: float,
    cfg: PolyConfig,
    right: Tensor,
    class_dim: int,
) -> Coefficient:
    if cfg.applies_to == "positives":
        no = 0.0
    if cfg.applies_to == "background":
        yes = 0.0
    at_right, at_wrong = (_per_class(value, scale, right, class_dim) for value in (yes, no))
    if yes == no:
        return at_right
    return torch.where(right, at_right, at_wrong)


def _per_class(value: Numbers, scale: float, like: Tensor, class_dim: int) -> Coefficient:
    """One number as it is; one per class as a tensor that has them along `class_dim` of `like`."""
    if isinstance(value, tuple):
        shape = [1] * like.ndim
        shape[class_dim] = len(value)
        return torch.tensor(value, device=like.device).mul(scale).reshape(shape)
    return scale * value


def with_background_weight(loss: Tensor, right: Tensor, cfg: PolyConfig) -> Tensor:
    """`loss` with the control's weight where the right answer is no."""
    if cfg.background_weight == 1:
        return loss
    return loss * torch.where(right, 1.0, cfg.background_weight)
