"""The optimiser, and its learning rate at every step."""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import nn

from pcdet_poly.config.sections.train import TrainConfig

# One cycle ends at its first learning rate divided by this (fastai's number).
FINAL_DIVISION = 1e4


def build_optimizer(model: nn.Module, cfg: TrainConfig) -> torch.optim.Optimizer:
    """Return Adam over all parameters of `model`.

    `adamw` multiplies every parameter by 1 - rate * decay before Adam's step: biases and
    batch-norm parameters too, because fastai's `true_wd` with `bn_wd`, which OpenPCDet trains
    with, does so. `adam` adds decay * parameter to the gradient instead.
    """
    kind = torch.optim.AdamW if cfg.optimizer == "adamw" else torch.optim.Adam
    betas = (cfg.momentum[0], cfg.beta2)
    return kind(model.parameters(), lr=cfg.learning_rate, betas=betas, weight_decay=cfg.weight_decay, fused=True)


def count_warmup_steps(total_steps: int, cfg: TrainConfig) -> int:
    """Return the number of steps before the peak of the learning rate."""
    return cfg.warmup if isinstance(cfg.warmup, int) else int(cfg.warmup * total_steps)


def compute_rates(step: int, total_steps: int, cfg: TrainConfig) -> tuple[float, float]:
    """Return learning rate and beta1 of one step, as `train.schedule` says.

    Args:
        step: steps done before it, 0 <= step < total_steps.
        total_steps: steps of the whole run.
        cfg: settings of the training.
    """
    match cfg.schedule:
        case "one_cycle":
            return one_cycle(step, total_steps, cfg)
        case "one_cycle_torch":
            return one_cycle_of_torch(step, total_steps, cfg)
        case "cosine":
            return warmup_cosine(step, total_steps, cfg), cfg.momentum[0]
        case _:
            assert_never(cfg.schedule)


def one_cycle(step: int, total_steps: int, cfg: TrainConfig) -> tuple[float, float]:
    """Return learning rate and beta1 as in OpenPCDet's `adam_onecycle`.

    A cosine leads from learning_rate / division up to learning_rate in the warm-up, a second one down to
    learning_rate / division / 1e4, which would be reached at `total_steps`. beta1 goes the other way, from momentum[0]
    to momentum[1] and back.

    Args:
        step: steps done before it, 0 <= step < total_steps.
        total_steps: steps of the whole run.
        cfg: settings of the training.
    """
    return _follow_cycle(step, count_warmup_steps(total_steps, cfg), total_steps, cfg)


def one_cycle_of_torch(step: int, total_steps: int, cfg: TrainConfig) -> tuple[float, float]:
    """Return learning rate and beta1 as in torch's OneCycleLR.

    Like `one_cycle`, but the peak is one step before the end of the warm-up, whose length is not rounded, and the last
    step is the end of the cycle.

    Args:
        step: steps done before it, 0 <= step < total_steps.
        total_steps: steps of the whole run.
        cfg: settings of the training.
    """
    warmup = cfg.warmup if isinstance(cfg.warmup, int) else cfg.warmup * total_steps
    return _follow_cycle(step, warmup - 1, total_steps - 1, cfg)


def warmup_cosine(step: int, total_steps: int, cfg: TrainConfig) -> float:
    """Return the learning rate as in lingvo.

    A line leads from learning_rate / division up to learning_rate in the warm-up, then a cosine down that would reach
    0 at `total_steps`.

    Args:
        step: steps done before it, 0 <= step < total_steps.
        total_steps: steps of the whole run.
        cfg: settings of the training.
    """
    peak = count_warmup_steps(total_steps, cfg)
    if step < peak:
        first = cfg.learning_rate / cfg.division
        return first + (cfg.learning_rate - first) * step / peak
    return _interpolate_cosine(cfg.learning_rate, 0, (step - peak) / (total_steps - peak))


def set_rates(optimizer: torch.optim.Optimizer, step: int, total_steps: int, cfg: TrainConfig) -> None:
    """Give `optimizer` the learning rate and beta1 of one step.

    Args:
        optimizer: changed in place, all of its groups alike.
        step: steps done before it, 0 <= step < total_steps.
        total_steps: steps of the whole run.
        cfg: settings of the training.
    """
    learning_rate, beta1 = compute_rates(step, total_steps, cfg)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        group["betas"] = (beta1, group["betas"][1])


def _follow_cycle(step: int, peak: float, end: int, cfg: TrainConfig) -> tuple[float, float]:
    """Return learning rate and beta1 at `step` of a cycle that has its peak and its end at these steps."""
    start, high, low = cfg.momentum[0], cfg.momentum[1], cfg.learning_rate / cfg.division
    if step < peak:
        share = step / peak
        return _interpolate_cosine(low, cfg.learning_rate, share), _interpolate_cosine(start, high, share)
    share = (step - peak) / (end - peak) if end > peak else 1.0
    return _interpolate_cosine(cfg.learning_rate, low / FINAL_DIVISION, share), _interpolate_cosine(high, start, share)


def _interpolate_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))
