"""Points -> cells of a grid in Triton: the way of ops/cpu/voxelize.py, which explains it.

Bits are set and points counted by integer atomics, whose order does not matter. The host waits once, at
the end, for the number of cells.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# (Triton's kernels take blocks, for which there is no type.)
from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcdet_poly.ops.gpu.bitmap import BITS, count_members_before, insert_members, rank_member

DROPPED = tl.constexpr(-1)
LARGEST_BITMAP = 1 << 23  # bits; beyond, blocks of 32 cells are numbered first
BLOCK = 256


def voxelize(
    points: Tensor,
    frame_of_point: Tensor,
    lower: Sequence[float],
    inverse_cell: Sequence[float],
    shape: Sequence[int],
    num_frames: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the occupied cells, and which points lie in them; see ops/voxelize.py.

    Args:
        points: (P, 3+) float32, metres.
        frame_of_point: (P,) int64.
        lower: corner of the grid, metres.
        inverse_cell: 1 / size of a cell along x, y, z, per metre.
        shape: nx, ny, nz, whose product is below 2**31.
        num_frames: B.

    Returns:
        Occupied cells (V,) ascending, voxel of each point (P,) or -1, points per voxel (V,); all int64.
    """
    cell, voxel_of_point, num_points, num_voxels = voxelize_padded(
        points, frame_of_point, lower, inverse_cell, shape, num_frames
    )
    length = int(num_voxels.item())  # the one wait
    return cell[:length], voxel_of_point, num_points[:length]


def voxelize_padded(
    points: Tensor,
    frame_of_point: Tensor,
    lower: Sequence[float],
    inverse_cell: Sequence[float],
    shape: Sequence[int],
    num_frames: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Do what `voxelize` does, without waiting.

    Args:
        points: (P, 3+) float32, metres.
        frame_of_point: (P,) int64.
        lower: corner of the grid, metres.
        inverse_cell: 1 / size of a cell along x, y, z, per metre.
        shape: nx, ny, nz, whose product is below 2**31.
        num_frames: B.

    Returns:
        Cells (P,), voxel of each point (P,), points per voxel (P,), and the number of voxels, (1,) int32: only so many
        of the cells and counts mean something.
    """
    num_cells = num_frames * shape[0] * shape[1] * shape[2]
    dense = num_cells <= LARGEST_BITMAP
    num_words = triton.cdiv(num_cells if dense else triton.cdiv(num_cells, BITS.value), BITS.value) + 1
    zeros = torch.zeros(num_words + len(points), dtype=torch.int32, device=points.device)
    words, words_within = zeros[:num_words], zeros[num_words:]
    num_points = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    index, cell = torch.empty_like(frame_of_point), torch.empty_like(frame_of_point)
    grid = (triton.cdiv(len(points), BLOCK),)
    if len(points):
        _mark_cells[grid](
            points,
            points.stride(0),
            frame_of_point,
            index,
            words,
            len(points),
            *lower,
            *inverse_cell,
            *shape,
            num_frames,
            CELLS_PER_BIT=1 if dense else BITS.value,
            BLOCK=BLOCK,
        )
    before, num_voxels = count_members_before(words)
    if not len(points):
        return cell, index, num_points, num_voxels
    block = cell
    if not dense:
        block = torch.empty_like(index)
        _mark_within_blocks[grid](index, words, before, words_within, block, len(points), BLOCK=BLOCK)
        words = words_within
        before, num_voxels = count_members_before(words)
    _rank_points[grid](index, words, before, block, cell, num_points, len(points), DENSE=dense, BLOCK=BLOCK)
    return cell, index, num_points, num_voxels


@triton.jit
def _mark_cells(
    points,
    columns,
    frame_of_point,
    index,
    words,
    num_points,
    lower_x,
    lower_y,
    lower_z,
    inverse_x,
    inverse_y,
    inverse_z,
    nx,
    ny,
    nz,
    num_frames,
    CELLS_PER_BIT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = p < num_points
    row = points + p.to(tl.int64) * columns
    # A subtraction, then a multiplication, float32: nothing to fuse.
    x = (tl.load(row, mask=inside, other=0.0) - lower_x) * inverse_x
    y = (tl.load(row + 1, mask=inside, other=0.0) - lower_y) * inverse_y
    z = (tl.load(row + 2, mask=inside, other=0.0) - lower_z) * inverse_z
    frame = tl.load(frame_of_point + p, mask=inside, other=-1)
    inside = inside & (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
    inside = inside & (frame >= 0) & (frame < num_frames)
    column, line, layer = _truncate(x, inside), _truncate(y, inside), _truncate(z, inside)
    cell = ((frame * nz + layer) * ny + line) * nx + column
    tl.store(index + p, tl.where(inside, cell, DROPPED), mask=p < num_points)
    insert_members(words, cell // CELLS_PER_BIT, inside)


@triton.jit
def _truncate(coordinate, inside):
    """Truncate to the cell number along one axis, int64; 0 outside, where the number may not fit."""
    return tl.where(inside, coordinate, 0.0).to(tl.int32).to(tl.int64)


@triton.jit
def _mark_within_blocks(index, used, before, words, block, num_points, BLOCK: tl.constexpr):
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cell = tl.load(index + p, mask=p < num_points, other=DROPPED)
    inside = cell >= 0
    word = rank_member(used, before, cell // BITS, inside)
    position = word * BITS + cell % BITS
    insert_members(words, position, inside)
    tl.store(block + word, cell // BITS, mask=inside)
    tl.store(index + p, position, mask=inside)


@triton.jit
def _rank_points(
    index, words, before, block, cell_of_voxel, count, num_points, DENSE: tl.constexpr, BLOCK: tl.constexpr
):
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    position = tl.load(index + p, mask=p < num_points, other=DROPPED)
    inside = position >= 0
    voxel = rank_member(words, before, position, inside)
    cell = position
    if not DENSE:
        cell = tl.load(block + position // BITS, mask=inside, other=0) * BITS + position % BITS
    tl.store(cell_of_voxel + voxel, cell, mask=inside)
    tl.store(index + p, voxel, mask=inside)
    tl.atomic_add(count + voxel, tl.full((BLOCK,), 1, tl.int64), mask=inside, sem="relaxed")
