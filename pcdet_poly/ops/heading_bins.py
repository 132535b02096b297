"""Heading <-> one of n equal sectors of the circle, and where in it.

Sector k is centred on k * 2 pi / n, so that sector 0 looks along +x. A residual counts in sectors, in [-0.5, 0.5].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def encode_heading_bin(heading_rad: Tensor, num_bins: int) -> tuple[Tensor, Tensor]:
    """Headings (...) -> sector (...) int64 in [0, num_bins), and residual (...)."""
    place = heading_rad * (num_bins / (2 * math.pi))
    nearest = place.round()
    return nearest.long() % num_bins, place - nearest


def decode_heading_bin(sector: Tensor, residual: Tensor, num_bins: int) -> Tensor:
    """The inverse, in [-pi, pi]."""
    turn = (sector + residual) / num_bins
    return (turn - turn.round()) * (2 * math.pi)


def decode_likeliest_heading(channels: Tensor) -> Tensor:
    """Channels (..., 2 n), n logits then n residuals -> heading (...) of the likeliest sector, in [-pi, pi]."""
    logit, residual = channels.chunk(2, dim=-1)
    sector = logit.argmax(dim=-1, keepdim=True)
    return decode_heading_bin(sector, residual.gather(-1, sector), logit.shape[-1])[..., 0]


def decode_heading(channels: Tensor) -> Tensor:
    """A head's heading channels (..., C) -> heading (...), radians. C = 2: sine and cosine; else C / 2 bins."""
    if channels.shape[-1] == 2:
        return torch.atan2(channels[..., 0], channels[..., 1])
    return decode_likeliest_heading(channels)
