"""Products, sums and maxima over points that lie sorted by pillar, on the CPU, over contiguous numpy arrays.

K points, V pillars, I inputs, C channels. Pillar v holds the rows start[v] to start[v + 1], at least one. Channels go
in vectors that begin at each of `columns` and have as many numbers as `lanes` (see ops/arrays/vectors.py), and four
points at a time, for which a row of the matrix is loaded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcdet_poly.ops.arrays.vectors import (
    Lanes,
    add,
    choose,
    is_equal,
    is_higher,
    is_lower,
    load_vector,
    multiply_add,
    spread,
    store_vector,
)
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
def multiply_relu_pool(
    inputs: Array,
    matrix: Array,
    shift: Array,
    start: Array,
    values: Array,
    total: Array,
    highest: Array,
    where: Array,
    columns: Array,
    lanes: Lanes,
) -> None:
    """Compute relu(inputs @ matrix + shift of the pillar), and its sum and maximum over each pillar.

    Args:
        inputs: (K, I).
        matrix: (I, C).
        shift: (V, C).
        start: (V + 1,) int64.
        values: (K, C), written.
        total: (V, C), written: the sums.
        highest: (V, C), written: the maxima.
        where: (V, C) int32, written: the row of each maximum.
        columns: first channel of each vector.
        lanes: channels of a vector.
    """
    width = matrix.shape[1]
    zero = spread(matrix.dtype.type(0), lanes)
    for v in range(len(start) - 1):
        first, last = start[v], start[v + 1]
        in_fours = last - (last - first) % 4
        for column in columns:
            bias = load_vector(shift, v * width + column, lanes)
            pools = (zero, spread(matrix.dtype.type(-1), lanes), spread(first, lanes))
            for k in range(first, in_fours, 4):
                a, b, c, d = _add_four_products((bias, bias, bias, bias), inputs, k, matrix, column, lanes)
                pools = _relu_and_pool(pools, a, k, values, column, lanes)
                pools = _relu_and_pool(pools, b, k + 1, values, column, lanes)
                pools = _relu_and_pool(pools, c, k + 2, values, column, lanes)
                pools = _relu_and_pool(pools, d, k + 3, values, column, lanes)
            for k in range(in_fours, last):
                value = _add_product(bias, inputs, k, matrix, column, lanes)
                pools = _relu_and_pool(pools, value, k, values, column, lanes)
            store_vector(total, v * width + column, pools[0])
            store_vector(highest, v * width + column, pools[1])
            store_vector(where, v * width + column, pools[2])


@kernel
def compute_relu_pool_gradients(
    to_values: Array,
    inputs: Array,
    values: Array,
    matrix: Array,
    to_total: Array,
    to_highest: Array,
    where: Array,
    start: Array,
    tile: int,
    slopes: Array,
    to_matrix: Array,
    to_shift: Array,
    columns: Array,
    lanes: Lanes,
) -> None:
    """Compute the gradients of what `multiply_relu_pool` gives, tile by tile of points.

    Args:
        to_values: (K, C) gradient of the relu'd values; what their products, sums and maxima add to it is added.
        inputs: (K, I).
        values: (K, C) after the relu.
        matrix: (C, C), by which the values reach the gradient that comes through their products.
        to_total: (V, C) gradient of the sums.
        to_highest: (V, C) gradient of the maxima.
        where: (V, C) int32 row of each maximum.
        start: (V + 1,) int64.
        tile: about how many points a tile has; it ends with a pillar.
        slopes: (K, C), written: the gradient before the relu. With fewer rows, as many as the largest tile has, each
            tile's are written over those of the one before.
        to_matrix: (I, C) float64, added to: the gradient of the layer's matrix.
        to_shift: (V, C), written: the slopes' sums.
        columns: first channel of each vector.
        lanes: channels of a vector.
    """
    num_pillars, product, begin = len(start) - 1, np.empty(to_matrix.shape, slopes.dtype), 0
    for v in range(num_pillars):
        if v + 1 < num_pillars and start[v + 2] - start[begin] <= tile:
            continue
        first, last = start[begin], start[v + 1]
        base: Any = np.int64(0) if len(slopes) == len(values) else first
        pools = (to_total, to_highest, where)
        _compute_slopes(to_values, values, matrix, pools, start, begin, v + 1, slopes, base, to_shift, columns, lanes)
        _multiply_transposed(inputs[first:last], slopes[first - base : last - base], product, columns, lanes)
        to_matrix += product
        begin = v + 1


@kernel
def multiply_maximum(
    inputs: Array, matrix: Array, start: Array, highest: Array, where: Array, columns: Array, lanes: Lanes
) -> None:
    """Find the maximum of inputs @ matrix over each pillar.

    Args:
        inputs: (K, I).
        matrix: (I, C).
        start: (V + 1,) int64.
        highest: (V, C), written: the maxima.
        where: (V, C) int32, written: the row of each maximum.
        columns: first channel of each vector.
        lanes: channels of a vector.
    """
    width = matrix.shape[1]
    zero = spread(matrix.dtype.type(0), lanes)
    for v in range(len(start) - 1):
        first, last = start[v], start[v + 1]
        in_fours = last - (last - first) % 4
        for column in columns:
            pools = (spread(matrix.dtype.type(-np.inf), lanes), spread(first, lanes))
            for k in range(first, in_fours, 4):
                a, b, c, d = _add_four_products((zero, zero, zero, zero), inputs, k, matrix, column, lanes)
                pools = _raise_maximum(pools, a, k, lanes)
                pools = _raise_maximum(pools, b, k + 1, lanes)
                pools = _raise_maximum(pools, c, k + 2, lanes)
                pools = _raise_maximum(pools, d, k + 3, lanes)
            for k in range(in_fours, last):
                value = _add_product(zero, inputs, k, matrix, column, lanes)
                pools = _raise_maximum(pools, value, k, lanes)
            store_vector(highest, v * width + column, pools[0])
            store_vector(where, v * width + column, pools[1])


@kernel
def add_maximum_gradients(
    to_highest: Array,
    where: Array,
    inputs: Array,
    weight: Array,
    to_inputs: Array,
    to_weight: Array,
    columns: Array,
    lanes: Lanes,
) -> None:
    """Add the gradients of the maximum over each pillar of inputs @ weight.T.

    Args:
        to_highest: (V, C) gradient of the maxima.
        where: (V, C) int32 row of each maximum.
        inputs: (K, I).
        weight: (C, I).
        to_inputs: (K, I), added to; none if it has no rows.
        to_weight: (C, I), added to.
        columns: first input of each vector; the last one may begin inside the one before.
        lanes: inputs of a vector.
    """
    depth, others, last = inputs.shape[1], columns[:-1], columns[-1]
    for v in range(len(where)):
        for c in range(where.shape[1]):
            if to_highest[v, c] == 0:
                continue
            at, row, matrix_row = v * where.shape[1] + c, where[v, c] * np.int64(depth), c * depth
            # The last vector is computed before others are stored that may hold some of its numbers.
            ends = _add_both(to_inputs, row + last, weight, matrix_row + last, to_weight, inputs, to_highest, at, lanes)
            for column in others:
                here, there = row + column, matrix_row + column
                both = _add_both(to_inputs, here, weight, there, to_weight, inputs, to_highest, at, lanes)
                store_vector(to_weight, there, both[0])
                if len(to_inputs):
                    store_vector(to_inputs, here, both[1])
            store_vector(to_weight, matrix_row + last, ends[0])
            if len(to_inputs):
                store_vector(to_inputs, row + last, ends[1])


@kernel
def correlate_rows(left: Array, right: Array, tile: int, total: Array, columns: Array, lanes: Lanes) -> None:
    """Compute left.T @ right of tall matrices, in their own type over a tile of rows.

    Args:
        left: (K, I).
        right: (K, C).
        tile: how many rows a tile has.
        total: (I, C) float64, added to.
        columns: first channel of each vector.
        lanes: channels of a vector.
    """
    product = np.empty(total.shape, left.dtype)
    for first in range(0, len(left), tile):
        _multiply_transposed(left[first : first + tile], right[first : first + tile], product, columns, lanes)
        total += product


@kernel
def _compute_slopes(
    to_values: Array,
    values: Array,
    matrix: Array,
    to_pools: tuple[Array, Array, Array],
    start: Array,
    begin: int,
    end: int,
    slopes: Array,
    base: int,
    to_shift: Array,
    columns: Array,
    lanes: Lanes,
) -> None:
    """Compute the gradient before the relu in the pillars `begin` to `end`; row `base` is written to the first one."""
    width, (to_total, to_highest, where) = matrix.shape[1], to_pools
    zero = spread(matrix.dtype.type(0), lanes)
    for v in range(begin, end):
        first, last = start[v], start[v + 1]
        in_fours = last - (last - first) % 4
        for column in columns:
            at, total = v * width + column, zero
            to_sum, rows = load_vector(to_total, at, lanes), load_vector(where, at, lanes)
            most = (load_vector(to_highest, at, lanes), rows)
            for k in range(first, in_fours, 4):
                place = k * width + column
                sums = (
                    add(load_vector(to_values, place, lanes), to_sum),
                    add(load_vector(to_values, place + width, lanes), to_sum),
                    add(load_vector(to_values, place + 2 * width, lanes), to_sum),
                    add(load_vector(to_values, place + 3 * width, lanes), to_sum),
                )
                a, b, c, d = _add_four_products(sums, values, k, matrix, column, lanes)
                total = add(total, _store_slope(a, most, values, k, place, slopes, base, lanes))
                total = add(total, _store_slope(b, most, values, k + 1, place + width, slopes, base, lanes))
                total = add(total, _store_slope(c, most, values, k + 2, place + 2 * width, slopes, base, lanes))
                total = add(total, _store_slope(d, most, values, k + 3, place + 3 * width, slopes, base, lanes))
            for k in range(in_fours, last):
                place = k * width + column
                given = add(load_vector(to_values, place, lanes), to_sum)
                slope = _add_product(given, values, k, matrix, column, lanes)
                total = add(total, _store_slope(slope, most, values, k, place, slopes, base, lanes))
            store_vector(to_shift, at, total)


@kernel
def _multiply_transposed(left: Array, right: Array, product: Array, columns: Array, lanes: Lanes) -> None:
    """Write left.T @ right, of (K, I) and (K, C), into (I, C), eight rows at a time, some of them twice."""
    depth, width = product.shape
    zero = spread(product.dtype.type(0), lanes)
    for column in columns:
        for first in range(0, depth if depth >= 8 else 0, 8):
            i = min(first, depth - 8)
            a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
            for k in range(len(left)):
                row, at = load_vector(right, k * width + column, lanes), k * depth + i
                a = multiply_add(a, left, at, row)
                b = multiply_add(b, left, at + 1, row)
                c = multiply_add(c, left, at + 2, row)
                d = multiply_add(d, left, at + 3, row)
                e = multiply_add(e, left, at + 4, row)
                f = multiply_add(f, left, at + 5, row)
                g = multiply_add(g, left, at + 6, row)
                h = multiply_add(h, left, at + 7, row)
            at = i * width + column
            store_vector(product, at, a)
            store_vector(product, at + width, b)
            store_vector(product, at + 2 * width, c)
            store_vector(product, at + 3 * width, d)
            store_vector(product, at + 4 * width, e)
            store_vector(product, at + 5 * width, f)
            store_vector(product, at + 6 * width, g)
            store_vector(product, at + 7 * width, h)
        for i in range(depth if depth < 8 else 0):
            total = zero
            for k in range(len(left)):
                total = multiply_add(total, left, k * depth + i, load_vector(right, k * width + column, lanes))
            store_vector(product, i * width + column, total)


@kernel(inline="always")
def _add_product(total: Any, values: Array, row: int, matrix: Array, column: int, lanes: Lanes) -> Any:
    """Add values[row] @ matrix, its channels from `column` on, to a vector."""
    depth, width = matrix.shape
    for i in range(depth):
        total = multiply_add(total, values, row * depth + i, load_vector(matrix, i * width + column, lanes))
    return total


@kernel(inline="always")
def _add_four_products(totals: Any, values: Array, row: int, matrix: Array, column: int, lanes: Lanes) -> Any:
    """Add the same of the rows from `row` on to four vectors."""
    depth, width = matrix.shape
    a, b, c, d = totals
    for i in range(depth):
        factors, at = load_vector(matrix, i * width + column, lanes), row * depth + i
        a = multiply_add(a, values, at, factors)
        b = multiply_add(b, values, at + depth, factors)
        c = multiply_add(c, values, at + 2 * depth, factors)
        d = multiply_add(d, values, at + 3 * depth, factors)
    return a, b, c, d


@kernel(inline="always")
def _add_both(
    to_inputs: Array,
    here: int,
    weight: Array,
    there: int,
    to_weight: Array,
    inputs: Array,
    slopes: Array,
    at: int,
    lanes: Lanes,
) -> Any:
    """Add what one maximum adds to the gradients of the weight, and of the inputs if it is wanted."""
    of_weight = multiply_add(load_vector(to_weight, there, lanes), slopes, at, load_vector(inputs, here, lanes))
    if not len(to_inputs):
        return of_weight, of_weight
    return of_weight, multiply_add(load_vector(to_inputs, here, lanes), slopes, at, load_vector(weight, there, lanes))


@kernel(inline="always")
def _relu_and_pool(pools: Any, value: Any, row: int, values: Array, column: int, lanes: Lanes) -> Any:
    """Write a point's values after the relu, and take them into sum, maximum and the maximum's row."""
    zero = spread(values.dtype.type(0), lanes)
    value = choose(is_lower(value, zero), zero, value)
    store_vector(values, row * values.shape[1] + column, value)
    highest, where = _raise_maximum((pools[1], pools[2]), value, row, lanes)
    return add(pools[0], value), highest, where


@kernel(inline="always")
def _raise_maximum(pools: Any, value: Any, row: int, lanes: Lanes) -> Any:
    """Take a point's values into a maximum and its row."""
    highest, where = pools
    higher = is_higher(value, highest)
    return choose(higher, value, highest), choose(higher, spread(row, lanes), where)


@kernel(inline="always")
def _store_slope(
    slope: Any, most: Any, values: Array, row: int, place: int, slopes: Array, base: int, lanes: Lanes
) -> Any:
    """Write and return a point's slopes: with what the maximum adds, and zero where the relu is."""
    to_highest, where = most
    zero = spread(values.dtype.type(0), lanes)
    slope = add(slope, choose(is_equal(where, spread(row, lanes)), to_highest, zero))
    slope = choose(is_lower(zero, load_vector(values, place, lanes)), slope, zero)
    store_vector(slopes, place - base * values.shape[1], slope)
    return slope
