"""Pairs for LET-3D-AP, which forgives errors along the line of sight (arXiv 2206.07705).

Everything is seen from the sensor. With P and G the centres of a prediction and an object:

- aligned IoU: that of the prediction moved along its own line of sight to the point nearest to G, P (G.P)/|P|^2;
- longitudinal affinity: 1 - | |P| cos(P, G) - |G| | / tolerance, clamped to [0, 1], where the tolerance is a share
  of |G| but at min_iou half a metre;
- a pair may match if its affinity is above 0 and its aligned IoU reaches the threshold; the weight of a match is
  affinity * IoU; the summed affinities give APL as the summed heading accuracies give APH.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pcdet_poly.evaluation.kernels.overlap import PAIR_DTYPE, box_iou, enlarge_if_full, may_overlap
from pcdet_poly.ops.compiler.kernel import kernel

_TINY = 1e-6


class LongitudinalTolerance(NamedTuple):
    """Where the sensor is, in the vehicle frame, and how large an error of depth is forgiven."""

    x: float  # metres
    y: float
    z: float
    share: float  # of the object's distance
    least_m: float  # the tolerance is not below this


@kernel
def _longitudinal_affinity(dot: float, range_a: float, range_b: float, tolerance: LongitudinalTolerance) -> float:
    """Return how close two depths are, 1 for equal ones, 0 beyond the tolerance; `dot` is that of the two centres."""
    range_a, range_b = max(range_a, _TINY), max(range_b, _TINY)
    allowed = np.float32(max(tolerance.share * range_b, tolerance.least_m))
    error = abs((range_a * (dot / range_b / range_a) - range_b) / float(allowed))
    return min(1.0, max(0.0, 1.0 - error))


@kernel
def find_tolerant_pairs(
    predictions: np.ndarray, objects: np.ndarray, box_type: int, min_iou: np.ndarray, tolerance: LongitudinalTolerance
) -> np.ndarray:
    """Find the pairs of a prediction and an object of one type that overlap once aligned.

    Args:
        predictions: (P,) BOX_DTYPE.
        objects: (M,) BOX_DTYPE.
        box_type: BOX_3D or BOX_BEV.
        min_iou: (5,) float32, smallest aligned IoU of interest by Label.Type.
        tolerance: where the sensor is, and how large an error of depth is forgiven.

    Returns:
        (E,) PAIR_DTYPE with aligned IoU and affinity, by prediction, then object.
    """
    pairs, found = np.empty(4 * (len(predictions) + len(objects)), PAIR_DTYPE), 0
    for i in range(len(predictions)):
        a = predictions[i]
        if not may_overlap(a, box_type):
            continue
        ax, ay, az = a.x - tolerance.x, a.y - tolerance.y, a.z - tolerance.z
        squared = ax * ax + ay * ay + az * az
        for j in range(len(objects)):
            b = objects[j]
            if b.type != a.type or not may_overlap(b, box_type):
                continue
            bx, by, bz = b.x - tolerance.x, b.y - tolerance.y, b.z - tolerance.z
            dot = ax * bx + ay * by + az * bz
            move = dot / max(squared, _TINY)
            dx, dy, dz, reach = bx - ax * move, by - ay * move, bz - az * move, a.radius + b.radius
            if dx * dx + dy * dy > reach * reach * (1 + 1e-9):
                continue
            iou = np.float32(box_iou(box_type, dx, dy, dz, a, b, min_iou[a.type]))
            if iou > 0 and iou >= min_iou[a.type]:
                pairs = enlarge_if_full(pairs, found)
                range_b = math.sqrt(bx * bx + by * by + bz * bz)
                pairs[found].prediction, pairs[found].object, pairs[found].iou = i, j, iou
                pairs[found].affinity = _longitudinal_affinity(dot, math.sqrt(squared), range_b, tolerance)
                found += 1
    return pairs[:found]
