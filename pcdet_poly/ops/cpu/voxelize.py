"""Points -> cells of a grid on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel

Array = np.ndarray
DROPPED = -1


@kernel
def cell_of_point(
    points: Array,
    frame_of_point: Array,
    lower: Array,
    inverse_cell: Array,
    shape: tuple[int, int, int],
    num_frames: int,
) -> Array:
    """Points (P, 3+) float32 -> (P,) int64 id of the cell ((frame * nz + z) * ny + y) * nx + x, or -1."""
    nx, ny, nz = shape
    cell = np.empty(len(points), np.int64)
    for p in range(len(points)):
        x = (points[p, 0] - lower[0]) * inverse_cell[0]
        y = (points[p, 1] - lower[1]) * inverse_cell[1]
        z = (points[p, 2] - lower[2]) * inverse_cell[2]
        frame = frame_of_point[p]
        if x >= 0 and x < nx and y >= 0 and y < ny and z >= 0 and z < nz and frame >= 0 and frame < num_frames:
            cell[p] = ((frame * nz + np.int64(z)) * ny + np.int64(y)) * nx + np.int64(x)
        else:
            cell[p] = DROPPED
    return cell


def voxelize(
    points: Array,
    frame_of_point: Array,
    lower: Array,
    inverse_cell: Array,
    shape: tuple[int, int, int],
    num_frames: int,
) -> tuple[Array, Array, Array]:
    """Occupied cells (V,) ascending, voxel of each point (P,) or -1, points per voxel (V,); all int64."""
    cell_of_each = cell_of_point(points, frame_of_point, lower, inverse_cell, shape, num_frames)
    cell, voxel_of_point, num_points = np.unique(cell_of_each, return_inverse=True, return_counts=True)
    if len(cell) and cell[0] == DROPPED:
        return cell[1:], voxel_of_point - 1, num_points[1:]
    return cell, voxel_of_point, num_points


@kernel
def keep_first(voxel_of_point: Array, num_voxels: int, max_points: int) -> Array:
    """Voxel of each point (P,), with -1 from the (max_points + 1)-th point of a voxel on."""
    seen = np.zeros(num_voxels, np.int64)
    kept = np.empty_like(voxel_of_point)
    for p in range(len(voxel_of_point)):
        v = voxel_of_point[p]
        kept[p] = v
        if v >= 0:
            seen[v] += 1
            if seen[v] > max_points:
                kept[p] = DROPPED
    return kept


@kernel
def keep_random(voxel_of_point: Array, num_points: Array, max_points: int, seed: int) -> Array:
    """Voxel of each point (P,), with -1 but for the max_points points of lowest priority in each voxel."""
    start = np.zeros(len(num_points) + 1, np.int64)  # of the crowded voxels' priorities
    for v in range(len(num_points)):
        start[v + 1] = start[v] + (num_points[v] if num_points[v] > max_points else 0)
    priorities = np.empty(start[-1], np.int64)
    filled = start.copy()
    for p in range(len(voxel_of_point)):
        v = voxel_of_point[p]
        if v >= 0 and num_points[v] > max_points:
            priorities[filled[v]] = priority(p, seed)
            filled[v] += 1
    highest = np.full(len(num_points), np.int64(1) << 32)
    for v in range(len(num_points)):
        if num_points[v] > max_points:
            highest[v] = np.partition(priorities[start[v] : start[v + 1]], max_points - 1)[max_points - 1]
    kept = np.empty_like(voxel_of_point)
    for p in range(len(voxel_of_point)):
        v = voxel_of_point[p]
        kept[p] = v if v >= 0 and priority(p, seed) <= highest[v] else DROPPED
    return kept


@kernel
def priority(point: int, seed: int) -> int:
    """A random-looking 32-bit number, different for every point of a cloud (a permutation of 0..2**32-1 by seed)."""
    return _mixed((point ^ _mixed(seed & 0xFFFFFFFF)) & 0xFFFFFFFF)


@kernel
def _mixed(word: int) -> int:
    """MurmurHash3's finaliser: a permutation of the 32-bit numbers in which every input bit moves every output bit."""
    word = ((word ^ (word >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    word = ((word ^ (word >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return word ^ (word >> 16)
