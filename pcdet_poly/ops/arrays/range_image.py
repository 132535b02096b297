"""Points into the pixels of a range image on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray

# (row, column) steps to the pixels around one, nearest columns first: a column is 2.4 mrad, a row 2.7 to 11.
NEIGHBOURS = np.array(
    [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 2), (0, -2), (0, 3), (0, -3)]
)


@kernel
def assign_pixels(order: Array, row: Array, column: Array, rows: int, columns: int, neighbours: Array) -> Array:
    """Assign a pixel to each point, one point after the other in `order`.

    A point takes the first free one of its own pixel (row, column) and those `neighbours` steps away;
    columns go round. Where all are taken it shares its own.

    Args:
        order: (P,) int64 permutation of the points.
        row: (P,) int64 row of each point's own pixel.
        column: (P,) int64 column of it.
        rows: of the image.
        columns: of the image.
        neighbours: (n, 2) int64 steps of row and column, tried in this order.

    Returns:
        (P,) int64, row * columns + column.
    """
    if len(order) != len(row) or len(column) != len(row):
        raise ValueError("assign_pixels: order, row and column have different lengths")
    pixel = np.empty(len(row), np.int64)
    is_taken = np.zeros(rows * columns, np.bool_)
    for point in order:
        if not (0 <= point < len(row) and 0 <= row[point] < rows):
            raise ValueError("assign_pixels: a point or a row that is not there")
        pixel[point] = row[point] * columns + column[point]
        for k in range(len(neighbours)):
            near = row[point] + neighbours[k, 0]
            spot = near * columns + (column[point] + neighbours[k, 1]) % columns
            if 0 <= near < rows and not is_taken[spot]:
                pixel[point], is_taken[spot] = spot, True
                break
    return pixel


@kernel
def select_nearest_points(pixel: Array, range_m: Array, num_pixels: int) -> Array:
    """Select the point that each pixel shows: its nearest, the first of equals.

    Args:
        pixel: (P,) int64 pixel of each point; points with a negative one are left out.
        range_m: (P,) float32 distance of each point, metres.
        num_pixels: of the image.

    Returns:
        (num_pixels,) int64; -1 where a pixel has no point.
    """
    if len(range_m) != len(pixel):
        raise ValueError("select_nearest_points: pixel and range_m have different lengths")
    shown = np.full(num_pixels, -1, np.int64)
    for point in range(len(pixel)):
        spot = pixel[point]
        if spot >= num_pixels:
            raise ValueError("select_nearest_points: a pixel that is not in the image")
        if spot >= 0 and (shown[spot] < 0 or range_m[point] < range_m[shown[spot]]):
            shown[spot] = point
    return shown
