"""Which points lie in which boxes, on the CPU, over numpy arrays.

A point lies in a box if, in the box's own axes and float64, it is within half a size of the centre
along each; the faces belong to the box. NaN lies nowhere, a box with a negative size holds nothing.
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.arrays.overlap import (
    COSINE,
    HEIGHT,
    LENGTH,
    RADIUS,
    SINE,
    WIDTH,
    X,
    Y,
    Z,
    prepare_boxes,
)
from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray
MAX_CELLS = 128  # per axis, of the grid in which boxes are looked up


def first_box(points: Array, box: Array) -> Array:
    """Find the first box around each point: points (P, 3+), boxes (N, 7) -> (P,) int64, or -1."""
    return _find_first_box(points, box)


def count_points(points: Array, box: Array) -> Array:
    """Count the points (P, 3+) in each box (N, 7), whatever other boxes they lie in -> (N,) int64."""
    return _count_points(points, box)


@kernel
def _find_first_box(points: Array, box: Array) -> Array:
    if points.shape[1] < 3:
        raise ValueError("points of another shape than (P, 3 or more)")
    boxes = prepare_boxes(box)
    first = np.full(len(points), -1, np.int64)
    low_x, low_y, size, start, member = _index_boxes(boxes)
    for p in range(len(points)):
        cell = _find_cell(points[p, 0], points[p, 1], low_x, low_y, size)
        for position in range(start[cell], start[cell + 1]):
            if _is_inside(points[p, 0], points[p, 1], points[p, 2], boxes, member[position]):
                first[p] = member[position]
                break
    return first


@kernel
def _count_points(points: Array, box: Array) -> Array:
    if points.shape[1] < 3:
        raise ValueError("points of another shape than (P, 3 or more)")
    boxes = prepare_boxes(box)
    count = np.zeros(len(boxes), np.int64)
    low_x, low_y, size, start, member = _index_boxes(boxes)
    for p in range(len(points)):
        cell = _find_cell(points[p, 0], points[p, 1], low_x, low_y, size)
        for position in range(start[cell], start[cell + 1]):
            if _is_inside(points[p, 0], points[p, 1], points[p, 2], boxes, member[position]):
                count[member[position]] += 1
    return count


@kernel
def _is_inside(x: float, y: float, z: float, boxes: Array, i: int) -> bool:
    dx, dy = np.float64(x) - boxes[i, X], np.float64(y) - boxes[i, Y]
    return (
        abs(np.float64(z) - boxes[i, Z]) <= 0.5 * boxes[i, HEIGHT]
        and abs(dx * boxes[i, COSINE] + dy * boxes[i, SINE]) <= 0.5 * boxes[i, LENGTH]
        and abs(dy * boxes[i, COSINE] - dx * boxes[i, SINE]) <= 0.5 * boxes[i, WIDTH]
    )


@kernel
def _index_boxes(boxes: Array) -> tuple[float, float, float, Array, Array]:
    """List the boxes by cell of a bird's-eye grid.

    Returns lowest x and y, cell size, and the boxes of cell c, ascending, as member[start[c]:start[c + 1]].
    The last cell is that of points outside, and holds none.
    """
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(boxes)):
        if _is_finite(boxes, i):
            low_x, high_x = min(low_x, boxes[i, X] - boxes[i, RADIUS]), max(high_x, boxes[i, X] + boxes[i, RADIUS])
            low_y, high_y = min(low_y, boxes[i, Y] - boxes[i, RADIUS]), max(high_y, boxes[i, Y] + boxes[i, RADIUS])
    low_x, low_y = low_x - 1e-3, low_y - 1e-3
    size = max((high_x - low_x) / MAX_CELLS, (high_y - low_y) / MAX_CELLS, 1.0) * 1.001
    start = np.zeros(MAX_CELLS * MAX_CELLS + 2, np.int64)
    for i in range(len(boxes)):
        if _is_finite(boxes, i):
            x0, x1, y0, y1 = _find_covered_cells(boxes, i, low_x, low_y, size)
            for row in range(y0, y1 + 1):
                for column in range(x0, x1 + 1):
                    start[row * MAX_CELLS + column + 1] += 1
    for cell in range(MAX_CELLS * MAX_CELLS + 1):
        start[cell + 1] += start[cell]
    member = np.empty(start[-1], np.int64)
    filled = start.copy()
    for i in range(len(boxes)):
        if _is_finite(boxes, i):
            x0, x1, y0, y1 = _find_covered_cells(boxes, i, low_x, low_y, size)
            for row in range(y0, y1 + 1):
                for column in range(x0, x1 + 1):
                    member[filled[row * MAX_CELLS + column]] = i
                    filled[row * MAX_CELLS + column] += 1
    return low_x, low_y, size, start, member


@kernel
def _is_finite(boxes: Array, i: int) -> bool:
    return abs(boxes[i, X]) < np.inf and abs(boxes[i, Y]) < np.inf and boxes[i, RADIUS] < np.inf


@kernel
def _find_covered_cells(boxes: Array, i: int, low_x: float, low_y: float, size: float) -> tuple[int, int, int, int]:
    """Find first and last column, first and last row that the box's circle (a little widened) reaches."""
    reach = boxes[i, RADIUS] * 1.000001 + 1e-6
    x0 = max(int((boxes[i, X] - reach - low_x) / size), 0)
    x1 = min(int((boxes[i, X] + reach - low_x) / size), MAX_CELLS - 1)
    y0 = max(int((boxes[i, Y] - reach - low_y) / size), 0)
    y1 = min(int((boxes[i, Y] + reach - low_y) / size), MAX_CELLS - 1)
    return x0, x1, y0, y1


@kernel
def _find_cell(x: float, y: float, low_x: float, low_y: float, size: float) -> int:
    column, row = (x - low_x) / size, (y - low_y) / size
    if column >= 0.0 and column < MAX_CELLS and row >= 0.0 and row < MAX_CELLS:
        return int(row) * MAX_CELLS + int(column)
    return MAX_CELLS * MAX_CELLS
