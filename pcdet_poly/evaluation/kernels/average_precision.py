"""Counts at every score cut-off -> precision, recall and Waymo's average precision.

All in float32, in the official order of operations:

precision = tp / (tp + fp), recall = tp / (tp + fn), both 0 where nothing was counted, and precision = 1
where recall = 0. APH uses sum(heading accuracy) / (tp + fp) as its precision with the same recall; LET's
APL uses sum(longitudinal affinity) / (tp + fp).

AP is the area under the precision-recall curve by trapezoids. Walking from the highest recall down, each
point takes the best precision seen so far; where two recalls are more than `delta` apart, points are put
between them that keep the precision of the higher recall. Nothing is counted beyond the highest recall, so
AP is at most that recall (a perfect result gives 1.0000001).
"""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation.kernels.outcome_counts import AFFINITY, FIXED_POINT, FN_1, FN_2, FP, HEADING, TP
from pcdet_poly.ops.compiler.kernel import kernel

PRECISION, PRECISION_HEADING, PRECISION_AFFINITY, RECALL = 0, 1, 2, 3
_TOLERANCE = np.float32(1e-6)


def accumulate_increments(increments: np.ndarray) -> np.ndarray:
    """Return the counts (..., NUM_COUNTS, C) of increments (..., NUM_COUNTS, C).

    Each cut-off gets what entered at it or above.
    """
    return np.flip(np.cumsum(np.flip(increments, -1), -1), -1)


@kernel
def precision_recall_curve(counts: np.ndarray, level: int, min_precision: float) -> np.ndarray:
    """Compute precision and recall at every cut-off.

    Args:
        counts: (NUM_COUNTS, C) int64, counts at every cut-off.
        level: 1 or 2, the difficulty whose misses count.
        min_precision: precisions below this become 0.

    Returns:
        (4, C) float32: precision, precision weighted by heading and by affinity, recall.
    """
    out = np.zeros((4, counts.shape[1]), np.float32)
    misses = counts[FN_1] if level == 1 else counts[FN_2]
    for i in range(counts.shape[1]):
        found = np.float32(counts[TP, i])
        positives, objects = counts[TP, i] + counts[FP, i], counts[TP, i] + misses[i]
        if positives > 0:
            out[PRECISION, i] = found / np.float32(positives)
            out[PRECISION_HEADING, i] = np.float32(counts[HEADING, i] / FIXED_POINT) / np.float32(positives)
            out[PRECISION_AFFINITY, i] = np.float32(counts[AFFINITY, i] / FIXED_POINT) / np.float32(positives)
        for kind in range(3):
            if out[kind, i] < min_precision:
                out[kind, i] = 0
        if objects > 0:
            out[RECALL, i] = found / np.float32(objects)
        if out[RECALL, i] == 0:
            out[:3, i] = 1
    return out


@kernel
def sort_descending(values: np.ndarray) -> np.ndarray:
    """Return the positions (N,) of `values` (N,) from the largest down, equal ones in order.

    Insertion sort: fast where the values almost descend already.
    """
    order = np.arange(len(values))
    for i in range(1, len(values)):
        k = i
        while k > 0 and values[order[k - 1]] < values[i]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = i
    return order


@kernel
def average_precision(precision: np.ndarray, recall: np.ndarray, delta: float) -> np.float32:
    """Integrate a precision-recall curve.

    Args:
        precision: (C,) float32.
        recall: (C,) float32.
        delta: largest step in recall.

    Returns:
        The area, float32.
    """
    step = np.float32(delta)
    order = sort_descending(recall)
    area = np.float32(0)
    best = np.float32(0)  # largest precision at this recall or a higher one
    last_recall, last_precision = np.float32(0), np.float32(0)
    i = 0
    while i < len(order) and recall[order[i]] > 0:
        here, highest = recall[order[i]], precision[order[i]]
        while i < len(order) and recall[order[i]] == here:
            highest = max(highest, precision[order[i]])
            i += 1
        if last_recall > 0:
            area, last_recall, last_precision = _add_points_between(area, last_recall, last_precision, here, best, step)
            best = max(best, highest)
            area = _add_trapezoid(area, last_recall - here, last_precision + best)
        best = max(best, highest)
        last_recall, last_precision = here, best
    if last_recall > 0:
        area, last_recall, last_precision = _add_points_between(
            area, last_recall, last_precision, np.float32(0), best, step
        )
        area = _add_trapezoid(area, last_recall, last_precision + last_precision)
    return area


@kernel
def _add_points_between(
    area: np.float32,
    last_recall: np.float32,
    last_precision: np.float32,
    until: np.float32,
    best: np.float32,
    step: np.float32,
) -> tuple[np.float32, np.float32, np.float32]:
    """Add the points between `last_recall` and `until`; return the area and the last point."""
    while last_recall - until > step + _TOLERANCE:
        here = np.float32(last_recall - step)
        area = _add_trapezoid(area, last_recall - here, last_precision + best)
        last_recall, last_precision = here, best
    return area, last_recall, last_precision


@kernel
def _add_trapezoid(area: np.float32, width: np.float32, heights: np.float32) -> np.float32:
    """Return `area` plus that of a trapezoid; `heights` is the sum of its two sides."""
    return np.float32(np.float64(area) + 0.5 * np.float64(np.float32(width)) * np.float64(np.float32(heights)))


@kernel
def compute_average_precisions(
    counts: np.ndarray, levels: np.ndarray, min_precision: float, delta: float
) -> np.ndarray:
    """Compute the three metrics of every row and level.

    Args:
        counts: (R, NUM_COUNTS, C) int64, counts at every cut-off.
        levels: (L,) difficulty levels, 1 or 2.
        min_precision: precisions below this become 0.
        delta: largest step in recall.

    Returns:
        (R, L, 3) float32 AP, APH and APL.
    """
    out = np.empty((len(counts), len(levels), 3), np.float32)
    for row in range(len(counts)):
        for k in range(len(levels)):
            points = precision_recall_curve(counts[row], levels[k], min_precision)
            for kind in range(3):
                out[row, k, kind] = average_precision(points[kind], points[RECALL], delta)
    return out
