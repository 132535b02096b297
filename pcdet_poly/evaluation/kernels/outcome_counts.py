"""What a match, a miss or a false alarm adds to a frame's counts.

Counts are kept as increments over the score cut-offs: an entry at cut-off c counts for all cut-offs up to c.
A change is written once, where it happens, and a running sum from the right gives the counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel

# Second axis of `increments` (rows, NUM_COUNTS, cut-offs).
TP, FP, FN_1, FN_2, HEADING, AFFINITY, NUM_COUNTS = 0, 1, 2, 3, 4, 5, 6
FIXED_POINT = 2.0**36  # heading accuracies and affinities are added as integers: sums do not depend on order

NOT_COUNTED, UNMATCHED = -2, -1  # what a prediction counts as; else the edge it is matched by

# One breakdown's view of a prediction: the highest cut-off it passes (-1 none); whether, unmatched, it is ignored
# (no-label zone); the group in which it may match (-1 none); the row of `increments` of its false positive (-1 none).
PREDICTION_DTYPE = np.dtype([("cutoff", np.int64), ("ignored", np.int64), ("group", np.int64), ("row", np.int64)])
# Of an object: its group, the row of its true positive or false negative, its level (0, 1, 2).
OBJECT_DTYPE = np.dtype([("group", np.int64), ("row", np.int64), ("level", np.int64)])
# A pair that may match: IoU in millionths; what a match adds, in fixed point (heading -1: it is not counted);
# and 15 bits that stand for all that the match counts as.
EDGE_DTYPE = np.dtype([(n, np.int64) for n in ("prediction", "object", "weight", "heading", "affinity", "hash")])


class MatchGraph(NamedTuple):
    """One matching of one frame's boxes: which may match each other, and where each outcome is counted."""

    predictions: np.ndarray  # (P,) PREDICTION
    objects: np.ndarray  # (M,) OBJECT
    edges: np.ndarray  # (E,) EDGE, by prediction
    first_edge: np.ndarray  # (P + 1,) edges of prediction p are first_edge[p] to first_edge[p + 1]


@kernel
def count_miss(increments: np.ndarray, obj: np.record, cutoff: int, sign: int) -> None:
    """Count (or with sign -1 uncount) an object as missed from a cut-off down.

    Args:
        increments: (rows, NUM_COUNTS, C) int64, changed in place.
        obj: the object, OBJECT_DTYPE.
        cutoff: position of the cut-off.
        sign: 1 or -1.
    """
    if obj.row >= 0 and obj.group >= 0:
        if obj.level <= 1:
            increments[obj.row, FN_1, cutoff] += sign
        if obj.level <= 2:
            increments[obj.row, FN_2, cutoff] += sign


@kernel
def _count_prediction(
    increments: np.ndarray, graph: MatchGraph, pred: int, choice: int, cutoff: int, sign: int
) -> None:
    """Count (or with sign -1 uncount) a prediction as what `choice` says."""
    if choice >= 0:
        edge = graph.edges[choice]
        obj = graph.objects[edge.object]
        count_miss(increments, obj, cutoff, -sign)
        if obj.row >= 0 and edge.heading >= 0:
            increments[obj.row, TP, cutoff] += sign
            increments[obj.row, HEADING, cutoff] += sign * edge.heading
            increments[obj.row, AFFINITY, cutoff] += sign * edge.affinity
    elif choice == UNMATCHED:
        row = graph.predictions[pred].row
        if row >= 0 and not graph.predictions[pred].ignored:
            increments[row, FP, cutoff] += sign


@kernel
def recount_prediction(
    increments: np.ndarray, graph: MatchGraph, counted_as: np.ndarray, pred: int, choice: int, cutoff: int
) -> None:
    """From a cut-off down, count a prediction as `choice` in place of what it is counted as.

    Args:
        increments: (rows, NUM_COUNTS, C) int64, changed in place.
        graph: the matching.
        counted_as: (P,) what each prediction is counted as, changed in place: NOT_COUNTED, UNMATCHED or an edge.
        pred: the prediction.
        choice: what it is counted as from now on.
        cutoff: position of the cut-off.
    """
    if counted_as[pred] != choice:
        _count_prediction(increments, graph, pred, counted_as[pred], cutoff, -1)
        _count_prediction(increments, graph, pred, choice, cutoff, 1)
        counted_as[pred] = choice


@kernel
def select_group_objects(graph: MatchGraph, group: int) -> np.ndarray:
    """Return the objects of a group, in row order."""
    found, num = np.empty(len(graph.objects), np.int64), 0
    for obj in range(len(graph.objects)):
        if graph.objects[obj].group == group:
            found[num] = obj
            num += 1
    return found[:num]


@kernel
def select_group_predictions(graph: MatchGraph, group: int, cutoff: int) -> np.ndarray:
    """Return the predictions of a group that pass a cut-off.

    Args:
        graph: the matching.
        group: number of the group.
        cutoff: position of the cut-off.

    Returns:
        (K,) int64 rows, ascending.
    """
    found, num = np.empty(len(graph.predictions), np.int64), 0
    for pred in range(len(graph.predictions)):
        if graph.predictions[pred].group == group and graph.predictions[pred].cutoff >= cutoff:
            found[num] = pred
            num += 1
    return found[:num]


@kernel
def mark_entered_cutoffs(graph: MatchGraph, group: int, num_cutoffs: int) -> np.ndarray:
    """Mark the cut-offs at which a prediction of a group enters.

    Args:
        graph: the matching.
        group: number of the group.
        num_cutoffs: number of cut-offs, C.

    Returns:
        (C,) bool.
    """
    enters = np.zeros(num_cutoffs, np.bool_)
    for pred in select_group_predictions(graph, group, 0):
        enters[graph.predictions[pred].cutoff] = True
    return enters
