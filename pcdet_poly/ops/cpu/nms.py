"""Greedy suppression of boxes on the CPU, over numpy arrays sorted by descending score."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.arrays.iou import prepared_pair_iou
from pcdet_poly.ops.arrays.overlap import COSINE, LENGTH, RADIUS, SINE, WIDTH, X, Y, prepare_boxes
from pcdet_poly.ops.compiler.kernel import kernel

Array = np.ndarray
MAX_CELLS = 64  # per axis, of the grid in which neighbours are looked up


@kernel
def suppress_overlapping(box: Array, group: Array, threshold: Array) -> Array:
    """Mark the boxes to keep.

    A box goes if its bird's-eye IoU (float32) with a kept one before it exceeds its threshold.

    Args:
        box: (N, 7) float32 by descending score.
        group: (N,) int64; only boxes of one group suppress each other.
        threshold: (N,) float32 threshold of each box.

    Returns:
        (N,) bool, True where kept.
    """
    boxes = prepare_boxes(box)
    keep = np.zeros(len(boxes), np.bool_)
    reach = 0.0
    for i in range(len(boxes)):
        if boxes[i, RADIUS] < np.inf:
            reach = max(reach, boxes[i, RADIUS])
    column, row = _assign_cells(boxes, 2.0 * reach)
    first = np.full((MAX_CELLS + 2, MAX_CELLS + 2), -1, np.int64)  # newest kept box of each cell
    following = np.full(len(boxes), -1, np.int64)  # the kept box before it in the same cell
    for i in range(len(boxes)):
        if not _is_suppressed(boxes, group, threshold[i], i, column[i], row[i], first, following):
            keep[i] = True
            following[i] = first[row[i], column[i]]
            first[row[i], column[i]] = i
    return keep


@kernel
def _is_suppressed(
    boxes: Array, group: Array, threshold: float, i: int, column: int, row: int, first: Array, following: Array
) -> bool:
    for near_row in range(row - 1, row + 2):
        for near_column in range(column - 1, column + 2):
            j = first[near_row, near_column]
            while j >= 0:
                if group[i] == group[j] and _exceeds_threshold(boxes, j, i, threshold):
                    return True
                j = following[j]
    return False


@kernel
def _exceeds_threshold(boxes: Array, i: int, j: int, threshold: float) -> bool:
    dx, dy = boxes[j, X] - boxes[i, X], boxes[j, Y] - boxes[i, Y]
    reach = boxes[i, RADIUS] + boxes[j, RADIUS]
    if not dx * dx + dy * dy < reach * reach:
        return False
    area_i, area_j = boxes[i, LENGTH] * boxes[i, WIDTH], boxes[j, LENGTH] * boxes[j, WIDTH]
    most = min(area_i, area_j, _bound_overlap(boxes, i, j, dx, dy))
    if most < (threshold - 1e-6) * (area_i + area_j - most):  # a millionth for rounding; the IoU decides the rest
        return False
    return bool(np.float32(prepared_pair_iou(boxes, i, boxes, j, False)) > threshold)


@kernel
def _bound_overlap(boxes: Array, i: int, j: int, dx: float, dy: float) -> float:
    """Bound the area that boxes i and j share from above, by the rectangle around box j along i's axes."""
    x, y = dx * boxes[i, COSINE] + dy * boxes[i, SINE], dy * boxes[i, COSINE] - dx * boxes[i, SINE]
    cosine = abs(boxes[i, COSINE] * boxes[j, COSINE] + boxes[i, SINE] * boxes[j, SINE])
    sine = abs(boxes[i, COSINE] * boxes[j, SINE] - boxes[i, SINE] * boxes[j, COSINE])
    half_x = 0.5 * (boxes[j, LENGTH] * cosine + boxes[j, WIDTH] * sine)
    half_y = 0.5 * (boxes[j, LENGTH] * sine + boxes[j, WIDTH] * cosine)
    length, width = 0.5 * boxes[i, LENGTH], 0.5 * boxes[i, WIDTH]
    shared_x = min(length, x + half_x) - max(-length, x - half_x)
    shared_y = min(width, y + half_y) - max(-width, y - half_y)
    return max(shared_x, 0.0) * max(shared_y, 0.0)


@kernel
def _assign_cells(boxes: Array, smallest: float) -> tuple[Array, Array]:
    """Assign a column and a row (N,) in 1..MAX_CELLS to each box; boxes that can meet lie in adjacent cells."""
    column, row = np.ones(len(boxes), np.int64), np.ones(len(boxes), np.int64)
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for i in range(len(boxes)):
        if abs(boxes[i, X]) < np.inf and abs(boxes[i, Y]) < np.inf:
            low_x, high_x = min(low_x, boxes[i, X]), max(high_x, boxes[i, X])
            low_y, high_y = min(low_y, boxes[i, Y]), max(high_y, boxes[i, Y])
    size = max(1.001 * smallest, max(high_x - low_x, high_y - low_y) / (MAX_CELLS - 1), 1e-3)
    for i in range(len(boxes)):
        if abs(boxes[i, X]) < np.inf and abs(boxes[i, Y]) < np.inf:
            column[i] = 1 + int((boxes[i, X] - low_x) / size)
            row[i] = 1 + int((boxes[i, Y] - low_y) / size)
    return column, row


@kernel
def suppress_near(centre: Array, group: Array, radius_m: Array) -> Array:
    """Mark the boxes to keep.

    A box goes if the centre of a kept one before it lies near its own.

    Args:
        centre: (N, 2) float32, metres, by descending score.
        group: (N,) int64; only boxes of one group suppress each other.
        radius_m: (N,) float32, how near, for each box.

    Returns:
        (N,) bool, True where kept.
    """
    keep = np.zeros(len(centre), np.bool_)
    kept = np.empty(len(centre), np.int64)
    num_kept = 0
    for i in range(len(centre)):
        near = False
        reach = np.float64(radius_m[i]) * np.float64(radius_m[i])
        for position in range(num_kept):
            j = kept[position]
            dx = np.float64(centre[i, 0]) - np.float64(centre[j, 0])
            dy = np.float64(centre[i, 1]) - np.float64(centre[j, 1])
            if group[i] == group[j] and dx * dx + dy * dy <= reach:
                near = True
                break
        if not near:
            keep[i] = True
            kept[num_kept] = i
            num_kept += 1
    return keep
