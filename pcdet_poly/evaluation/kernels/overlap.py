"""One frame's boxes -> the pairs of a prediction and an object that overlap, with their IoU.

Waymo's rules: no overlap between different types, nor of a box with a side <= 1 cm or >= 1000 km; IoU
in double precision, clamped to [0, 1], then rounded to float32. Intervals along z are closed.
"""

from __future__ import annotations

import math

import numpy as np

from pcdet_poly.ops.arrays.rotated_overlap import rotated_rectangle_overlap
from pcdet_poly.ops.compiler.kernel import kernel

BOX_3D, BOX_BEV, BOX_AA_2D = 0, 1, 2  # codes of a box type inside the kernels

# What every pair needs to know of a box.
BOX_DTYPE = np.dtype(
    [(name, np.float64) for name in ("x", "y", "z", "length", "width", "height", "cos", "sin", "radius")]
    + [("heading", np.float32), ("type", np.int64)]  # heading in [-pi, pi); type is Waymo's Label.Type
)
# A pair that overlaps: rows of the frame's predictions and objects; affinity is LET's, 1 without LET.
PAIR_DTYPE = np.dtype([("prediction", np.int64), ("object", np.int64), ("iou", np.float32), ("affinity", np.float32)])

SMALLEST_SIDE_M = 1e-2
LARGEST_SIDE_M = 1e6
SMALLEST_UNION = 1e-6


@kernel
def wrap_heading(heading: float) -> float:
    """Return the heading in [-pi, pi), computed in double as Waymo does; the caller rounds to float32."""
    turn = 2.0 * math.pi
    shifted = heading + math.pi
    rest = shifted - math.trunc(shifted * (1.0 / turn)) * turn
    if rest < 0:
        rest = 0.0 if turn + rest >= turn else turn + rest
    return rest - math.pi


@kernel
def prepare_boxes(box: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return what every pair needs of boxes (N, 7) float32 and their types (N,), as (N,) BOX_DTYPE."""
    out = np.empty(len(box), BOX_DTYPE)
    for i in range(len(box)):
        row = out[i]
        row.x, row.y, row.z = box[i, 0], box[i, 1], box[i, 2]
        row.length, row.width, row.height = box[i, 3], box[i, 4], box[i, 5]
        heading = np.float64(box[i, 6])
        row.cos, row.sin, row.heading = math.cos(heading), math.sin(heading), wrap_heading(heading)
        row.radius = 0.5 * math.sqrt(row.length * row.length + row.width * row.width)  # circle around the footprint
        row.type = kind[i]
    return out


@kernel
def may_overlap(box: np.record, box_type: int) -> bool:
    """Tell whether Waymo lets this box overlap anything."""
    if not (box.length < LARGEST_SIDE_M and box.width < LARGEST_SIDE_M and box.height < LARGEST_SIDE_M):
        return False
    flat = box.length > SMALLEST_SIDE_M and box.width > SMALLEST_SIDE_M
    return box.type > 0 and flat and (box_type != BOX_3D or box.height > SMALLEST_SIDE_M)


@kernel
def _interval_overlap(size_a: float, size_b: float, offset: float) -> float:
    """Return how much two intervals overlap whose middles are `offset` apart; negative where there is a gap."""
    return min(0.5 * size_a, offset + 0.5 * size_b) - max(-0.5 * size_a, offset - 0.5 * size_b)


@kernel
def box_iou(box_type: int, dx: float, dy: float, dz: float, a: np.record, b: np.record, min_iou: float) -> float:
    """Compute the IoU of two boxes.

    Args:
        box_type: BOX_3D, BOX_BEV or BOX_AA_2D.
        dx: x of b's centre seen from a's, metres.
        dy: y of b's centre seen from a's, metres.
        dz: z of b's centre seen from a's, metres.
        a: a box, BOX_DTYPE.
        b: another box, BOX_DTYPE.
        min_iou: smallest IoU of interest.

    Returns:
        The IoU, or 0 where it is surely below `min_iou`.
    """
    size_a, size_b, height = a.length * a.width, b.length * b.width, 1.0
    most = min(size_a, size_b)
    if box_type == BOX_3D:
        height = _interval_overlap(a.height, b.height, dz)
        if height < 0:
            return 0.0
        most, size_a, size_b = most * height, size_a * a.height, size_b * b.height
    if most < (min_iou - 1e-6) * (size_a + size_b - most):
        return 0.0
    if box_type == BOX_AA_2D:
        along, across = _interval_overlap(a.length, b.length, dx), _interval_overlap(a.width, b.width, dy)
        shared = max(along, 0.0) * max(across, 0.0)
    else:
        shared = (
            rotated_rectangle_overlap(dx, dy, a.length, a.width, a.cos, a.sin, b.length, b.width, b.cos, b.sin) * height
        )
    union = size_a + size_b - shared
    return max(min(shared / union, 1.0), 0.0) if union > SMALLEST_UNION else 0.0


@kernel
def find_overlapping_pairs(
    predictions: np.ndarray, objects: np.ndarray, box_type: int, min_iou: np.ndarray
) -> np.ndarray:
    """Find the pairs of a prediction and an object of one type that overlap.

    Args:
        predictions: (P,) BOX_DTYPE.
        objects: (M,) BOX_DTYPE.
        box_type: BOX_3D, BOX_BEV or BOX_AA_2D.
        min_iou: (5,) float32, smallest IoU of interest by Label.Type.

    Returns:
        (E,) PAIR_DTYPE with an IoU above 0, by prediction, then object.
    """
    pairs, found = np.empty(4 * (len(predictions) + len(objects)), PAIR_DTYPE), 0
    for i in range(len(predictions)):
        a = predictions[i]
        if not may_overlap(a, box_type):
            continue
        for j in range(len(objects)):
            b = objects[j]
            dx, dy, reach = b.x - a.x, b.y - a.y, a.radius + b.radius
            if b.type != a.type or dx * dx + dy * dy > reach * reach * (1 + 1e-9) or not may_overlap(b, box_type):
                continue
            iou = np.float32(box_iou(box_type, dx, dy, b.z - a.z, a, b, min_iou[a.type]))
            if iou > 0 and iou >= min_iou[a.type]:
                pairs = enlarge_if_full(pairs, found)
                pairs[found].prediction, pairs[found].object = i, j
                pairs[found].iou, pairs[found].affinity = iou, 1
                found += 1
    return pairs[:found]


@kernel
def enlarge_if_full(pairs: np.ndarray, used: int) -> np.ndarray:
    """Return `pairs`, or a longer copy if all `used` places are taken."""
    if used < len(pairs):
        return pairs
    longer = np.empty(2 * len(pairs), PAIR_DTYPE)
    longer[:used] = pairs
    return longer
