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
    """Pixel row * columns + column (P,) int64 of each point, given one after the other in `order`.

    A point takes the first free one of its own pixel (row, column) and those `neighbours` steps away;
    columns go round. Where all are taken it shares its own.
    """
    pixel = np.empty(len(row), np.int64)
    is_taken = np.zeros(rows * columns, np.bool_)
    for point in order:
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
    """The point that each pixel shows, (num_pixels,) int64: its nearest, the first of equals; -1 where it has none.

    Points with a negative `pixel` (P,) int64 are left out.
    """
    shown = np.full(num_pixels, -1, np.int64)
    for point in range(len(pixel)):
        spot = pixel[point]
        if spot >= 0 and (shown[spot] < 0 or range_m[point] < range_m[shown[spot]]):
            shown[spot] = point
    return shown
