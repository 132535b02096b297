"""Per-pillar sums and maxima over points that lie sorted by pillar, on the CPU, over numpy arrays.

P points, V pillars, C channels. Pillar v holds the rows start[v] to start[v + 1], at least one.
Kernels that work on a tile take its pillars `first` to `last` and arrays over the tile's points.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray


@kernel
def sort_points_by_pillar(pillar_of_point: Array, start: Array) -> Array:
    """Sort points by the pillar (P,) of each, or -1 -> (K,) positions of those kept, in a pillar as they were."""
    filled = start.copy()
    order = np.empty(start[-1], np.int64)
    for p in range(len(pillar_of_point)):
        v = pillar_of_point[p]
        if v >= len(start) - 1 or (v >= 0 and filled[v] == start[v + 1]):
            raise ValueError("pillars: voxel_of_point and num_points are not of the same voxels")
        if v >= 0:
            order[filled[v]] = p
            filled[v] += 1
    return order


@kernel
def decorate_points(points: Array, order: Array, start: Array, centre: Array) -> Array:
    """Sort points by pillar and append offsets from the pillar's mean and centre, and 1.

    Args:
        points: (P, C) float32, x, y, z first, metres.
        order: (K,) int64, see `sort_points_by_pillar`.
        start: (V + 1,) int64.
        centre: (V, 3) float32, metres.

    Returns:
        (K, C + 7) of the points' dtype.
    """
    columns = points.shape[1]
    decorated = np.empty((len(order), columns + 7), points.dtype)
    for v in range(len(start) - 1):
        x, y, z = 0.0, 0.0, 0.0
        for k in range(start[v], start[v + 1]):
            p = order[k]
            for c in range(columns):
                decorated[k, c] = points[p, c]
            x, y, z = x + points[p, 0], y + points[p, 1], z + points[p, 2]
        count = start[v + 1] - start[v]
        x, y, z = x / count, y / count, z / count
        for k in range(start[v], start[v + 1]):
            decorated[k, columns] = decorated[k, 0] - x
            decorated[k, columns + 1] = decorated[k, 1] - y
            decorated[k, columns + 2] = decorated[k, 2] - z
            decorated[k, columns + 3] = decorated[k, 0] - centre[v, 0]
            decorated[k, columns + 4] = decorated[k, 1] - centre[v, 1]
            decorated[k, columns + 5] = decorated[k, 2] - centre[v, 2]
            decorated[k, columns + 6] = 1
    return decorated


@kernel
def add_relu_pool(
    values: Array, shift: Array, start: Array, first: int, last: int, total: Array, highest: Array, where: Array
) -> None:
    """Make values relu(values + shift of the pillar) in place, and pool them over each pillar.

    Args:
        values: (T, C) of the tile's points, changed in place.
        shift: (V, C).
        start: (V + 1,) int64 rows of all pillars.
        first: the tile's first pillar.
        last: the pillar after its last.
        total: (V, C); the sums are written to rows first to last.
        highest: (V, C); so are the maxima,
        where: (V, C) int32; and the row in the tile of each maximum.
    """
    for v in range(first, last):
        total[v] = 0
        highest[v] = -1
        where[v] = start[v] - start[first]
        for k in range(start[v] - start[first], start[v + 1] - start[first]):
            for c in range(values.shape[1]):
                value = values[k, c] + shift[v, c]
                value = values.dtype.type(0) if value < 0 else value
                values[k, c] = value
                total[v, c] += value
                higher = value > highest[v, c] or value != value
                highest[v, c] = value if higher else highest[v, c]
                where[v, c] = k if higher else where[v, c]


@kernel
def add_relu_pool_backward(
    gradient: Array,
    values: Array,
    to_total: Array,
    to_highest: Array,
    where: Array,
    start: Array,
    first: int,
    last: int,
    to_shift: Array,
) -> None:
    """Turn the gradient of the tile's relu'd values into that of the values before the relu, in place.

    What the sum and the maximum add to it is added first.

    Args:
        gradient: (T, C), changed in place.
        values: (T, C) after the relu.
        to_total: (V, C) gradient of the sums.
        to_highest: (V, C) gradient of the maxima.
        where: (V, C) int32 row in the tile of each maximum.
        start: (V + 1,) int64 rows of all pillars.
        first: the tile's first pillar.
        last: the pillar after its last.
        to_shift: (V, C); the gradient's sums over each pillar are written to rows first to last.
    """
    zero = values.dtype.type(0)
    for v in range(first, last):
        to_shift[v] = 0
        for c in range(values.shape[1]):
            gradient[where[v, c], c] += to_highest[v, c]
        for k in range(start[v] - start[first], start[v + 1] - start[first]):
            for c in range(values.shape[1]):
                moved = gradient[k, c] + to_total[v, c] if values[k, c] > 0 else zero
                gradient[k, c] = moved
                to_shift[v, c] += moved


@kernel
def pool_maximum(values: Array, start: Array, first: int, last: int, highest: Array, where: Array) -> None:
    """Find the maximum of the tile's values over each pillar.

    Args:
        values: (T, C).
        start: (V + 1,) int64 rows of all pillars.
        first: the tile's first pillar.
        last: the pillar after its last.
        highest: (V, C); the maxima are written to rows first to last.
        where: (V, C) int32; so are their rows among all points.
    """
    for v in range(first, last):
        highest[v] = -np.inf
        where[v] = start[v]
        for k in range(start[v] - start[first], start[v + 1] - start[first]):
            for c in range(values.shape[1]):
                higher = values[k, c] > highest[v, c] or values[k, c] != values[k, c]
                highest[v, c] = values[k, c] if higher else highest[v, c]
                where[v, c] = k + start[first] if higher else where[v, c]


@kernel
def add_linear_max_gradients(
    to_highest: Array, where: Array, inputs: Array, weight: Array, to_inputs: Array, to_weight: Array
) -> None:
    """Add the gradients of the maximum over each pillar of inputs @ weight.T.

    Args:
        to_highest: (V, C) gradient of the maxima.
        where: (V, C) int32 row of each maximum among all points.
        inputs: (P, I).
        weight: (C, I).
        to_inputs: (P, I), added to in place.
        to_weight: (C, I), added to in place.
    """
    for v in range(len(where)):
        for c in range(where.shape[1]):
            slope = to_highest[v, c]
            if slope != 0:
                row = where[v, c]
                for i in range(inputs.shape[1]):
                    to_inputs[row, i] += slope * weight[c, i]
                    to_weight[c, i] += slope * inputs[row, i]
