"""One frame's boxes -> the pairs of a prediction and an object that overlap, with their IoU.

Waymo's rules: no overlap between different types, nor of a box with a side <= 1 cm or >= 1000 km; IoU
in double precision, clamped to [0, 1], then rounded to float32. Range (z) intervals are closed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from pcdet_poly.ops.cpu.rotated_overlap import overlap_turned

BOX_3D, BOX_BEV, BOX_AA_2D = 0, 1, 2  # codes of a box type inside the kernels

SMALLEST_SIDE_M = 1e-2
LARGEST_SIDE_M = 1e6
SMALLEST_UNION = 1e-6


class Boxes(NamedTuple):
    """N boxes of one frame, with what every pair needs of them."""

    x: np.ndarray  # (N,) float64, as are all but `type`
    y: np.ndarray
    z: np.ndarray
    length: np.ndarray
    width: np.ndarray
    height: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    radius: np.ndarray  # of the circle around the box in bird's-eye view
    heading: np.ndarray  # float32 in [-pi, pi)
    type: np.ndarray  # (N,) uint8, Waymo's Label.Type


class Pairs(NamedTuple):
    """Overlapping pairs, ordered by prediction, then object."""

    prediction: np.ndarray  # (E,) int64, row in the frame
    object: np.ndarray  # (E,) int64
    iou: np.ndarray  # (E,) float32
    affinity: np.ndarray  # (E,) float32, LET's longitudinal affinity; 1 without LET


@njit(cache=True, nogil=True)
def wrapped_heading(heading: float) -> float:
    """The heading in [-pi, pi), computed in double as Waymo does; the caller rounds to float32."""
    turn = 2.0 * math.pi
    shifted = heading + math.pi
    rest = shifted - math.trunc(shifted * (1.0 / turn)) * turn
    if rest < 0:
        rest = 0.0 if turn + rest >= turn else turn + rest
    return rest - math.pi


@njit(cache=True, nogil=True)
def prepared(box: np.ndarray, kind: np.ndarray) -> Boxes:
    """`Boxes` of float32 rows (N, 7)."""
    wide = box.astype(np.float64)
    heading = wide[:, 6]
    wrapped = np.empty(len(wide), np.float32)
    for row in range(len(wide)):
        wrapped[row] = wrapped_heading(heading[row])
    return Boxes(
        wide[:, 0].copy(),
        wide[:, 1].copy(),
        wide[:, 2].copy(),
        wide[:, 3].copy(),
        wide[:, 4].copy(),
        wide[:, 5].copy(),
        np.cos(heading),
        np.sin(heading),
        0.5 * np.sqrt(wide[:, 3] ** 2 + wide[:, 4] ** 2),
        wrapped,
        kind,
    )


@njit(cache=True, nogil=True)
def _sides_count(boxes: Boxes, row: int, box_type: int) -> bool:
    length, width, height = boxes.length[row], boxes.width[row], boxes.height[row]
    if not (length < LARGEST_SIDE_M and width < LARGEST_SIDE_M and height < LARGEST_SIDE_M):
        return False
    flat = length > SMALLEST_SIDE_M and width > SMALLEST_SIDE_M
    return flat and (box_type != BOX_3D or height > SMALLEST_SIDE_M)


@njit(cache=True, nogil=True)
def _axis_aligned_overlap(dx: float, dy: float, a: Boxes, i: int, b: Boxes, j: int) -> float:
    half_l, half_w = 0.5 * a.length[i], 0.5 * a.width[i]
    other_l, other_w = 0.5 * b.length[j], 0.5 * b.width[j]
    along = min(half_l, dx + other_l) - max(-half_l, dx - other_l)
    across = min(half_w, dy + other_w) - max(-half_w, dy - other_w)
    return max(along, 0.0) * max(across, 0.0)


@njit(cache=True, nogil=True)
def overlap_ratio(
    box_type: int, dx: float, dy: float, z: float, a: Boxes, i: int, b: Boxes, j: int, least: float
) -> float:
    """IoU of box i of `a`, moved to (0, 0, z), and box j of `b`, moved to (dx, dy); 0 where surely below `least`."""
    size_a, size_b, height = a.length[i] * a.width[i], b.length[j] * b.width[j], 1.0
    if box_type == BOX_3D:
        top = min(z + 0.5 * a.height[i], b.z[j] + 0.5 * b.height[j])
        bottom = max(z - 0.5 * a.height[i], b.z[j] - 0.5 * b.height[j])
        height = top - bottom
        if height < 0:
            return 0.0
        # Sharing more than the smaller footprint times the shared height is impossible.
        most = min(size_a, size_b) * height
        size_a, size_b = size_a * a.height[i], size_b * b.height[j]
    else:
        most = min(size_a, size_b)
    if most < (least - 1e-6) * (size_a + size_b - most):
        return 0.0
    if box_type == BOX_AA_2D:
        area = _axis_aligned_overlap(dx, dy, a, i, b, j)
    else:
        area = overlap_turned(
            dx, dy, a.length[i], a.width[i], a.cos[i], a.sin[i], b.length[j], b.width[j], b.cos[j], b.sin[j]
        )
    shared = area * height
    union = size_a + size_b - shared
    if union <= SMALLEST_UNION:
        return 0.0
    return max(min(shared / union, 1.0), 0.0)


@njit(cache=True, nogil=True)
def overlapping_pairs(predictions: Boxes, objects: Boxes, box_type: int, least: np.ndarray) -> Pairs:
    """Pairs of one type whose IoU is at least `least[type]` (float32), and more than 0."""
    rows_p, rows_o = len(predictions.x), len(objects.x)
    capacity = 4 * (rows_p + rows_o)
    pred, obj = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    ious = np.empty(capacity, np.float32)
    counts = np.empty(rows_o, np.bool_)
    for j in range(rows_o):
        counts[j] = _sides_count(objects, j, box_type)
    found = 0
    for i in range(rows_p):
        kind = predictions.type[i]
        if kind == 0 or not _sides_count(predictions, i, box_type):
            continue
        for j in range(rows_o):
            if objects.type[j] != kind or not counts[j]:
                continue
            dx, dy = objects.x[j] - predictions.x[i], objects.y[j] - predictions.y[i]
            reach = predictions.radius[i] + objects.radius[j]
            if not dx * dx + dy * dy <= reach * reach * (1 + 1e-9):
                continue
            iou = np.float32(overlap_ratio(box_type, dx, dy, predictions.z[i], predictions, i, objects, j, least[kind]))
            if iou < least[kind] or iou <= 0:
                continue
            if found == capacity:
                pred, obj, ious = _longer(pred), _longer(obj), _longer(ious)
                capacity *= 2
            pred[found], obj[found], ious[found] = i, j, iou
            found += 1
    return Pairs(pred[:found], obj[:found], ious[:found], np.ones(found, np.float32))


@njit(cache=True, nogil=True)
def _longer(values: np.ndarray) -> np.ndarray:
    more = np.empty(2 * len(values), values.dtype)
    more[: len(values)] = values
    return more
