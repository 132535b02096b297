"""What a match, a miss or a false alarm adds to a frame's counts.

Counts are kept as steps over the score cut-offs: an entry at cut-off c counts for all cut-offs up to c, so
that a change is written once where it happens and `numpy.cumsum` from the right gives the counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Columns of `steps`.
TP, FP, FN_1, FN_2, HEADING, AFFINITY, NUM_COUNTS = 0, 1, 2, 3, 4, 5, 6
FIXED_POINT = 2.0**36  # heading accuracies and affinities are added as integers: sums do not depend on order

NOT_COUNTED, UNMATCHED = -2, -1  # what a prediction counts as; else the edge it is matched by


class Task(NamedTuple):
    """One breakdown of one frame: who may match whom, and where each outcome is counted.

    Rows are rows of `steps`; -1: not counted.
    """

    cutoff: np.ndarray  # (P,) highest cut-off that the prediction passes, -1 none
    ignored: np.ndarray  # (P,) bool, unmatched it is no false positive (no-label zone)
    prediction_group: np.ndarray  # (P,) matches only objects of the same group; -1 none
    object_group: np.ndarray  # (M,)
    prediction_row: np.ndarray  # (P,) row of its false positive
    object_row: np.ndarray  # (M,) row of its true positive or false negative
    level: np.ndarray  # (M,) 0, 1 or 2


class Edges(NamedTuple):
    """Pairs that may match, by prediction: those of prediction p are first[p] to first[p + 1]."""

    first: np.ndarray  # (P + 1,)
    prediction: np.ndarray  # (E,)
    object: np.ndarray  # (E,)
    weight: np.ndarray  # (E,) int64, IoU in millionths
    heading: np.ndarray  # (E,) int64 fixed point; -1: a match that is not counted at all
    affinity: np.ndarray  # (E,) int64 fixed point
    hash: np.ndarray  # (E,) int64 in [0, 2**15), of all that a match of this pair counts as


@njit(cache=True, nogil=True)
def _count_match(steps: np.ndarray, task: Task, edges: Edges, edge: int, cutoff: int, sign: int) -> None:
    obj = edges.object[edge]
    row = task.object_row[obj]
    if row < 0:
        return
    count_miss(steps, task, obj, cutoff, -sign)
    if edges.heading[edge] >= 0:
        steps[row, TP, cutoff] += sign
        steps[row, HEADING, cutoff] += sign * edges.heading[edge]
        steps[row, AFFINITY, cutoff] += sign * edges.affinity[edge]


@njit(cache=True, nogil=True)
def count_miss(steps: np.ndarray, task: Task, obj: int, cutoff: int, sign: int) -> None:
    row = task.object_row[obj]
    if row >= 0 and task.object_group[obj] >= 0:
        if task.level[obj] <= 1:
            steps[row, FN_1, cutoff] += sign
        if task.level[obj] <= 2:
            steps[row, FN_2, cutoff] += sign


@njit(cache=True, nogil=True)
def change(steps: np.ndarray, task: Task, edges: Edges, counted: np.ndarray, pred: int, now: int, cutoff: int) -> None:
    """Count prediction `pred` as matched by edge `now` (or unmatched) from `cutoff` down, in place of `counted`."""
    before = counted[pred]
    if before == now:
        return
    false_positive = not task.ignored[pred] and task.prediction_row[pred] >= 0
    if before >= 0:
        _count_match(steps, task, edges, before, cutoff, -1)
    elif before == UNMATCHED and false_positive:
        steps[task.prediction_row[pred], FP, cutoff] -= 1
    if now >= 0:
        _count_match(steps, task, edges, now, cutoff, 1)
    elif false_positive:
        steps[task.prediction_row[pred], FP, cutoff] += 1
    counted[pred] = now
