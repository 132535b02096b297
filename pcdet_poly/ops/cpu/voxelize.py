"""Points -> cells of a grid on the CPU, over numpy arrays.

Neither a table over all cells nor a sort: a bitmap of the occupied cells. A cell's rank among them is
the number of bits before it, so ranks are ascending by construction. Where even one bit per cell is
too much (fine voxels), the same is done first for blocks of 64 cells, and then within those in use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.ops.arrays.coordinate_rows import split_coordinates
from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.cpu.bitmap import (
    LANES,
    build_bitmap,
    count_members_before,
    join_lanes,
    list_members,
    mark_members,
    rank_member,
)

Array = np.ndarray
DROPPED = -1
BLOCK = 64  # cells in one word of a bitmap
CHUNK = 2048  # points whose coordinates are brought into rows at a time; they stay in the first cache
CROWD = 4  # points of a voxel, from which its cell costs less to read from the bitmap than to write for each point
LARGEST_BITMAP = 1 << 23  # bits, 1 MB: about a second-level cache


def voxelize(
    points: Array,
    frame_of_point: Array,
    lower: Sequence[float],
    inverse_cell: Sequence[float],
    shape: Sequence[int],
    num_frames: int,
) -> tuple[Array, Array, Array]:
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
    inverse = np.array(inverse_cell, np.float32)
    return _voxelize(
        points, frame_of_point, np.array(lower, np.float32), inverse, np.array(shape, np.int32), num_frames
    )


@kernel
def _voxelize(
    points: Array, frame_of_point: Array, lower: Array, inverse_cell: Array, shape: Array, num_frames: int
) -> tuple[Array, Array, Array]:
    num_cells = num_frames * np.int64(shape[0]) * np.int64(shape[1]) * np.int64(shape[2])
    is_small = num_cells <= LARGEST_BITMAP
    num_words = int(num_cells // BLOCK + 1) if is_small else 0
    index, words = _find_cells(points, frame_of_point, lower, inverse_cell, shape, num_frames, num_words)
    if is_small:
        return _rank_points(index, words, np.empty(0, np.int64))
    used = build_bitmap(index, 6, int(num_cells // (BLOCK * BLOCK) + 1))  # blocks: cells without their last 6 bits
    before, num_blocks = count_members_before(used)
    words, block = np.zeros(num_blocks, np.uint64), np.empty(num_blocks, np.int64)
    _mark_within_blocks(index, used, before, words, block)
    return _rank_points(index, words, block)


@kernel
def _find_cells(
    points: Array,
    frame_of_point: Array,
    lower: Array,
    inverse_cell: Array,
    shape: Array,
    num_frames: int,
    num_words: int,
) -> tuple[Array, Array]:
    """Find the cell of each point, and mark it while it is in the first cache.

    Args:
        points: (P, 3+) float32, metres.
        frame_of_point: (P,) int64.
        lower: (3,) float32 corner of the grid, metres.
        inverse_cell: (3,) float32, 1 / size of a cell.
        shape: (3,) int32 nx, ny, nz.
        num_frames: B.
        num_words: of a bitmap of all cells; 0: nothing is marked.

    Returns:
        (P,) int64 ((frame * nz + z) * ny + y) * nx + x, or -1, and the bitmap (num_words,) uint64.
    """
    # One array holds a point's cell, then its rank: fresh memory costs as much as a pass over it. It is made here
    # because the compiler knows of arrays made in a function that they share nothing.
    cell, lanes = np.empty(len(points), np.int64), np.zeros((num_words, LANES), np.uint64)
    x, y, z = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    for begin in range(0, len(points), CHUNK):
        end = min(begin + CHUNK, len(points))
        split_coordinates(points[begin:end], x, y, z)
        found = cell[begin:end]
        _find_cells_of_rows(x, y, z, frame_of_point[begin:end], lower, inverse_cell, shape, num_frames, found)
        if num_words:
            mark_members(found, 0, lanes)
    return cell, join_lanes(lanes)


@kernel
def _find_cells_of_rows(
    x: Array,
    y: Array,
    z: Array,
    frame_of_point: Array,
    lower: Array,
    inverse_cell: Array,
    shape: Array,
    num_frames: int,
    cell: Array,
) -> None:
    """Find the cells of up to CHUNK points whose coordinates lie in three rows.

    Branch-free, so that it becomes vector instructions. A subtraction, then a multiplication: nothing to fuse.
    """
    zero = np.float32(0)
    nx, ny, nz = shape[0], shape[1], shape[2]
    cells_per_frame = np.int64(nx) * np.int64(ny) * np.int64(nz)
    width, depth, height = np.float32(nx), np.float32(ny), np.float32(nz)
    lower_x, lower_y, lower_z = lower[0], lower[1], lower[2]
    inverse_x, inverse_y, inverse_z = inverse_cell[0], inverse_cell[1], inverse_cell[2]
    for p in range(len(cell)):
        column, row, layer = (x[p] - lower_x) * inverse_x, (y[p] - lower_y) * inverse_y, (z[p] - lower_z) * inverse_z
        inside = (
            (column >= zero) & (column < width) & (row >= zero) & (row < depth) & (layer >= zero) & (layer < height)
        )
        inside &= (frame_of_point[p] >= 0) & (frame_of_point[p] < num_frames)
        within = (np.int32(layer) * ny + np.int32(row)) * nx + np.int32(column)
        cell[p] = frame_of_point[p] * cells_per_frame + np.int64(within) if inside else DROPPED


@kernel
def _mark_within_blocks(index: Array, used: Array, before: Array, words: Array, block: Array) -> None:
    """Turn each point's cell into one among the blocks in use, and mark it there."""
    for p in range(len(index)):
        if index[p] >= 0:
            cell = np.uint64(index[p])
            word = rank_member(used, before, cell >> np.uint64(6))
            bit = cell & np.uint64(63)
            block[word] = np.int64(cell >> np.uint64(6))
            words[word] |= np.uint64(1) << bit
            index[p] = np.int64(word << np.uint64(6) | bit)


@kernel
def _rank_points(index: Array, words: Array, block: Array) -> tuple[Array, Array, Array]:
    """Turn marked positions into cells, ranks and counts.

    `block` says which block each word is, if not its own number.
    """
    before, num_voxels = count_members_before(words)
    if num_voxels * CROWD < len(index):
        return _rank_crowded_points(index, words, block)
    cell, num_points = np.empty(num_voxels, np.int64), np.zeros(num_voxels, np.int64)
    for p in range(len(index)):
        if index[p] >= 0:
            position = np.uint64(index[p])
            voxel = rank_member(words, before, position)
            if len(block):
                cell[voxel] = block[position >> np.uint64(6)] << 6 | index[p] & 63
            else:
                cell[voxel] = index[p]
            num_points[voxel] += 1
            index[p] = np.int64(voxel)
    return cell, index, num_points


@kernel
def _rank_crowded_points(index: Array, words: Array, block: Array) -> tuple[Array, Array, Array]:
    """Turn marked positions into cells, ranks and counts, where many have the same.

    Neighbours in a scan lie in one voxel. They take turns in two counts, as those of a bitmap do in its copies.
    """
    before, num_voxels = count_members_before(words)
    cell, counts = list_members(words, block, int(num_voxels)), np.zeros((num_voxels, 2), np.int32)
    for p in range(len(index)):
        if index[p] >= 0:
            voxel = rank_member(words, before, np.uint64(index[p]))
            counts[voxel, p & 1] += np.int32(1)
            index[p] = np.int64(voxel)
    num_points = np.empty(num_voxels, np.int64)
    for i in range(num_voxels):
        num_points[i] = counts[i, 0] + counts[i, 1]
    return cell, index, num_points
