"""Losses of an anchor head's box codes: smooth L1, headings up to half turns."""

from __future__ import annotations

import torch
from torch import Tensor


def residual_difference(prediction: Tensor, target: Tensor) -> Tensor:
    """Difference of residual codes (..., 7), of the headings its sine, so that half turns do not count."""
    difference = prediction - target
    return torch.cat([difference[..., :6], difference[..., 6:].sin()], dim=-1)


def smooth_l1(difference: Tensor, *, beta: float) -> Tensor:
    """|d| - beta / 2 where |d| >= beta > 0, d^2 / (2 beta) below; elementwise, in float32 (float64 for float64)."""
    size = (difference if difference.dtype.itemsize >= 4 else difference.float()).abs()
    return torch.where(size < beta, size.square() / (2 * beta), size - beta / 2)
