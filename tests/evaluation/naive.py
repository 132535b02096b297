"""Waymo's detection metrics as the rules say them, one cut-off, shard and pair after another: slow and plain.

Shares no code with the package but the table of breakdown shards. IoU by shapely, assignment by scipy (which of
several equally good assignments it finds is its own affair: compare only where there are no ties).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment
from shapely import affinity

from pcdet_poly.evaluation.box_tables import EvaluationSet

THRESHOLDS = {1: 0.7, 2: 0.5, 3: 0.5, 4: 0.5}
CUTOFFS = np.array([*(0.01 * i for i in range(100)), 1.0], np.float32)


def footprint(box: np.ndarray) -> shapely.Polygon:
    x, y, _, length, width, _, heading = map(float, box)
    flat = shapely.box(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(flat, heading, origin=(0, 0), use_radians=True), x, y)


def compute_iou(a: np.ndarray, b: np.ndarray, *, with_height: bool) -> np.float32:
    area = footprint(a).intersection(footprint(b)).area
    size_a, size_b = a[3].astype(float) * a[4], b[3].astype(float) * b[4]
    if with_height:
        top = min(float(a[2]) + float(a[5]) / 2, float(b[2]) + float(b[5]) / 2)
        bottom = max(float(a[2]) - float(a[5]) / 2, float(b[2]) - float(b[5]) / 2)
        area *= max(0.0, top - bottom)
        size_a, size_b = size_a * a[5], size_b * b[5]
    return np.float32(area / (size_a + size_b - area))


def heading_accuracy(a: float, b: float) -> float:
    return 1 - abs(math.remainder(float(a) - float(b), 2 * math.pi)) / math.pi


def count_naively(boxes: EvaluationSet, kind: int, *, with_height: bool) -> dict[str, np.ndarray]:
    """tp, fp, fn_1, fn_2 and summed heading accuracy of one type at every cut-off."""
    total = {name: np.zeros(len(CUTOFFS)) for name in ("tp", "fp", "fn_1", "fn_2", "heading")}
    for frame in range(boxes.num_frames):
        p = boxes.predictions[(boxes.predictions.frame == frame) & (boxes.predictions.type == kind)]
        o = boxes.objects[(boxes.objects.frame == frame) & (boxes.objects.type == kind)]
        ious = np.array([[compute_iou(a, b, with_height=with_height) for b in o.box] for a in p.box]).reshape(
            len(p), len(o)
        )
        weight = np.where(ious >= np.float32(THRESHOLDS[kind]), np.round(ious.astype(np.float64) * 1e6), 0)
        for c, cutoff in enumerate(CUTOFFS):
            active = np.flatnonzero(p.score >= cutoff)
            rows, columns = linear_sum_assignment(weight[active], maximize=True)
            pairs = [(active[r], k) for r, k in zip(rows, columns, strict=True) if weight[active[r], k] > 0]
            lonely = set(active) - {r for r, _ in pairs}
            missed = set(range(len(o))) - {k for _, k in pairs}
            total["tp"][c] += len(pairs)
            total["fp"][c] += sum(not p.in_no_label_zone[r] for r in lonely)
            total["fn_1"][c] += sum(o.level[k] <= 1 for k in missed)
            total["fn_2"][c] += sum(o.level[k] <= 2 for k in missed)
            total["heading"][c] += sum(heading_accuracy(p.box[r, 6], o.box[k, 6]) for r, k in pairs)
    return total


def average_precision(precision: np.ndarray, recall: np.ndarray, delta: float = 0.05) -> float:
    """Area by trapezoids under the best precision at each recall or beyond, with points at most `delta` apart."""
    best = {0.0: 1.0}
    for p, r in zip(precision.tolist(), recall.tolist(), strict=True):
        best[r] = max(best.get(r, 0.0), p)
    points: list[tuple[float, float]] = []
    highest = 0.0
    for r in sorted(best, reverse=True):
        while points and points[-1][0] - r > delta + 1e-6:
            points.append((points[-1][0] - delta, highest))
        highest = max(highest, best[r])
        points.append((r, highest))
    if len(points) > 1:
        points[-1] = (0.0, points[-2][1])
    return sum((a[0] - b[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
