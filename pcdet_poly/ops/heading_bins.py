"""Heading <-> one of n equal bins of the circle, and where in it.

Bin k is centred on k * 2 pi / n, so that bin 0 looks along +x. A residual counts in bins, in [-0.5, 0.5].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def encode_heading_bin(heading_rad: Tensor, num_bins: int) -> tuple[Tensor, Tensor]:
    """Encode headings (...) as the bin (...) int64 in [0, num_bins) and the residual (...) in bins, in [-0.5, 0.5]."""
    _check_bins("encode_heading_bin", num_bins)
    place = heading_rad * (num_bins / (2 * math.pi))
    nearest = place.round()
    return nearest.long() % num_bins, place - nearest


def decode_heading_bin(heading_bin: Tensor, residual: Tensor, num_bins: int) -> Tensor:
    """Decode headings, the inverse of `encode_heading_bin`.

    Args:
        heading_bin: (...) int64, which bin.
        residual: (...) in bins.
        num_bins: how many bins make the circle.

    Returns:
        (...) radians, in [-pi, pi].
    """
    _check_bins("decode_heading_bin", num_bins)
    turn = (heading_bin + residual) / num_bins
    return (turn - turn.round()) * (2 * math.pi)


def decode_likeliest_heading(channels: Tensor) -> Tensor:
    """Decode channels (..., 2 n), n logits then n residuals -> heading (...) of the likeliest bin, in [-pi, pi]."""
    _check_channels("decode_likeliest_heading", channels)
    logit, residual = channels.chunk(2, dim=-1)
    heading_bin = logit.argmax(dim=-1, keepdim=True)
    return decode_heading_bin(heading_bin, residual.gather(-1, heading_bin), logit.shape[-1])[..., 0]


def decode_heading(channels: Tensor) -> Tensor:
    """Decode a head's heading channels (..., C) -> heading (...), radians. C = 2: sine and cosine; else C / 2 bins."""
    _check_channels("decode_heading", channels)
    if channels.shape[-1] == 2:
        return torch.atan2(channels[..., 0], channels[..., 1])
    return decode_likeliest_heading(channels)


def _check_bins(operation: str, num_bins: int) -> None:
    if num_bins < 1:
        raise ValueError(f"{operation}: num_bins = {num_bins}; give at least 1")


def _check_channels(operation: str, channels: Tensor) -> None:
    if channels.ndim < 1 or channels.shape[-1] < 2 or channels.shape[-1] % 2:
        raise ValueError(f"{operation}: channels {tuple(channels.shape)} given, an even number of them needed")
