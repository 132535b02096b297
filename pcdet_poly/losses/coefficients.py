"""Settings of PolyLoss -> the coefficients eps_1 ... eps_N that hold for each logit at one step."""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import PolyConfig
from pcdet_poly.losses.series import Coefficient

Setting: TypeAlias = float | tuple[float, ...]  # one number, or one per class


def resolve_epsilons(
    cfg: PolyConfig, right: Tensor, *, class_dim: int, progress: float = 1.0
) -> tuple[Coefficient, ...]:
    """Work out eps_1 ... eps_N: numbers, or tensors that broadcast against the logits.

    Args:
        cfg: settings without `num_terms`.
        right: bool, shape of the logits, True where the right answer is yes.
        class_dim: dimension of `right` along which numbers per class lie.
        progress: share of the training done, in [0, 1].

    Returns:
        N coefficients; N = 1 for Poly-1.
    """
    scale = schedule_factor(cfg, progress)
    resolved = []
    for positive, background in _list_settings(cfg):
        at_positives, at_background = (
            _spread_over_classes(setting, scale, right, class_dim) for setting in (positive, background)
        )
        same = positive == background
        resolved.append(at_positives if same else torch.where(right, at_positives, at_background))
    return tuple(resolved)


def schedule_factor(cfg: PolyConfig, progress: float) -> float:
    """Factor of epsilon at `progress`: with a schedule 0 at the start and 1 from `schedule_until` on, else 1."""
    share = min(max(progress / cfg.schedule_until, 0.0), 1.0)
    if cfg.schedule == "linear":
        return share
    if cfg.schedule == "cosine":
        return 0.5 - 0.5 * math.cos(math.pi * share)
    return 1.0


def _list_settings(cfg: PolyConfig) -> list[tuple[Setting, Setting]]:
    """For each power of 1 - P_t the epsilon of positives and that of background, before the schedule."""
    background = cfg.epsilon if cfg.epsilon_background is None else cfg.epsilon_background
    listed: list[tuple[Setting, Setting]] = [(epsilon, epsilon) for epsilon in cfg.epsilons]
    listed = listed or [(cfg.epsilon, background)]
    if cfg.applies_to == "positives":
        return [(positive, 0.0) for positive, _ in listed]
    if cfg.applies_to == "background":
        return [(0.0, background) for _, background in listed]
    return listed


def _spread_over_classes(setting: Setting, scale: float, like: Tensor, class_dim: int) -> Coefficient:
    """One number scaled; one per class as a tensor that has them along `class_dim` of `like`, scaled."""
    if isinstance(setting, tuple):
        shape = [1] * like.ndim
        shape[class_dim] = len(setting)
        return torch.tensor(setting, device=like.device).mul(scale).reshape(shape)
    return scale * setting
