"""Sums, means and maxima over the points of each voxel in Triton, and rows of a table.

Float sums depend on their order, so sums and means add up in the order of the points, after a stable sort by
voxel, one lane per voxel and channel: the CPU's result to the bit. Maxima and the number of points that
reach them do not depend on the order: atomics, on integers.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

LOWEST = -0x7F800001  # _encode_in_order(-inf)


def segment_mean(
    values: Tensor, voxel_of_point: Tensor, num_voxels: int, max_points: int | None = None
) -> tuple[Tensor, Tensor]:
    """Mean of the values of each voxel's points, added up in the order of the points.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.
        max_points: how many of a voxel's points count, the first in order; None for all.

    Returns:
        Means (V, C) and counts (V,), both float32.
    """
    mean, count = values.new_empty(num_voxels, values.shape[1]), values.new_empty(num_voxels)
    _add_up(values, voxel_of_point, mean, count, len(values) if max_points is None else max_points, is_mean=True)
    return mean, count


def segment_sum(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    """Sum of the values of each voxel's points, added up in the order of the points.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.

    Returns:
        (V, C) float32; a voxel without points has 0.
    """
    total, count = values.new_empty(num_voxels, values.shape[1]), values.new_empty(num_voxels)
    _add_up(values, voxel_of_point, total, count, len(values), is_mean=False)
    return total


def _add_up(values: Tensor, voxel_of_point: Tensor, result: Tensor, count: Tensor, most: int, *, is_mean: bool) -> None:
    """Write sums or means (V, C), and how many points they are of (V,), at most the first `most` of each voxel."""
    num_voxels, num_channels = result.shape
    voxel, order = torch.sort(voxel_of_point.to(torch.int32), stable=True)
    start = torch.searchsorted(voxel, torch.arange(num_voxels + 1, dtype=torch.int32, device=values.device))
    block_c = min(triton.next_power_of_2(max(num_channels, 1)), 64)
    block_v = 128 // block_c
    if num_voxels and num_channels:
        blocks = (triton.cdiv(num_voxels, block_v), triton.cdiv(num_channels, block_c))
        sizes = (num_voxels, num_channels, most)
        _add_up_in_order[blocks](
            values, order, start, result, count, *sizes, IS_MEAN=is_mean, BLOCK_V=block_v, BLOCK_C=block_c
        )


def take_rows(values: Tensor, row: Tensor) -> Tensor:
    """Take rows of a table.

    Args:
        values: (N, C) float32.
        row: (P,) int64 in [0, N).

    Returns:
        (P, C) float32.
    """
    return values.index_select(0, row)


def segment_max(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    """Maximum of the values of each voxel's points; NaN wins.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.

    Returns:
        (V, C) float32; a voxel without points has -inf.
    """
    highest = torch.full((num_voxels, values.shape[1]), LOWEST, dtype=torch.int32, device=values.device)
    if values.numel():
        _raise_maxima[_count_programs(values)](
            values, voxel_of_point, highest, values.numel(), num_voxels, values.shape[1], BLOCK=1024
        )
    if highest.numel():
        _decode_maxima[_count_programs(highest)](highest, highest.numel(), BLOCK=1024)
    return highest.view(torch.float32)


def share_among_highest(gradient: Tensor, values: Tensor, highest: Tensor, voxel_of_point: Tensor) -> Tensor:
    """Share the gradient of a maximum equally among the values that reach it.

    Args:
        gradient: (V, C) float32 of the maxima.
        values: (P, C) float32.
        highest: (V, C) float32, the maxima.
        voxel_of_point: (P,) int64 voxel of each point, or -1.

    Returns:
        (P, C) float32, the gradient of the values.
    """
    count = torch.zeros_like(highest, dtype=torch.int32)
    spread = torch.empty_like(values)
    if values.numel():
        size = (values.numel(), len(highest), values.shape[1])
        _count_highest[_count_programs(values)](values, highest, voxel_of_point, count, *size, BLOCK=1024)
        _spread_gradient[_count_programs(values)](
            gradient / count, values, highest, voxel_of_point, spread, *size, BLOCK=1024
        )
    return spread


def _count_programs(tensor: Tensor) -> tuple[int]:
    return (triton.cdiv(tensor.numel(), 1024),)


@triton.jit
def _add_up_in_order(
    values,
    order,
    start,
    result,
    count,
    num_voxels,
    num_channels,
    most,
    IS_MEAN: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    v = tl.program_id(0) * BLOCK_V + tl.arange(0, BLOCK_V)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    begin = tl.load(start + v, mask=v < num_voxels, other=0)
    length = tl.load(start + v + 1, mask=v < num_voxels, other=0) - begin
    length = tl.minimum(length, most)
    total = tl.zeros((BLOCK_V, BLOCK_C), tl.float32)
    for first in range(0, tl.max(length, axis=0), 4):
        for k in tl.static_range(4):  # four loads on their way at a time
            inside = first + k < length
            p = tl.load(order + begin + first + k, mask=inside, other=0)
            mask = inside[:, None] & (c < num_channels)[None, :]
            total += tl.load(values + p[:, None] * num_channels + c[None, :], mask=mask, other=0.0)
    divisor = length.to(tl.float32)
    if IS_MEAN:
        total = tl.div_rn(total, tl.broadcast_to(divisor[:, None], (BLOCK_V, BLOCK_C)))
    mask = (v < num_voxels)[:, None] & (c < num_channels)[None, :]
    tl.store(result + v[:, None].to(tl.int64) * num_channels + c[None, :], total, mask=mask)
    tl.store(count + v, divisor, mask=v < num_voxels)


@triton.jit
def _raise_maxima(values, voxel_of_point, highest, size, num_voxels, num_channels, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    voxel = tl.load(voxel_of_point + i // num_channels, mask=i < size, other=-1)
    key = _encode_in_order(tl.load(values + i, mask=i < size, other=0.0))
    tl.atomic_max(
        highest + voxel * num_channels + i % num_channels, key, mask=(voxel >= 0) & (voxel < num_voxels), sem="relaxed"
    )


@triton.jit
def _decode_maxima(highest, size, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(highest + i, mask=i < size, other=0)
    tl.store(highest + i, tl.where(key < 0, key ^ 0x7FFFFFFF, key), mask=i < size)


@triton.jit
def _encode_in_order(value):
    """Encode float32 as an int32 that grows with it; NaN is the largest."""
    bits = value.to(tl.int32, bitcast=True)
    return tl.where(value != value, 0x7FFFFFFF, tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits))


@triton.jit
def _find_maxima(values, highest, voxel_of_point, i, size, num_voxels, num_channels):
    """Find where values[i] reaches its voxel's maximum, and the place of that."""
    voxel = tl.load(voxel_of_point + i // num_channels, mask=i < size, other=-1)
    place = voxel * num_channels + i % num_channels
    value = tl.load(values + i, mask=i < size, other=0.0)
    inside = (voxel >= 0) & (voxel < num_voxels)
    return inside & (value == tl.load(highest + place, mask=inside, other=0.0)), place


@triton.jit
def _count_highest(values, highest, voxel_of_point, count, size, num_voxels, num_channels, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    reaches, place = _find_maxima(values, highest, voxel_of_point, i, size, num_voxels, num_channels)
    tl.atomic_add(count + place, tl.full((BLOCK,), 1, tl.int32), mask=reaches, sem="relaxed")


@triton.jit
def _spread_gradient(
    share, values, highest, voxel_of_point, spread, size, num_voxels, num_channels, BLOCK: tl.constexpr
):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    reaches, place = _find_maxima(values, highest, voxel_of_point, i, size, num_voxels, num_channels)
    tl.store(spread + i, tl.load(share + place, mask=reaches, other=0.0), mask=i < size)
