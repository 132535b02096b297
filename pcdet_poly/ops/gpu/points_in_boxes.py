"""Which points lie in which boxes in Triton: every point against every box, in the order of the boxes."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcdet_poly.ops.gpu.overlap import COLUMNS, prepare_boxes

BLOCK_P, BLOCK_N = 64, 16


def first_box(points: Tensor, box: Tensor) -> Tensor:
    """Find the first box around each point: points (P, 3+), boxes (N, 7) -> (P,) int64, or -1."""
    first = torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    if len(points) and len(box):
        _find_first_box[(triton.cdiv(len(points), BLOCK_P),)](
            *_list_arguments(points, box, first), enable_fp_fusion=False
        )
    return first


def count_points(points: Tensor, box: Tensor) -> Tensor:
    """Count the points (P, 3+) in each box (N, 7), whatever other boxes they lie in -> (N,) int64."""
    count = torch.zeros(len(box), dtype=torch.int64, device=points.device)
    if len(points) and len(box):
        _count_points[(triton.cdiv(len(points), BLOCK_P),)](
            *_list_arguments(points, box, count), enable_fp_fusion=False
        )
    return count


def _list_arguments(points: Tensor, box: Tensor, result: Tensor) -> tuple[Tensor | int, ...]:
    return points, points.stride(0), prepare_boxes(box), result, len(points), len(box), BLOCK_P, BLOCK_N


@triton.jit
def _find_first_box(points, columns, boxes, first, num_points, num_boxes, BLOCK_P: tl.constexpr, BLOCK_N: tl.constexpr):
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    lowest = tl.full((BLOCK_P,), 0x7FFFFFFF, tl.int32)
    for begin in range(0, num_boxes, BLOCK_N):
        n = begin + tl.arange(0, BLOCK_N)
        inside = _is_inside(points, columns, p, num_points, boxes, n, num_boxes)
        lowest = tl.minimum(lowest, tl.min(tl.where(inside, n[None, :], 0x7FFFFFFF), axis=1))
    tl.store(first + p, lowest.to(tl.int64), mask=(p < num_points) & (lowest < 0x7FFFFFFF))


@triton.jit
def _count_points(points, columns, boxes, count, num_points, num_boxes, BLOCK_P: tl.constexpr, BLOCK_N: tl.constexpr):
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    for begin in range(0, num_boxes, BLOCK_N):
        n = begin + tl.arange(0, BLOCK_N)
        inside = _is_inside(points, columns, p, num_points, boxes, n, num_boxes)
        found = tl.sum(inside.to(tl.int64), axis=0)
        tl.atomic_add(count + n, found, mask=found > 0, sem="relaxed")


@triton.jit
def _is_inside(points, columns, p, num_points, boxes, n, num_boxes):
    """Tell which points lie in which boxes: (BLOCK_P, BLOCK_N) bool."""
    point = points + p.to(tl.int64) * columns
    box = boxes + n * COLUMNS
    dx = _load_point_column(point, 0, p, num_points) - _load_box_column(box, 0, n, num_boxes)
    dy = _load_point_column(point, 1, p, num_points) - _load_box_column(box, 1, n, num_boxes)
    dz = _load_point_column(point, 2, p, num_points) - _load_box_column(box, 2, n, num_boxes)
    cosine, sine = _load_box_column(box, 6, n, num_boxes), _load_box_column(box, 7, n, num_boxes)
    inside = (p < num_points)[:, None] & (n < num_boxes)[None, :]
    inside = inside & (tl.abs(dz) <= 0.5 * _load_box_column(box, 5, n, num_boxes))
    inside = inside & (tl.abs(dx * cosine + dy * sine) <= 0.5 * _load_box_column(box, 3, n, num_boxes))
    return inside & (tl.abs(dy * cosine - dx * sine) <= 0.5 * _load_box_column(box, 4, n, num_boxes))


@triton.jit
def _load_point_column(point, column, p, num_points):
    return tl.load(point + column, mask=p < num_points, other=0.0).to(tl.float64)[:, None]


@triton.jit
def _load_box_column(box, column, n, num_boxes):
    return tl.load(box + column, mask=n < num_boxes, other=0.0)[None, :]
