"""Sums and maxima over the points of each voxel on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.cpu.compile import kernel

Array = np.ndarray


@kernel
def segment_sum(values: Array, voxel_of_point: Array, num_voxels: int) -> Array:
    """Values (P, C) float32 -> sums (V, C), added in the order of the points."""
    total = np.zeros((num_voxels, values.shape[1]), np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= 0:
            for c in range(values.shape[1]):
                total[v, c] += values[p, c]
    return total


@kernel
def segment_max(values: Array, voxel_of_point: Array, num_voxels: int) -> Array:
    """Values (P, C) float32 -> maxima (V, C); NaN wins, a voxel without points has -inf."""
    highest = np.full((num_voxels, values.shape[1]), -np.inf, np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= 0:
            for c in range(values.shape[1]):
                value, known = values[p, c], highest[v, c]
                highest[v, c] = known if known >= value or known != known else value
    return highest


@kernel
def count_ties(values: Array, highest: Array, voxel_of_point: Array) -> Array:
    """How many of a voxel's points reach its maximum: (V, C) int32."""
    ties = np.zeros(highest.shape, np.int32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= 0:
            for c in range(values.shape[1]):
                ties[v, c] += values[p, c] == highest[v, c]
    return ties


@kernel
def spread_to_highest(share: Array, values: Array, highest: Array, voxel_of_point: Array) -> Array:
    """Gradient (P, C): share (V, C) for points that reach their voxel's maximum, else 0."""
    gradient = np.zeros(values.shape, np.float32)
    for p in range(len(values)):
        v = voxel_of_point[p]
        if v >= 0:
            for c in range(values.shape[1]):
                if values[p, c] == highest[v, c]:
                    gradient[p, c] = share[v, c]
    return gradient
