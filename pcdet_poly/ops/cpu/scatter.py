"""Sums, means and maxima over the points of each voxel, and rows of a table, on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray


EVERY_POINT = 1 << 31  # more than any voxel has


def segment_mean(
    values: Array, voxel_of_point: Array, num_voxels: int, max_points: int | None = None
) -> tuple[Array, Array]:
    """Mean of the values of each voxel's points, added up in the order of the points.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.
        max_points: how many of a voxel's points count, the first in order; None for all.

    Returns:
        Means (V, C) and counts (V,), both float32.
    """
    return _average_first(values, voxel_of_point, num_voxels, EVERY_POINT if max_points is None else max_points)


@kernel
def _average_first(values: Array, voxel_of_point: Array, num_voxels: int, max_points: int) -> tuple[Array, Array]:
    mean = np.zeros((num_voxels, values.shape[1]), np.float32)
    count = np.zeros(num_voxels, np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= num_voxels:
            raise ValueError("scatter: a number in voxel_of_point is not below num_voxels")
        if v >= 0 and count[v] < max_points:
            count[v] += np.float32(1)
            for c in range(values.shape[1]):
                mean[v, c] += values[p, c]
    for v in range(num_voxels):
        for c in range(values.shape[1]):
            mean[v, c] = mean[v, c] / count[v] if count[v] > 0 else np.nan
    return mean, count


@kernel
def segment_sum(values: Array, voxel_of_point: Array, num_voxels: int) -> Array:
    """Sum of the values of each voxel's points, added up in the order of the points.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.

    Returns:
        (V, C) float32; a voxel without points has 0.
    """
    total = np.zeros((num_voxels, values.shape[1]), np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= num_voxels:
            raise ValueError("scatter: a number in voxel_of_point is not below num_voxels")
        if v >= 0:
            for c in range(values.shape[1]):
                total[v, c] += values[p, c]
    return total


@kernel
def take_rows(values: Array, row: Array) -> Array:
    """Take rows of a table.

    Args:
        values: (N, C) float32.
        row: (P,) int64 in [0, N).

    Returns:
        (P, C) float32.
    """
    taken = np.empty((len(row), values.shape[1]), np.float32)
    for p in range(len(row)):
        r = row[p]
        if r < 0 or r >= len(values):
            raise ValueError("take_rows: a number in row is no row of values")
        for c in range(values.shape[1]):
            taken[p, c] = values[r, c]
    return taken


@kernel
def segment_max(values: Array, voxel_of_point: Array, num_voxels: int) -> Array:
    """Maximum of the values of each voxel's points; NaN wins.

    Args:
        values: (P, C) float32.
        voxel_of_point: (P,) int64 voxel of each point, or -1.
        num_voxels: V.

    Returns:
        (V, C) float32; a voxel without points has -inf.
    """
    highest = np.full((num_voxels, values.shape[1]), np.float32(-np.inf), np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= num_voxels:
            raise ValueError("scatter: a number in voxel_of_point is not below num_voxels")
        if v >= 0:
            for c in range(values.shape[1]):
                value, known = values[p, c], highest[v, c]
                highest[v, c] = known if known >= value or known != known else value
    return highest


@kernel
def share_among_highest(gradient: Array, values: Array, highest: Array, voxel_of_point: Array) -> Array:
    """Share the gradient of a maximum equally among the values that reach it.

    Args:
        gradient: (V, C) float32 of the maxima.
        values: (P, C) float32.
        highest: (V, C) float32, the maxima.
        voxel_of_point: (P,) int64 voxel of each point, or -1.

    Returns:
        (P, C) float32, the gradient of the values.
    """
    share = gradient / _count_highest(values, highest, voxel_of_point)
    spread = np.empty_like(values)
    for p in range(len(values)):
        v = voxel_of_point[p]
        for c in range(values.shape[1]):
            reaches = v >= 0 and values[p, c] == highest[v, c]
            spread[p, c] = share[v, c] if reaches else np.float32(0)
    return spread


@kernel
def _count_highest(values: Array, highest: Array, voxel_of_point: Array) -> Array:
    count = np.zeros(highest.shape, np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= 0:
            for c in range(values.shape[1]):
                count[v, c] += np.float32(values[p, c] == highest[v, c])
    return count
