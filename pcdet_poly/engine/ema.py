"""An exponential moving average of a network's weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn


def start_average(model: nn.Module) -> nn.Module:
    """Return a copy of `model` to keep its average in."""
    return deepcopy(model).requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, step: int, decay: float) -> None:
    """Move `average` towards the weights of `model`.

    It keeps min(decay, (1 + step) / (10 + step)) of itself, so that it forgets the random start within some tens of
    steps. Batch norm's running statistics are averaged too; whole numbers are copied.

    Args:
        average: the average so far; changed in place.
        model: the network after the step.
        step: number of the step, counted from 1.
        decay: largest share of itself that the average keeps.
    """
    kept = min(decay, (1 + step) / (10 + step))
    mine, theirs = average.state_dict(), model.state_dict()
    names = [name for name, tensor in mine.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([mine[name] for name in names], [theirs[name] for name in names], 1 - kept)
    for name in mine.keys() - set(names):
        mine[name].copy_(theirs[name])
