"""The optimiser and its one-cycle schedule, as in OpenPCDet's `adam_onecycle`."""

from __future__ import annotations

import math

import torch
from torch import nn

from pcdet_poly.config.train import TrainConfig

# The schedule ends at its first learning rate divided by this (fastai's number).
FINAL_DIVISION = 1e4


def build_optimizer(model: nn.Module, cfg: TrainConfig) -> torch.optim.Optimizer:
    """Adam over all parameters of `model`.

    `adamw` multiplies every parameter by 1 - rate * decay before Adam's step: biases and
    batch-norm parameters too, because fastai's `true_wd` with `bn_wd`, which OpenPCDet trains
    with, does so. `adam` adds decay * parameter to the gradient instead.
    """
    kind = torch.optim.AdamW if cfg.optimizer == "adamw" else torch.optim.Adam
    learning_rate, beta1 = one_cycle(0, 1, cfg)
    return kind(
        model.parameters(), lr=learning_rate, betas=(beta1, cfg.beta2), weight_decay=cfg.weight_decay, fused=True
    )


def one_cycle(step: int, total_steps: int, cfg: TrainConfig) -> tuple[float, float]:
    """Learning rate and beta1 of the step after `step` done ones, 0 <= step < total_steps.

    A cosine leads from learning_rate / division up to learning_rate in the first
    `floor(warmup * total_steps)` steps, a second one down to learning_rate / division / 1e4, which
    would be reached at `total_steps`. beta1 goes the other way, from momentum[0] to momentum[1] and back.
    """
    start, high, low = cfg.momentum[0], cfg.momentum[1], cfg.learning_rate / cfg.division
    peak = int(cfg.warmup * total_steps)
    if step < peak:
        share = step / peak
        return _cosine(low, cfg.learning_rate, share), _cosine(start, high, share)
    share = (step - peak) / (total_steps - peak)
    return _cosine(cfg.learning_rate, low / FINAL_DIVISION, share), _cosine(high, start, share)


def set_one_cycle(optimizer: torch.optim.Optimizer, step: int, total_steps: int, cfg: TrainConfig) -> None:
    """Give `optimizer` the learning rate and beta1 of the step after `step` done ones."""
    learning_rate, beta1 = one_cycle(step, total_steps, cfg)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        group["betas"] = (beta1, group["betas"][1])


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))
