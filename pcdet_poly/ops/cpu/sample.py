"""At most so many points per voxel on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.ops.precision import WORD

Array = np.ndarray
DROPPED = -1


@kernel
def keep_first(voxel_of_point: Array, num_points: Array, max_points: int) -> Array:
    """Drop the points of a voxel beyond the first few.

    Args:
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_points: (V,) int64 points in each voxel.
        max_points: how many to keep.

    Returns:
        (P,) int64, with -1 from the (max_points + 1)-th point of a voxel on.
    """
    seen = np.zeros(len(num_points), np.int64)
    kept = np.empty_like(voxel_of_point)
    for p in range(len(voxel_of_point)):
        voxel = voxel_of_point[p]
        kept[p] = voxel
        if voxel >= 0:
            seen[voxel] += 1
            if seen[voxel] > max_points:
                kept[p] = DROPPED
    return kept


@kernel
def keep_random(voxel_of_point: Array, num_points: Array, max_points: int, seed: int) -> Array:
    """Drop all points of a voxel but a random few: those of lowest priority.

    Args:
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_points: (V,) int64 points in each voxel.
        max_points: how many to keep.
        seed: of the priorities, 32 bits.

    Returns:
        (P,) int64, with -1 for the points dropped.
    """
    highest = _find_highest_priority_kept(voxel_of_point, num_points, max_points, seed)
    kept = np.empty_like(voxel_of_point)
    for p in range(len(voxel_of_point)):
        voxel = voxel_of_point[p]
        kept[p] = voxel if voxel >= 0 and priority(p, seed) <= highest[voxel] else DROPPED
    return kept


@kernel
def _find_highest_priority_kept(voxel_of_point: Array, num_points: Array, max_points: int, seed: int) -> Array:
    """Find the max_points-th lowest priority among a voxel's points: (V,) int64."""
    start = np.zeros(len(num_points) + 1, np.int64)  # of the priorities of each crowded voxel
    for voxel in range(len(num_points)):
        start[voxel + 1] = start[voxel] + (num_points[voxel] if num_points[voxel] > max_points else 0)
    priorities, filled = np.empty(start[-1], np.int64), start.copy()
    for p in range(len(voxel_of_point)):
        voxel = voxel_of_point[p]
        if voxel >= 0 and num_points[voxel] > max_points:
            priorities[filled[voxel]] = priority(p, seed)
            filled[voxel] += 1
    highest = np.full(len(num_points), WORD, np.int64)
    for voxel in range(len(num_points)):
        if num_points[voxel] > max_points:
            mine = priorities[start[voxel] : start[voxel + 1]]
            highest[voxel] = np.partition(mine, max_points - 1)[max_points - 1]
    return highest


@kernel
def priority(point: int, seed: int) -> int:
    """A random-looking 32-bit number, a different one for each point below 2**32."""
    return _mix_bits((point ^ _mix_bits(seed & WORD)) & WORD)


@kernel
def _mix_bits(word: int) -> int:
    """MurmurHash3's finaliser: a permutation of the 32-bit numbers in which every input bit moves every output bit."""
    word = ((word ^ (word >> 16)) * 0x85EBCA6B) & WORD
    word = ((word ^ (word >> 13)) * 0xC2B2AE35) & WORD
    return word ^ (word >> 16)
