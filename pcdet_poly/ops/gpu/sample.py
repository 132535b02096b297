"""At most so many points per voxel in torch operations, on any device, without waiting."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.precision import WORD


def keep_first(voxel_of_point: Tensor, num_points: Tensor, max_points: int) -> Tensor:
    """Drop the points of a voxel beyond the first few.

    Args:
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_points: (V,) int64 points in each voxel.
        max_points: how many to keep.

    Returns:
        (P,) int64, with -1 from the (max_points + 1)-th point of a voxel on.
    """
    by_voxel = torch.sort(voxel_of_point.to(torch.int32), stable=True).indices
    return _keep_leading(voxel_of_point, num_points, max_points, by_voxel)


def keep_random(voxel_of_point: Tensor, num_points: Tensor, max_points: int, seed: int) -> Tensor:
    """Drop all points of a voxel but a random few: those of lowest priority.

    Args:
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_points: (V,) int64 points in each voxel.
        max_points: how many to keep.
        seed: of the priorities, 32 bits.

    Returns:
        (P,) int64, with -1 for the points dropped.
    """
    priority = _compute_priority(torch.arange(len(voxel_of_point), device=voxel_of_point.device), seed)
    by_priority = torch.sort((voxel_of_point << 32) | priority).indices
    return _keep_leading(voxel_of_point, num_points, max_points, by_priority)


def _keep_leading(voxel_of_point: Tensor, num_points: Tensor, max_points: int, order: Tensor) -> Tensor:
    """Keep the first points of each voxel in `order`, which brings them together by voxel, dropped ones first."""
    voxel = voxel_of_point[order]
    num_dropped = len(order) - num_points.sum()
    start = torch.cumsum(num_points, dim=0) - num_points + num_dropped
    start = torch.cat([start, start.new_zeros(1)])  # the last one is that of voxel -1
    place = torch.arange(len(order), device=order.device) - start[voxel]
    return torch.empty_like(voxel).scatter_(0, order, torch.where(place < max_points, voxel, -1))


def _compute_priority(point: Tensor, seed: int) -> Tensor:
    """Compute a random-looking 32-bit number, a different one for each point below 2**32."""
    return _mix_bits(point ^ _mix_bits(torch.full_like(point[:1], seed)))


def _mix_bits(word: Tensor) -> Tensor:
    """MurmurHash3's finaliser, of 32-bit numbers held as int64."""
    word = ((word ^ (word >> 16)) * 0x85EBCA6B) & WORD
    word = ((word ^ (word >> 13)) * 0xC2B2AE35) & WORD
    return word ^ (word >> 16)
