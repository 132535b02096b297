"""What a match, a miss or a false alarm adds to a frame's counts.

Counts are kept as steps over the score cut-offs: an entry at cut-off c counts for all cut-offs up to c, so
that a change is written once where it happens and a running sum from the right gives the counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

# Columns of `steps` (rows, NUM_COUNTS, cut-offs).
TP, FP, FN_1, FN_2, HEADING, AFFINITY, NUM_COUNTS = 0, 1, 2, 3, 4, 5, 6
FIXED_POINT = 2.0**36  # heading accuracies and affinities are added as integers: sums do not depend on order

NOT_COUNTED, UNMATCHED = -2, -1  # what a prediction counts as; else the edge it is matched by

# One breakdown's view of a prediction: the highest cut-off it passes (-1 none); whether, unmatched, it is ignored
# (no-label zone); the group in which it may match (-1 none); the row of `steps` of its false positive (-1 none).
PREDICTION_DTYPE = np.dtype([("cutoff", np.int64), ("ignored", np.int64), ("group", np.int64), ("row", np.int64)])
# Of an object: its group, the row of its true positive or false negative, its level (0, 1, 2).
OBJECT_DTYPE = np.dtype([("group", np.int64), ("row", np.int64), ("level", np.int64)])
# A pair that may match: IoU in millionths; what a match adds, in fixed point (heading -1: it is not counted);
# and 15 bits that stand for all that the match counts as.
EDGE_DTYPE = np.dtype([(n, np.int64) for n in ("prediction", "object", "weight", "heading", "affinity", "hash")])


class MatchGraph(NamedTuple):
    """One breakdown of one frame: who may match whom, and where each outcome is counted."""

    predictions: np.ndarray  # (P,) PREDICTION
    objects: np.ndarray  # (M,) OBJECT
    edges: np.ndarray  # (E,) EDGE, by prediction
    first: np.ndarray  # (P + 1,) edges of prediction p are first[p] to first[p + 1]


@kernel
def count_miss(steps: np.ndarray, obj: np.record, cutoff: int, sign: int) -> None:
    """Count (or with sign -1 uncount) an object as missed from `cutoff` down."""
    if obj.row >= 0 and obj.group >= 0:
        if obj.level <= 1:
            steps[obj.row, FN_1, cutoff] += sign
        if obj.level <= 2:
            steps[obj.row, FN_2, cutoff] += sign


@kernel
def _count_prediction(steps: np.ndarray, task: MatchGraph, pred: int, choice: int, cutoff: int, sign: int) -> None:
    """Count a prediction as what `choice` says."""
    if choice >= 0:
        edge = task.edges[choice]
        obj = task.objects[edge.object]
        count_miss(steps, obj, cutoff, -sign)
        if obj.row >= 0 and edge.heading >= 0:
            steps[obj.row, TP, cutoff] += sign
            steps[obj.row, HEADING, cutoff] += sign * edge.heading
            steps[obj.row, AFFINITY, cutoff] += sign * edge.affinity
    elif choice == UNMATCHED:
        row = task.predictions[pred].row
        if row >= 0 and not task.predictions[pred].ignored:
            steps[row, FP, cutoff] += sign


@kernel
def recount_prediction(
    steps: np.ndarray, task: MatchGraph, counted: np.ndarray, pred: int, choice: int, cutoff: int
) -> None:
    """From `cutoff` down, count prediction `pred` as `choice` in place of what `counted` (P,) says."""
    if counted[pred] != choice:
        _count_prediction(steps, task, pred, counted[pred], cutoff, -1)
        _count_prediction(steps, task, pred, choice, cutoff, 1)
        counted[pred] = choice


@kernel
def select_group_objects(task: MatchGraph, group: int) -> np.ndarray:
    """Objects of a group, in row order."""
    found, num = np.empty(len(task.objects), np.int64), 0
    for obj in range(len(task.objects)):
        if task.objects[obj].group == group:
            found[num] = obj
            num += 1
    return found[:num]


@kernel
def select_group_predictions(task: MatchGraph, group: int, cutoff: int) -> np.ndarray:
    """Predictions of a group that pass a cut-off, in row order."""
    found, num = np.empty(len(task.predictions), np.int64), 0
    for pred in range(len(task.predictions)):
        if task.predictions[pred].group == group and task.predictions[pred].cutoff >= cutoff:
            found[num] = pred
            num += 1
    return found[:num]


@kernel
def mark_entered_cutoffs(task: MatchGraph, group: int, num_cutoffs: int) -> np.ndarray:
    """(C,) bool: whether a prediction of the group enters at each cut-off."""
    enters = np.zeros(num_cutoffs, np.bool_)
    for pred in select_group_predictions(task, group, 0):
        enters[task.predictions[pred].cutoff] = True
    return enters
